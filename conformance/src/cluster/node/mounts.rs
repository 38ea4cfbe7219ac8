//! What a node sees of the machine's files: all of it, with views of its own where node software insists on a path.

use super::Folders;
use crate::{cluster::ClusterError, lab::LabError};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What is in `/run` of every node, where programs that do not make their folder expect one.
const RUN: [&str; 4] = ["flannel", "containerd", "netns", "lock"];
/// Folders that get large, or that overlay mounts are made in: they are folders of a disk.
const ON_DISK: [&str; 3] = ["var/lib/kubelet", "var/lib/containerd", "var/log/pods"];
/// Folders of which a node has its own state, over the machine's.
const OVERLAID: [&str; 2] = ["etc", "var"];
/// What a kubelet wants of the whole machine, and sets (`setupKernelTunables` of its container manager). A node sees files
/// of its own in their place, which say so already.
const TUNABLES: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Makes the folders that [`before_init`] mounts, outside the node.
pub(super) fn prepare(folders: &Folders) -> Result<(), ClusterError> {
    let in_state = OVERLAID.iter().flat_map(|name| [format!("{name}/upper"), format!("{name}/work")]);
    let in_state = in_state.chain(["run".to_owned()]).map(|name| folders.state.join(name));
    let on_disk = ON_DISK.iter().map(|name| folders.disk.join(name));
    for folder in in_state.chain(on_disk) {
        fs::create_dir_all(&folder).map_err(ClusterError::io(folder.display().to_string()))?;
    }
    for (name, value) in TUNABLES {
        let file = tunable(folders, name);
        fs::write(&file, format!("{value}\n")).map_err(ClusterError::io(file.display().to_string()))?;
    }
    Ok(())
}

fn tunable(folders: &Folders, name: &str) -> PathBuf {
    folders.state.join(format!("sysctl-{}", name.replace('/', "-")))
}

/// Mounts all but `/proc`. The calling thread is in the node's mount and network namespaces.
pub(super) fn before_init(folders: &Folders) -> Result<(), ClusterError> {
    // Nothing of what follows is seen outside.
    change("/", MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
    run(folders)?;
    sys()?;
    // Once `/var` is a view, the disk's folders are hidden below it.
    let disk = make("/run/.disk")?;
    bind(&folders.disk, &disk)?;
    for name in OVERLAID {
        overlay(folders, name)?;
    }
    for name in ON_DISK {
        bind(&disk.join(name), &make(format!("/{name}"))?)?;
    }
    unmount(&disk)?;
    make("/etc/cni/net.d")?;
    // Containers get what is mounted later on, such as a volume.
    change("/", MsFlags::MS_REC | MsFlags::MS_SHARED)
}

/// Mounts `/proc`, once there is a first process for it to show. A program does it: it shows the processes of whoever mounts
/// it, and the calling thread is not one of the node's.
pub(super) fn after_init(folders: &Folders) -> Result<(), ClusterError> {
    let mut command = Command::new("mount");
    command.args(["-t", "proc", "proc", "/proc"]);
    // Not by `lab::shell`, which starts a thread: the kernel refuses one to a thread that has unshared its process namespace.
    let output = command.output().map_err(ClusterError::io("mount"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LabError::Command { command: "mount -t proc proc /proc".to_owned(), message }.into());
    }
    for (name, _) in TUNABLES {
        bind(&tunable(folders, name), &Path::new("/proc/sys").join(name))?;
    }
    Ok(())
}

/// An empty `/run`, but for the cluster's folder, which keeps its path.
fn run(folders: &Folders) -> Result<(), ClusterError> {
    let run = folders.state.join("run");
    new("tmpfs", &run, "size=64m,mode=755")?;
    for path in RUN {
        make(run.join(path))?;
    }
    let inside = folders.cluster.strip_prefix("/run").unwrap_or(&folders.cluster);
    bind(&folders.cluster, &make(run.join(inside))?)?;
    call(Some(&run), Path::new("/run"), None, MsFlags::MS_MOVE, "")
}

/// A `/sys` for the node's network namespace, with the machine's control groups put back.
fn sys() -> Result<(), ClusterError> {
    let (groups, kept) = (Path::new("/sys/fs/cgroup"), make("/run/.cgroup")?);
    bind_all(groups, &kept)?;
    new("sysfs", Path::new("/sys"), "")?;
    bind_all(&kept, groups)?;
    unmount(&kept)?;
    let unified = groups.join("unified");
    // crun takes a second hierarchy for the only one.
    if unified.is_dir() { unmount(&unified) } else { Ok(()) }
}

fn overlay(folders: &Folders, name: &str) -> Result<(), ClusterError> {
    let own = folders.state.join(name);
    let options = format!("lowerdir=/{name},upperdir={0}/upper,workdir={0}/work", own.display());
    new("overlay", &Path::new("/").join(name), &options)
}

fn make(path: impl Into<PathBuf>) -> Result<PathBuf, ClusterError> {
    let path = path.into();
    fs::create_dir_all(&path).map_err(ClusterError::io(path.display().to_string()))?;
    Ok(path)
}

fn new(kind: &str, target: &Path, options: &str) -> Result<(), ClusterError> {
    call(Some(Path::new(kind)), target, Some(kind), MsFlags::empty(), options)
}

fn bind(source: &Path, target: &Path) -> Result<(), ClusterError> {
    call(Some(source), target, None, MsFlags::MS_BIND, "")
}

fn bind_all(source: &Path, target: &Path) -> Result<(), ClusterError> {
    call(Some(source), target, None, MsFlags::MS_BIND | MsFlags::MS_REC, "")
}

fn change(target: &str, flags: MsFlags) -> Result<(), ClusterError> {
    call(None, Path::new(target), None, flags, "")
}

fn call(
    source: Option<&Path>,
    target: &Path,
    kind: Option<&str>,
    flags: MsFlags,
    options: &str,
) -> Result<(), ClusterError> {
    mount(source, target, kind, flags, Some(options)).map_err(|error| {
        let what = kind.map_or_else(|| format!("{flags:?}"), ToOwned::to_owned);
        ClusterError::io(format!("cannot mount {what} on {}", target.display()))(error.into())
    })
}

fn unmount(target: &Path) -> Result<(), ClusterError> {
    umount2(target, MntFlags::MNT_DETACH)
        .map_err(|error| ClusterError::io(format!("cannot unmount {}", target.display()))(error.into()))
}
