//! The command line of `policyd`.

mod api;
mod check;
mod cleanup;
mod dry_run;
mod failure;
mod host;
mod init;
mod limits;
mod logging;
mod preflight;
mod run;
mod runtime;
mod signals;
mod takeover;

pub use failure::Failure;

use limits::LimitOptions;

use crate::{
    fitness,
    node::{cni_conf, watch::CniFolders},
    source::cri::RuntimeSocket,
};
use clap::{Args, Parser, Subcommand, ValueEnum};
use compiler::config::{Established, Guards, UnknownPods};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

const EXAMPLES: &str = "\
Examples:
  policyd run --kubeconfig /etc/palisade/kubeconfig --node-name w1
          enforce what the API server says and follow its changes
  policyd run --manifests /etc/palisade/manifests --node-name w1
          enforce a folder of manifests and follow its changes
  policyd run --manifests ./policies --node-name w1 --once
          bring the folder into force and end; exit 1 if anything in it is wrong
  policyd run --manifests ./policies --node-name w1 --dry-run
          show the ruleset and what would change, touch nothing
  policyd check
          tell whether policy would hold on this host
  policyd init --host-root /host
          load br_netfilter and turn its switches on, before policyd runs
  policyd cleanup
          take everything away again

Exit status: 0 ok, 1 failed, 2 wrong usage.";

/// Enforces Kubernetes NetworkPolicies with nftables, on one node.
#[derive(Debug, Parser)]
#[command(name = "policyd", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Say more in the log; twice for everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enforce policies on this node
    ///
    /// The tables outlive policyd: when it is stopped, what was in force stays in force, and when it starts again only
    /// the difference is committed.
    ///
    /// Policies and pods come from an API server: that of --kubeconfig, or in a pod the cluster's own. It needs the verbs
    /// list and watch on namespaces, nodes, pods, services and networkpolicies.networking.k8s.io. The first revision goes
    /// into force once all of them have been listed; while the API server is away, what was in force stays.
    #[command(after_help = "\
Examples:
  policyd run --kubeconfig /etc/palisade/kubeconfig --node-name w1
  policyd run --manifests /etc/palisade/manifests --node-name w1
  policyd run --manifests ./policies --node-name w1 --dry-run | less")]
    Run(RunOptions),
    /// Tell whether policy would hold on this host, one line a check
    ///
    /// Changes nothing. Exit status 0 if nothing failed, warnings or not; 1 if something did. policyd run looks again each
    /// minute, and tells of what has changed.
    #[command(after_help = "\
Examples:
  policyd check
  policyd check --kubeconfig /etc/kubernetes/admin.conf --node-name w1 --output json
  policyd check --pod-interface kube-bridge")]
    Check(CheckOptions),
    /// Prepare this host: load br_netfilter and turn both bridge-nf-call switches on
    ///
    /// An init container does this, since it takes more privilege than policyd has while it runs. What was there before is
    /// kept in the state folder, and cleanup puts it back. Doing it again changes nothing.
    #[command(after_help = "\
Examples:
  policyd init
  policyd init --host-root /host")]
    Init(InitOptions),
    /// Undo everything: both tables, br_netfilter's switches, bridge flags, the state folder
    ///
    /// Pods are not isolated any more afterwards. Conntrack entries are left alone. Doing it twice is no error.
    #[command(after_help = "\
Example:
  policyd cleanup")]
    Cleanup(CleanupOptions),
    /// Remove what another policy engine has left on this node, once policyd enforces
    ///
    /// For a cluster that comes from another engine: policyd is installed beside it, the other one is ended, and then this
    /// removes its rules, chains and sets, and nobody else's. Refused while the other engine runs, and while policyd does not
    /// enforce. Nothing is forgotten meanwhile: what either forbids does not pass.
    #[command(after_help = "\
Examples:
  policyd takeover --from kube-router --dry-run
  policyd takeover --from kube-network-policies
  kubectl -n palisade-system exec POD -c policyd -- policyd takeover --from kube-router")]
    Takeover(TakeoverOptions),
}

