//! Short runs of `cargo endure`: no promise is broken while things change and break under traffic. Needs root.
//!
//! `PALISADE_ENDURE_SECONDS` sets how long (20), `PALISADE_SEED` which events.

use conformance::endure::{self, Settings};
use std::{
    env,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

fn hold(seconds: u64, seed: u64, api_server: bool) {
    let settings = Settings {
        time: Duration::from_secs(setting("PALISADE_ENDURE_SECONDS", seconds)),
        seed: setting("PALISADE_SEED", seed),
        api_server,
        keep: Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/endure"),
    };
    let ended =
        endure::run(&settings, &AtomicBool::new(false), &mut |line| println!("{line}")).expect("a run");
    for (what, value) in ended.tally.rows() {
        println!("{value:>12}  {what}");
    }
    assert!(ended.rounds > 0 && ended.tally.held() > 0, "nothing was compared");
    assert_eq!(ended.tally.broken, [""; 0]);
}

#[test]
fn no_promise_is_broken_while_things_change_and_break() {
    hold(20, 861, false);
}

#[test]
fn no_promise_is_broken_while_an_api_server_dies_falls_silent_and_forgets() {
    hold(12, 1, true);
}

#[test]
fn an_interrupted_run_says_so() {
    let settings =
        Settings { time: Duration::from_secs(60), seed: 2, api_server: false, keep: env::temp_dir() };
    let interrupted = AtomicBool::new(false);
    let ended = endure::run(&settings, &interrupted, &mut |_| interrupted.store(true, Ordering::SeqCst));
    let error = ended.expect_err("it was interrupted").to_string();
    assert!(error.contains("interrupted"), "{error}");
}
