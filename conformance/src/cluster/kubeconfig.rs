//! Kubeconfigs for one API server.

use super::{ClusterError, certificates::Authority};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Who a kubeconfig speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The user's name.
    pub user: &'a str,
    /// One group; empty for none.
    pub group: &'a str,
}

impl Identity<'static> {
    /// May do everything.
    pub const ADMIN: Self = Self { user: "admin", group: "system:masters" };
}

/// Writes a kubeconfig with a client certificate for this identity into a folder, as `<user>.conf`, and gives its path.
pub(super) fn of_identity(
    folder: &Path,
    authority: &Authority,
    server: &str,
    identity: Identity<'_>,
) -> Result<PathBuf, ClusterError> {
    let Identity { user, group } = identity;
    let group = if group.is_empty() { String::new() } else { format!("/O={group}") };
    let name = user.replace([':', '/'], "-");
    authority.issue(&name, &format!("{group}/CN={user}"), "")?;
    let certificate = authority.base64(&format!("{name}.crt"))?;
    let key = authority.base64(&format!("{name}.key"))?;
    let user = format!("{{client-certificate-data: {certificate}, client-key-data: {key}}}");
    write(folder, authority, server, &name, &user)
}

/// The same for whoever holds the token in a file.
pub(super) fn of_token(
    folder: &Path,
    authority: &Authority,
    server: &str,
    name: &str,
    token: &Path,
) -> Result<PathBuf, ClusterError> {
    write(folder, authority, server, name, &format!("{{tokenFile: \"{}\"}}", token.display()))
}

fn write(
    folder: &Path,
    authority: &Authority,
    server: &str,
    name: &str,
    user: &str,
) -> Result<PathBuf, ClusterError> {
    let authority = authority.base64("ca.crt")?;
    let text = format!(
        "apiVersion: v1\nkind: Config\n\
         clusters: [{{name: lab, cluster: {{server: \"{server}\", certificate-authority-data: {authority}}}}}]\n\
         users: [{{name: lab, user: {user}}}]\n\
         contexts: [{{name: lab, context: {{cluster: lab, user: lab}}}}]\ncurrent-context: lab\n"
    );
    let path = folder.join(format!("{name}.conf"));
    fs::write(&path, text).map_err(ClusterError::io(path.display().to_string()))?;
    Ok(path)
}
