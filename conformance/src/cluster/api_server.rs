//! etcd and a kube-apiserver alone.

use super::{Binaries, ClusterError, Identity, certificates::Authority, etcd, kubeconfig, server::Server};
use crate::lab::{
    Netns,
    ownership::{self, Claim},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// The API server's address: on the loopback device of its own namespace.
const ADDRESS: &str = "172.30.0.1";
/// What every kubeconfig calls it.
const URL: &str = "https://172.30.0.1:6443";
/// The names and addresses in its certificate; the last is the first address of the Services.
const NAMES: &str = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:172.30.0.1,\
                     IP:127.0.0.1,IP:10.96.0.1";
/// How long a server may take to get ready on a busy machine. Idle it is 4 seconds.
const PATIENCE: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(50);

/// An API server with its etcd, in one network namespace. Dropping it removes everything.
#[derive(Debug)]
pub struct ApiServer {
    binaries: Binaries,
    netns: Netns,
    authority: Authority,
    arguments: Vec<String>,
    // Dropped in this order: the servers end before the claim removes their namespace and files.
    server: Option<Server>,
    etcd: Server,
    claim: Claim,
}

impl ApiServer {
    /// The range of its Services' addresses.
    pub(super) const SERVICES: &'static str = "10.96.0.0/16";

    /// Builds what is missing, and starts both; ready when this returns. `name` is the test's.
    ///
    /// # Errors
    /// What [`Binaries::ensure`] says, [`ClusterError::Server`] with the last lines of the one that did not get ready.
    pub fn start(name: &str) -> Result<Self, ClusterError> {
        Self::start_with(name, &[])
    }

    /// The same with more arguments for `kube-apiserver`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(name: &str, arguments: &[&str]) -> Result<Self, ClusterError> {
        let binaries = Binaries::ensure()?;
        ownership::sweep()?;
        let claim = Claim::new(name)?;
        let netns = Netns::create(format!("{}-api", claim.id()))?;
        netns.exec(&["ip", "link", "set", "lo", "up"])?;
        netns.exec(&["ip", "addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"])?;
        let authority = Authority::new(&claim.dir().join("pki"))?;
        authority.issue("apiserver", "/CN=kube-apiserver", NAMES)?;
        let etcd = Self::start_etcd(&binaries, &netns, claim.dir())?;
        let mut all = server_arguments(&authority, claim.dir());
        all.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut this = Self { binaries, netns, authority, arguments: all, server: None, etcd, claim };
        this.kubeconfig(Identity::ADMIN)?;
        this.resume()?;
        Ok(this)
    }

    fn start_etcd(binaries: &Binaries, netns: &Netns, dir: &Path) -> Result<Server, ClusterError> {
        let data = dir.join("etcd").to_string_lossy().into_owned();
        // Nobody misses it when the machine goes down.
        let arguments = ["--data-dir", &data, "--unsafe-no-fsync", "--log-level", "warn"].map(str::to_owned);
        start("etcd", binaries, netns, &arguments, dir)
    }

    /// The namespace: what shall reach the API server runs here.
    #[must_use]
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// A folder that goes away with the cluster.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.claim.dir()
    }

    /// Links another namespace to the API server's, so that it is reached from there at the address that every kubeconfig
    /// has. `number` tells several namespaces apart: 1 to 255.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn link(&self, netns: &Netns, number: u8) -> Result<(), ClusterError> {
        let (here, there) = (format!("172.30.{number}.1"), format!("172.30.{number}.2"));
        let name = format!("link{number}");
        self.netns.exec(&[
            "ip",
            "link",
            "add",
            &name,
            "type",
            "veth",
            "peer",
            "name",
            "api",
            "netns",
            netns.name(),
        ])?;
        self.netns.exec(&["ip", "addr", "add", &format!("{here}/30"), "dev", &name])?;
        self.netns.exec(&["ip", "link", "set", &name, "up"])?;
        netns.exec(&["ip", "addr", "add", &format!("{there}/30"), "dev", "api"])?;
        netns.exec(&["ip", "link", "set", "api", "up"])?;
        netns.exec(&["ip", "route", "add", &format!("{ADDRESS}/32"), "via", &here])?;
        Ok(())
    }

    /// Writes a kubeconfig with a client certificate for this identity, and gives its path.
    ///
    /// # Errors
    /// What openssl or the file system says.
    pub fn kubeconfig(&self, identity: Identity<'_>) -> Result<PathBuf, ClusterError> {
        kubeconfig::of_identity(self.claim.dir(), &self.authority, URL, identity)
    }

    /// The same for whoever holds the token in a file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn kubeconfig_of_token(&self, name: &str, token: &Path) -> Result<PathBuf, ClusterError> {
        kubeconfig::of_token(self.claim.dir(), &self.authority, URL, name, token)
    }

    /// Runs kubectl as administrator, with `input` on its standard input; gives its standard output.
    ///
    /// # Errors
    /// [`LabError::Command`](crate::lab::LabError::Command) with its standard error.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, ClusterError> {
        let config = self.claim.dir().join("admin.conf");
        Ok(self.binaries.kubectl(&self.netns, &config, arguments, input)?)
    }

    /// Leaves both up when this process ends. Gives the id for [`ownership::remove`].
    ///
    /// # Errors
    /// The mark cannot be written.
    pub fn keep(self) -> Result<String, ClusterError> {
        let Self { server, etcd, claim, .. } = self;
        let id = claim.keep()?;
        // Their destructors would kill them.
        std::mem::forget((server, etcd));
        Ok(id)
    }

    /// Takes away the link to a namespace that [`Self::link`] gave this number, or puts it back. What is sent meanwhile is lost
    /// without a word, so that a watch there only falls silent.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn set_link(&self, number: u8, up: bool) -> Result<(), ClusterError> {
        let state = if up { "up" } else { "down" };
        self.netns.exec(&["ip", "link", "set", &format!("link{number}"), state])?;
        Ok(())
    }

    /// Stops the API server (SIGSTOP): it takes connections and says nothing, until [`Self::go_on`].
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets it run again (SIGCONT).
    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        if let Some(server) = &self.server {
            // One that has ended is found by whoever asks it next.
            let _ = kill(Pid::from_raw(server.pid().cast_signed()), signal);
        }
    }

    /// Kills the API server (SIGKILL). etcd goes on.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts the API server again after [`Self::kill`], and waits until it is ready.
    ///
    /// # Errors
    /// [`ClusterError::Server`].
    pub fn resume(&mut self) -> Result<(), ClusterError> {
        let mut server =
            start("kube-apiserver", &self.binaries, &self.netns, &self.arguments, self.claim.dir())?;
        let begin = Instant::now();
        while self.kubectl(&["get", "--raw", "/readyz"], "").is_err() {
            server.require_alive()?;
            self.etcd.require_alive()?;
            if begin.elapsed() > PATIENCE {
                return Err(server.error(format!("is not ready after {PATIENCE:?}")));
            }
            thread::sleep(POLL);
        }
        self.server = Some(server);
        Ok(())
    }

    /// Kills the API server and starts it again.
    ///
    /// # Errors
    /// As [`Self::resume`].
    pub fn restart(&mut self) -> Result<(), ClusterError> {
        self.kill();
        self.resume()
    }

    /// Lets etcd forget all history, as the API server itself does every five minutes. Gives the revision that is left.
    ///
    /// # Errors
    /// [`ClusterError::Etcd`].
    pub fn compact(&self) -> Result<u64, ClusterError> {
        etcd::compact(&self.netns)
    }
}

