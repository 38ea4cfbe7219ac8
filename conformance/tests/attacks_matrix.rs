//! Honest traffic under policies, each case a test of its own in three rounds on one lab: `open::…` without our tables,
//! where everything gets through; `guarded::…` with them; `reloaded::…` with what nft lists of them. Needs root.

use conformance::{
    attack::{
        Cast, Ground, Installed,
        matrix::{self, Case},
    },
    lab::{Family, LabError},
    probe::Outcome,
};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{
    process::ExitCode,
    sync::{Arc, OnceLock},
};

/// Whether a case is to get through in a round.
type Want = fn(&Case) -> bool;

const ROUNDS: [(&str, Want); 3] =
    [("open", |_| true), ("guarded", |case| case.allowed), ("reloaded", |case| case.allowed)];

/// What became of every case in every round.
type Results = Arc<OnceLock<Result<[Vec<Outcome>; 3], String>>>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let results = Results::default();
    let mut trials = Vec::new();
    for (number, (family, case)) in cases(&Cast::imagined()).into_iter().enumerate() {
        for (round, (name, want)) in ROUNDS.into_iter().enumerate() {
            let (results, case) = (results.clone(), case.clone());
            let title = format!("{name}::{}", title(family, &case));
            trials.push(Trial::test(title, move || {
                let rounds = results.get_or_init(|| all_rounds().map_err(|error| error.to_string()));
                let outcome = rounds.as_ref()?[round][number];
                let wanted = if want(&case) { Outcome::Allowed } else { Outcome::Dropped };
                let fault = || Failed::from(format!("{} is {outcome}, should be {wanted}", case.probe));
                if outcome == wanted { Ok(()) } else { Err(fault()) }
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn title(family: Family, case: &Case) -> String {
    format!("{} {}", family.pick("IPv4", "IPv6"), case.name)
}

fn cases(cast: &Cast) -> Vec<(Family, Case)> {
    let of = |family| matrix::cases(cast, family).into_iter().map(move |case| (family, case));
    Family::BOTH.into_iter().flat_map(of).collect()
}

fn all_rounds() -> Result<[Vec<Outcome>; 3], LabError> {
    let ground = Ground::raise("matrix")?;
    let lab = &ground.lab;
    matrix::set_services(lab, &ground.cast)?;
    let cases: Vec<Case> = cases(&ground.cast).into_iter().map(|(_, case)| case).collect();
    let open = matrix::ask(lab, &cases)?;
    let tables = Installed::install(lab)?;
    // A flow of the last round would be judged as an established one.
    ground.forget()?;
    let guarded = matrix::ask(lab, &cases)?;
    tables.reload_own_listing()?;
    ground.forget()?;
    Ok([open, guarded, matrix::ask(lab, &cases)?])
}
