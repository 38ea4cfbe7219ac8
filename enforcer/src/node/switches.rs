//! br_netfilter and its two switches, set once before policyd runs (`policyd init`) and put back by `policyd cleanup`.
//!
//! The running policyd has no privilege for this: in its container `/proc/sys` cannot be written to. What was there before
//! is kept in the state folder, for this boot of the host: with the next one the switches begin anew, and whoever has set
//! them then has had his reasons.

use super::{
    kept,
    module::{self, LoadError},
    sysctl,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// The file in the state folder.
const FILE: &str = "bridge-switches.json";
/// The module.
pub const MODULE: &str = "br_netfilter";
/// Its switches that matter.
const SWITCHES: [&str; 2] = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables"];
const ON: &str = "1";
const OFF: &str = "0";

/// Why the switches are not on.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The module is not there and cannot be loaded.
    #[error("br_netfilter is not loaded, and cannot be: {0}")]
    Load(#[from] LoadError),
    /// It counts as loaded, and its switches are not there.
    #[error("modprobe br_netfilter succeeded, but {} is not there", .0.display())]
    NoSwitch(PathBuf),
    /// A switch cannot be read or set.
    #[error("net.bridge.{switch} cannot be set: {reason}")]
    Set {
        /// Its name below `net.bridge`.
        switch: &'static str,
        /// The kernel's words.
        reason: io::Error,
    },
    /// What was there before cannot be kept; nothing is changed then.
    #[error("what was there before cannot be kept in {}: {reason}", .file.display())]
    Keep {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: io::Error,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The module has been loaded.
    Loaded,
    /// A switch has been turned on.
    TurnedOn(&'static str),
    /// A switch was on.
    WasOn(&'static str),
}

/// What became of a switch at [`SwitchKeeper::restore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restored {
    /// It has its old value again.
    Back(String, String),
    /// It was loaded by `policyd init`, and stays loaded with its switches off.
    StaysLoaded,
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Before {
    /// The boot of the host that this is about.
    boot: String,
    /// The module was not loaded.
    loaded: bool,
    /// Values by switch.
    values: BTreeMap<String, String>,
}

/// Turns the switches on, and remembers what they were.
#[derive(Debug)]
pub struct SwitchKeeper {
    file: PathBuf,
    before: Before,
}

impl SwitchKeeper {
    /// With what an earlier run has kept in the state folder during this boot.
    ///
    /// # Errors
    /// The file is there and cannot be read, or the kernel has no boot id.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let file = state_dir.join(FILE);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        let kept: Option<Before> = kept::read(&file)?;
        let before = kept.filter(|before| before.boot == boot);
        let before = before.unwrap_or_else(|| Before { boot, ..Before::default() });
        Ok(Self { file, before })
    }

    /// Loads the module if need be, with the `modprobe` below `host_root`, and turns both switches on. Doing it again
    /// changes nothing.
    ///
    /// # Errors
    /// See [`SwitchError`]. What was done before the error stays, and is remembered.
    pub fn turn_on(&mut self, host_root: &Path) -> Result<Vec<Step>, SwitchError> {
        let mut steps = Vec::new();
        if !path(SWITCHES[0]).exists() {
            module::load(MODULE, host_root)?;
            let missing = SWITCHES.map(path).into_iter().find(|path| !path.exists());
            missing.map_or(Ok(()), |path| Err(SwitchError::NoSwitch(path)))?;
            self.before.loaded = true;
            // Without the module nothing of a bridge reached netfilter.
            self.remember(SWITCHES.map(|switch| (switch, OFF.into())))?;
            steps.push(Step::Loaded);
        }
        for switch in SWITCHES {
            let set = |reason| SwitchError::Set { switch, reason };
            let now = read(switch).map_err(set)?;
            if now == ON {
                steps.push(Step::WasOn(switch));
                continue;
            }
            self.remember([(switch, now)])?;
            fs::write(path(switch), ON).map_err(set)?;
            if read(switch).map_err(set)? != ON {
                return Err(set(io::Error::other("it stays off")));
            }
            steps.push(Step::TurnedOn(switch));
        }
        Ok(steps)
    }

    /// What the first of several runs finds is the answer; a later one finds what that has set.
    fn remember<const N: usize>(&mut self, values: [(&str, String); N]) -> Result<(), SwitchError> {
        for (switch, value) in values {
            self.before.values.entry(switch.into()).or_insert(value);
        }
        let keep = |reason| SwitchError::Keep { file: self.file.clone(), reason };
        kept::write(&self.file, &self.before).map_err(keep)
    }

    /// Puts back what [`Self::turn_on`] has changed and nobody else since, and forgets it.
    ///
    /// # Errors
    /// A switch cannot be set; then all is still remembered.
    pub fn restore(self) -> io::Result<Vec<Restored>> {
        let mut restored = Vec::new();
        for (switch, value) in self.before.values {
            match read(&switch) {
                Ok(now) if now == ON => {
                    fs::write(path(&switch), &value).map_err(|e| about(&switch, &e))?;
                    restored.push(Restored::Back(switch, value));
                }
                // Somebody has turned it off since.
                Ok(_) => {}
                // The module has been unloaded since.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(about(&switch, &e)),
            }
        }
        if self.before.loaded && path(SWITCHES[0]).exists() {
            restored.push(Restored::StaysLoaded);
        }
        kept::forget(&self.file)?;
        Ok(restored)
    }
}

fn path(switch: &str) -> PathBuf {
    Path::new(sysctl::FOLDER).join(switch)
}

fn read(switch: &str) -> io::Result<String> {
    Ok(fs::read_to_string(path(switch))?.trim().to_owned())
}

fn about(switch: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("net.bridge.{switch}: {error}"))
}
