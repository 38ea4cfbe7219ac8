//! The machine itself: that the demo leaves it as it was.

use super::{DemoError, checks::Checks};
use crate::lab::ownership;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What of the machine's own network the demo must not change.
#[derive(Debug)]
pub(super) struct Host {
    links: Vec<String>,
    tables: String,
    sysctls: BTreeMap<PathBuf, String>,
}

/// These count, and nobody sets them.
const COUNTERS: [&str; 1] = ["nf_conntrack_count"];

impl Host {
    /// As it is now.
    pub(super) fn read() -> Result<Self, DemoError> {
        let mut sysctls = BTreeMap::new();
        read_sysctls(Path::new("/proc/sys/net"), &mut sysctls);
        Ok(Self { links: names("/sys/class/net"), tables: tables()?, sysctls })
    }

    /// Compares it with what is there after the lab `id` and its `policyd`s are gone.
    pub(super) fn check(&self, id: &str, daemons: &[u32], checks: &mut Checks) -> Result<(), DemoError> {
        let now = Self::read()?;
        let mine = |folder: &str| -> Vec<String> {
            names(folder).into_iter().filter(|name| name.starts_with(id)).collect()
        };
        let left = mine("/run/netns");
        checks.check(left.is_empty(), || format!("network namespaces are left: {}", left.join(", ")));
        let left = mine(ownership::STATE_DIR);
        checks.check(left.is_empty(), || format!("{}/{id} is left", ownership::STATE_DIR));
        for pid in daemons {
            let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            checks.check(command.trim() != "policyd", || format!("policyd is still running: process {pid}"));
        }
        checks.check(now.links == self.links, || {
            format!("the machine's links were {:?} and are {:?}", self.links, now.links)
        });
        checks.check(now.tables == self.tables, || {
            format!("the machine's nftables were {:?} and are {:?}", self.tables, now.tables)
        });
        // A module that was loaded meanwhile brings sysctls that were not there before.
        let changed = self.sysctls.iter().find(|(path, value)| now.sysctls.get(*path) != Some(*value));
        checks.check(changed.is_none(), || {
            let (path, was) = changed.map(|(path, was)| (path.display().to_string(), was)).unzip();
            format!("the sysctl {} was {}", path.unwrap_or_default(), was.map_or("", String::as_str))
        });
        Ok(())
    }
}

fn names(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Names of the tables in the machine's own network namespace.
fn tables() -> Result<String, DemoError> {
    let output = Command::new("nft").args(["list", "tables"]).stdin(Stdio::null()).output();
    let output = output.map_err(|source| DemoError::Io { what: "nft list tables".to_owned(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Those that can be read; some can only be written.
fn read_sysctls(folder: &Path, into: &mut BTreeMap<PathBuf, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            read_sysctls(&path, into);
        } else if !COUNTERS.iter().any(|counter| path.ends_with(counter))
            && let Ok(value) = fs::read_to_string(&path)
        {
            into.insert(path, value.trim().to_owned());
        }
    }
}
