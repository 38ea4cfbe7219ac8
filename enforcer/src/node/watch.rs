//! Follows the host: links, addresses, br_netfilter's switches, CNI's result files and leases.
//!
//! One thread waits for the kernel's notifications and for files, so that what a file says is held against links that are
//! as new as the file. What a file says is reported at once: a pod starts behind it. Links alone may wait for company.

use super::{
    cni_cache::CniCache, facts::Facts, leases::Leases, link_watch::LinkWatch, rtnl::Link,
    sandboxes::Sandboxes, subnet::Subnet, sysctl::BridgeNetfilter,
};
use crate::folder_watch::{FolderWatch, Seen};
use ipnet::IpNet;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::{
    collections::HashMap,
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};
use tracing::{error, info, warn};

/// Nobody tells of a sysctl that changes, so everything is read again this often in any case.
const EVERY: Duration = Duration::from_secs(10);
/// Files that cannot be watched are looked at this often.
const LOOK: Duration = Duration::from_millis(100);
/// Changes of links alone are reported no sooner than this after the last report.
const LINKS_GAP: Duration = Duration::from_millis(20);

/// Where flanneld writes its ranges.
pub const SUBNET_FILE: &str = "/run/flannel/subnet.env";

/// Where CNI and Flannel keep their files.
#[derive(Clone, Debug)]
pub struct CniFolders {
    /// With `results` in it; `/var/lib/cni` on every distribution looked at.
    pub cni_dir: PathBuf,
    /// host-local's `dataDir`, with a folder a network; `networks` in `cni_dir` unless the conflist says otherwise.
    pub networks_dir: PathBuf,
    /// Flannel's `subnet.env`; [`SUBNET_FILE`] unless it is set.
    pub subnet_file: PathBuf,
}

impl CniFolders {
    /// With leases where host-local puts them by default.
    #[must_use]
    pub fn new(cni_dir: &Path, networks_dir: Option<&Path>) -> Self {
        let networks_dir = networks_dir.map_or_else(|| cni_dir.join("networks"), Path::to_owned);
        Self { cni_dir: cni_dir.to_owned(), networks_dir, subnet_file: SUBNET_FILE.into() }
    }

    /// The folders to watch: one, unless the leases are elsewhere.
    fn roots(&self) -> Vec<PathBuf> {
        let inside = self.networks_dir.starts_with(&self.cni_dir);
        let others = (!inside).then(|| self.networks_dir.clone());
        std::iter::once(self.cni_dir.clone()).chain(others).collect()
    }
}

/// Reads the host once and returns that reading; later ones, each different from the one before, go to `report` with the
/// time when the change was seen, until it returns `false`. `sandboxes`: what the container runtime tells, if it is asked;
/// it is not waited for.
///
/// # Errors
/// The host cannot be read, or the kernel does not tell of its links.
pub fn follow(
    folders: &CniFolders,
    sandboxes: Option<Sandboxes>,
    mut report: impl FnMut(Facts, Instant) -> bool + Send + 'static,
) -> io::Result<Facts> {
    let mut follower = Follower::open(folders, sandboxes)?;
    let first = follower.facts();
    let last = first.clone();
    thread::Builder::new().name("host".into()).spawn(move || follower.run(last, &mut report))?;
    Ok(first)
}

/// One reading of the host and of CNI's files.
///
/// # Errors
/// The kernel does not answer over rtnetlink.
pub fn read_once(folders: &CniFolders) -> io::Result<Facts> {
    let mut cache = CniCache::new(&folders.cni_dir);
    let mut leases = Leases::new(folders.networks_dir.clone());
    cache.update(&Seen::Everything);
    leases.update(&Seen::Everything);
    let leased = leases.held().map(|(address, container)| (address, container.clone())).collect();
    let subnets = subnets(&folders.subnet_file);
    Ok(Facts { attachments: cache.attachments(), leased, subnets, ..Facts::read()? })
}

/// This node's ranges by Flannel. A file that cannot be understood tells none; `policyd check` says why.
fn subnets(file: &Path) -> Vec<IpNet> {
    Subnet::read(file).ok().flatten().map(|subnet| subnet.own).unwrap_or_default()
}

struct Follower {
    subnet_file: PathBuf,
    subnets: Vec<IpNet>,
    roots: Vec<PathBuf>,
    /// One a root; none while the kernel gives none.
    files: Vec<FolderWatch>,
    links: LinkWatch,
    cache: CniCache,
    leases: Leases,
    sandboxes: Option<Sandboxes>,
    /// Without a watch: when the files are looked at next.
    look_at: Instant,
    said: Said,
}

/// What has been said to people, and stays so.
#[derive(Default)]
struct Said {
    no_watch: bool,
    removed: bool,
}

/// What has been noticed since the last report.
#[derive(Default)]
struct Noticed {
    /// The first change, of any kind.
    since: Option<Instant>,
    /// Files are among it.
    files: bool,
}

impl Follower {
    /// Watches first, so that no change between a reading and its watch is lost.
    fn open(folders: &CniFolders, sandboxes: Option<Sandboxes>) -> io::Result<Self> {
        let mut follower = Self {
            subnet_file: folders.subnet_file.clone(),
            subnets: subnets(&folders.subnet_file),
            roots: folders.roots(),
            files: Vec::new(),
            links: LinkWatch::open()?,
            cache: CniCache::new(&folders.cni_dir),
            leases: Leases::new(folders.networks_dir.clone()),
            sandboxes,
            look_at: Instant::now(),
            said: Said::default(),
        };
        follower.watch_files();
        follower.read_files(&Seen::Everything);
        Ok(follower)
    }

