//! `policyd init`: what a host needs once, and what takes more privilege than policyd has while it runs.

use super::{Failure, InitOptions, run::cannot};
use crate::{
    fitness::GIVE_BR_NETFILTER,
    node::{
        module::LoadError,
        switches::{MODULE, Step, SwitchError, SwitchKeeper},
    },
};

pub(super) fn run(options: &InitOptions) -> Result<(), Failure> {
    let folder = &options.state.state_dir;
    let mut switches = SwitchKeeper::open(folder)
        .map_err(|e| cannot(&format!("read the state folder {}", folder.display()), &e))?;
    for step in switches.turn_on(&options.host_root).map_err(|e| failed(&e))? {
        match step {
            Step::Loaded => println!("loaded   {MODULE}"),
            Step::TurnedOn(switch) => println!("set      net.bridge.{switch} = 1"),
            Step::WasOn(switch) => println!("is so    net.bridge.{switch} = 1"),
        }
    }
    Ok(())
}

fn failed(error: &SwitchError) -> Failure {
    let help = match error {
        SwitchError::Load(LoadError::Root { .. } | LoadError::NoModprobe { .. } | LoadError::Start(_)) => {
            "give --host-root the folder where the host's root is mounted; or load br_netfilter on the host at boot \
             (name it in /etc/modules-load.d/), then nothing has to be loaded here"
        }
        SwitchError::Load(LoadError::Refused { .. }) => {
            "loading takes the capability SYS_MODULE (a privileged init container has it) and a kernel that has the \
             module; loaded at boot (/etc/modules-load.d/) it needs neither"
        }
        SwitchError::NoSwitch(_) => GIVE_BR_NETFILTER,
        SwitchError::Set { .. } => {
            "in a container /proc/sys is read-only unless it is privileged; or set both on the host in /etc/sysctl.d/"
        }
        SwitchError::Keep { .. } => "give --state-dir a folder that can be written to",
    };
    Failure::failed(error.to_string(), help)
}
