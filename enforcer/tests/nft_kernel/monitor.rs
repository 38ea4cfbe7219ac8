//! Who has changed what.

use crate::{rulesets::everything, support::*};
use compiler::{
    delta::{Delta, Op},
    ir::*,
};
use enforcer::nft::{Backend, Event, Kernel, Monitor};
use std::{collections::BTreeSet, time::Duration};

fn thread() -> u32 {
    nix::unistd::gettid().as_raw().cast_unsigned()
}

fn next(monitor: &mut Monitor) -> Event {
    monitor.try_next().unwrap().expect("the kernel tells before the call that changes something returns")
}

#[test]
fn a_commit_by_somebody_else_tells_who_made_it_and_what_it_touched() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let mut monitor = Monitor::open(kernel.port()).unwrap();
        assert_eq!(monitor.try_next().unwrap(), None);
        kernel.commit(&from_nothing(&everything()), None).unwrap();
        assert_eq!(monitor.try_next().unwrap(), None, "our own");
        let mut other = Kernel::open().unwrap();
        let counter = Delta { ops: vec![Op::AddCounter { family: Family::Inet, name: "theirs".into() }] };
        let made = other.commit(&counter, None).unwrap();
        match next(&mut monitor) {
            Event::Commit { generation, process, touched, .. } => {
                assert_eq!((generation, process), (made.generation, thread()));
                assert_eq!(touched, BTreeSet::from([Family::Inet]));
            }
            Event::Lost => panic!("lost"),
        }
        assert_eq!(monitor.try_next().unwrap(), None);
        for (script, tables) in [
            ("add table ip other", vec![]),
            ("add rule inet palisade deny accept", vec![Family::Inet]),
            ("add element bridge palisade ports { 7 }", vec![Family::Bridge]),
            (
                "add table inet other; add element inet palisade nodes6 { fd00::5 }; add counter bridge palisade c",
                vec![Family::Inet, Family::Bridge],
            ),
            ("flush ruleset", vec![Family::Inet, Family::Bridge]),
        ] {
            nft_load(&script.replace("; ", "\n"));
            match next(&mut monitor) {
                Event::Commit { name, touched, process, .. } => {
                    assert_eq!(name, "nft", "{script}");
                    assert_ne!(process, thread());
                    assert_eq!(touched, tables.into_iter().collect(), "{script}");
                }
                Event::Lost => panic!("lost"),
            }
        }
        assert_eq!(monitor.try_next().unwrap(), None);
    });
}

#[test]
fn a_refused_commit_and_a_check_are_not_told() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let mut monitor = Monitor::open(0).unwrap();
        kernel.check(&from_nothing(&everything())).unwrap();
        kernel.commit(&to_nothing(&everything()), None).unwrap_err();
        kernel.commit(&Delta::default(), None).unwrap();
        assert_eq!(monitor.try_next().unwrap(), None);
    });
}

fn many(family: Family) -> Ruleset {
    let keys = (0..200_000u32).map(|n| (Key::from_bytes(&n.to_be_bytes()), None));
    let table = Table {
        sets: [("many".into(), set(SetSpec::plain(&[DataType::Ipv4Addr]), keys))].into(),
        ..Table::default()
    };
    Ruleset { tables: [(family, table)].into() }
}

#[test]
fn our_own_large_commit_loses_nothing() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let mut monitor = Monitor::open(kernel.port()).unwrap();
        kernel.commit(&from_nothing(&many(Family::Inet)), None).unwrap();
        assert_eq!(monitor.try_next().unwrap(), None);
        nft_load("add counter inet palisade theirs");
        assert!(matches!(next(&mut monitor), Event::Commit { .. }));
    });
}

#[test]
fn a_flood_by_somebody_else_is_told_as_lost() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let mut monitor = Monitor::open(0).unwrap();
        kernel.commit(&from_nothing(&many(Family::Inet)), None).unwrap();
        let events: Vec<_> = std::iter::from_fn(|| monitor.try_next().unwrap()).collect();
        assert!(events.contains(&Event::Lost), "{events:?}");
        // And it goes on listening.
        kernel.commit(&to_nothing(&many(Family::Inet)), None).unwrap();
        assert!(monitor.try_next().unwrap().is_some());
    });
}

#[test]
fn the_stream_wakes_up() {
    in_namespace(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut kernel = Kernel::open().unwrap();
            let mut stream = Monitor::open(0).unwrap().into_stream().unwrap();
            let quiet = tokio::time::timeout(Duration::from_millis(20), stream.next()).await;
            assert!(quiet.is_err(), "{quiet:?}");
            let made = kernel.commit(&from_nothing(&everything()), None).unwrap();
            let event = tokio::time::timeout(Duration::from_secs(5), stream.next()).await.unwrap().unwrap();
            assert!(matches!(event, Event::Commit { generation, .. } if generation == made.generation));
        });
    });
}
