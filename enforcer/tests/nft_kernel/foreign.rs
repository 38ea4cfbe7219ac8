//! What others put into our tables: the IR's own words are read as such, everything else is named and can be removed.

use crate::{rulesets::everything, support::*};
use compiler::{delta::diff, ir::*};
use enforcer::nft::{Backend, Error, Kernel, Object};
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

fn loaded() -> Kernel {
    let mut kernel = Kernel::open().unwrap();
    kernel.commit(&from_nothing(&everything()), None).unwrap();
    kernel
}

fn repair(kernel: &mut Kernel) {
    let dump = kernel.dump().unwrap();
    let delta = dump.delta_to(&everything());
    assert!(!delta.is_empty());
    kernel.commit(&delta, Some(dump.generation)).unwrap();
    assert_holds(kernel, &everything());
}

#[test]
fn what_the_ir_has_no_words_for_is_named_and_repaired() {
    let cases = [
        ("add rule inet palisade deny accept", "rule 5 of chain deny of inet palisade"),
        ("insert rule inet palisade deny counter", "rule 0 of chain deny of inet palisade"),
        ("add rule inet palisade deny ip ttl 3 drop", "rule 5 of chain deny of inet palisade"),
        ("add rule inet palisade deny log prefix \"x\" level info", "rule 5 of chain deny of inet palisade"),
        (
            "add rule inet palisade deny limit rate over 5/minute drop",
            "rule 5 of chain deny of inet palisade",
        ),
        ("add rule inet palisade deny tcp dport { 80, 443 } drop", "set __set0 of inet palisade"),
        ("add rule inet palisade deny meta mark set 1", "rule 5 of chain deny of inet palisade"),
        ("add set inet palisade odd { type ipv4_addr; flags timeout; }", "set odd of inet palisade"),
        ("add set inet palisade odd { type mark; }", "set odd of inet palisade"),
        ("add map inet palisade odd { type ipv4_addr : mark; }", "set odd of inet palisade"),
        (
            "add set inet palisade odd { type ipv4_addr . ipv4_addr; flags interval; }",
            "set odd of inet palisade",
        ),
        ("add element inet palisade egress4-o { 10.9.9.9 : accept }", "set egress4-o of inet palisade"),
        ("add element inet palisade nodes6 { * }", "set nodes6 of inet palisade"),
        (
            "add chain inet palisade odd { type filter hook output priority 0; policy drop; }",
            "chain odd of inet palisade",
        ),
        ("add chain inet palisade odd { type nat hook output priority 0; }", "chain odd of inet palisade"),
        ("add quota inet palisade odd { over 100 mbytes }", "object odd of inet palisade"),
        ("add table bridge palisade { flags dormant; }", "table bridge palisade"),
    ];
    for (command, object) in cases {
        in_namespace(|| {
            let mut kernel = loaded();
            nft_load(command);
            let dump = kernel.dump().unwrap();
            let named: Vec<String> = dump.foreign.iter().map(|f| f.object.to_string()).collect();
            assert!(named.iter().any(|n| n == object), "{command}: {:?}", dump.foreign);
            repair(&mut kernel);
        });
    }
}

#[test]
fn changes_in_the_irs_own_words_are_repaired_without_replacing_the_table() {
    let cases = [
        "flush chain inet palisade deny",
        "add rule inet palisade deny ip saddr @nowhere drop; add set inet palisade nowhere { type ipv4_addr; }",
        "delete element inet palisade egress4-o { 10.244.1.2 }",
        "add element inet palisade egress4-o { 10.9.9.9 : return }",
        "add element inet palisade out-1-b4 { 10.1.0.0/16 }",
        "delete element inet palisade out-1-b4 { 240.0.0.0/4 }",
        "add chain inet palisade odd; add rule inet palisade odd jump deny",
        "add counter inet palisade odd",
        "flush set inet palisade nodes6",
        "flush map inet palisade blocks4",
    ];
    for command in cases {
        in_namespace(|| {
            let mut kernel = loaded();
            let script: Vec<_> = command.split("; add set").collect();
            match script[..] {
                [rule, set] => nft_load(&format!("add set{set}\n{rule}")),
                _ => nft_load(&command.replace("; ", "\n")),
            }
            let dump = kernel.dump().unwrap();
            assert_eq!(dump.foreign, [], "{command}");
            assert_ne!(dump.ruleset, everything(), "{command}");
            let delta = dump.delta_to(&everything());
            let replaces = |op: &compiler::delta::Op| matches!(op, compiler::delta::Op::DeleteTable { .. });
            assert!(!delta.ops.iter().any(replaces), "{command}");
            repair(&mut kernel);
        });
    }
}

#[test]
fn a_flush_by_somebody_else_is_repaired() {
    in_namespace(|| {
        let mut kernel = loaded();
        nft(&["flush", "ruleset"]);
        assert_holds(&mut kernel, &Ruleset::default());
        repair(&mut kernel);
    });
}

