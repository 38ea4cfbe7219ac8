//! A whole cluster: a control plane, workers, and the engine that enforces policies.

use super::{
    Binaries, ClusterError, ClusterNode, Engine, Options,
    accounts::Accounts,
    certificates::Authority,
    control_plane::ControlPlane,
    dns, engine, kubeconfig, links,
    node::Boot,
    options::WORKERS,
    plan::Plan,
    programs::Programs,
    room,
    saved::{FILE, Saved},
    server::Servers,
};
use crate::lab::{
    LabError, Netns,
    ownership::{self, Claim},
};
use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long nodes may take to get ready on a busy machine. Idle it is 10 seconds.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(200);

/// A cluster that runs. Dropping it takes it down, unless another process started it.
#[derive(Debug)]
pub struct Cluster {
    options: Options,
    plan: Plan,
    dir: PathBuf,
    binaries: Binaries,
    control_plane: Netns,
    authority: Authority,
    // Dropped in this order: what runs ends before the claim removes namespaces and files.
    nodes: Vec<ClusterNode>,
    servers: Servers,
    claim: Option<Claim>,
}

impl Cluster {
    /// Builds what is missing, and boots; ready when this returns: nodes Ready, pods can run, the engine enforces.
    ///
    /// # Errors
    /// Whatever fails, with the last lines of the log concerned. Nothing is left then.
    pub fn start(options: &Options) -> Result<Self, ClusterError> {
        Self::start_with(options, &mut |_| ())
    }

