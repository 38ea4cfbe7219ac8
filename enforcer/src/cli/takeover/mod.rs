//! `policyd takeover`: what another engine has left goes, once Palisade enforces in its place.

mod engine;
mod running;

pub(super) use engine::Engine;

use super::{Failure, TakeoverOptions, run::cannot};
use crate::{
    fitness::GIVE_CAPABILITY,
    nft::{Backend, Error, Kernel, ipset, leftovers, legacy},
};
use compiler::ir::Family;
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

/// How long policyd on this node may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An engine that runs on unseen puts its rules back at once.
const SECOND_LOOK: Duration = Duration::from_secs(1);

pub(super) fn run(options: &TakeoverOptions) -> Result<(), Failure> {
    let engine = options.from;
    require_enforcing(options.http)?;
    println!("ok       policyd enforces: {} says that it is ready, and its tables are there", options.http);
    let running = running::signs(engine);
    if !running.is_empty() {
        let what = format!("{} runs on this node: {}", engine.name(), running.join(", "));
        return Err(Failure::failed(what, engine.how_to_end()));
    }
    println!("ok       {} does not run here, as far as can be seen", engine.name());

    let found = leftovers::find(engine.names()).map_err(refused)?;
    let sets = ipset::sets(engine.sets()).map_err(refused)?;
    let old = !engine.chains().is_empty() && legacy::speaks_of(engine.chains()).map_err(refused)?;
    if options.dry_run {
        found.lines().iter().for_each(|line| println!("would remove  {line}"));
        sets.iter().for_each(|set| println!("would remove  ipset {set}"));
    } else {
        let removed = leftovers::remove(engine.names()).map_err(refused)?;
        removed.lines().iter().for_each(|line| println!("removed  {line}"));
        destroy(&sets, old)?;
    }
    if old {
        // Not in the error, whose lines are wrapped.
        ["iptables", "ip6tables"].iter().for_each(|tool| println!("to do    {}", old_iptables(tool)));
        return Err(Failure::failed(
            "rules of kube-router are in the old iptables (iptables-legacy), whose table can only be replaced as a whole",
            "run the lines above on the node, as root; then this again, for the sets",
        ));
    }
    if found.is_empty() && sets.is_empty() {
        println!("nothing of {} is here", engine.name());
    }
    if options.dry_run {
        return Ok(());
    }
    thread::sleep(SECOND_LOOK);
    let again = leftovers::find(engine.names()).map_err(refused)?;
    if again.is_empty() {
        return Ok(());
    }
    let what = format!("{} has come back: {}", engine.name(), again.lines().join("; "));
    Err(Failure::failed(what, engine.how_to_end()))
}

/// What replaces the old iptables' table without kube-router's rules: one transaction a family.
fn old_iptables(tool: &str) -> String {
    const ITS: &str = "'KUBE-(ROUTER-(INPUT|FORWARD|OUTPUT)|POD-FW-|NWPLCY-)'";
    format!("{tool}-legacy-save -t filter | grep -vE {ITS} | {tool}-legacy-restore -T filter")
}

/// policyd says that a revision is in force, and the kernel has it.
fn require_enforcing(http: SocketAddr) -> Result<(), Failure> {
    let help = "install Palisade first and wait until its pod on this node is ready; --http tells where policyd listens";
    let ready = ask(http, "/readyz")
        .map_err(|e| Failure::failed(format!("policyd does not answer at {http}: {e}"), help))?;
    if !ready {
        return Err(Failure::failed(
            format!("policyd at {http} is not ready: no revision is in force"),
            help,
        ));
    }
    let dump = Kernel::open().and_then(|mut kernel| kernel.dump()).map_err(refused)?;
    let table = dump.ruleset.tables.get(&Family::Inet);
    if table.is_none_or(|table| table.chains.values().all(|chain| chain.base.is_none())) {
        return Err(Failure::failed("table inet palisade is not in this network namespace", help));
    }
    Ok(())
}

/// Whether a question by HTTP is answered with 200.
fn ask(address: SocketAddr, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: policyd\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

fn destroy(sets: &[String], old_rules: bool) -> Result<(), Failure> {
    for set in sets {
        match ipset::destroy(set).map_err(refused)? {
            true => println!("removed  ipset {set}"),
            false if old_rules => println!("left     ipset {set}, which the old iptables looks into"),
            false => {
                return Err(Failure::failed(
                    format!("ipset {set} stays: some rule looks into it"),
                    "find it with `iptables-save` and `iptables-legacy-save`, then run this again",
                ));
            }
        }
    }
    Ok(())
}

fn refused(error: Error) -> Failure {
    match error {
        Error::Permission => Failure::failed("CAP_NET_ADMIN is missing", GIVE_CAPABILITY),
        error => cannot("look into the kernel or change it", &error),
    }
}
