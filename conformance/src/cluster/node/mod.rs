//! One worker: namespaces of its own with everything that runs on a real one.

mod cgroups;
mod containerd;
mod flannel;
mod kubelet;
mod mounts;
mod namespaces;
mod proxy;

use self::{kubelet::Kubelet, namespaces::Namespaces};
use super::{
    ClusterError, Options,
    accounts::Accounts,
    certificates::Authority,
    links,
    plan::Plan,
    programs::Programs,
    server::{Server, Servers},
};
use crate::lab::{Netns, ownership};
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// Where the files of a node are.
#[derive(Clone, Debug)]
struct Folders {
    /// The cluster's folder, which has the same path inside the node.
    cluster: PathBuf,
    /// The node's folder in it.
    state: PathBuf,
    /// The node's folder on a disk.
    disk: PathBuf,
}

impl Folders {
    fn new(cluster: &Path, node: &str) -> Self {
        let id = cluster.file_name().unwrap_or_default();
        Self {
            cluster: cluster.to_owned(),
            state: cluster.join(node),
            disk: Path::new(ownership::DISK_DIR).join(id).join(node),
        }
    }

    fn cluster_id(&self) -> String {
        self.cluster.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn logs(&self) -> PathBuf {
        self.state.join("logs")
    }
}

/// What all nodes of a cluster are started from.
pub(super) struct Boot<'a> {
    pub(super) options: &'a Options,
    pub(super) plan: Plan,
    pub(super) dir: &'a Path,
    pub(super) programs: &'a Programs,
    /// The folder of the CNI plugins.
    pub(super) plugins: &'a Path,
    pub(super) authority: &'a Authority,
    pub(super) accounts: &'a Accounts,
    pub(super) control_plane: &'a Netns,
}

/// A worker of a running cluster.
#[derive(Debug)]
pub struct ClusterNode {
    name: String,
    addresses: Vec<IpAddr>,
    netns: Netns,
    namespaces: Namespaces,
    folders: Folders,
    /// Those that this process has started, the first process of the node first.
    servers: Servers,
}

impl ClusterNode {
    /// Starts a node in a network namespace that nobody uses yet, and all that runs on it. It registers itself in time.
    pub(super) fn boot(boot: &Boot<'_>, index: u8, netns: Netns) -> Result<Self, ClusterError> {
        links::node(&netns, boot.control_plane, boot.plan, index)?;
        Self::start(boot, index, netns)
    }

    /// Ends all of its processes at once, forgets what a kernel forgets, and starts it again with its disk. `meanwhile` is
    /// done before its first process starts.
    pub(super) fn reboot(
        self,
        boot: &Boot<'_>,
        index: u8,
        meanwhile: impl FnOnce(&Netns) -> Result<(), ClusterError>,
    ) -> Result<Self, ClusterError> {
        let (netns, cluster, name) = (self.netns.clone(), self.folders.cluster_id(), self.name.clone());
        drop(self);
        links::forget(&netns)?;
        cgroups::forget(&cluster, &name)?;
        meanwhile(&netns)?;
        Self::start(boot, index, netns)
    }

