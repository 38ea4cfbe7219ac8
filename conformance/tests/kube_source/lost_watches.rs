//! A watch that is torn, silent, refused or too old empties nothing, and what was missed is found.

use super::{
    burst,
    daemon::Daemon,
    ground::{Ground, eventually, policy},
};
use nix::sys::signal::Signal;
use std::{thread, time::Duration};

#[test]
fn an_api_server_that_dies_changes_nothing_and_is_followed_again() {
    let mut ground = Ground::new("kube dies");
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..16);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let before = daemon.tables();

    ground.kill();
    eventually("it is said", || daemon.log().contains("the API server cannot be reached"));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(daemon.tables(), before);
    assert!(daemon.is_ready());

    ground.resume().unwrap();
    burst::create(&ground, 16..20);
    burst::delete(&ground, 0..4);
    ground.apply(&policy("front", "nobody"));
    eventually("it is followed again", || daemon.metric("palisade_policies ") == 2.0);
    daemon.settles(&ground);
    assert!(daemon.log().contains("the API server is followed again"), "{}", daemon.log());
    let log = daemon.log();
    let lines = |end: &str| {
        log.lines().filter(|line| line.contains("cannot be reached") && line.contains(end)).count()
    };
    assert_eq!(lines("what was in force stays"), 1, "five watches are one API server:\n{log}");
    assert!(lines("status cannot be written") <= 1, "however it is away, it is away:\n{log}");
}

#[test]
fn what_was_deleted_unseen_goes_once_the_new_list_is_complete() {
    let mut ground = Ground::new("kube compacted");
    ground.apply(&policy("db", "api"));
    ground.apply(&policy("pay", "api"));
    burst::create(&ground, 0..40);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let before = daemon.tables();

    // It sees nothing of all this; afterwards nobody remembers it.
    daemon.signal(Signal::SIGSTOP);
    burst::delete(&ground, 0..20);
    burst::create(&ground, 40..50);
    ground.run("delete networkpolicy --namespace shop pay");
    ground.apply(&policy("front", "nobody"));
    ground.kill();
    ground.resume().unwrap();
    burst::label(&ground, 30, "db");
    ground.compact().unwrap();
    ground.restart().unwrap();
    assert_eq!(daemon.tables(), before);
    daemon.signal(Signal::SIGCONT);

    eventually("the new list is in force", || daemon.metric("palisade_pods ") == 30.0);
    daemon.settles(&ground);
    assert!(daemon.log().contains("listing again"), "no watch was too old:\n{}", daemon.log());
    assert!(daemon.metric("palisade_watch_restarts_total") >= 1.0);
}

#[test]
fn an_api_server_that_is_not_there_yet_is_waited_for_and_the_table_that_was_there_stays() {
    let mut ground = Ground::new("kube late");
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..8);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let before = daemon.tables();
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));

    ground.kill();
    let daemon = Daemon::launch(&ground, &ground.admin);
    eventually("it is said", || daemon.log().contains("the API server cannot be reached"));
    assert!(daemon.get("/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200")));
    assert!(daemon.get("/metrics").is_some_and(|answer| answer.contains("palisade_build_info")));
    assert!(!daemon.is_ready());
    assert_eq!(daemon.tables(), before);

    ground.resume().unwrap();
    eventually("it is ready", || daemon.is_ready());
    assert_eq!(daemon.tables(), before, "the same state is the same table");
    assert_eq!(daemon.stop(Signal::SIGTERM), Some(0));
}

#[test]
fn a_signal_ends_it_while_it_waits() {
    let mut ground = Ground::new("kube signal");
    ground.kill();
    let daemon = Daemon::launch(&ground, &ground.admin);
    eventually("it waits", || daemon.log().contains("the API server cannot be reached"));
    assert_eq!(daemon.stop(Signal::SIGINT), Some(0));
}
