//! A wall clock that jumps, under a `policyd` that runs and one that starts.

use super::{
    burst,
    daemon::Daemon,
    ground::{Ground, NODE, eventually, policy},
    reports::home,
};
use conformance::preload::Preloaded;
use nix::sys::signal::Signal;

const DAY: i64 = 86_400;

/// The day on which the node says that it last wrote its status: `2026-11-27`.
fn renewed(ground: &Ground) -> String {
    let time = ["--ignore-not-found", "--output", "jsonpath={.spec.renewTime}"];
    let lease = ["get", "lease", NODE, "--namespace", "palisade-system"];
    let said = ground.kubectl(&[&lease[..], &time].concat(), "").expect("leases");
    said.split('T').next().unwrap_or_default().to_owned()
}

#[test]
fn a_clock_that_jumps_changes_no_verdict_and_delays_nothing() {
    let ground = Ground::new("kube clock");
    home(&ground);
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..8);
    let preloaded = Preloaded::build(ground.dir()).expect("libraries");
    let set_clock = |seconds| preloaded.set_clock(seconds).expect("a file");
    let daemon = Daemon::launch_under(&ground, &preloaded);
    eventually("policyd is ready", || daemon.is_ready());
    daemon.settles(&ground);
    eventually("its status is written", || !renewed(&ground).is_empty());
    let day = renewed(&ground);

    // Forward, beyond the end of the API server's certificate, back before it started, and far back.
    for (step, offset) in [20 * DAY, 730 * DAY, -DAY, -10_000 * DAY, 0].into_iter().enumerate() {
        let before = daemon.tables();
        set_clock(offset);
        assert!(daemon.is_ready());
        assert_eq!(daemon.tables(), before, "{offset} s");
        burst::create(&ground, 8 + step..9 + step);
        ground.apply(&policy("pay", ["front", "api", "db", "nobody", "pay"][step]));
        daemon.settles(&ground);
        daemon.edit("flush chain inet palisade forward");
        daemon.settles(&ground);
        assert!(daemon.metric("palisade_drift_repaired_total ") > 0.0);
        if step == 0 {
            // It is moved: what is shown to people says so.
            ground.apply(&policy("front", "api"));
            eventually("its status is of another day", || renewed(&ground) != day);
        }
    }

    // Whoever starts in the past can't trust its API server's certificate yet: what was in force stays, until the clock is right.
    let before = daemon.tables();
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
    set_clock(-10_000 * DAY);
    let daemon = Daemon::launch_under(&ground, &preloaded);
    eventually("it is said", || daemon.log().contains("the API server cannot be reached"));
    assert_eq!(daemon.tables(), before);
    set_clock(0);
    eventually("it is ready", || daemon.is_ready());
    ground.apply(&policy("db", "front"));
    daemon.settles(&ground);
}
