//! Each guard's switch on real packets: every crafted packet is sent with all guards on, with each of them switched off in
//! a running ruleset, and with all on again. Without a guard exactly those pass that it alone stops. Needs root.

use conformance::{
    attack::{self, Attack, Ground, Installed, Wanted, catalogue, catalogue::Guard},
    lab::LabError,
};

fn wanted(attack: &Attack, off: Option<Guard>) -> Wanted {
    match attack.guard {
        Some(_) if attack.guard == off => Wanted::Passes,
        _ => attack.wanted,
    }
}

#[test]
fn a_guard_that_is_off_lets_its_packets_pass_and_no_others() -> Result<(), LabError> {
    let ground = Ground::raise("switches")?;
    let attacks = catalogue::all(&ground.cast);
    let mut tables = Installed::install(&ground.lab)?;
    let mut faults = Vec::new();
    let rounds = [None].into_iter().chain(Guard::ALL.map(Some)).chain([None]);
    for off in rounds {
        tables.switch(|config| config.guards = off.map(Guard::off).unwrap_or_default())?;
        ground.forget()?;
        let wrong = attack::faults(&ground, &attacks, |attack| wanted(attack, off))?;
        faults.extend(wrong.into_iter().map(|fault| format!("without {off:?}: {fault}")));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    for guard in Guard::ALL {
        assert!(attacks.iter().any(|attack| attack.guard == Some(guard)), "{guard:?} stops nothing");
    }
    Ok(())
}
