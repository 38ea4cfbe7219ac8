//! The container runtime of a node.

use super::{Folders, Namespaces};
use crate::cluster::{ClusterError, server::Server};
use std::{
    fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// What the kubelet and `ctr` speak to.
pub(super) const SOCKET: &str = "/run/containerd/containerd.sock";
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts it and waits until it answers. `plugins` is the folder of the CNI plugins, `path` is its `PATH`.
pub(super) fn start(
    namespaces: &Namespaces,
    folders: &Folders,
    plugins: &Path,
    sandbox_image: &str,
) -> Result<Server, ClusterError> {
    let file = folders.state.join("containerd.toml");
    let text = configuration(plugins, sandbox_image);
    fs::write(&file, text).map_err(ClusterError::io(file.display().to_string()))?;
    let mut command = Command::new("containerd");
    command.arg("--config").arg(&file);
    let mut server =
        Server::start("containerd", command, &folders.logs(), |command| namespaces.spawn(command))?;
    let begin = Instant::now();
    while ctr(namespaces, &["version"]).is_err() {
        server.require_alive()?;
        if begin.elapsed() > PATIENCE {
            return Err(server.error(format!("does not answer after {PATIENCE:?}")));
        }
        thread::sleep(Duration::from_millis(100));
    }
    Ok(server)
}

/// Loads an image archive, so that no registry is asked.
pub(super) fn import(namespaces: &Namespaces, archive: &Path) -> Result<(), ClusterError> {
    ctr(namespaces, &["--namespace", "k8s.io", "images", "import", &archive.to_string_lossy()]).map(drop)
}

fn ctr(namespaces: &Namespaces, arguments: &[&str]) -> Result<String, ClusterError> {
    namespaces.exec(&[&["ctr", "--address", SOCKET], arguments].concat(), "")
}

fn configuration(plugins: &Path, sandbox_image: &str) -> String {
    // Debian's runc cannot set what CAP_SYS_RESOURCE is needed for; crun goes on without, where it is not asked to.
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{sandbox_image}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "crun"
      SystemdCgroup = false
"#,
        plugins.display()
    )
}
