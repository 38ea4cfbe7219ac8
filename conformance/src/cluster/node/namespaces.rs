//! The namespaces of a node: mounts, processes, host name, network. Its first process holds them, and takes all that is
//! in them with it.

use super::{Folders, mounts};
use crate::{
    cluster::{ClusterError, server::Server},
    lab::{LabError, Netns, shell},
};
use nix::{
    sched::{CloneFlags, setns, unshare},
    unistd::sethostname,
};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    process::{Child, Command, Stdio},
    thread,
};

/// The namespaces of a running node.
#[derive(Clone, Debug)]
pub(super) struct Namespaces {
    netns: Netns,
    /// Its first process, as the machine numbers it.
    init: u32,
}

impl Namespaces {
    /// Makes them: files as [`mounts`] says, and a first process that reaps what is left to it.
    pub(super) fn create(
        netns: &Netns,
        hostname: &str,
        folders: &Folders,
    ) -> Result<(Self, Server), ClusterError> {
        mounts::prepare(folders)?;
        let server = netns.enter(|| {
            // Of this thread alone, which ends with this closure.
            let flags = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWPID;
            unshare(flags).map_err(|e| ClusterError::io("cannot make a node's namespaces")(e.into()))?;
            sethostname(hostname).map_err(|e| ClusterError::io("cannot name a node")(e.into()))?;
            mounts::before_init(folders)?;
            let mut command = Command::new("tini");
            command.args(["--", "sleep", "infinity"]);
            let spawn = |mut command: Command| command.spawn().map_err(ClusterError::io("tini"));
            let init = Server::start("init", command, &folders.logs(), spawn)?;
            mounts::after_init(folders)?;
            Ok::<_, ClusterError>(init)
        })??;
        Ok((Self { netns: netns.clone(), init: server.pid() }, server))
    }

    /// Those of a node that another process has started.
    pub(super) fn found(netns: Netns, init: u32) -> Self {
        Self { netns, init }
    }

    pub(super) fn init(&self) -> u32 {
        self.init
    }

    /// Starts a command in all of them.
    pub(super) fn spawn(&self, mut command: Command) -> Result<Child, ClusterError> {
        let program = command.get_program().to_string_lossy().into_owned();
        self.require_alive()?;
        let open = |kind: &str| {
            let path = format!("/proc/{}/ns/{kind}", self.init);
            File::open(&path).map_err(ClusterError::io(path))
        };
        let (mnt, uts, net, pid) = (open("mnt")?, open("uts")?, open("net")?, open("pid")?);
        // The child is in the pid namespace, and this thread cannot make threads any more: it does nothing else.
        let job = move || {
            let namespaces = [
                (mnt, CloneFlags::CLONE_NEWNS),
                (uts, CloneFlags::CLONE_NEWUTS),
                (net, CloneFlags::CLONE_NEWNET),
                (pid, CloneFlags::CLONE_NEWPID),
            ];
            // A thread that shares its working folder with others may not change its mounts.
            unshare(CloneFlags::CLONE_FS)?;
            for (file, kind) in namespaces {
                setns(&file, kind)?;
            }
            command.spawn()
        };
        let spawned = thread::spawn(job);
        let spawned = spawned.join().map_err(|_| LabError::Panicked(self.netns.name().to_owned()))?;
        spawned.map_err(ClusterError::io(format!("cannot start {program} in {}", self.netns.name())))
    }

    /// Runs a program to its end, with `input` on its standard input; gives its standard output.
    pub(super) fn exec(&self, argv: &[&str], input: &str) -> Result<String, ClusterError> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(LabError::Invalid("no program was named".to_owned()).into());
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.spawn(command)?;
        Ok(shell::finish(child, &argv.join(" "), input)?)
    }

    /// Its first process runs, and is not another that has got its number.
    pub(super) fn require_alive(&self) -> Result<(), ClusterError> {
        let inode = |path: String| fs::metadata(path).map(|metadata| metadata.ino()).ok();
        let own = inode(format!("/proc/{}/ns/net", self.init));
        if own.is_some() && own == inode(format!("/run/netns/{}", self.netns.name())) {
            return Ok(());
        }
        Err(LabError::Invalid(format!("the node {} does not run any more", self.netns.name())).into())
    }
}
