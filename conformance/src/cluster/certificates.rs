//! A certificate authority for one cluster, by the `openssl` program.

use super::ClusterError;
use crate::lab::LabError;
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// How long everything is valid. A cluster of tests does not live as long.
const DAYS: &str = "30";
const CURVE: &str = "ec_paramgen_curve:prime256v1";

/// The authority's folder, with `ca.crt`, and a `.crt` and a `.key` for each name that was issued.
#[derive(Debug)]
pub(super) struct Authority {
    dir: PathBuf,
}

impl Authority {
    /// Makes an authority and the key pair that signs service accounts' tokens (`sa.key`, `sa.pub`).
    pub(super) fn new(dir: &Path) -> Result<Self, ClusterError> {
        fs::create_dir_all(dir).map_err(ClusterError::io(dir.display().to_string()))?;
        let authority = Self { dir: dir.to_owned() };
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            CURVE,
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            DAYS,
            "-subj",
            "/CN=palisade-lab",
        ])?;
        authority.openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key"])?;
        authority.openssl(&["ec", "-in", "sa.key", "-pubout", "-out", "sa.pub"])?;
        Ok(authority)
    }

    /// One that was made before, in this folder.
    pub(super) fn found(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The path of a file of the authority.
    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Issues `<name>.crt` and `<name>.key`. `subject` is as openssl writes it (`/O=group/CN=user`); `names` is what a
    /// server is called by, such as `DNS:kubernetes,IP:127.0.0.1`, empty for a client.
    pub(super) fn issue(&self, name: &str, subject: &str, names: &str) -> Result<(), ClusterError> {
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        let mut extensions = "extendedKeyUsage=clientAuth,serverAuth\n".to_owned();
        if !names.is_empty() {
            extensions.push_str(&format!("subjectAltName={names}\n"));
        }
        let file = self.path(&format!("{name}.ext"));
        fs::write(&file, extensions).map_err(ClusterError::io(file.display().to_string()))?;
        self.openssl(&[
            "req", "-newkey", "ec", "-pkeyopt", CURVE, "-nodes", "-keyout", &key, "-out", &request, "-subj",
            subject,
        ])?;
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            // No file of serial numbers: several certificates are signed at once, and without one openssl takes random ones.
            "-days",
            DAYS,
            "-out",
            &certificate,
            "-extfile",
            &file.to_string_lossy(),
        ])
    }

    /// A file's bytes as a kubeconfig holds them.
    pub(super) fn base64(&self, file: &str) -> Result<String, ClusterError> {
        let path = self.path(file);
        let bytes = fs::read(&path).map_err(ClusterError::io(path.display().to_string()))?;
        Ok(BASE64_STANDARD.encode(bytes))
    }

    fn openssl(&self, arguments: &[&str]) -> Result<(), ClusterError> {
        let mut command = Command::new("openssl");
        let output = command.args(arguments).current_dir(&self.dir).output();
        let failed = |message| {
            let command = format!("openssl {}", arguments.join(" "));
            Err(ClusterError::Lab(LabError::Command { command, message }))
        };
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(e) => failed(format!("cannot start it: {e}; install the package openssl")),
        }
    }
}
