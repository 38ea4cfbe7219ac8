//! Breaking things on a node.

use super::{disk, error::EndureError, memory, round::FaultKind, tally::Tally};
use crate::{enforced::Policyd, lab::Netns, random::Draw};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{fmt::Write, thread, time::Duration};

/// Our tables, as nft names them.
const TABLES: [&str; 2] = ["inet palisade", "bridge palisade"];
/// Elements that others change at once, enough for notifications to overflow a stopped reader's socket.
const FLOOD: usize = 60_000;

/// In seconds.
const DAY: i64 = 86_400;

/// Does it. `policyd` runs again afterwards, and need not be ready.
pub(super) fn inflict(
    kind: FaultKind,
    draw: &mut Draw,
    node: &Netns,
    policyd: &mut Policyd,
    tally: &mut Tally,
) -> Result<(), EndureError> {
    match kind {
        FaultKind::Kill(down) => {
            policyd.kill();
            thread::sleep(down);
            policyd.restart()?;
        }
        FaultKind::Freeze(time) => frozen(policyd, || {
            thread::sleep(time);
            Ok(())
        })?,
        FaultKind::Clock(days, time) => {
            set_clock(policyd, days * DAY)?;
            thread::sleep(time);
            set_clock(policyd, 0)?;
        }
        FaultKind::Squeeze(limit, time) => {
            tally.killed_for_memory += memory::short(policyd, limit, time)?;
        }
        FaultKind::Disk(spoilt, down) => {
            policyd.kill();
            disk::spoil(spoilt, draw, policyd)?;
            thread::sleep(down);
            policyd.restart()?;
        }
        FaultKind::Boot(spoilt, down) => {
            policyd.kill();
            for table in TABLES {
                node.nft(&format!("delete table {table}"))?;
            }
            disk::spoil(spoilt, draw, policyd)?;
            thread::sleep(down);
            policyd.restart()?;
        }
        FaultKind::DiskFull => disk::fill(node, policyd)?,
        FaultKind::Strangers => strangers(node)?,
        FaultKind::Overflow => frozen(policyd, || {
            flood(node)?;
            edit(draw, node)
        })?,
        FaultKind::Edit => edit(draw, node)?,
        FaultKind::Delete => node.nft(&format!("delete table {}", draw.one_of(&TABLES)))?,
        FaultKind::Flush => flush(node)?,
    }
    Ok(())
}

/// Does something while `policyd` is stopped.
pub(super) fn frozen<T>(
    policyd: &Policyd,
    work: impl FnOnce() -> Result<T, EndureError>,
) -> Result<T, EndureError> {
    let pid = Pid::from_raw(policyd.pid().cast_signed());
    let signal = |signal| kill(pid, signal).map_err(|e| EndureError::Signal(e.into()));
    signal(Signal::SIGSTOP)?;
    let done = work();
    signal(Signal::SIGCONT)?;
    done
}

fn set_clock(policyd: &Policyd, seconds: i64) -> Result<(), EndureError> {
    Ok(policyd.preloaded().map_or(Ok(()), |preloaded| preloaded.set_clock(seconds))?)
}

/// What a firewall's reload and kube-proxy's resync do to the tables beside ours.
fn strangers(node: &Netns) -> Result<(), EndureError> {
    for number in 0..5 {
        let table = format!("inet stranger{number}");
        let mut text = format!(
            "table {table} {{\n  set s {{ type ipv4_addr; }}\n  chain c {{ type filter hook forward priority 10; }}\n}}\n"
        );
        for element in 0..50 {
            // Writing to a String does not fail.
            let _ = writeln!(text, "add element {table} s {{ 192.0.2.{element} }}");
        }
        let _ = writeln!(text, "add rule {table} c ip saddr @s counter");
        node.nft(&text)?;
        node.nft(&format!("flush chain {table} c\nflush set {table} s\ndelete table {table}"))?;
    }
    Ok(())
}

fn flood(node: &Netns) -> Result<(), EndureError> {
    let mut text = "table inet stranger {\n set s { type ipv4_addr; }\n}\n".to_owned();
    for element in 0..FLOOD {
        let _ = writeln!(text, "add element inet stranger s {{ 10.{}.{}.1 }}", element / 256, element % 256);
    }
    node.nft(&text)?;
    node.nft("delete table inet stranger")?;
    Ok(())
}

/// One change in our tables by somebody else: what a person with nft in hand may do, by mistake or on purpose.
fn edit(draw: &mut Draw, node: &Netns) -> Result<(), EndureError> {
    let table = draw.one_of(&TABLES);
    let listing =
        node.exec(&["nft", "-a", "list", "table", table.split(' ').next().unwrap_or_default(), "palisade"])?;
    let mut edits = Vec::new();
    let mut chain = None;
    for line in listing.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words[..] {
            ["chain", name, "{", ..] => {
                edits.push(format!("flush chain {table} {name}"));
                edits.push(format!("insert rule {table} {name} accept"));
                edits.push(format!("insert rule {table} {name} counter drop"));
                chain = Some(name);
            }
            ["set" | "map", name, "{", ..] => {
                edits.push(format!("flush {} {table} {name}", words[0]));
                chain = None;
            }
            [.., "handle", handle] if handle.bytes().all(|b| b.is_ascii_digit()) => {
                if let Some(chain) = chain {
                    edits.push(format!("delete rule {table} {chain} handle {handle}"));
                }
            }
            _ => {}
        }
    }
    if edits.is_empty() {
        return Ok(());
    }
    node.nft(&edits[draw.below(edits.len())])?;
    Ok(())
}

/// `nft flush ruleset`, after which the owners of the other tables write theirs again.
fn flush(node: &Netns) -> Result<(), EndureError> {
    let mut others = String::new();
    for table in node.exec(&["nft", "list", "tables"])?.lines() {
        let name = table.trim_start_matches("table ");
        if !TABLES.contains(&name) {
            let mut argv = vec!["nft", "list", "table"];
            argv.extend(name.split(' '));
            others += &node.exec(&argv)?;
        }
    }
    node.nft("flush ruleset")?;
    thread::sleep(Duration::from_millis(1));
    node.nft(&others)?;
    Ok(())
}
