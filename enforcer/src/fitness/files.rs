//! CNI's files: where they are, and whether the kernel tells of their changes.

use super::{Fact, Finding, Host};
use crate::{folder_watch::FolderWatch, node::sysctl};

pub(super) fn cni_files(host: &Host) -> Finding {
    let fact = Fact::CniFiles;
    let folders = &host.settings.folders;
    let results = host.facts.attachments.len();
    let confs: Vec<String> = host.confs.iter().map(ToString::to_string).collect();
    let confs = if confs.is_empty() { "no configuration seen".into() } else { confs.join(", ") };
    let data = host.confs.iter().filter_map(|conf| conf.data_dir.as_ref());
    let elsewhere = data.into_iter().find(|dir| **dir != folders.networks_dir);
    if let Some(dir) = elsewhere {
        return Finding::warn(
            fact,
            "leases elsewhere",
            format!("{confs}; host-local's leases are in {}", dir.display()),
            format!("give --cni-networks-dir {}", dir.display()),
        );
    }
    if !folders.cni_dir.is_dir() {
        return Finding::warn(
            fact,
            "absent",
            format!("{} is not there; {confs}", folders.cni_dir.display()),
            "pods are known by their status only, later than their first packet, and ports are not guarded; --cni-dir tells \
             where CNI keeps its state",
        );
    }
    let what = format!("{results} results in {}; {confs}", folders.cni_dir.join("results").display());
    Finding::ok(fact, "there", what)
}

/// Limits are of a user on the whole host, and others of root use them up: so one more is asked for.
pub(super) fn inotify(host: &Host) -> Finding {
    let fact = Fact::Inotify;
    let limit = |name| sysctl::inotify_limit(name).map_or_else(|_| "?".into(), |limit| limit.to_string());
    let (instances, watches) = (limit("max_user_instances"), limit("max_user_watches"));
    match FolderWatch::new(&host.settings.folders.cni_dir) {
        Ok(_) => Finding::ok(
            fact,
            "enough",
            format!("limits of a user: {instances} instances, {watches} watches; not reached"),
        ),
        Err(error) => Finding::warn(
            fact,
            "reached",
            format!("limits of a user: {instances} instances, {watches} watches; reached: {error}"),
            "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches; until then CNI's files are looked at every \
             100 ms",
        ),
    }
}
