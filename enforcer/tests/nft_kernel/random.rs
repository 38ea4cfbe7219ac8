//! Random rulesets: any of them can be made of any other, and the kernel in memory agrees with the kernel.

use crate::support::*;
use compiler::{
    delta::{Delta, diff},
    ir::*,
};
use enforcer::nft::{Backend, Error, Kernel, encode, fake::Fake, parse};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::{Index, select, subsequence},
    test_runner::{Config, TestRunner},
};
use std::net::Ipv4Addr;

const SETS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Rules lead only to later chains. The first is entered by the kernel.
const CHAINS: [&str; 5] = ["forward", "one", "two", "three", "four"];
const COUNTERS: [&str; 3] = ["x", "y", "z"];

/// Set kinds by what is asked of them: the fields of the key, ranges, verdicts.
const KINDS: [(&[Field], bool, bool); 8] = [
    (&[Field::IpSaddr], false, false),
    (&[Field::IpSaddr], true, false),
    (&[Field::IpDaddr], false, true),
    (&[Field::IpDaddr], true, true),
    (&[Field::IpSaddr, Field::L4Proto, Field::ThDport], false, false),
    (&[Field::Iif], false, false),
    (&[Field::ThDport], true, false),
    (&[Field::Iif, Field::NdTarget], false, false),
];

#[derive(Clone, Debug)]
struct SetPlan {
    kind: usize,
    sized: bool,
    /// Numbers below 32, each one key or one end of a range.
    keys: Vec<u8>,
    verdicts: Index,
    comments: bool,
}

#[derive(Clone, Debug)]
struct RulePlan {
    tests: Vec<(u8, Index)>,
    verdict: u8,
    to: Index,
}

#[derive(Clone, Debug)]
struct Plan {
    counters: Vec<&'static str>,
    sets: Vec<Option<SetPlan>>,
    chains: Vec<Option<Vec<RulePlan>>>,
}

fn plan() -> impl Strategy<Value = Plan> {
    let set = (0..KINDS.len(), any::<bool>(), vec(0u8..32, 0..12), any::<Index>(), any::<bool>()).prop_map(
        |(kind, sized, keys, verdicts, comments)| SetPlan { kind, sized, keys, verdicts, comments },
    );
    let rule = (vec((any::<u8>(), any::<Index>()), 0..4), any::<u8>(), any::<Index>())
        .prop_map(|(tests, verdict, to)| RulePlan { tests, verdict, to });
    (
        subsequence(COUNTERS.to_vec(), 0..=3),
        vec(option::of(set), SETS.len()),
        vec(option::of(vec(rule, 0..4)), CHAINS.len()),
    )
        .prop_map(|(counters, sets, chains)| Plan { counters, sets, chains })
}

fn family() -> impl Strategy<Value = Option<Plan>> {
    option::weighted(0.9, plan())
}

fn ruleset() -> impl Strategy<Value = Ruleset> {
    (family(), family()).prop_map(|plans| {
        let tables = Family::BOTH.into_iter().zip([plans.0, plans.1]);
        Ruleset { tables: tables.filter_map(|(family, plan)| Some((family, plan?.table(family)))).collect() }
    })
}

impl Plan {
    fn table(&self, family: Family) -> Table {
        let mut table =
            Table { counters: self.counters.iter().map(|&c| c.into()).collect(), ..Table::default() };
        let chains: Vec<_> = CHAINS.iter().zip(&self.chains).filter(|(_, plan)| plan.is_some()).collect();
        for (name, plan) in SETS.iter().zip(&self.sets) {
            if let Some(plan) = plan {
                // Elements lead to the last chain, which leads nowhere by itself.
                let last = chains.last().map(|(name, _)| **name).filter(|&name| name != CHAINS[0]);
                table.sets.insert((*name).into(), plan.set(last));
            }
        }
        for (at, (name, plan)) in chains.iter().enumerate() {
            let later: Vec<&str> = chains[at + 1..].iter().map(|(name, _)| **name).collect();
            let is_last = at + 1 == chains.len();
            let rules =
                plan.iter().flatten().map(|rule| rule.rule(&table, &later, is_last, family)).collect();
            let chain = if **name == CHAINS[0] {
                Chain::base(Hook::Forward, 0, rules)
            } else {
                Chain::regular(rules)
            };
            table.chains.insert((**name).into(), chain);
        }
        table
    }
}