    fn watch_files(&mut self) {
        match self.roots.iter().map(|root| FolderWatch::new(root)).collect() {
            Ok(watches) => {
                self.files = watches;
                if std::mem::take(&mut self.said.no_watch) {
                    info!("CNI's files are watched again");
                }
            }
            Err(error) => self.do_without_watch(&error),
        }
    }

    /// Every pod's start waits for its file to be seen, so that it is looked for often.
    fn do_without_watch(&mut self, error: &io::Error) {
        self.files.clear();
        if !std::mem::replace(&mut self.said.no_watch, true) {
            warn!(%error, help = "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches",
                "CNI's files cannot be watched; they are looked at every {LOOK:?}");
        }
    }

    fn read_files(&mut self, seen: &Seen) {
        self.cache.update(seen);
        self.leases.update(seen);
        if let Some(sandboxes) = &self.sandboxes {
            sandboxes.set_named(self.cache.containers().cloned().collect());
        }
    }

    fn facts(&self) -> Facts {
        Facts {
            links: self.links.links(),
            addresses: self.links.addresses(),
            netfilter: BridgeNetfilter::read(),
            attachments: self.cache.attachments(),
            sandboxes: self.sandboxes.as_ref().map(Sandboxes::claims).unwrap_or_default(),
            leased: self.leases.held().map(|(address, container)| (address, container.clone())).collect(),
            freed: self.leases.freed(),
            subnets: self.subnets.clone(),
        }
    }

    fn run(&mut self, mut last: Facts, report: &mut impl FnMut(Facts, Instant) -> bool) {
        let (mut noticed, mut looked) = (Noticed::default(), Instant::now());
        let mut read_again = Instant::now() + EVERY;
        loop {
            let due = match noticed {
                Noticed { files: true, .. } => Instant::now(),
                Noticed { since: Some(_), .. } => looked + LINKS_GAP,
                _ if self.files.is_empty() => read_again.min(self.look_at),
                _ => read_again,
            };
            if let Err(error) = self.wait(due.saturating_duration_since(Instant::now())) {
                error!(%error, "waiting for changes of the host");
                thread::sleep(LOOK);
            }
            self.notice(&mut noticed);
            let now = Instant::now();
            if now >= read_again {
                self.read_everything(&last);
                read_again = now + EVERY;
                noticed.since.get_or_insert(now);
            }
            let due = noticed.files || noticed.since.is_some() && now >= looked + LINKS_GAP;
            let Some(since) = noticed.since.filter(|_| due) else { continue };
            (noticed, looked) = (Noticed::default(), now);
            let facts = self.facts();
            if facts != last {
                last = facts.clone();
                if !report(facts, since) {
                    return;
                }
            }
        }
    }

    fn wait(&self, patience: Duration) -> io::Result<()> {
        // Rounded up: a wait of nothing would be a busy loop until the time has come.
        let patience = patience.as_micros().div_ceil(1000);
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        let files = self.files.iter().map(AsFd::as_fd);
        let all = files.chain([self.links.as_fd()]).chain(self.sandboxes.as_ref().map(AsFd::as_fd));
        let mut fds: Vec<PollFd> = all.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes in what has come. Files before links: a veth is older than the file that names it.
    fn notice(&mut self, noticed: &mut Noticed) {
        let now = Instant::now();
        let mut all = Vec::new();
        let mut broken = None;
        for watch in &mut self.files {
            match watch.now() {
                Ok(seen) => all.extend(seen),
                Err(error) => broken = Some(error),
            }
        }
        if let Some(error) = broken {
            self.do_without_watch(&error);
        }
        if self.files.is_empty() && now >= self.look_at {
            self.look_at = now + LOOK;
            all = vec![Seen::Everything];
        }
        for seen in all.iter().filter(|seen| **seen != Seen::Paths(Default::default())) {
            self.read_files(seen);
            noticed.since.get_or_insert(now);
            noticed.files = true;
        }
        // What the runtime says is a repair of files.
        if self.sandboxes.as_ref().is_some_and(Sandboxes::have_changed) {
            noticed.since.get_or_insert(now);
            noticed.files = true;
        }
        match self.links.update() {
            Ok(true) => {
                noticed.since.get_or_insert(now);
            }
            Ok(false) => {}
            Err(error) => {
                error!(%error, "the host's links cannot be followed; they are read every {EVERY:?}");
                thread::sleep(LOOK);
            }
        }
    }

    /// What no notification tells, and what one that was lost would have told.
    fn read_everything(&mut self, last: &Facts) {
        if self.files.is_empty() {
            self.watch_files();
        }
        self.look_for_roots();
        self.subnets = subnets(&self.subnet_file);
        self.read_files(&Seen::Everything);
        // Somebody has deleted leases of pods that live on.
        let links: HashMap<&str, &Link> = last.links.iter().map(|link| (link.name.as_str(), link)).collect();
        let alive = last.claims().into_iter().filter(|claim| claim.has_link(&links));
        let used: Vec<_> = alive.flat_map(|claim| claim.addresses.iter().copied()).collect();
        self.leases.take_back(|address| used.contains(&address));
        if let Err(error) = self.links.read_all() {
            error!(%error, "the host's links cannot be read");
        }
    }

    /// A folder that is mounted here and removed where it is from stays here, empty, and never changes again.
    fn look_for_roots(&mut self) {
        let removed = |root: &PathBuf| std::fs::metadata(root).is_ok_and(|metadata| metadata.nlink() == 0);
        match self.roots.iter().find(|root| removed(root)) {
            Some(root) if !std::mem::replace(&mut self.said.removed, true) => {
                error!(folder = %root.display(), help = "restart policyd's pod, so that it is mounted anew",
                    "CNI's folder has been removed under its mount: new pods are known by their status only");
            }
            Some(_) => {}
            None => self.said.removed = false,
        }
    }
}