fn server_arguments(authority: &Authority, dir: &Path) -> Vec<String> {
    let file = |name| authority.path(name).to_string_lossy().into_owned();
    let own = dir.join("certs").to_string_lossy().into_owned();
    [
        ("etcd-servers", format!("http://{}", etcd::CLIENTS)),
        ("advertise-address", ADDRESS.to_owned()),
        ("service-cluster-ip-range", ApiServer::SERVICES.to_owned()),
        ("authorization-mode", "RBAC".to_owned()),
        // It waits for accounts that a controller manager would make.
        ("disable-admission-plugins", "ServiceAccount".to_owned()),
        ("client-ca-file", file("ca.crt")),
        ("tls-cert-file", file("apiserver.crt")),
        ("tls-private-key-file", file("apiserver.key")),
        ("cert-dir", own),
        ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
        ("service-account-key-file", file("sa.pub")),
        ("service-account-signing-key-file", file("sa.key")),
    ]
    .map(|(flag, value)| format!("--{flag}={value}"))
    .to_vec()
}

fn start(
    name: &'static str,
    binaries: &Binaries,
    netns: &Netns,
    arguments: &[String],
    dir: &Path,
) -> Result<Server, ClusterError> {
    let mut command = netns.command(&binaries.path(name).to_string_lossy());
    command.args(arguments);
    Server::start(name, command, dir, |mut command| command.spawn().map_err(ClusterError::io(name)))
}