impl SetPlan {
    fn set(&self, chain: Option<&str>) -> Set {
        let (fields, interval, verdicts) = KINDS[self.kind];
        let key = fields.iter().map(|f| f.data_type().unwrap()).collect();
        let size = self.sized.then_some(64);
        let mut set = Set::new(SetSpec { key, interval, verdicts, size });
        let mut keys = self.keys.clone();
        keys.sort_unstable();
        keys.dedup();
        for pair in keys.chunks(if interval { 2 } else { 1 }) {
            let (first, last) = (pair[0], *pair.last().unwrap());
            let verdict = match (chain, (usize::from(first) + self.verdicts.index(4)) % 4) {
                (Some(chain), 0) => Verdict::Goto(chain.into()),
                (Some(chain), 1) => Verdict::Jump(chain.into()),
                (_, 2) => Verdict::Drop,
                _ => Verdict::Return,
            };
            let attributes = Attributes {
                end: interval.then(|| key_of(fields, last)),
                verdict: verdicts.then_some(verdict),
                comment: self.comments.then(|| format!("number {first}").into()),
            };
            let attributes = (attributes != Attributes::default()).then(|| Box::new(attributes));
            set.elements.insert(key_of(fields, first), attributes);
        }
        set
    }
}

/// The first and the last number are the first and the last key there is; the others are neighbours.
fn key_of(fields: &[Field], number: u8) -> Key {
    let part = |field: &Field| match (field, number) {
        (Field::IpSaddr | Field::IpDaddr, 0) => vec![0; 4],
        (Field::IpSaddr | Field::IpDaddr, 31) => vec![0xff; 4],
        (Field::IpSaddr | Field::IpDaddr, n) => Ipv4Addr::new(10, 0, n / 2, 255 * (n % 2)).octets().into(),
        (Field::ThDport, 0) => vec![0; 2],
        (Field::ThDport, 31) => vec![0xff; 2],
        (Field::ThDport, n) => u16::from(n).to_be_bytes().into(),
        (Field::L4Proto, n) => vec![[6, 17, 132][usize::from(n) % 3]],
        (Field::Iif, n) => u32::from(n).to_ne_bytes().into(),
        (_, n) => vec![n; field.len()],
    };
    match fields {
        [single] => Key::from_bytes(&part(single)),
        parts => parts.iter().fold(Key::default(), |key, field| key.then(&part(field))),
    }
}

impl RulePlan {
    fn rule(&self, table: &Table, later: &[&str], is_last: bool, family: Family) -> Rule {
        let mut rule =
            self.tests.iter().fold(Rule::new(), |rule, &what| test(rule, what, table, is_last, family));
        if rule.statements.iter().any(|s| matches!(s, Statement::VerdictMap(..))) {
            // A verdict after a look-up of a verdict would never count.
            return rule;
        }
        rule = match (self.verdict % 5, later) {
            (0, _) => rule.drop(),
            (1, _) => rule.ret(),
            (_, []) => rule,
            (2, _) => rule.jump(later[self.to.index(later.len())]),
            (3, _) => rule.goto(later[self.to.index(later.len())]),
            _ => rule,
        };
        rule
    }
}

fn test(rule: Rule, (kind, index): (u8, Index), table: &Table, is_last: bool, family: Family) -> Rule {
    let number = index.index(200) as u8;
    match kind % 9 {
        0 => rule.is(Field::ThDport, &[0, number]),
        1 => rule.l4proto(number),
        2 if family == Family::Bridge => rule,
        2 => rule.ct_state(CtStates::NEW),
        3 => rule.then(Statement::Range(Field::ThSport, Box::new([0, number]), Box::new([1, number]))),
        4 => rule.interface(Field::IifName, &format!("veth{number}")),
        5 => rule.then(Statement::Masked(Field::TcpFlags, Box::new([number]), CmpOp::Eq, Box::new([0]))),
        6 if !table.counters.is_empty() => {
            let counters: Vec<_> = table.counters.iter().collect();
            rule.counter(counters[index.index(counters.len())])
        }
        _ if table.sets.is_empty() => rule,
        _ => {
            let sets: Vec<_> = table.sets.iter().collect();
            let (name, set) = *index.get(&sets);
            let (fields, ..) = KINDS
                .iter()
                .find(|(fields, interval, verdicts)| {
                    let types = fields.iter().map(|f| f.data_type().unwrap());
                    types.eq(set.spec.key.iter().copied())
                        && (*interval, *verdicts) == (set.spec.interval, set.spec.verdicts)
                })
                .unwrap();
            match (set.spec.verdicts, is_last) {
                (false, _) if number.is_multiple_of(4) => rule.lookup_not(fields, name),
                (false, _) => rule.lookup(fields, name),
                // The last chain is where elements lead: it may not ask them.
                (true, true) => rule,
                (true, false) if rule.statements.iter().any(|s| matches!(s, Statement::VerdictMap(..))) => {
                    rule
                }
                (true, false) => rule.vmap(fields[0], name),
            }
        }
    }
}

