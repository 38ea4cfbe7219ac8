//! A server that runs until it is dropped.

use super::{ClusterError, error::tail};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A process of ours that leads a group of its own. Dropping it kills the group.
#[derive(Debug)]
pub(super) struct Server {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a command whose log is `<name>.log` in a folder. `spawn` is how: in which namespaces.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        folder: &Path,
        spawn: impl FnOnce(Command) -> Result<Child, ClusterError>,
    ) -> Result<Self, ClusterError> {
        let log = folder.join(format!("{name}.log"));
        let error = || ClusterError::io(log.display().to_string());
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).map_err(error())?;
        let same = file.try_clone().map_err(error())?;
        command.stdin(Stdio::null()).stdout(same).stderr(file);
        // Ctrl-C is for whoever owns the cluster; its end is the end of its servers.
        command.process_group(0);
        Ok(Self { name, child: spawn(command)?, log })
    }

    /// The process, as this process sees it.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn require_alive(&mut self) -> Result<(), ClusterError> {
        match self.child.try_wait().map_err(ClusterError::io(self.name))? {
            None => Ok(()),
            Some(status) => Err(self.error(format!("has ended ({status})"))),
        }
    }

    pub(super) fn error(&self, what: String) -> ClusterError {
        let tail = tail(&fs::read_to_string(&self.log).unwrap_or_default());
        ClusterError::Server { server: self.name, what, tail, log: self.log.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Its group, which it leads, so that what it has started ends too. It may have ended already.
        let _ = killpg(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// Servers that end in the reverse order of their start.
#[derive(Debug, Default)]
pub(super) struct Servers(Vec<Server>);

impl Servers {
    pub(super) fn push(&mut self, server: Server) {
        self.0.push(server);
    }

    /// Ends those of a name.
    pub(super) fn end(&mut self, name: &str) {
        self.0.retain(|server| server.name != name);
    }

    /// Fails with the first that has ended.
    pub(super) fn require_alive(&mut self) -> Result<(), ClusterError> {
        self.0.iter_mut().try_for_each(Server::require_alive)
    }

    /// An error about one of them.
    pub(super) fn error(&self, name: &'static str, what: String) -> ClusterError {
        let of = self.0.iter().find(|server| server.name == name);
        of.map_or_else(
            || ClusterError::Server {
                server: name,
                what: what.clone(),
                tail: String::new(),
                log: PathBuf::new(),
            },
            |server| server.error(what.clone()),
        )
    }

    /// Lets them run on after this process.
    pub(super) fn detach(mut self) {
        for server in self.0.drain(..) {
            // Its destructor would kill it.
            std::mem::forget(server);
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        while let Some(server) = self.0.pop() {
            drop(server);
        }
    }
}
