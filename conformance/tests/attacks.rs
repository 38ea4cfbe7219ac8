//! Every crafted packet, each a test of its own in four rounds on one lab:
//!
//! - `open::…` without our tables, so that each is seen to arrive when nobody stops it;
//! - `guarded::…` with both tables;
//! - `reloaded::…` with both tables as nft lists them, loaded again;
//! - `unguarded::…` with the inet table alone, as on a node that does not know its pods' veths.
//!
//! `untracked-…::…` are the rounds of packets that conntrack is told not to track. Needs root.

use conformance::{
    attack::{self, Attack, Cast, Ground, Installed, Seen, Wanted, catalogue},
    lab::LabError,
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};

/// What a round wants of an attack.
type Want = fn(&Attack) -> Wanted;

/// The rounds in their order: the name, and what is wanted.
const ROUNDS: [(&str, Want); 4] = [
    ("open", Attack::without_tables),
    ("guarded", |attack| attack.wanted),
    ("reloaded", |attack| attack.wanted),
    ("unguarded", |attack| attack.unguarded),
];

/// A list of attacks, and what makes a node ready for it.
struct List {
    prefix: &'static str,
    attacks: fn(&Cast) -> Vec<Attack>,
    /// Loaded on both nodes before all rounds.
    rules: &'static str,
}

const LISTS: [List; 2] = [
    List { prefix: "", attacks: catalogue::all, rules: "" },
    List {
        prefix: "untracked-",
        attacks: catalogue::without_conntrack,
        rules: "table inet untracked { chain prerouting { type filter hook prerouting priority raw; notrack; }; }",
    },
];

/// What every round of a list has seen, made when the first test asks: names can be listed without a lab.
type Results = Arc<OnceLock<Result<[Vec<Seen>; 4], String>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let cast = Cast::imagined();
    let mut trials = Vec::new();
    for list in &LISTS {
        let results = Results::default();
        for attack in (list.attacks)(&cast) {
            for (round, (name, want)) in ROUNDS.into_iter().enumerate() {
                let (results, attack) = (results.clone(), attack.clone());
                let title = format!("{}{name}::{}", list.prefix, attack.name);
                trials.push(Trial::test(title, move || {
                    let rounds = results.get_or_init(|| all_rounds(list).map_err(|e| e.to_string()));
                    let seen = rounds.as_ref()?[round][attack.number];
                    attack.fault(seen, want(&attack)).map_or(Ok(()), |fault| Err(Failed::from(fault)))
                }));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn all_rounds(list: &List) -> Result<[Vec<Seen>; 4], LabError> {
    let ground = Ground::raise("attacks")?;
    let lab = &ground.lab;
    for node in lab.nodes() {
        lab.nft(node.index(), list.rules)?;
    }
    let attacks = (list.attacks)(&ground.cast);
    let round = |number: usize| {
        ground.forget()?;
        attack::run(&ground, &attacks, ROUNDS[number].1)
    };
    let open = round(0)?;
    let tables = Installed::install(lab)?;
    let guarded = round(1)?;
    tables.reload_own_listing()?;
    let reloaded = round(2)?;
    tables.remove()?;
    let _unguarded = Installed::install_with(lab, |config| config.bridge_table = false)?;
    Ok([open, guarded, reloaded, round(3)?])
}
