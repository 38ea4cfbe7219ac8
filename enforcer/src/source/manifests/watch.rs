//! Follows the folder: what changes in it goes to the loop, and what is wrong in it to the log.

use super::folder::Folder;
use crate::{apply::Input, folder_watch::FolderWatch, observe::metrics::Metrics};
use std::{
    collections::HashSet,
    io,
    sync::{Arc, mpsc::Sender},
    thread,
};
use tracing::{error, info};

/// Starts a thread that follows the folder until the loop has ended. The watch must be older than what was read.
///
/// # Errors
/// The system gives no thread.
pub fn follow(
    mut folder: Folder,
    watch: FolderWatch,
    inputs: Sender<Input>,
    metrics: Arc<Metrics>,
) -> io::Result<()> {
    let mut known: HashSet<String> = folder.faults().iter().map(super::Fault::line).collect();
    metrics.set_problems(known.len());
    let run = move || run(&mut folder, watch, &inputs, &metrics, &mut known);
    thread::Builder::new().name("manifests".into()).spawn(run).map(drop)
}

fn run(
    folder: &mut Folder,
    mut watch: FolderWatch,
    inputs: &Sender<Input>,
    metrics: &Metrics,
    known: &mut HashSet<String>,
) {
    loop {
        let (seen, noticed) = match watch.wait(None) {
            Ok(Some(seen)) => seen,
            Ok(None) => continue,
            Err(error) => {
                return error!(%error, "the folder of manifests cannot be watched any more: restart policyd");
            }
        };
        let changes = match folder.update(&seen) {
            Ok(changes) => changes,
            Err(error) => {
                let folder = folder.root().display();
                error!(%folder, %error, "the folder cannot be listed; what it said stays in force");
                continue;
            }
        };
        // Sent even if it changes nothing, so that whoever wrote a file can tell when it has been read.
        if inputs.send(Input::Changes { changes, seen: noticed }).is_err() {
            return;
        }
        report(folder, metrics, known);
    }
}

/// Logs faults that are new, and how many are left.
fn report(folder: &Folder, metrics: &Metrics, known: &mut HashSet<String>) {
    let now: HashSet<String> = folder.faults().iter().map(super::Fault::line).collect();
    for fault in now.difference(known) {
        error!("{fault}");
    }
    if now.is_empty() && !known.is_empty() {
        info!("nothing is wrong in the folder any more");
    }
    metrics.set_problems(now.len());
    *known = now;
}
