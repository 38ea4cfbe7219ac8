//! The kernel in memory fails when it is told to, and is otherwise what it was. No privileges are needed.

use crate::{rulesets::everything, support::*};
use compiler::{
    delta::{Delta, Op},
    ir::*,
};
use enforcer::nft::{
    Backend, Counter, Error, Foreign, Object,
    fake::{Fake, Fault},
};
use nix::errno::Errno;

const FAMILY: Family = Family::Inet;

fn loaded() -> Fake {
    let mut fake = Fake::new();
    fake.commit(&from_nothing(&everything()), None).unwrap();
    fake
}

fn one_more(name: &str) -> Delta {
    Delta { ops: vec![Op::AddCounter { family: FAMILY, name: name.into() }] }
}

#[test]
fn each_fault_hits_one_commit() {
    let mut fake = loaded();
    let generation = fake.dump().unwrap().generation;
    for fault in [Fault::Refuse(0, Errno::ENOMEM), Fault::NoBuffers { committed: false }, Fault::Permission] {
        fake.inject(fault);
        assert!(fake.commit(&one_more("more"), Some(generation)).is_err());
        assert_same(&fake.ruleset(), &everything());
    }
    fake.inject(Fault::Restart);
    let restart = fake.commit(&one_more("more"), Some(generation));
    assert!(matches!(restart, Err(Error::Restart(g)) if g == generation), "{restart:?}");
    let now = fake.dump().unwrap().generation;
    assert_eq!(fake.commit(&one_more("more"), Some(now)).unwrap().generation, now + 1);
    assert_eq!((fake.transactions(), fake.refused()), (2, 4));
}

#[test]
fn an_injected_refusal_names_the_operation() {
    let mut fake = loaded();
    fake.inject(Fault::Refuse(1, Errno::ENOMEM));
    let delta = Delta { ops: [one_more("more").ops, one_more("even-more").ops].concat() };
    match fake.commit(&delta, None) {
        Err(Error::Refused(refusals)) => {
            let object = Object::Counter { family: FAMILY, name: "even-more".into() };
            assert_eq!((refusals.len(), &refusals[0].object, refusals[0].op), (1, &object, 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_lost_answer_may_stand_for_a_commit() {
    let mut fake = loaded();
    fake.inject(Fault::NoBuffers { committed: true });
    assert!(matches!(fake.commit(&one_more("more"), None), Err(Error::NoBuffers)));
    assert!(fake.ruleset().tables[&FAMILY].counters.contains("more"));
}

#[test]
fn a_flush_and_meddling_make_a_new_generation() {
    let mut fake = loaded();
    let before = fake.dump().unwrap();
    fake.meddle(&one_more("odd")).unwrap();
    assert!(matches!(fake.commit(&one_more("more"), Some(before.generation)), Err(Error::Restart(_))));
    fake.flush();
    let flushed = fake.dump().unwrap();
    assert_eq!((flushed.ruleset.tables.len(), flushed.generation), (0, before.generation + 2));
}

#[test]
fn what_is_foreign_goes_with_its_table() {
    let mut fake = loaded();
    let object = Object::Rule { family: FAMILY, chain: "deny".into(), index: 9 };
    fake.put_foreign(Foreign { object, what: "accept".into() });
    let dump = fake.dump().unwrap();
    assert_eq!(dump.foreign.len(), 1);
    let delta = dump.delta_to(&everything());
    assert_eq!(delta.ops[0], Op::DeleteTable { family: FAMILY });
    fake.commit(&delta, Some(dump.generation)).unwrap();
    assert_eq!(fake.dump().unwrap().foreign, []);
    assert_same(&fake.ruleset(), &everything());
}

#[test]
fn a_clone_is_a_second_handle() {
    let (mut fake, handle) = {
        let fake = loaded();
        (fake.clone(), fake)
    };
    handle.count(FAMILY, "denied", Counter { packets: 3, bytes: 180 });
    assert_eq!(fake.counters().unwrap()[&(FAMILY, Name::from("denied"))].packets, 3);
    assert_eq!(fake.counters().unwrap().len(), 4);
}