    /// Starts it in a network namespace that is linked to the others.
    fn start(boot: &Boot<'_>, index: u8, netns: Netns) -> Result<Self, ClusterError> {
        let name = node_name(index);
        let folders = Folders::new(boot.dir, &name);
        let logs = folders.logs();
        fs::create_dir_all(&logs).map_err(ClusterError::io(logs.display().to_string()))?;
        cgroups::create(&folders.cluster_id(), &name)?;
        let mut servers = Servers::default();
        let (namespaces, init) = Namespaces::create(&netns, &name, &folders)?;
        servers.push(init);
        let sandbox = super::images::PAUSE;
        servers.push(containerd::start(&namespaces, &folders, boot.plugins, sandbox)?);
        let mut flanneld = flannel::start(
            &namespaces,
            &folders,
            &name,
            boot.plan,
            &boot.programs.flanneld,
            &boot.accounts.flannel,
        )?;
        servers.push(proxy::start(
            &namespaces,
            &folders,
            &name,
            boot.plan,
            boot.options.proxy,
            &boot.programs.kubernetes.path("kube-proxy"),
            &boot.accounts.kube_proxy,
        )?);
        let kubelet = Kubelet {
            node: &name,
            index,
            plan: boot.plan,
            authority: boot.authority,
            binaries: &boot.programs.kubernetes,
            folders: &folders,
        };
        servers.push(kubelet.start(&namespaces)?);
        for image in &boot.programs.images {
            containerd::import(&namespaces, image)?;
        }
        flannel::configure(&namespaces, &mut flanneld, boot.plan)?;
        servers.push(flanneld);
        Ok(Self { name, addresses: boot.plan.node(index), netns, namespaces, folders, servers })
    }

    /// A node that another process has started.
    pub(super) fn found(dir: &Path, plan: Plan, index: u8, netns: Netns, init: u32) -> Self {
        let name = node_name(index);
        let namespaces = Namespaces::found(netns.clone(), init);
        let folders = Folders::new(dir, &name);
        Self { name, addresses: plan.node(index), netns, namespaces, folders, servers: Servers::default() }
    }

    /// Its name in the cluster: `n1`, `n2`, …
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its addresses on the network between the nodes, the cluster's first family first.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Its network namespace.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// A folder for files of this node, with the same path inside the node. It goes with the cluster.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.folders.state
    }

    /// The folder with a log of each daemon.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.folders.logs()
    }

    /// Its first process, as the machine numbers it: `nsenter -t PID -m -u -n -p` enters the node.
    #[must_use]
    pub fn init(&self) -> u32 {
        self.namespaces.init()
    }

    /// Runs a program on the node to its end, with its files, processes and network; gives its standard output.
    ///
    /// # Errors
    /// [`LabError::Command`](crate::lab::LabError::Command) with its standard error if it does not exit with 0.
    pub fn exec(&self, argv: &[&str]) -> Result<String, ClusterError> {
        self.namespaces.exec(argv, "")
    }

    /// As [`Self::exec`], with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Self::exec`].
    pub fn exec_with(&self, argv: &[&str], input: &str) -> Result<String, ClusterError> {
        self.namespaces.exec(argv, input)
    }

    /// Starts a program on the node. Its standard streams are those of the command; it ends with the node at the latest.
    ///
    /// # Errors
    /// It cannot be started, or the node does not run.
    pub fn spawn(&self, command: Command) -> Result<Child, ClusterError> {
        self.namespaces.spawn(command)
    }

    /// Loads an image archive into the node's container runtime.
    ///
    /// # Errors
    /// What `ctr` says.
    pub fn import(&self, archive: &Path) -> Result<(), ClusterError> {
        containerd::import(&self.namespaces, archive)
    }

    /// Its first process runs.
    pub(super) fn require_alive(&mut self) -> Result<(), ClusterError> {
        self.namespaces.require_alive()?;
        self.servers.require_alive()
    }

    /// Starts a daemon that is started again whenever it ends, and ends with the node.
    pub(super) fn daemon(&mut self, name: &'static str, command: Command) -> Result<(), ClusterError> {
        let server = Server::start(name, command, &self.folders.logs(), |command| self.spawn(command))?;
        self.servers.push(server);
        Ok(())
    }

    /// Ends a daemon for good.
    pub(super) fn end(&mut self, name: &str) {
        self.servers.end(name);
    }

    /// Lets it run on after this process.
    pub(super) fn detach(self) {
        self.servers.detach();
    }
}

/// Nodes are counted from 1.
fn node_name(index: u8) -> String {
    format!("n{index}")
}

/// A command that is started again whenever it ends, as a DaemonSet does with its containers.
pub(super) fn restarted(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do \"$@\"; sleep 0.3; done", "restarted"]).arg(program);
    command
}
