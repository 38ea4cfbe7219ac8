//! CNI's configuration, as a container runtime finds it: the first file of a folder. Of it, where host-local keeps its
//! leases (`ipam.dataDir`) is all that matters here.

use serde::Deserialize;
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// Folders of the distributions that were looked at, each with who uses it.
pub const FOLDERS: [(&str, &str); 4] = [
    ("/etc/cni/net.d", "kubeadm, RKE2, k0s, Talos"),
    ("/var/lib/rancher/k3s/agent/etc/cni/net.d", "k3s"),
    ("/var/lib/rancher/rke2/agent/etc/cni/net.d", "RKE2"),
    ("/var/snap/microk8s/current/args/cni-network", "MicroK8s"),
];

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CniConf {
    /// The file.
    pub path: PathBuf,
    /// The network's name: leases are in a folder of this name.
    pub network: String,
    /// `ipam.dataDir`, of the plugin or of what the flannel plugin delegates to.
    pub data_dir: Option<PathBuf>,
}

impl fmt::Display for CniConf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "network {} ({})", self.network, self.path.display())
    }
}

#[derive(Deserialize)]
struct ConfFile {
    name: String,
    #[serde(default)]
    plugins: Vec<Plugin>,
    #[serde(flatten)]
    single: Plugin,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Plugin {
    ipam: Option<Ipam>,
    delegate: Option<Box<Plugin>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ipam {
    data_dir: Option<PathBuf>,
}

impl Plugin {
    fn data_dir(self) -> Option<PathBuf> {
        let own = self.ipam.and_then(|ipam| ipam.data_dir);
        own.or_else(|| self.delegate.and_then(|delegate| delegate.data_dir()))
    }
}

/// The configuration in force of each folder that has one.
#[must_use]
pub fn find(folders: &[PathBuf]) -> Vec<CniConf> {
    folders.iter().filter_map(|folder| first(folder)).collect()
}

/// The first by name that can be read: what libcni's `ConfFiles` and every runtime take.
fn first(folder: &Path) -> Option<CniConf> {
    let is_conf = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["conf", "conflist", "json"].iter().any(|known| extension == *known))
    };
    let entries = fs::read_dir(folder).ok()?;
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_conf).collect();
    paths.sort();
    paths.into_iter().find_map(|path| {
        let file: ConfFile = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let mut plugins = file.plugins.into_iter().chain([file.single]);
        let data_dir = plugins.find_map(Plugin::data_dir);
        Some(CniConf { path, network: file.name, data_dir })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_counts_and_leases_may_be_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(find(&[folder.path().into(), "/nowhere".into()]), []);
        write(
            "20-last.conf",
            r#"{"name": "last", "type": "bridge", "ipam": {"type": "host-local", "dataDir": "/run/leases"}}"#,
        );
        let found = |n: usize| find(&[folder.path().into()]).remove(n);
        assert_eq!(found(0).data_dir, Some("/run/leases".into()));
        write(
            "10-flannel.conflist",
            r#"{"name": "cbr0", "plugins": [{"type": "flannel", "delegate": {"hairpinMode": true}}]}"#,
        );
        assert_eq!((found(0).network.as_str(), found(0).data_dir), ("cbr0", None));
        write(
            "05-own.conflist",
            r#"{"name": "own", "plugins": [{"type": "flannel",
            "delegate": {"ipam": {"dataDir": "/run/own"}}}, {"type": "portmap"}]}"#,
        );
        assert_eq!(found(0).data_dir, Some("/run/own".into()));
        write("00-broken.conflist", "{");
        write("00-not-one.txt", "{}");
        assert_eq!(found(0).network, "own");
    }
}
