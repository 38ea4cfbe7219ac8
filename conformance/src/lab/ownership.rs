//! Who owns a lab, and how a lab goes away when its owner does.
//!
//! Each lab has a folder `/run/palisade-lab/<id>` with the nodes' CNI files and a `lock` that its process holds. Beside
//! the process runs a reaper: a shell that waits on a pipe from it. However the process ends (return, panic, Ctrl-C,
//! SIGTERM, SIGKILL), the pipe closes and the reaper removes the namespaces, what runs in them, and the folder. A signal
//! handler would not see SIGKILL, and a destructor would see no signal at all. If the reaper is killed too, the next
//! lab finds a lock that nobody holds and sweeps.

use super::{LabError, random};
use nix::fcntl::{Flock, FlockArg};
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::{fs::DirBuilderExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Where the labs of this machine keep their files.
pub const STATE_DIR: &str = "/run/palisade-lab";

/// Where what a lab has on a disk is, under the same id. Most labs have nothing there.
pub(crate) const DISK_DIR: &str = "/var/lib/palisade-lab";

/// In a lab's folder: it was left up on purpose and outlives its process.
const KEPT: &str = "kept";

/// Waits for a word or the end of its owner; arguments: lab id, folder, parent of its folder on a disk. What runs in pods of a
/// real cluster ends with the first process of their node, and has control groups and mounts until then.
const REAPER: &str = r#"
read -r word
[ "$word" = keep ] && exit 0
for path in /run/netns/"$1"-*; do
  [ -e "$path" ] || continue
  ip netns pids "${path##*/}" | xargs -r kill -9
  ip netns del "${path##*/}"
done
for group in /sys/fs/cgroup/"$1" /sys/fs/cgroup/*/"$1"; do
  for try in $(seq 200); do
    [ -d "$group" ] || break
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
  done
done
rm -rf "$2" "$3/$1"
[ -d "$3" ] && rmdir --ignore-fail-on-non-empty "$3"
"#;

/// The claim of this process on one lab. Dropping it removes the lab.
#[derive(Debug)]
pub(crate) struct Claim {
    id: String,
    dir: PathBuf,
    reaper: Child,
    _lock: Flock<File>,
}

impl Claim {
    /// Claims a new lab called after `test`.
    pub(crate) fn new(test: &str) -> Result<Self, LabError> {
        let test: String = dns_label(test).chars().take(40).collect();
        let id = format!("pal-{}-{}", test.trim_end_matches('-'), random::hex::<3>()?);
        let dir = Path::new(STATE_DIR).join(&id);
        // The lock is taken under a name that sweepers skip: there is no moment in which it looks abandoned.
        let hidden = Path::new(STATE_DIR).join(format!(".{id}"));
        let error = || LabError::io(format!("cannot make the lab's folder {}", dir.display()));
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&hidden).map_err(error())?;
        let lock = File::create(hidden.join("lock")).map_err(error())?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, e)| error()(io::Error::from(e)))?;
        fs::rename(&hidden, &dir).map_err(error())?;
        let reaper = start_reaper(&id, &dir)?;
        Ok(Self { id, dir, reaper, _lock: lock })
    }

    /// The lab's id: the prefix of its namespaces' names and the name of its folder.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The lab's folder.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Leaves the lab up when this process ends.
    pub(crate) fn keep(mut self) -> Result<String, LabError> {
        let kept = self.dir.join(KEPT);
        fs::write(&kept, "").map_err(LabError::io(kept.display().to_string()))?;
        if let Some(mut pipe) = self.reaper.stdin.take() {
            pipe.write_all(b"keep\n").map_err(LabError::io("the lab's reaper"))?;
        }
        Ok(self.id.clone())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The same way out as for a process that was killed, so that every test tries it.
        drop(self.reaper.stdin.take());
        if let Err(e) = self.reaper.wait() {
            eprintln!("lab {}: its reaper cannot be waited for: {e}", self.id);
        }
    }
}

fn start_reaper(id: &str, dir: &Path) -> Result<Child, LabError> {
    Command::new("sh")
        .args(["-c", REAPER, "palisade-lab-reaper", id])
        .arg(dir)
        .arg(DISK_DIR)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C goes to the whole foreground group, which the reaper must outlive.
        .process_group(0)
        .spawn()
        .map_err(LabError::io("cannot start the lab's reaper (`sh`)"))
}

/// Removes the labs whose processes are gone, except those that were kept. Gives the ids of what it removed.
///
/// # Errors
/// [`LabError::Io`] if the state folder cannot be read or a reaper cannot be started.
pub fn sweep() -> Result<Vec<String>, LabError> {
    let mut swept = Vec::new();
    for id in labs()? {
        let dir = Path::new(STATE_DIR).join(&id);
        if dir.join(KEPT).exists() || !abandoned(&dir) {
            continue;
        }
        remove(&id)?;
        swept.push(id);
    }
    Ok(swept)
}

/// The ids of the labs that were left up on purpose.
///
/// # Errors
/// [`LabError::Io`] if the state folder cannot be read.
pub fn kept() -> Result<Vec<String>, LabError> {
    Ok(labs()?.into_iter().filter(|id| Path::new(STATE_DIR).join(id).join(KEPT).exists()).collect())
}

/// Those of [`kept`] that were claimed under this name; a longer name that begins with it is another.
pub(crate) fn kept_of(name: &str) -> Result<Vec<String>, LabError> {
    let prefix = format!("pal-{name}-");
    let is_it = |id: &String| id.strip_prefix(&prefix).is_some_and(|number| !number.contains('-'));
    Ok(kept()?.into_iter().filter(is_it).collect())
}

/// Removes a lab by its id: namespaces, the processes in them, files. A lab that is not there is no error.
///
/// # Errors
/// [`LabError::Invalid`] if `id` is not the id of a lab, [`LabError::Io`] if the reaper cannot be started.
pub fn remove(id: &str) -> Result<(), LabError> {
    if id != format!("pal-{}", dns_label(id.trim_start_matches("pal-"))) {
        return Err(LabError::Invalid(format!(
            "`{id}` is not the id of a lab: those look like pal-demo-1a2b3c"
        )));
    }
    let mut reaper = start_reaper(id, &Path::new(STATE_DIR).join(id))?;
    drop(reaper.stdin.take());
    reaper.wait().map_err(LabError::io("the lab's reaper")).map(drop)
}

fn labs() -> Result<Vec<String>, LabError> {
    let entries = match fs::read_dir(STATE_DIR) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(LabError::io(STATE_DIR)(e)),
    };
    let mut ids: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("pal-"))
        .collect();
    ids.sort();
    Ok(ids)
}

/// Whether nobody holds the lab's lock. A folder without one is being removed by someone.
fn abandoned(dir: &Path) -> bool {
    File::open(dir.join("lock")).is_ok_and(|f| Flock::lock(f, FlockArg::LockExclusiveNonblock).is_ok())
}

/// `name` as a part of a namespace's name: lower case letters, digits and single dashes.
fn dns_label(name: &str) -> String {
    let mut label = String::new();
    for c in name.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' => label.push(c),
            _ if !label.is_empty() && !label.ends_with('-') => label.push('-'),
            _ => {}
        }
    }
    label.trim_end_matches('-').to_owned()
}