#[derive(Debug, Args)]
struct RunOptions {
    /// Follow the API server of this kubeconfig's current context [default: in a pod, its own cluster's]
    #[arg(long, value_name = "FILE", conflicts_with = "manifests")]
    kubeconfig: Option<PathBuf>,
    /// Follow a folder of manifests instead: .yaml, .yml and .json files, sub folders too; its changes are followed
    #[arg(long, value_name = "DIR")]
    manifests: Option<PathBuf>,
    /// This node's name, as pods have it in spec.nodeName
    #[arg(long, value_name = "NAME", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    node_name: String,
    /// Bring the first revision into force and end
    #[arg(long)]
    once: bool,
    /// Print the ruleset as nft text and what would change, and end; needs no privilege
    #[arg(long)]
    dry_run: bool,
    /// What becomes of a flow that was allowed when it began and is allowed no more: judged packet by packet, or kept
    #[arg(long, value_enum, default_value_t = EstablishedArg::Recheck, value_name = "WHAT")]
    established: EstablishedArg,
    /// What becomes of packets on the pod bridge that are no known pod's
    #[arg(long, value_enum, default_value_t = UnknownPodsArg::Drop, value_name = "WHAT")]
    unknown_pods: UnknownPodsArg,
    /// An Event is written on a policy that has selected no pod for so many seconds: long enough for a rollout
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    selects_nothing_after: u64,
    #[command(flatten)]
    guards: GuardOptions,
    #[command(flatten)]
    limits: LimitOptions,
    /// Where health, metrics and answers are served
    #[arg(long, value_name = "ADDRESS", default_value = crate::observe::DEFAULT_ADDRESS)]
    http: SocketAddr,
    /// Palisade's own namespace: this node's status is kept there, as a Lease
    #[arg(long, value_name = "NAME", default_value = crate::report::NAMESPACE)]
    namespace: String,
    #[command(flatten)]
    state: StateOptions,
    #[command(flatten)]
    host: HostOptions,
}

/// What a pod may not claim or say, whatever policies allow.
#[derive(Debug, Args)]
#[command(next_help_heading = "Guards")]
struct GuardOptions {
    /// Pods may not send the overlay's own protocol to any node: with it they could forge packets of every other pod
    #[arg(long, value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    overlay_guard: Switch,
    /// A pod's frames carry its own addresses: IP, hardware address, ARP, neighbour advertisements
    #[arg(long, value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    source_guard: Switch,
    /// Pods send no router advertisements, redirects, or answers of a DHCP server to all
    #[arg(long, value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    router_guard: Switch,
    /// Pods send no frames that policy cannot see: VLAN tags, other ethertypes, groups that no bridge forwards
    #[arg(long, value_enum, default_value_t = Switch::On, value_name = "SWITCH")]
    ethertype_guard: Switch,
}

