//! `policyd cleanup`.

use super::{CleanupOptions, Failure, StateOptions, preflight, run::cannot, signals::Signals};
use crate::{
    fitness::GIVE_CAPABILITY,
    nft::{Backend, Error, Kernel},
    node::{
        flags::FlagKeeper,
        switches::{MODULE, Restored, SwitchKeeper},
    },
    state,
};
use compiler::delta::{Delta, Op};
use std::{fs, io, thread, time::Duration};
use tokio::runtime::Builder;

/// How long a packet may be among the rules, on a processor that the machine below takes away meanwhile.
const UNDER_WAY: Duration = Duration::from_millis(20);

pub(super) fn run(options: &CleanupOptions) -> Result<(), Failure> {
    undo(&options.state)?;
    if options.wait { wait().map_err(|e| cannot("wait for a signal", &e)) } else { Ok(()) }
}

/// Until SIGTERM or SIGINT. The first process of a container gets neither unless it asks for it.
fn wait() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        Signals::catch()?.next().await;
        Ok(())
    })
}

fn undo(options: &StateOptions) -> Result<(), Failure> {
    let _sole = preflight::claim("it would put the tables back at once: stop it first")?;
    let tables = remove_tables().map_err(|error| match error {
        Error::Permission => Failure::failed("CAP_NET_ADMIN is missing: the tables stay", GIVE_CAPABILITY),
        error => Failure::failed(format!("cannot remove the tables: {error}"), ""),
    })?;
    for table in &tables {
        println!("removed  table {table}");
    }
    let folder = &options.state_dir;
    let state_fault = |e: io::Error| {
        Failure::failed(format!("cannot clear the state folder {}: {e}", folder.display()), "")
    };
    let bridges = FlagKeeper::open(folder).and_then(FlagKeeper::restore).map_err(state_fault)?;
    for bridge in &bridges {
        println!("restored flags of bridge {bridge}");
    }
    let switches = SwitchKeeper::open(folder).and_then(SwitchKeeper::restore).map_err(|e| {
        Failure::failed(
            format!("cannot put br_netfilter's switches back: {e}"),
            "run this as policyd init was run: as root on the host, or in a privileged container",
        )
    })?;
    for restored in &switches {
        match restored {
            Restored::Back(switch, value) => println!("restored net.bridge.{switch} = {value}"),
            Restored::StaysLoaded => {
                println!("left     {MODULE} loaded; `modprobe -r {MODULE}` unloads it");
            }
        }
    }
    state::forget(folder).map_err(state_fault)?;
    // Only what policyd has made is removed: a folder with something else in it stays.
    let removed = match fs::remove_dir(folder) {
        Ok(()) => true,
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => false,
        Err(e) => return Err(state_fault(e)),
    };
    if removed {
        println!("removed  {}", folder.display());
    }
    if tables.is_empty() && bridges.is_empty() && switches.is_empty() && !removed {
        println!("nothing was there");
    }
    Ok(())
}

/// Deletes both tables; returns the names of those that were there.
///
/// Their base chains are emptied first. The kernel takes the generation of the rules once for a packet, and that of a set's elements at each
/// look-up (`nft_do_chain`, `nft_genmask_cur`): a packet that is among the rules while the sets go with them finds nothing there, and
/// would be dropped as a stray, permitted or not.
fn remove_tables() -> Result<Vec<String>, Error> {
    let mut kernel = Kernel::open()?;
    let dump = kernel.dump()?;
    let tables = &dump.ruleset.tables;
    let chains = tables.iter().flat_map(|(&family, table)| {
        let base = table.chains.iter().filter(|(_, chain)| chain.base.is_some());
        base.map(move |(name, _)| Op::SetRules { family, chain: name.clone(), rules: Vec::new() })
    });
    let ops: Vec<_> = chains.collect();
    if !ops.is_empty() {
        kernel.commit(&Delta { ops }, None)?;
        thread::sleep(UNDER_WAY);
    }
    let families: Vec<_> = tables.keys().copied().collect();
    if !families.is_empty() {
        let ops = families.iter().map(|&family| Op::DeleteTable { family }).collect();
        kernel.commit(&Delta { ops }, None)?;
    }
    Ok(families.iter().map(|family| format!("{family} {}", compiler::ir::TABLE)).collect())
}
