//! `cargo cluster`: a real cluster that stays up.

mod api_only;

use clap::builder::RangedU64ValueParser;
use conformance::{
    cluster::{
        Cluster, ClusterError, ClusterNode, Engine, Families, Kept, Options as Wanted, ProxyMode, WORKERS,
    },
    lab::ownership,
    log_tail::last_lines,
};
use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    process::Command as Process,
    time::Instant,
};

/// Which cluster, and what to do with it.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    /// Tells clusters apart that stand side by side: small letters and digits.
    #[arg(long, global = true, default_value = "cluster", value_parser = name)]
    name: String,
}

fn name(name: &str) -> Result<String, &'static str> {
    let is_word = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if is_word && (1..=20).contains(&name.len()) {
        Ok(name.to_owned())
    } else {
        Err("a cluster's name has 1 to 20 small letters and digits")
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start it, unless it is up; builds what it runs the first time, which takes minutes.
    Up {
        #[command(flatten)]
        shape: Shape,
        /// Who enforces NetworkPolicies.
        #[arg(long, value_enum, default_value = "none")]
        engine: Engine,
        /// etcd and the API server alone, without nodes.
        #[arg(long, conflicts_with_all = ["workers", "family", "kube_proxy", "dns", "engine"])]
        api_only: bool,
    },
    /// Say whether it is up and how to reach it.
    Status,
    /// Take it down and leave nothing; it need not be up.
    Down,
    /// A shell in the control plane's network, with kubectl, or on a node.
    Shell {
        /// Such as n1; the control plane where none is named.
        node: Option<String>,
        /// What to run there in place of a shell.
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Print the end of the logs, or of one of them.
    Logs {
        /// Part of a log's name, such as `kubelet` or `n1/flanneld`.
        part: Option<String>,
        /// How many lines of each.
        #[arg(long, default_value_t = 20)]
        lines: usize,
    },
}

/// What a cluster is like, whatever enforces in it.
#[derive(Clone, Copy, clap::Args)]
pub(crate) struct Shape {
    /// Worker nodes.
    #[arg(long, default_value_t = 3, value_parser = workers())]
    workers: u8,
    /// Addresses of nodes, pods and Services.
    #[arg(long, value_enum, default_value = "ipv4")]
    family: Families,
    /// The mode of kube-proxy.
    #[arg(long, value_enum, default_value = "nftables")]
    kube_proxy: ProxyMode,
    /// CoreDNS answers for the names of Services.
    #[arg(long)]
    dns: bool,
}

fn workers() -> RangedU64ValueParser<u8> {
    RangedU64ValueParser::new().range(u64::from(*WORKERS.start())..=u64::from(*WORKERS.end()))
}

impl Shape {
    /// The cluster of this shape.
    pub(crate) fn options(self, name: &str, engine: Engine) -> Wanted {
        let Self { workers, family, kube_proxy, dns } = self;
        Wanted { name: name.to_owned(), workers, families: family, proxy: kube_proxy, engine, dns }
    }
}

/// Does it; `false` when `status` finds no cluster that is ready.
pub(crate) fn run(options: &Options) -> Result<bool, ClusterError> {
    let name = &options.name;
    match &options.command {
        Command::Up { api_only: true, .. } => api_only::up(name),
        Command::Up { shape, engine, .. } => up(&shape.options(name, *engine)),
        Command::Status => match Cluster::find(name)? {
            Some(cluster) => status(cluster),
            None => api_only::status(name),
        },
        Command::Down => match Cluster::find(name)? {
            Some(cluster) => {
                cluster.remove()?;
                println!("down");
                Ok(true)
            }
            None => {
                // What a crash has left has no name to be found by.
                ownership::sweep()?;
                api_only::down(name)
            }
        },
        Command::Shell { node, command } => shell(&found(name)?, node.as_deref(), command),
        Command::Logs { part, lines } => logs(&found(name)?, part.as_deref().unwrap_or_default(), *lines),
    }
}

fn found(name: &str) -> Result<Cluster, ClusterError> {
    Cluster::find(name)?.ok_or_else(|| ClusterError::NoCluster(name.to_owned()))
}

fn up(wanted: &Wanted) -> Result<bool, ClusterError> {
    if let Some(mut found) = Cluster::find(&wanted.name)? {
        if found.require_ready().is_ok() {
            if found.options() != wanted {
                println!(
                    "another cluster of this name is up, see `cargo cluster status`; `cargo cluster down` first"
                );
                return Ok(false);
            }
            println!("up already");
            describe(&found);
            return Ok(true);
        }
        // One whose processes have ended is in the way.
        found.remove()?;
    }
    if Kept::find(&wanted.name)?.is_some() {
        println!("an API server alone has this name; `cargo cluster down` first");
        return Ok(false);
    }
    let cluster = start(wanted)?;
    describe(&cluster);
    cluster.keep()?;
    Ok(true)
}

/// Starts a cluster and says each step with its time.
pub(crate) fn start(wanted: &Wanted) -> Result<Cluster, ClusterError> {
    let begin = Instant::now();
    let cluster = Cluster::start_with(wanted, &mut |step| {
        println!("  {:5.1} s  {step}", begin.elapsed().as_secs_f64());
    })?;
    println!("up in {:.1} s", begin.elapsed().as_secs_f64());
    Ok(cluster)
}

fn status(mut cluster: Cluster) -> Result<bool, ClusterError> {
    match cluster.require_ready() {
        Ok(()) => {
            println!("up");
            describe(&cluster);
            Ok(true)
        }
        Err(error) => {
            println!("not ready: {error}\n`cargo cluster up` starts another in its place");
            Ok(false)
        }
    }
}

fn describe(cluster: &Cluster) {
    let options = cluster.options();
    let (families, engine) = (options.families.name(), options.engine.name());
    println!(
        "  {} workers, {families}, kube-proxy {}, engine {engine}{}",
        options.workers,
        options.proxy.name(),
        if options.dns { ", CoreDNS" } else { "" }
    );
    println!("  kubeconfig {}", cluster.kubeconfig().display());
    println!(
        "  ip netns exec {} {} --kubeconfig {} get nodes",
        cluster.control_plane().name(),
        cluster.program("kubectl").display(),
        cluster.kubeconfig().display()
    );
    for node in cluster.nodes() {
        println!("  {}: nsenter -t {} -m -u -n -p", node.name(), node.init());
    }
}

/// Runs a shell or a command, with kubectl in its path and told of the cluster.
fn shell(cluster: &Cluster, node: Option<&str>, words: &[String]) -> Result<bool, ClusterError> {
    let mut command = match node {
        None => {
            let mut command = Process::new("ip");
            command.args(["netns", "exec", cluster.control_plane().name()]);
            command
        }
        Some(name) => {
            let node = node_of(cluster, name)?;
            let mut command = Process::new("nsenter");
            command.args(["-t", &node.init().to_string(), "-m", "-u", "-n", "-p", "--"]);
            command
        }
    };
    let kubernetes = cluster.program("kubectl").parent().map(PathBuf::from).unwrap_or_default();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("KUBECONFIG", cluster.kubeconfig()).env("PATH", format!("{}:{path}", kubernetes.display()));
    if words.is_empty() {
        command.arg(std::env::var("SHELL").unwrap_or_else(|_| "sh".to_owned()));
    } else {
        command.args(words);
    }
    let status = command.status().map_err(ClusterError::io("a shell"))?;
    Ok(status.success())
}

fn node_of<'a>(cluster: &'a Cluster, name: &str) -> Result<&'a ClusterNode, ClusterError> {
    let node = cluster.nodes().iter().find(|node| node.name() == name);
    node.ok_or_else(|| ClusterError::NoNode {
        name: name.to_owned(),
        nodes: cluster.nodes().iter().map(ClusterNode::name).collect::<Vec<_>>().join(", "),
    })
}

fn logs(cluster: &Cluster, part: &str, lines: usize) -> Result<bool, ClusterError> {
    let mut any = false;
    for (name, path) in cluster.logs()? {
        if !name.contains(part) {
            continue;
        }
        any = true;
        let text = fs::read(&path).map_err(ClusterError::io(path.display().to_string()))?;
        let last = last_lines(&String::from_utf8_lossy(&text), lines);
        println!("==> {name}: {}", path.display());
        last.lines().for_each(|line| println!("{line}"));
        io::stdout().flush().map_err(ClusterError::io("standard output"))?;
    }
    if !any {
        println!("no log's name has `{part}` in it; without it all are printed");
    }
    Ok(any)
}
