//! `policyd cleanup`.

use super::{Failure, StateOptions, preflight};
use crate::{
    nft::{Backend, Error, Kernel},
    node::flags::FlagKeeper,
    state,
};
use compiler::delta::{Delta, Op};
use std::{fs, io};

pub(super) fn run(options: &StateOptions) -> Result<(), Failure> {
    let tables = remove_tables().map_err(|error| match error {
        Error::Permission => {
            Failure::failed("CAP_NET_ADMIN is missing: the tables stay", preflight::GIVE_CAPABILITY)
        }
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
    if tables.is_empty() && bridges.is_empty() && !removed {
        println!("nothing was there");
    }
    Ok(())
}

/// Deletes both tables in one transaction; returns the names of those that were there.
fn remove_tables() -> Result<Vec<String>, Error> {
    let mut kernel = Kernel::open()?;
    let dump = kernel.dump()?;
    let families: Vec<_> = dump.ruleset.tables.keys().copied().collect();
    if !families.is_empty() {
        let ops = families.iter().map(|&family| Op::DeleteTable { family }).collect();
        kernel.commit(&Delta { ops }, None)?;
    }
    Ok(families.iter().map(|family| format!("{family} {}", compiler::ir::TABLE)).collect())
}
