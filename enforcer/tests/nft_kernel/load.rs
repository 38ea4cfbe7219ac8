//! Large sets, and how long things take. The times are printed (`--nocapture`) and bounded loosely.

use crate::support::*;
use compiler::{
    delta::{Delta, Op},
    ir::*,
};
use enforcer::nft::{Backend, Kernel};
use std::{net::Ipv4Addr, time::Instant};

const MANY: u32 = 100_000;

fn address(n: u32) -> Key {
    Key::address(Ipv4Addr::from(0x0a00_0000 + n).into())
}

fn table_with(name: &str, set: Set) -> Ruleset {
    let table = Table { sets: [(name.into(), set)].into(), ..Table::default() };
    Ruleset { tables: [(Family::Inet, table)].into() }
}

#[test]
fn a_set_of_100_000_elements_loads_reads_back_and_goes() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let comment = |n| {
            Some(Box::new(Attributes {
                comment: Some(format!("ns-{n}/pod-{n}").into()),
                ..Default::default()
            }))
        };
        let spec = SetSpec::plain(&[DataType::Ipv4Addr]).with_size(MANY + 1);
        let ruleset = table_with("many", set(spec.clone(), (0..MANY).map(|n| (address(n), comment(n)))));
        let start = Instant::now();
        let commit = kernel.commit(&from_nothing(&ruleset), None).unwrap();
        println!(
            "load of {MANY} elements: {:?}, of it the kernel's {:?}, {} bytes",
            start.elapsed(),
            commit.took,
            commit.bytes
        );
        let start = Instant::now();
        let dump = assert_holds(&mut kernel, &ruleset);
        println!("dump of them, and comparing: {:?}", start.elapsed());
        let one = Op::AddElements {
            family: Family::Inet,
            set: "many".into(),
            spec,
            elements: vec![(address(MANY), None)],
        };
        let start = Instant::now();
        let commit = kernel.commit(&Delta { ops: vec![one] }, Some(dump.generation)).unwrap();
        println!("one more element: {:?}, of it the kernel's {:?}", start.elapsed(), commit.took);
        assert!(start.elapsed().as_millis() < 100);
        kernel.commit(&to_nothing(&ruleset), None).unwrap();
        assert_holds(&mut kernel, &Ruleset::default());
    });
}

#[test]
fn a_set_of_20_000_ranges_loads_and_reads_back() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let range = |n: u32| {
            let end = Some(address(4 * n + n % 4));
            (address(4 * n), Some(Box::new(Attributes { end, ..Default::default() })))
        };
        let ruleset =
            table_with("ranges", set(SetSpec::intervals(DataType::Ipv4Addr), (0..20_000).map(range)));
        kernel.commit(&from_nothing(&ruleset), None).unwrap();
        assert_holds(&mut kernel, &ruleset);
    });
}

#[test]
fn one_element_more_or_less_is_committed_at_once() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let spec = SetSpec::plain(&[DataType::Ipv4Addr]).with_size(1024);
        let ruleset = table_with("few", set(spec.clone(), (0..100).map(|n| (address(n), None))));
        kernel.commit(&from_nothing(&ruleset), None).unwrap();
        let elements = vec![(address(1000), None)];
        let (family, set) = (Family::Inet, Name::from("few"));
        let add =
            Op::AddElements { family, set: set.clone(), spec: spec.clone(), elements: elements.clone() };
        let delete = Op::DeleteElements { family, set, spec, elements };
        let mut times = Vec::new();
        for _ in 0..200 {
            for op in [&add, &delete] {
                let start = Instant::now();
                kernel.commit(&Delta { ops: vec![op.clone()] }, None).unwrap();
                times.push(start.elapsed());
            }
        }
        times.sort();
        println!("one element: median {:?}, 99 % {:?}", times[200], times[396]);
        assert!(times[200].as_millis() < 20);
        assert_holds(&mut kernel, &ruleset);
    });
}