    /// The same, and says each step as it is done.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Self, ClusterError> {
        if !WORKERS.contains(&options.workers) {
            let (least, most) = (WORKERS.start(), WORKERS.end());
            return Err(LabError::Invalid(format!(
                "{} workers: a cluster has {least} to {most}",
                options.workers
            ))
            .into());
        }
        if options.engine == Engine::Palisade {
            // Better said now than once all the rest is up.
            crate::enforced::binary()?;
        }
        let programs = Programs::ensure(options)?;
        ownership::sweep()?;
        room::require(options.workers)?;
        let claim = Claim::new(&options.name)?;
        let dir = claim.dir().to_owned();
        let control_plane = Netns::create(format!("{}-cp", claim.id()))?;
        let plan = Plan::new(options.families);
        let mut this = Self {
            options: options.clone(),
            plan,
            binaries: programs.kubernetes.clone(),
            control_plane,
            authority: Authority::new(&dir.join("pki"))?,
            dir,
            nodes: Vec::new(),
            servers: Servers::default(),
            claim: Some(claim),
        };
        this.boot(&programs, say)?;
        Ok(this)
    }

    fn boot(&mut self, programs: &Programs, say: &mut dyn FnMut(&str)) -> Result<(), ClusterError> {
        links::control_plane(&self.control_plane, self.plan)?;
        let control_plane = ControlPlane {
            netns: &self.control_plane,
            binaries: &self.binaries,
            authority: &self.authority,
            plan: self.plan,
            dir: &self.dir,
        };
        self.servers = control_plane.start()?;
        let controllers = control_plane.start_controllers()?;
        controllers.into_iter().for_each(|server| self.servers.push(server));
        say("API server ready");
        let accounts = Accounts::create(self)?;
        let plugins = programs.link_plugins(&self.dir)?;
        let boot = Boot {
            options: &self.options,
            plan: self.plan,
            dir: &self.dir,
            programs,
            plugins: &plugins,
            authority: &self.authority,
            accounts: &accounts,
            control_plane: &self.control_plane,
        };
        self.nodes = boot_nodes(&boot)?;
        say("nodes started, Flannel has their ranges");
        self.wait_until_ready()?;
        say("nodes ready");
        engine::start(self, programs, &accounts)?;
        if self.options.engine != Engine::None {
            say(&format!("{} enforces", self.options.engine.name()));
        }
        if let Some(image) = &programs.coredns {
            self.import(&image.path)?;
            dns::start(self, image)?;
            say("CoreDNS answers");
        }
        self.save()
    }

    /// Nodes are Ready, and pods can be made in the default namespace.
    fn wait_until_ready(&mut self) -> Result<(), ClusterError> {
        let begin = Instant::now();
        let expected = self.nodes.len();
        loop {
            let (ready, _) = self.ready_nodes()?;
            if ready == expected && self.kubectl(&["get", "serviceaccount", "default"]).is_ok() {
                return Ok(());
            }
            self.require_alive()?;
            if begin.elapsed() > PATIENCE {
                let said = self.kubectl(&["describe", "nodes"]).unwrap_or_default();
                let what = format!("{ready} of {expected} nodes are ready after {PATIENCE:?}");
                return Err(ClusterError::NotReady { what, said });
            }
            thread::sleep(POLL);
        }
    }

    /// Fails with what has ended, if something has that should not.
    ///
    /// # Errors
    /// [`ClusterError::Server`].
    pub fn require_alive(&mut self) -> Result<(), ClusterError> {
        self.servers.require_alive()?;
        self.nodes.iter_mut().try_for_each(ClusterNode::require_alive)
    }

    /// As [`Self::require_alive`], and the API server and all nodes say that they are ready.
    ///
    /// # Errors
    /// [`ClusterError::Server`], [`ClusterError::NotReady`], or what kubectl says.
    pub fn require_ready(&mut self) -> Result<(), ClusterError> {
        self.require_alive()?;
        self.kubectl(&["get", "--raw", "/readyz"])?;
        let (ready, said) = self.ready_nodes()?;
        if ready == self.nodes.len() {
            return Ok(());
        }
        Err(ClusterError::NotReady { what: format!("{ready} of {} nodes are ready", self.nodes.len()), said })
    }

    /// How many nodes say so, and what all of them say.
    fn ready_nodes(&self) -> Result<(usize, String), ClusterError> {
        let path = r#"jsonpath={range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.message}{"\n"}{end}"#;
        let said = self.kubectl(&["get", "nodes", "--output", path])?;
        let ready = said.lines().filter(|line| line.starts_with("True ")).count();
        Ok((ready, said))
    }

    /// The logs of everything, by names such as `kube-apiserver` and `n1/kubelet`.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn logs(&self) -> Result<BTreeMap<String, PathBuf>, ClusterError> {
        let nodes = self.nodes.iter().map(|node| (format!("{}/", node.name()), node.logs()));
        let mut all = BTreeMap::new();
        for (prefix, folder) in nodes.chain([(String::new(), self.dir.join("logs"))]) {
            let error = || ClusterError::io(folder.display().to_string());
            for entry in fs::read_dir(&folder).map_err(error())? {
                let path = entry.map_err(error())?.path();
                if let Some(name) = path.file_stem() {
                    all.insert(format!("{prefix}{}", name.to_string_lossy()), path);
                }
            }
        }
        Ok(all)
    }

    /// What it was asked to be.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// A folder that goes away with the cluster, with the same path inside every node.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The network namespace of the control plane: what shall reach the API server runs here, or on a node.
    #[must_use]
    pub fn control_plane(&self) -> &Netns {
        &self.control_plane
    }

    /// Makes a host beside the nodes that is not of the cluster; gives it, and its first and its second address of each family.
    ///
    /// # Errors
    /// It is there already, or cannot be linked.
    pub(crate) fn outside(&self) -> Result<(Netns, [Vec<IpAddr>; 2]), ClusterError> {
        let netns = Netns::create(format!("{}-outside", self.id()))?;
        links::outside(&netns, &self.control_plane, self.plan)?;
        Ok((netns, [self.plan.outside(0), self.plan.outside(1)]))
    }

    /// The start of the names of all that is its own.
    pub(crate) fn id(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where CoreDNS' Service is.
    pub(crate) fn dns_service(&self) -> IpAddr {
        self.plan.dns_service()
    }

    /// The workers, `n1` first.
    #[must_use]
    pub fn nodes(&self) -> &[ClusterNode] {
        &self.nodes
    }

    pub(super) fn nodes_mut(&mut self) -> &mut [ClusterNode] {
        &mut self.nodes
    }

    /// The API server's address for every client, as a URL.
    #[must_use]
    pub fn server(&self) -> String {
        self.plan.server()
    }

    pub(super) fn plan(&self) -> Plan {
        self.plan
    }

    /// The kubeconfig of the administrator. It is of use in the control plane's namespace and on nodes.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.conf")
    }

    /// Writes a kubeconfig for a service account, and gives its path.
    ///
    /// # Errors
    /// There is no such account.
    pub fn kubeconfig_of_account(&self, namespace: &str, name: &str) -> Result<PathBuf, ClusterError> {
        super::accounts::kubeconfig(self, namespace, name)
    }

    pub(super) fn kubeconfig_of_token(&self, name: &str, token: &Path) -> Result<PathBuf, ClusterError> {
        kubeconfig::of_token(&self.dir, &self.authority, &self.plan.server(), name, token)
    }

    /// The path of a component of Kubernetes, such as `kubectl`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.binaries.path(name)
    }

    /// Runs kubectl as administrator; gives its standard output.
    ///
    /// # Errors
    /// [`LabError::Command`] with its standard error.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String, ClusterError> {
        self.kubectl_with(arguments, "")
    }

    /// As [`Self::kubectl`], with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Self::kubectl`].
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Result<String, ClusterError> {
        Ok(self.binaries.kubectl(&self.control_plane, &self.kubeconfig(), arguments, input)?)
    }

    /// Reboots a worker, the first of which is 0: every process ends, and what a kernel forgets is gone; the disk stays.
    /// `meanwhile` is done before its first process starts.
    pub(crate) fn reboot(
        &mut self,
        node: usize,
        meanwhile: impl FnOnce(&Netns) -> Result<(), ClusterError>,
    ) -> Result<(), ClusterError> {
        let programs = Programs::ensure(&self.options)?;
        let accounts = Accounts::create(self)?;
        let plugins = self.dir.join("cni");
        let (old, index) = (self.nodes.remove(node), u8::try_from(node + 1).unwrap_or(u8::MAX));
        let boot = Boot {
            options: &self.options,
            plan: self.plan,
            dir: &self.dir,
            programs: &programs,
            plugins: &plugins,
            authority: &self.authority,
            accounts: &accounts,
            control_plane: &self.control_plane,
        };
        let new = old.reboot(&boot, index, meanwhile)?;
        self.nodes.insert(node, new);
        Ok(())
    }

    /// Ends kube-router on every node, as the deletion of its DaemonSet would. What it has put into the kernel stays.
    pub(crate) fn end_kube_router(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.end("kube-router"));
    }

    /// Loads an image archive into the container runtime of every node.
    ///
    /// # Errors
    /// What `ctr` says.
    pub fn import(&self, archive: &Path) -> Result<(), ClusterError> {
        thread::scope(|scope| {
            let imports: Vec<_> =
                self.nodes.iter().map(|node| scope.spawn(|| node.import(archive))).collect();
            let panicked = |_| Err(LabError::Panicked("an import".to_owned()).into());
            imports.into_iter().try_for_each(|import| import.join().unwrap_or_else(panicked))
        })
    }

    /// Leaves it up when this process ends; [`Self::find`] finds it.
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn keep(mut self) -> Result<(), ClusterError> {
        if let Some(claim) = self.claim.take() {
            claim.keep()?;
        }
        std::mem::take(&mut self.nodes).into_iter().for_each(ClusterNode::detach);
        std::mem::take(&mut self.servers).detach();
        Ok(())
    }

    /// The one of this name that was left up, or its remains.
    ///
    /// # Errors
    /// The labs' folder or the cluster's own notes cannot be read.
    pub fn find(name: &str) -> Result<Option<Self>, ClusterError> {
        let ids = ownership::kept_of(name)?.into_iter();
        let mut dirs = ids.map(|id| Path::new(ownership::STATE_DIR).join(id));
        let Some(dir) = dirs.find(|dir| dir.join(FILE).exists()) else { return Ok(None) };
        let saved = Saved::read(&dir)?;
        let id = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let plan = Plan::new(saved.options.families);
        let nodes = (1..).zip(&saved.nodes);
        let nodes = nodes.map(|(index, &init)| {
            ClusterNode::found(&dir, plan, index, Netns::new(format!("{id}-n{index}")), init)
        });
        Ok(Some(Self {
            nodes: nodes.collect(),
            options: saved.options,
            plan,
            binaries: Binaries::ensure()?,
            control_plane: Netns::new(format!("{id}-cp")),
            authority: Authority::found(&dir.join("pki")),
            dir,
            servers: Servers::default(),
            claim: None,
        }))
    }

    fn save(&self) -> Result<(), ClusterError> {
        let nodes = self.nodes.iter().map(ClusterNode::init).collect();
        Saved { options: self.options.clone(), nodes }.write(&self.dir)
    }

    /// Takes it down, whoever started it: processes, namespaces, control groups, files.
    ///
    /// # Errors
    /// What the lab's reaper says.
    pub fn remove(self) -> Result<(), ClusterError> {
        if self.claim.is_none() {
            ownership::remove(&self.id())?;
        }
        Ok(())
    }
}

/// All at once: most of it is waiting.
fn boot_nodes(boot: &Boot<'_>) -> Result<Vec<ClusterNode>, ClusterError> {
    let id = boot.dir.file_name().unwrap_or_default().to_string_lossy();
    thread::scope(|scope| {
        let jobs: Vec<_> = (1..=boot.options.workers)
            .map(|index| {
                let name = format!("{id}-n{index}");
                scope.spawn(move || ClusterNode::boot(boot, index, Netns::create(name)?))
            })
            .collect();
        let joined = jobs
            .into_iter()
            .map(|job| job.join().unwrap_or_else(|_| Err(LabError::Panicked("a node".to_owned()).into())));
        // All of them, so that those which did start end in good order.
        let results: Vec<_> = joined.collect();
        results.into_iter().collect()
    })
}