impl From<&GuardOptions> for Guards {
    fn from(options: &GuardOptions) -> Self {
        Self {
            overlay: options.overlay_guard.is_on(),
            sources: options.source_guard.is_on(),
            routers: options.router_guard.is_on(),
            ethertypes: options.ethertype_guard.is_on(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Switch {
    fn is_on(self) -> bool {
        self == Self::On
    }
}

#[derive(Debug, Args)]
struct CheckOptions {
    /// Ask the API server of this kubeconfig too, for its version and this node's pod ranges [default: in a pod, its own
    /// cluster's]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// This node's name, as pods have it in spec.nodeName
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// For people or for programs
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text, value_name = "FORMAT")]
    output: OutputFormat,
    #[command(flatten)]
    host: HostOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum OutputFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
struct HostOptions {
    /// The bridge that pods hang on; may be given several times [default: found by the pods' gateway, or cni0]
    #[arg(long, value_name = "NAME", value_parser = interface)]
    pod_interface: Vec<String>,
    /// UDP port of the overlay, which no pod may send to on any node; may be given several times [default: read from the
    /// devices, or 8472]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    overlay_port: Vec<u16>,
    /// CNI's folder, with results/ in it
    #[arg(long, value_name = "DIR", default_value = "/var/lib/cni")]
    cni_dir: PathBuf,
    /// host-local's folder of leases, its dataDir [default: what CNI's configuration says, else networks/ in CNI's folder]
    #[arg(long, value_name = "DIR")]
    cni_networks_dir: Option<PathBuf>,
    /// Where the container runtime looks for CNI's configuration; may be given several times [default: the folders of
    /// kubeadm, k3s, RKE2, k0s, MicroK8s, Talos]
    #[arg(long, value_name = "DIR")]
    cni_conf_dir: Vec<PathBuf>,
    /// Where flanneld writes its ranges
    #[arg(long, value_name = "FILE", default_value = crate::node::watch::SUBNET_FILE)]
    subnet_file: PathBuf,
    /// Ask the container runtime too (CRI) for pods that CNI's results do not name: auto tries the sockets of kubeadm, k3s,
    /// RKE2, k0s, MicroK8s and CRI-O. Who may use that socket is root on the node [default: it is not asked]
    #[arg(long, value_name = "auto|PATH")]
    cri_socket: Option<RuntimeSocket>,
}

impl HostOptions {
    fn cni_folders(&self) -> CniFolders {
        let said = || cni_conf::find(&self.conf_dirs()).into_iter().find_map(|conf| conf.data_dir);
        let networks = self.cni_networks_dir.clone().or_else(said);
        let subnet_file = self.subnet_file.clone();
        CniFolders { subnet_file, ..CniFolders::new(&self.cni_dir, networks.as_deref()) }
    }

    fn conf_dirs(&self) -> Vec<PathBuf> {
        match &*self.cni_conf_dir {
            [] => cni_conf::FOLDERS.iter().map(|(folder, _)| folder.into()).collect(),
            set => set.to_vec(),
        }
    }

    fn fitness(&self, guards: Guards) -> fitness::Settings {
        fitness::Settings {
            pod_interfaces: self.pod_interface.clone(),
            overlay_ports: self.overlay_port.clone(),
            folders: self.cni_folders(),
            conf_dirs: self.conf_dirs(),
            guards,
            runtime: None,
        }
    }
}

/// The kernel's own rule (`dev_valid_name`): 1 to 15 bytes, no slash, no colon, no space.
fn interface(name: &str) -> Result<String, &'static str> {
    let is_valid = !matches!(name, "" | "." | "..")
        && name.len() < nix::libc::IFNAMSIZ
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_ascii_whitespace());
    if is_valid {
        Ok(name.to_owned())
    } else {
        Err("a device's name has 1 to 15 bytes, no slash, colon or space")
    }
}

#[derive(Debug, Args)]
struct InitOptions {
    /// Where the host's root folder is: its modprobe loads br_netfilter, in that folder as root (chroot)
    #[arg(long, value_name = "DIR", default_value = "/")]
    host_root: PathBuf,
    #[command(flatten)]
    state: StateOptions,
}

#[derive(Debug, Args)]
struct CleanupOptions {
    /// Stay when it is done, until SIGTERM: as a DaemonSet's container, which would be started again
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    state: StateOptions,
}

#[derive(Debug, Args)]
struct TakeoverOptions {
    /// The other engine
    #[arg(long, value_enum, value_name = "ENGINE")]
    from: takeover::Engine,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Where this node's policyd serves health
    #[arg(long, value_name = "ADDRESS", default_value = crate::observe::DEFAULT_ADDRESS)]
    http: SocketAddr,
}

#[derive(Debug, Args)]
struct StateOptions {
    /// Where policyd keeps what it must not forget
    #[arg(long, value_name = "DIR", default_value = "/var/lib/palisade")]
    state_dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EstablishedArg {
    /// Every packet is judged: a revoked flow stops at once
    Recheck,
    /// Packets of established flows pass
    Keep,
}

impl From<EstablishedArg> for Established {
    fn from(argument: EstablishedArg) -> Self {
        match argument {
            EstablishedArg::Recheck => Self::Recheck,
            EstablishedArg::Keep => Self::Keep,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum UnknownPodsArg {
    /// Dropped and counted
    Drop,
    /// Left alone
    Allow,
}

impl From<UnknownPodsArg> for UnknownPods {
    fn from(argument: UnknownPodsArg) -> Self {
        match argument {
            UnknownPodsArg::Drop => Self::Drop,
            UnknownPodsArg::Allow => Self::Allow,
        }
    }
}

/// Reads the command line, does what it says, and says what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.log_format, cli.verbose);
    let result = match &cli.command {
        Command::Run(options) => run::run(options, cli.log_format),
        Command::Check(options) => check::run(options),
        Command::Init(options) => init::run(options),
        Command::Cleanup(options) => cleanup::run(options),
        Command::Takeover(options) => takeover::run(options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_usage_is_refused() {
        for arguments in [
            "run",
            "run --node-name w1 --established maybe",
            "run --node-name w1 --http nowhere",
            "run --node-name w1 --overlay-port 0",
            "run --node-name w1 --source-guard no",
            "run --node-name w1 --pod-interface bridge-of-16-bytes",
            "run --node-name w1 --kubeconfig a --manifests b",
            "walk",
        ] {
            let arguments = ["policyd"].into_iter().chain(arguments.split(' '));
            assert_eq!(Cli::try_parse_from(arguments).unwrap_err().exit_code(), 2);
        }
    }
}
