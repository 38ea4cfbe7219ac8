//! etcd, the API server, the controllers and the scheduler, in one network namespace.

use super::{
    Binaries, ClusterError, Identity,
    certificates::Authority,
    etcd, kubeconfig,
    plan::{Plan, joined},
    server::{Server, Servers},
};
use crate::lab::Netns;
use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long the API server may take to get ready on a busy machine. Idle it is 4 seconds.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// What the control plane is made from.
pub(super) struct ControlPlane<'a> {
    pub(super) netns: &'a Netns,
    pub(super) binaries: &'a Binaries,
    pub(super) authority: &'a Authority,
    pub(super) plan: Plan,
    /// The cluster's folder.
    pub(super) dir: &'a Path,
}

impl ControlPlane<'_> {
    /// Starts etcd and the API server, and waits until that is ready.
    pub(super) fn start(&self) -> Result<Servers, ClusterError> {
        let names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
        let names = names.iter().map(|name| format!("DNS:{name}"));
        let addresses = [self.plan.control_plane(), self.plan.kubernetes_service()].concat();
        let loopback = [IpAddr::from([127, 0, 0, 1])];
        let addresses = addresses.iter().chain(&loopback).map(|address| format!("IP:{address}"));
        let names = names.chain(addresses).collect::<Vec<_>>().join(",");
        self.authority.issue("apiserver", "/CN=kube-apiserver", &names)?;
        self.kubeconfig(Identity::ADMIN)?;
        let data = self.dir.join("etcd").to_string_lossy().into_owned();
        let mut servers = Servers::default();
        // Nobody misses it when the machine goes down.
        servers
            .push(self.server("etcd", &["--data-dir", &data, "--unsafe-no-fsync", "--log-level", "warn"])?);
        let arguments = self.api_server();
        servers
            .push(self.server("kube-apiserver", &arguments.iter().map(String::as_str).collect::<Vec<_>>())?);
        let begin = Instant::now();
        while self.kubectl(&["get", "--raw", "/readyz"]).is_err() {
            servers.require_alive()?;
            if begin.elapsed() > PATIENCE {
                return Err(servers.error("kube-apiserver", format!("is not ready after {PATIENCE:?}")));
            }
            thread::sleep(POLL);
        }
        Ok(servers)
    }

    /// Starts the controllers and the scheduler.
    pub(super) fn start_controllers(&self) -> Result<[Server; 2], ClusterError> {
        let config = |user| -> Result<String, ClusterError> {
            let path = self.kubeconfig(Identity { user, group: "" })?;
            Ok(format!("--kubeconfig={}", path.display()))
        };
        let controllers = self.server(
            "kube-controller-manager",
            &[
                &config("system:kube-controller-manager")?,
                "--leader-elect=false",
                "--allocate-node-cidrs",
                &format!("--cluster-cidr={}", self.plan.pods()),
                &format!("--service-cluster-ip-range={}", self.plan.services()),
                &format!("--root-ca-file={}", self.file("ca.crt")),
                &format!("--service-account-private-key-file={}", self.file("sa.key")),
                "--use-service-account-credentials",
            ],
        )?;
        let scheduler =
            self.server("kube-scheduler", &[&config("system:kube-scheduler")?, "--leader-elect=false"])?;
        Ok([controllers, scheduler])
    }

    /// Runs kubectl as administrator.
    fn kubectl(&self, arguments: &[&str]) -> Result<String, ClusterError> {
        Ok(self.binaries.kubectl(self.netns, &self.dir.join("admin.conf"), arguments, "")?)
    }

    fn kubeconfig(&self, identity: Identity<'_>) -> Result<PathBuf, ClusterError> {
        kubeconfig::of_identity(self.dir, self.authority, &self.plan.server(), identity)
    }

    fn file(&self, name: &str) -> String {
        self.authority.path(name).to_string_lossy().into_owned()
    }

    fn server(&self, name: &'static str, arguments: &[&str]) -> Result<Server, ClusterError> {
        let logs = self.dir.join("logs");
        fs::create_dir_all(&logs).map_err(ClusterError::io(logs.display().to_string()))?;
        let mut command = self.netns.command(&self.binaries.path(name).to_string_lossy());
        command.args(arguments);
        Server::start(name, command, &logs, |mut command| command.spawn().map_err(ClusterError::io(name)))
    }

    fn api_server(&self) -> Vec<String> {
        let addresses = self.plan.control_plane();
        let everywhere = if addresses[0].is_ipv4() { "0.0.0.0" } else { "::" };
        [
            ("etcd-servers", format!("http://{}", etcd::CLIENTS)),
            ("advertise-address", joined(&addresses[..1])),
            ("bind-address", everywhere.to_owned()),
            ("service-cluster-ip-range", self.plan.services()),
            ("allow-privileged", "true".to_owned()),
            // Names of nodes are in no name service.
            ("kubelet-preferred-address-types", "InternalIP".to_owned()),
            ("authorization-mode", "Node,RBAC".to_owned()),
            ("enable-admission-plugins", "NodeRestriction".to_owned()),
            ("client-ca-file", self.file("ca.crt")),
            ("tls-cert-file", self.file("apiserver.crt")),
            ("tls-private-key-file", self.file("apiserver.key")),
            ("cert-dir", self.dir.join("certs").to_string_lossy().into_owned()),
            ("kubelet-client-certificate", self.file("admin.crt")),
            ("kubelet-client-key", self.file("admin.key")),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-key-file", self.file("sa.pub")),
            ("service-account-signing-key-file", self.file("sa.key")),
            ("profiling", "false".to_owned()),
        ]
        .map(|(flag, value)| format!("--{flag}={value}"))
        .to_vec()
    }
}
