//! A network namespace for each test, and rulesets to put into it.

use compiler::{
    delta::{Delta, diff},
    ir::*,
};
use enforcer::nft::{Backend, Dump, Kernel};
use nix::sched::{CloneFlags, unshare};
use std::{
    net::IpAddr,
    process::{Command, Output},
    thread,
};

/// Runs a test on a thread of its own, in a network namespace of its own, which goes with the thread.
pub(crate) fn in_namespace<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    in_bare_namespace(|| {
        assert!(command("ip", &["link", "set", "lo", "up"]).status.success());
        test()
    })
}

/// The same, with no interface up.
pub(crate) fn in_bare_namespace<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET)
            .expect("these tests load rulesets into network namespaces that they make: run them as root");
        test()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
}

/// Runs a program in the namespace of the calling thread.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("run {program}: {e}"))
}

/// Runs nft on a script, and gives what it prints.
pub(crate) fn nft(arguments: &[&str]) -> String {
    let output = command("nft", arguments);
    assert!(output.status.success(), "nft {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `nft -f` of a text.
pub(crate) fn nft_load(text: &str) {
    let file = std::env::temp_dir().join(format!("palisade-nft-{:?}.nft", thread::current().id()));
    std::fs::write(&file, text).unwrap();
    let output = command("nft", &["-f", file.to_str().unwrap()]);
    std::fs::remove_file(&file).unwrap();
    assert!(output.status.success(), "nft -f: {}\n{text}", String::from_utf8_lossy(&output.stderr));
}

/// What loads a ruleset where there is none.
pub(crate) fn from_nothing(to: &Ruleset) -> Delta {
    diff(&Ruleset::default(), to)
}

/// What deletes a ruleset.
pub(crate) fn to_nothing(from: &Ruleset) -> Delta {
    diff(from, &Ruleset::default())
}

/// Reads the tables back, and holds them against what they should be.
pub(crate) fn assert_holds(kernel: &mut Kernel, want: &Ruleset) -> Dump {
    let dump = kernel.dump().unwrap();
    assert_eq!(dump.foreign, []);
    assert_same(&dump.ruleset, want);
    dump
}

/// Compares object by object, so that a difference is readable.
pub(crate) fn assert_same(got: &Ruleset, want: &Ruleset) {
    for family in Family::BOTH {
        let (got, want) = (got.tables.get(&family), want.tables.get(&family));
        let (Some(got), Some(want)) = (got, want) else {
            assert_eq!(got, want, "table {family}");
            continue;
        };
        assert_eq!(got.counters, want.counters, "counters of {family}");
        assert_eq!(
            got.sets.keys().collect::<Vec<_>>(),
            want.sets.keys().collect::<Vec<_>>(),
            "sets of {family}"
        );
        for (name, set) in &want.sets {
            assert_eq!(&got.sets[name], set, "set {name} of {family}");
        }
        assert_eq!(
            got.chains.keys().collect::<Vec<_>>(),
            want.chains.keys().collect::<Vec<_>>(),
            "chains of {family}"
        );
        for (name, chain) in &want.chains {
            assert_eq!(&got.chains[name], chain, "chain {name} of {family}");
        }
    }
}

pub(crate) fn v4(text: &str) -> Key {
    Key::address(text.parse::<IpAddr>().unwrap())
}

/// A range from `first-last`, or a single key.
pub(crate) fn range(text: &str) -> (Key, Option<Box<Attributes>>) {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    (v4(first), Some(Box::new(Attributes { end: Some(v4(last)), ..Attributes::default() })))
}

pub(crate) fn leads_to(key: Key, verdict: Verdict, comment: Option<&str>) -> (Key, Option<Box<Attributes>>) {
    (key, Some(Box::new(Attributes { end: None, verdict: Some(verdict), comment: comment.map(Into::into) })))
}

pub(crate) fn set(spec: SetSpec, elements: impl IntoIterator<Item = (Key, Option<Box<Attributes>>)>) -> Set {
    Set { spec, elements: elements.into_iter().collect() }
}

/// Part of a concatenation: an address.
pub(crate) fn octets(address: &str) -> Vec<u8> {
    v4(address).as_bytes().to_vec()
}
