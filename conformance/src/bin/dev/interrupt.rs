//! Ctrl-C, and requests to end.

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    io, process,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Signals that come this soon after the first are the same request.
const AT_ONCE: Duration = Duration::from_millis(500);

/// Listens for them. The first one ends the work at its next step, which takes the lab down; the second one ends it at
/// once, and the lab's reaper does the same.
pub(crate) fn listen(interrupted: Arc<AtomicBool>) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::spawn(move || {
        let mut first: Option<Instant> = None;
        for signal in signals.forever() {
            match first {
                None => eprintln!("interrupted; taking the lab down"),
                // Some send one to the process and one to its group.
                Some(first) if first.elapsed() < AT_ONCE => continue,
                Some(_) => process::exit(128 + signal),
            }
            first = Some(Instant::now());
            interrupted.store(true, Ordering::SeqCst);
        }
    });
    Ok(())
}