fn run<S: Strategy>(cases: u32, strategy: &S, mut test: impl FnMut(S::Value)) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let test = std::cell::RefCell::new(&mut test);
    runner
        .run(strategy, |value| {
            (test.borrow_mut())(value);
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}

/// Whatever the kernel holds, afterwards it holds this.
fn make(kernel: &mut Kernel, want: &Ruleset) {
    let dump = kernel.dump().unwrap();
    assert_eq!(dump.foreign, []);
    kernel.commit(&dump.delta_to(want), Some(dump.generation)).unwrap();
    assert_holds(kernel, want);
}

#[test]
fn any_ruleset_becomes_any_other_in_one_transaction() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        run(100, &(ruleset(), ruleset()), |(from, to)| {
            make(&mut kernel, &from);
            kernel.commit(&diff(&from, &to), None).unwrap();
            assert_holds(&mut kernel, &to);
        });
    });
}

/// The same sets with other elements: ranges give way to ranges that overlap them.
#[test]
fn elements_are_replaced_by_others_in_one_transaction() {
    let elements = || vec(0u8..32, 0..16);
    let strategy = (0..KINDS.len(), elements(), elements(), elements(), any::<[Index; 3]>());
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        run(120, &strategy, |(kind, a, b, c, verdicts)| {
            for (keys, verdicts) in [a, b, c].into_iter().zip(verdicts) {
                let plan = SetPlan { kind, sized: false, keys, verdicts, comments: false };
                let plan =
                    Plan { counters: vec![], sets: vec![Some(plan)], chains: vec![None, Some(vec![])] };
                make(&mut kernel, &Ruleset { tables: [(Family::Inet, plan.table(Family::Inet))].into() });
            }
        });
    });
}

#[test]
fn what_is_encoded_is_parsed_as_the_same() {
    run(500, &ruleset(), |ruleset| {
        let dump = parse(&encode(&from_nothing(&ruleset)).unwrap()).unwrap();
        assert_eq!(dump.foreign, []);
        assert_same(&dump.ruleset, &ruleset);
    });
}

/// Something done to the operations of a good Delta.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Drop,
    Twice,
    Swap,
    Nothing,
}

fn damaged(mut delta: Delta, damage: Damage, at: Index, other: Index) -> Delta {
    if delta.ops.is_empty() {
        return delta;
    }
    let (at, other) = (at.index(delta.ops.len()), other.index(delta.ops.len()));
    match damage {
        Damage::Drop => drop(delta.ops.remove(at)),
        Damage::Twice => delta.ops.insert(other, delta.ops[at].clone()),
        Damage::Swap => delta.ops.swap(at, other),
        Damage::Nothing => {}
    }
    delta
}

/// Without the tables in which a set is of another kind than afterwards: elements that meet a set of another kind are
/// not what a Delta can come to.
fn with_the_same_kinds(mut from: Ruleset, to: &Ruleset) -> Ruleset {
    from.tables.retain(|family, table| {
        let after = |name| to.tables.get(family)?.sets.get(name);
        table.sets.iter().all(|(name, set)| after(name).is_none_or(|a: &Set| a.spec == set.spec))
    });
    from
}

#[test]
fn the_kernel_in_memory_takes_and_refuses_what_the_kernel_does() {
    let damage = select(&[Damage::Drop, Damage::Twice, Damage::Swap, Damage::Nothing][..]);
    let strategy = (ruleset(), ruleset(), damage, any::<Index>(), any::<Index>());
    let mut refused = 0;
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        run(150, &strategy, |(from, to, damage, at, other)| {
            let from = with_the_same_kinds(from, &to);
            make(&mut kernel, &from);
            let mut fake = Fake::new();
            fake.commit(&from_nothing(&from), None).unwrap();
            let delta = damaged(diff(&from, &to), damage, at, other);
            match (kernel.commit(&delta, None), fake.commit(&delta, None)) {
                (Ok(_), Ok(_)) => {}
                (Err(Error::Refused(by_kernel)), Err(Error::Refused(by_fake))) => {
                    refused += 1;
                    let first = |refusals: &[enforcer::nft::Refusal]| (refusals[0].op, refusals[0].errno);
                    assert_eq!(first(&by_kernel), first(&by_fake), "{by_kernel:#?}\n{by_fake:#?}");
                }
                (by_kernel, by_fake) => panic!("{damage:?}: {by_kernel:?}, but {by_fake:?}\n{delta:#?}"),
            }
            assert_holds(&mut kernel, &fake.ruleset());
        });
    });
    assert!(refused > 20, "only {refused} were refused");
}
