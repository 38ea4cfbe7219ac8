//! From the end of the writing of a result to the kernel's acknowledgement; printed, never asserted.
//!
//! `cargo test --release -p enforcer --test local_pods latency -- --nocapture` gives figures that mean something.

use super::host::{Host, default_deny, ip, namespace, pod};
use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const PODS: u8 = 110;

/// The time until the kernel took it, of one pod after the other.
fn attach_all(host: &Host, round: u8) -> Vec<Duration> {
    let mut times: Vec<Duration> = (1..=PODS)
        .map(|n| {
            let container = format!("c{round}-{n}");
            host.lease(&container, n + 1);
            // ADD goes on for some milliseconds.
            thread::sleep(Duration::from_millis(15));
            while host.taken.try_recv().is_ok() {}
            let name = format!("p{n}");
            host.result(&container, &name, n + 1, n);
            let closed = Instant::now();
            let taken = host.taken.recv_timeout(Duration::from_secs(10)).expect("a transaction");
            taken.saturating_duration_since(closed)
        })
        .collect();
    times.sort();
    times
}

fn print(what: &str, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!("{what}: p50 {:?}, p99 {:?}, longest {:?}", at(50), at(99), at(100));
}

#[test]
fn from_a_results_end_to_the_kernel() {
    namespace(PODS);
    let mut changes: Vec<_> = (1..=PODS).map(|n| pod(&format!("p{n}"), None)).collect();
    changes.push(default_deny());
    let host = Host::start("latency", changes);
    print("idle, 1 to 110 pods", &attach_all(&host, 1));
    host.eventually("the last one is there", || host.owner(PODS + 1) == format!("shop/p{PODS}"));

    for n in 1..=PODS {
        fs::remove_file(host.lease_path(n + 1)).expect("the lease");
        fs::remove_file(host.result_path(&format!("c1-{n}"))).expect("the result");
    }
    host.eventually("all are gone", || (1..=PODS).all(|n| host.owner(n + 1).is_empty()));

    let stop = Arc::new(AtomicBool::new(false));
    let (until, begin) = (stop.clone(), Instant::now());
    // A thread of this namespace; each line is a change of a link and its notifications.
    let storm = thread::spawn(move || {
        let mut events = 0;
        while !until.load(Ordering::Relaxed) {
            let lines: String =
                (0..100).map(|n| format!("link set p{} mtu {}\n", 1 + n % PODS, 1400 + events % 7)).collect();
            ip(&lines);
            events += 100;
            let pace = Duration::from_millis(events as u64);
            thread::sleep(pace.saturating_sub(begin.elapsed()));
        }
        events
    });
    let times = attach_all(&host, 2);
    stop.store(true, Ordering::Relaxed);
    let events = storm.join().expect("the storm ends");
    let rate = f64::from(events) / begin.elapsed().as_secs_f64();
    print(&format!("beside {rate:.0} link events a second"), &times);
}
