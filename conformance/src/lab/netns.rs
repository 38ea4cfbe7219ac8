//! One network namespace: threads and programs that work inside it.

use super::{LabError, shell};
use nix::{
    ifaddrs::getifaddrs,
    mount::{MsFlags, mount},
    net::if_::InterfaceFlags,
    sched::{CloneFlags, setns},
};
use std::{
    collections::BTreeSet,
    fs::File,
    io,
    os::fd::AsRawFd,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// What holds in every host of a lab before its first link appears.
pub(crate) const HOST: [(&str, &str); 5] = [
    // As the bridge plugin sets it: an address can be used at once.
    ("ipv6/conf/all/accept_dad", "0"),
    ("ipv6/conf/default/accept_dad", "0"),
    // No kind of ICMP error is rate limited: a refusal that is held back would look like a drop.
    ("ipv4/icmp_ratemask", "0"),
    ("ipv6/icmp/ratemask", "255"),
    // Echo requests need no raw socket.
    ("ipv4/ping_group_range", "0 2147483647"),
];

/// How long a link may take to come up.
const PATIENCE: Duration = Duration::from_secs(5);

/// A network namespace that `ip netns` knows by name.
///
/// It is only the name: a value that outlives its lab keeps nothing alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netns {
    name: String,
}

impl Netns {
    pub(crate) fn new(name: String) -> Self {
        Self { name }
    }

    /// Makes the namespace.
    pub(crate) fn create(name: String) -> Result<Self, LabError> {
        shell::ip_batch(&format!("netns add {name}\n"))?;
        Ok(Self::new(name))
    }

    /// Gives a namespace that somebody else has made a name here too. It lives as long as the name at least.
    pub(crate) fn adopt(name: String, namespace: &File) -> Result<Self, LabError> {
        let path = format!("/run/netns/{name}");
        let failed = || LabError::io(format!("cannot name a network namespace {name}"));
        File::create_new(&path).map_err(failed())?;
        let open = format!("/proc/self/fd/{}", namespace.as_raw_fd());
        mount(Some(&*open), &*path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(|error| failed()(io::Error::from(error)))?;
        Ok(Self::new(name))
    }

    /// The name under `/run/netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of its mount, as a container runtime would record it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/var/run/netns/{}", self.name)
    }

    /// Runs `f` on a new thread inside the namespace and waits for it. A socket that `f` makes stays in the namespace
    /// wherever it is moved to.
    ///
    /// # Errors
    /// [`LabError::Io`] if the namespace cannot be entered, [`LabError::Panicked`] if `f` panics.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let path = format!("/run/netns/{}", self.name);
        let file = File::open(&path).map_err(LabError::io(path))?;
        thread::scope(|s| {
            // A namespace belongs to a thread, so a thread that ends with the job leaves nothing to switch back.
            let job = s.spawn(|| {
                setns(&file, CloneFlags::CLONE_NEWNET)
                    .map_err(LabError::io(format!("cannot enter the network namespace {}", self.name)))?;
                Ok(f())
            });
            job.join().unwrap_or_else(|_| Err(LabError::Panicked(self.name.clone())))
        })
    }

    /// A command that runs inside the namespace, with `/sys` showing the namespace's own links (`ip netns exec`).
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a program inside and gives its standard output.
    ///
    /// # Errors
    /// [`LabError::Command`] with its standard error if it does not exit with 0.
    pub fn exec(&self, argv: &[&str]) -> Result<String, LabError> {
        self.exec_with(argv, "")
    }

    /// As [`Netns::exec`], with `input` on its standard input.
    ///
    /// # Errors
    /// As [`Netns::exec`].
    pub fn exec_with(&self, argv: &[&str], input: &str) -> Result<String, LabError> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err(LabError::Invalid("no program was named".to_owned()));
        };
        let mut command = self.command(program);
        command.args(arguments);
        shell::run(command, input)
    }

    /// Loads nftables text, as `nft -f` does: all of it or nothing.
    ///
    /// # Errors
    /// [`LabError::Command`] with nft's own message.
    pub fn nft(&self, text: &str) -> Result<(), LabError> {
        self.exec_with(&["nft", "-f", "-"], text).map(drop)
    }

    /// `ip -batch` inside.
    ///
    /// # Errors
    /// [`LabError::Command`] with ip's own message and the line that it is about.
    pub(crate) fn ip(&self, lines: &str) -> Result<(), LabError> {
        shell::ip_batch_in(&self.name, lines)
    }

    /// Waits until these links carry packets. A veth that was just set up needs a moment: the kernel notices its carrier
    /// in a work queue, and until then its bridge port is closed and its queue drops.
    pub(crate) fn wait_until_running(&self, links: &[&str]) -> Result<(), LabError> {
        self.enter(|| {
            let deadline = Instant::now() + PATIENCE;
            loop {
                let running: BTreeSet<String> = getifaddrs()
                    .map_err(LabError::io(format!("the links of {}", self.name)))?
                    .filter(|i| i.flags.contains(InterfaceFlags::IFF_RUNNING))
                    .map(|i| i.interface_name)
                    .collect();
                let Some(missing) = links.iter().find(|&&l| !running.contains(l)) else {
                    return Ok(());
                };
                if Instant::now() > deadline {
                    return Err(LabError::Invalid(format!(
                        "link {missing} of {} does not come up",
                        self.name
                    )));
                }
                thread::sleep(Duration::from_millis(1));
            }
        })?
    }

    /// Writes `net.…` sysctls, given as `(path under /proc/sys/net, value)`.
    ///
    /// # Errors
    /// [`LabError::Io`] with the path of the first that could not be written.
    pub fn sysctl(&self, settings: &[(&str, &str)]) -> Result<(), LabError> {
        self.enter(|| {
            for (key, value) in settings {
                let path = format!("/proc/sys/net/{key}");
                std::fs::write(&path, value).map_err(LabError::io(path))?;
            }
            Ok(())
        })?
    }
}