#[test]
fn tables_of_others_are_neither_read_nor_touched() {
    in_namespace(|| {
        let theirs = "table inet other {\n set s { type mark; }\n chain c { type nat hook output priority 0; }\n}\n\
                      table ip palisade {\n chain c { counter accept; }\n}\n";
        nft_load(theirs);
        let mut kernel = loaded();
        assert_holds(&mut kernel, &everything());
        kernel.commit(&to_nothing(&everything()), None).unwrap();
        let left = nft(&["list", "tables"]);
        assert_eq!(left, "table inet other\ntable ip palisade\n");
    });
}

#[test]
fn counters_are_read_by_name() {
    in_namespace(|| {
        let mut kernel = loaded();
        let all = kernel.counters().unwrap();
        assert_eq!(all.len(), 4);
        let rule = Rule::new().counter("unused");
        let ops = vec![compiler::delta::Op::SetRules {
            family: Family::Inet,
            chain: "input".into(),
            rules: vec![rule],
        }];
        kernel.commit(&compiler::delta::Delta { ops }, None).unwrap();
        assert!(command("ping", &["-c", "1", "-W", "1", "127.0.0.1"]).status.success());
        let unused = kernel.counters().unwrap()[&(Family::Inet, Name::from("unused"))];
        // The request and the answer, 84 bytes each.
        assert_eq!((unused.packets, unused.bytes), (2, 168));
        assert_eq!(
            Object::Counter { family: Family::Inet, name: "unused".into() }.to_string(),
            "counter unused of inet palisade"
        );
    });
}

/// `flags owner`: as long as its maker lives, nobody else can change the table.
#[test]
fn a_table_owned_by_another_process_is_refused_as_such() {
    in_namespace(|| {
        let mut owner =
            Command::new("nft").arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut orders = owner.stdin.take().unwrap();
        writeln!(orders, "add table inet palisade {{ flags owner; }}").unwrap();
        let mut kernel = Kernel::open().unwrap();
        let start = Instant::now();
        let dump = loop {
            let dump = kernel.dump().unwrap();
            if !dump.foreign.is_empty() {
                break dump;
            }
            assert!(start.elapsed().as_secs() < 10, "nft has made no table");
        };
        assert_eq!(dump.foreign[0].object, Object::Table { family: Family::Inet });
        match kernel.commit(&dump.delta_to(&everything()), None) {
            Err(Error::Refused(refusals)) => {
                assert_eq!(refusals[0].object, Object::Table { family: Family::Inet });
                assert!(refusals[0].to_string().contains("owned by another process"), "{}", refusals[0]);
            }
            other => panic!("{other:?}"),
        }
        drop(orders);
        owner.wait().unwrap();
        // The kernel takes the table away with its owner.
        kernel.commit(&from_nothing(&everything()), None).unwrap();
        assert_holds(&mut kernel, &everything());
    });
}

/// Somebody moves an element to and fro between two sets, each time in one transaction. No dump sees both or neither.
#[test]
fn a_dump_is_of_one_generation() {
    let [here, there] = [("nodes6", "low4"), ("low4", "nodes6")].map(|(with, without)| {
        let mut ruleset = everything();
        let sets = &mut ruleset.tables.get_mut(&Family::Inet).unwrap().sets;
        sets.get_mut(without).unwrap().elements.clear();
        assert!(!sets[with].elements.is_empty());
        ruleset
    });
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.commit(&from_nothing(&here), None).unwrap();
        let done = AtomicBool::new(false);
        // Whoever is slow to read is not overrun: on a busy machine a dump may take longer than the time between two moves.
        let (moves, pause) = (AtomicU32::new(0), AtomicU64::new(10));
        thread::scope(|scope| {
            let mover = scope.spawn(|| {
                let mut mover = Kernel::open().unwrap();
                let (mut from, mut to) = (&here, &there);
                while !done.load(Ordering::Relaxed) {
                    mover.commit(&diff(from, to), None).unwrap();
                    (from, to) = (to, from);
                    moves.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_millis(pause.load(Ordering::Relaxed)));
                }
            });
            let mut seen = Vec::new();
            for attempt in 0..100 {
                match kernel.dump() {
                    Ok(dump) => seen.push(dump.ruleset),
                    Err(_) => {
                        let longer = pause.load(Ordering::Relaxed).saturating_mul(2).min(640);
                        pause.store(longer, Ordering::Relaxed);
                    }
                }
                if attempt >= 14 && moves.load(Ordering::Relaxed) > 5 {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(seen.len() > 3, "hardly ever settled: {}", seen.len());
            assert!(seen.iter().all(|ruleset| *ruleset == here || *ruleset == there));
            mover.join().unwrap();
        });
        let moves = moves.into_inner();
        assert!(moves > 5, "it was quiet: {moves} moves");
    });
}
