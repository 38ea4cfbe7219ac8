//! The pod bridge's own flags: same-node traffic is judged only if the bridge hands its frames to the IP hooks.
//!
//! Where the sysctls are off, the flags of the pod bridge alone are set, so that no other bridge of the host changes. What
//! was there is kept in the state folder, and `policyd cleanup` puts it back.

use super::{
    facts::Facts,
    kept,
    rtnl::{BridgeFlags, LinkKind, Rtnl},
};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

/// The file in the state folder.
const FILE: &str = "bridge-flags.json";

/// Remembers what bridges had before policyd changed them.
#[derive(Debug)]
pub struct FlagKeeper {
    file: PathBuf,
    /// By the name of the bridge.
    before: BTreeMap<String, BridgeFlags>,
}

impl FlagKeeper {
    /// With what an earlier run has kept in the state folder.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        let file = state_dir.join(FILE);
        let before = kept::read(&file)?.unwrap_or_default();
        Ok(Self { file, before })
    }

    /// Sets the flags of these bridges where neither they nor the sysctls do it. Returns the names of those it changed.
    ///
    /// # Errors
    /// What was there cannot be written down (then nothing is changed), or the kernel refuses.
    pub fn ensure(&mut self, facts: &Facts, bridges: &[std::sync::Arc<str>]) -> io::Result<Vec<String>> {
        let Some(netfilter) = facts.netfilter else { return Ok(Vec::new()) };
        let mut changed = Vec::new();
        for name in bridges {
            let Some(link) = facts.link(name) else { continue };
            let LinkKind::Bridge(now) = link.kind else { continue };
            let wanted = BridgeFlags {
                iptables: now.iptables || !netfilter.iptables,
                ip6tables: now.ip6tables || !netfilter.ip6tables,
            };
            if wanted == now {
                continue;
            }
            // A bridge that was made anew has flags of its own again; what an earlier run found stays the answer.
            if !self.before.contains_key(&link.name) {
                self.before.insert(link.name.clone(), now);
                kept::write(&self.file, &self.before)?;
            }
            Rtnl::open()?.set_bridge_flags(link.index, wanted)?;
            changed.push(link.name.clone());
        }
        Ok(changed)
    }

    /// Puts back what was there on bridges that still exist, and forgets it. Returns their names.
    ///
    /// # Errors
    /// The kernel refuses, or the file cannot be removed.
    pub fn restore(self) -> io::Result<Vec<String>> {
        let mut restored = Vec::new();
        if !self.before.is_empty() {
            let mut rtnl = Rtnl::open()?;
            for link in rtnl.links()? {
                if let Some(&flags) =
                    self.before.get(&link.name).filter(|_| matches!(link.kind, LinkKind::Bridge(_)))
                {
                    rtnl.set_bridge_flags(link.index, flags)?;
                    restored.push(link.name);
                }
            }
        }
        kept::forget(&self.file)?;
        Ok(restored)
    }
}
