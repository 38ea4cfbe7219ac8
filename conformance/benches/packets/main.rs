//! What policy costs a packet over an empty forward chain with conntrack on. [`conformance::bench`] tells how it is measured.
//!
//! - one established UDP flow by number of policies, on one node and across VXLAN, IPv4 and IPv6 ([`by_policies`]);
//! - the same flow, and a flood that is denied, by what one policy lists ([`by_shape`]);
//! - the same flow, and flows that begin, beside kube-router itself ([`live`]).
//!
//! `cargo bench -p conformance --bench packets [-- --rounds N | --small]`; needs root. `--small` leaves out what is above 1,000. Lines that begin with `budget:` are what
//! `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

mod by_policies;
mod by_shape;
mod live;

use conformance::{
    bench::{self, Asked, Stage, WAYS, Way, layout, processor},
    cluster::ClusterError,
    lab::LabError,
};
use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Instant,
};

const ROUNDS: usize = 80;

fn main() -> ExitCode {
    bench::main(ROUNDS, run)
}

fn run(asked: Asked) -> Result<(), ClusterError> {
    let rounds = asked.rounds;
    let mut stage = Stage::raise()?;
    let empty = layout::empty(stage.lab(), "the base", "empty");
    stage.install(&empty)?;
    // First, since kube-router looks at the tables that are there.
    let live = live::contenders(&stage)?;
    let policies = by_policies::contenders(&stage, asked)?;
    let shapes = by_shape::contenders(&stage, asked)?;
    let path = |way: Way| Ok::<_, LabError>(way.path(Box::new(stage.flow(way)?)));
    let paths = WAYS.into_iter().map(path).collect::<Result<Vec<_>, _>>()?;
    let load = processor::load();
    processor::claim()?;
    let start = Instant::now();
    println!(
        "Nanoseconds a packet; medians of paired rounds, in brackets what holds the true median at 95 %."
    );
    let policies = policies.measure(&empty, &mut stage, &paths, rounds)?;
    policies.print(&paths);
    policies.budgets(&paths);
    // Their sockets have the ports that the next ones need.
    drop(paths);
    let shapes = shapes.measure(&empty, &mut stage, rounds)?;
    shapes.print();
    shapes.budgets();
    // Last, since it makes conntrack forget everything.
    let live = live.measure(&empty, &mut stage, rounds)?;
    live.print();
    live.budgets();
    println!(
        "\n{rounds} rounds in {:.0} s, load {load} at the start and {} at the end.",
        start.elapsed().as_secs_f64(),
        processor::load()
    );
    Ok(())
}

fn progress(round: usize, rounds: usize) {
    let mut screen = std::io::stderr();
    if screen.is_terminal() {
        // A progress line that cannot be shown is no reason to stop.
        let _ = write!(screen, "\rround {round} of {rounds}{}", if round == rounds { "\n" } else { "" });
    }
}
