//! What the kernel refuses is named, and leaves it as it was. The kernel in memory refuses the same, for the same reason.

use crate::{rulesets::everything, support::*};
use compiler::{
    delta::{Delta, Op},
    ir::*,
};
use enforcer::nft::{Backend, Error, Kernel, Object, Refusal, fake::Fake};
use nix::errno::Errno;

const FAMILY: Family = Family::Inet;

fn name(text: &str) -> Name {
    text.into()
}

/// The refusals of a Delta, by the kernel and by the fake, once both have shown that nothing has happened.
fn refused(ops: Vec<Op>) -> [Vec<Refusal>; 2] {
    let delta = Delta { ops };
    let load = from_nothing(&everything());
    let mut fake = Fake::new();
    fake.commit(&load, None).unwrap();
    let by_fake = refusals(&mut fake, &delta);
    assert_same(&fake.ruleset(), &everything());
    let by_kernel = in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.commit(&load, None).unwrap();
        let refusals = refusals(&mut kernel, &delta);
        assert_holds(&mut kernel, &everything());
        refusals
    });
    [by_kernel, by_fake]
}

fn refusals(backend: &mut impl Backend, delta: &Delta) -> Vec<Refusal> {
    match backend.commit(delta, None) {
        Err(Error::Refused(refusals)) => refusals,
        other => panic!("not refused: {other:?}"),
    }
}

/// Both refuse this Delta because of its last operation, and nothing else.
fn assert_refused(ops: Vec<Op>, object: &Object, errno: Errno) {
    let op = ops.len() - 1;
    for by in refused(ops) {
        let [refusal] = &by[..] else { panic!("more or less than one refusal: {by:#?}") };
        assert_eq!((&refusal.object, refusal.op, refusal.errno), (object, op, errno), "{refusal}");
    }
}

fn element(set: &str, element: &str) -> Object {
    Object::Element { family: FAMILY, set: name(set), element: element.into() }
}

fn spec(set: &str) -> SetSpec {
    everything().tables[&FAMILY].sets[set].spec.clone()
}

fn add(set: &str, elements: Vec<(Key, Option<Box<Attributes>>)>) -> Op {
    Op::AddElements { family: FAMILY, set: name(set), spec: spec(set), elements }
}

fn delete(set: &str, elements: Vec<(Key, Option<Box<Attributes>>)>) -> Op {
    Op::DeleteElements { family: FAMILY, set: name(set), spec: spec(set), elements }
}

fn rules(chain: &str, rules: Vec<Rule>) -> Op {
    Op::SetRules { family: FAMILY, chain: name(chain), rules }
}

#[test]
fn an_element_that_is_there_already_among_many_new_ones() {
    let many = (0..5000u32).map(|n| Key::address(std::net::Ipv6Addr::from(u128::from(n) + 7).into()));
    let mut elements: Vec<_> = many.map(|key| (key, None)).collect();
    elements.insert(4321, (v4("fd00::1"), None));
    assert_refused(vec![add("nodes6", elements)], &element("nodes6", "fd00::1"), Errno::EEXIST);
}

#[test]
fn a_concatenated_element_that_is_there_already() {
    let key = Key::default().then(&octets("10.244.1.3")).then(&[6]).then(&80u16.to_be_bytes());
    let object = element("out-1-x4", "10.244.1.3 . 6 . 80");
    assert_refused(vec![add("out-1-x4", vec![(key, None)])], &object, Errno::EEXIST);
}

#[test]
fn an_element_of_a_port_and_a_hardware_address_that_is_not_there() {
    let key = Key::default().then(&7u32.to_ne_bytes()).then(&[2, 0, 0, 0, 0, 1]);
    let own = everything().tables[&Family::Bridge].sets["own"].spec.clone();
    let op = Op::DeleteElements {
        family: Family::Bridge,
        set: name("own"),
        spec: own,
        elements: vec![(key, None)],
    };
    let object =
        Object::Element { family: Family::Bridge, set: name("own"), element: "7 . 02:00:00:00:00:01".into() };
    assert_refused(vec![op], &object, Errno::ENOENT);
}

#[test]
fn an_element_that_is_not_there() {
    let ops = vec![delete("nodes6", vec![(v4("fd00::1"), None), (v4("fd00::99"), None)])];
    assert_refused(ops, &element("nodes6", "fd00::99"), Errno::ENOENT);
}

#[test]
fn a_range_that_overlaps_another() {
    let ops = vec![add("out-1-b4", vec![range("10.0.0.128-10.0.3.0")])];
    let [by_kernel, by_fake] = refused(ops);
    for refusals in [&by_kernel, &by_fake] {
        assert_eq!(refusals[0].errno, Errno::EEXIST);
        assert!(refusals[0].object.to_string().contains("10.0.0.128"), "{}", refusals[0]);
        assert!(refusals[0].to_string().contains("overlaps"));
    }
}

#[test]
fn one_element_more_than_the_set_has_room_for() {
    let ports = (2..1026u32).map(|index| (Key::from_bytes(&index.to_ne_bytes()), None)).collect();
    assert_refused(vec![add("ports", ports)], &element("ports", "1025"), Errno::ENFILE);
}

#[test]
fn elements_of_a_set_that_does_not_exist() {
    let op = Op::AddElements {
        family: FAMILY,
        set: name("nowhere"),
        spec: SetSpec::plain(&[DataType::Ipv4Addr]),
        elements: vec![(v4("10.0.0.1"), None)],
    };
    assert_refused(vec![op], &Object::Set { family: FAMILY, name: name("nowhere") }, Errno::ENOENT);
}

#[test]
fn a_verdict_that_leads_to_a_chain_that_does_not_exist() {
    let elements = vec![leads_to(v4("10.244.9.9"), Verdict::Goto(name("nowhere")), None)];
    assert_refused(vec![add("egress4-o", elements)], &element("egress4-o", "10.244.9.9"), Errno::ENOENT);
}

#[test]
fn a_rule_that_names_a_set_that_does_not_exist() {
    let chain = vec![Rule::new().drop(), Rule::new().lookup(&[Field::IpSaddr], "nowhere").drop()];
    let object = Object::Rule { family: FAMILY, chain: name("empty"), index: 1 };
    assert_refused(vec![rules("empty", chain)], &object, Errno::ENOENT);
}

#[test]
fn a_rule_that_names_a_counter_that_does_not_exist() {
    let object = Object::Rule { family: FAMILY, chain: name("empty"), index: 0 };
    assert_refused(vec![rules("empty", vec![Rule::new().counter("nowhere")])], &object, Errno::ENOENT);
}

#[test]
fn a_set_asked_as_if_it_were_a_map() {
    let object = Object::Rule { family: FAMILY, chain: name("empty"), index: 0 };
    let chain = vec![Rule::new().vmap(Field::Ip6Saddr, "nodes6")];
    assert_refused(vec![rules("empty", chain)], &object, Errno::EINVAL);
}

#[test]
fn conntrack_in_the_bridge_family() {
    let op = Op::SetRules {
        family: Family::Bridge,
        chain: name("from-ip4"),
        rules: vec![Rule::new().ct_state(CtStates::NEW).drop()],
    };
    let object = Object::Rule { family: Family::Bridge, chain: name("from-ip4"), index: 0 };
    assert_refused(vec![op], &object, Errno::EPROTO);
}

#[test]
fn a_jump_to_a_chain_that_the_kernel_enters_itself() {
    let object = Object::Rule { family: FAMILY, chain: name("empty"), index: 0 };
    assert_refused(vec![rules("empty", vec![Rule::new().jump("forward")])], &object, Errno::EOPNOTSUPP);
}

#[test]
fn a_chain_that_is_still_led_to() {
    let op = Op::DeleteChain { family: FAMILY, name: name("stray") };
    assert_refused(vec![op], &Object::Chain { family: FAMILY, name: name("stray") }, Errno::EBUSY);
}

#[test]
fn a_set_that_is_still_asked() {
    let op = Op::DeleteSet { family: FAMILY, name: name("nd") };
    assert_refused(vec![op], &Object::Set { family: FAMILY, name: name("nd") }, Errno::EBUSY);
}

#[test]
fn a_counter_that_still_counts() {
    let op = Op::DeleteCounter { family: FAMILY, name: name("stray") };
    assert_refused(vec![op], &Object::Counter { family: FAMILY, name: name("stray") }, Errno::EBUSY);
}

#[test]
fn objects_made_twice_and_objects_deleted_that_do_not_exist() {
    let (set, spec) = (name("nd"), spec("nd"));
    for (op, object, errno) in [
        (Op::AddTable { family: FAMILY }, Object::Table { family: FAMILY }, Errno::EEXIST),
        (
            Op::AddCounter { family: FAMILY, name: name("stray") },
            Object::Counter { family: FAMILY, name: name("stray") },
            Errno::EEXIST,
        ),
        (
            Op::AddSet { family: FAMILY, name: set.clone(), spec },
            Object::Set { family: FAMILY, name: set },
            Errno::EEXIST,
        ),
        (
            Op::AddChain { family: FAMILY, name: name("deny"), base: None },
            Object::Chain { family: FAMILY, name: name("deny") },
            Errno::EEXIST,
        ),
        (
            Op::DeleteChain { family: FAMILY, name: name("nowhere") },
            Object::Chain { family: FAMILY, name: name("nowhere") },
            Errno::ENOENT,
        ),
        (
            Op::DeleteSet { family: FAMILY, name: name("nowhere") },
            Object::Set { family: FAMILY, name: name("nowhere") },
            Errno::ENOENT,
        ),
        (
            Op::DeleteCounter { family: FAMILY, name: name("nowhere") },
            Object::Counter { family: FAMILY, name: name("nowhere") },
            Errno::ENOENT,
        ),
    ] {
        assert_refused(vec![op], &object, errno);
    }
}

#[test]
fn chains_that_call_each_other_in_a_circle() {
    let ops = vec![rules("deny", vec![Rule::new().jump("out-1-o4")])];
    for refusals in refused(ops) {
        assert!(refusals.iter().all(|r| r.errno == Errno::EMLINK), "{refusals:?}");
        assert!(refusals[0].to_string().contains("circle"), "{}", refusals[0]);
    }
}

#[test]
fn good_operations_around_a_bad_one_leave_no_trace() {
    let ops = vec![
        Op::AddChain { family: FAMILY, name: name("fresh"), base: None },
        rules("fresh", vec![Rule::new().drop()]),
        add("nodes6", vec![(v4("fd00::77"), None)]),
        add("egress4-o", vec![leads_to(v4("10.244.7.7"), Verdict::Goto(name("fresh")), None)]),
        Op::DeleteChain { family: FAMILY, name: name("deny") },
    ];
    assert_refused(ops, &Object::Chain { family: FAMILY, name: name("deny") }, Errno::EBUSY);
}

/// More refusals than the socket has room for: it is a refusal all the same, and the socket can be used again.
#[test]
fn a_flood_of_refusals_is_a_refusal() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.commit(&from_nothing(&everything()), None).unwrap();
        let gone = |n| Op::DeleteCounter { family: FAMILY, name: format!("c{n}").into() };
        match kernel.commit(&Delta { ops: (0..60_000).map(gone).collect() }, None) {
            Err(Error::Refused(refusals)) => {
                assert_eq!(refusals[0].object, Object::Counter { family: FAMILY, name: name("c0") });
                assert!(refusals.len() < 60_000, "the buffer has room for all of them: make it more");
            }
            other => panic!("{other:?}"),
        }
        kernel.commit(&Delta { ops: vec![add("nodes6", vec![(v4("fd00::77"), None)])] }, None).unwrap();
    });
}

#[test]
fn a_stale_generation_is_told_apart_from_a_refusal() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let first = kernel.commit(&from_nothing(&everything()), None).unwrap();
        nft(&["add", "table", "ip", "somebody-elses"]);
        let delta = Delta { ops: vec![add("nodes6", vec![(v4("fd00::77"), None)])] };
        let stale = kernel.commit(&delta, Some(first.generation));
        assert!(matches!(stale, Err(Error::Restart(g)) if g == first.generation), "{stale:?}");
        let dump = assert_holds(&mut kernel, &everything());
        let commit = kernel.commit(&delta, Some(dump.generation)).unwrap();
        assert_eq!(commit.generation, dump.generation + 1);
        let nothing = kernel.commit(&Delta::default(), Some(dump.generation));
        assert!(matches!(nothing, Err(Error::Restart(_))), "{nothing:?}");
    });
}

#[test]
fn a_delta_that_comes_to_nothing_is_no_transaction() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let made = kernel.commit(&from_nothing(&everything()), None).unwrap();
        for ops in [vec![], vec![add("nodes6", vec![])]] {
            let commit = kernel.commit(&Delta { ops: ops.clone() }, None).unwrap();
            assert_eq!((commit.generation, commit.messages), (made.generation, 0));
            kernel.check(&Delta { ops }).unwrap();
        }
    });
}

#[test]
fn a_check_finds_what_a_commit_would_and_changes_nothing() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        kernel.check(&from_nothing(&everything())).unwrap();
        assert_holds(&mut kernel, &Ruleset::default());
        let missing = Delta { ops: vec![Op::DeleteTable { family: FAMILY }] };
        assert!(matches!(kernel.check(&missing), Err(Error::Refused(_))));
    });
}

#[test]
fn sets_that_could_not_be_kept_or_listed_are_not_sent() {
    use DataType::{IfIndex, InetProto, Ipv4Addr, Ipv6Addr};
    for (spec, words) in [
        (SetSpec::plain(&[]), "1 to 64 bytes"),
        (SetSpec::plain(&[Ipv6Addr; 5]), "1 to 64 bytes"),
        (SetSpec::plain(&[InetProto; 6]), "more than 5 parts"),
        (SetSpec::intervals(IfIndex), "network order"),
        (SetSpec { interval: true, ..SetSpec::plain(&[Ipv4Addr, Ipv4Addr]) }, "one part"),
        (SetSpec::plain(&[Ipv4Addr]).with_size(0), "room for no element"),
    ] {
        let op = Op::AddSet { family: FAMILY, name: name("fresh"), spec };
        match Fake::new().commit(&Delta { ops: vec![op] }, None) {
            Err(error @ Error::Invalid { .. }) => assert!(error.to_string().contains(words), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn elements_that_do_not_fit_their_set_are_not_sent() {
    let with = |verdict, end, comment: Option<&str>| {
        Some(Box::new(Attributes { verdict, end, comment: comment.map(Into::into) }))
    };
    let long = "x".repeat(128);
    for (set, element, words) in [
        ("nodes6", (v4("10.0.0.1"), None), "length of the key"),
        ("nodes6", (v4("fd00::7"), with(Some(Verdict::Drop), None, None)), "a verdict, in a set"),
        ("nodes6", (v4("fd00::7"), with(None, Some(v4("fd00::8")), None)), "without ranges"),
        ("nodes6", (v4("fd00::7"), with(None, None, Some(&long))), "at most 127 bytes"),
        ("egress4-o", (v4("10.0.0.1"), None), "no verdict, in a map"),
        ("out-1-b4", (v4("10.7.0.1"), None), "no end"),
        ("out-1-b4", (v4("10.7.0.1"), with(None, Some(v4("10.7.0.0")), None)), "ends before it begins"),
    ] {
        match Fake::new().commit(&Delta { ops: vec![add(set, vec![element])] }, None) {
            Err(error @ Error::Invalid { .. }) => assert!(error.to_string().contains(words), "{error}"),
            other => panic!("{other:?}"),
        }
    }
}

/// What has no form in the kernel is found before anything is sent, by the fake too.
#[test]
fn statements_that_could_not_be_read_back_are_not_sent() {
    let compare = |field, value: &[u8]| Statement::Compare(field, CmpOp::Eq, value.into());
    let cases = [
        (compare(Field::ThDport, &[80]), "has 2 bytes"),
        (compare(Field::IcmpType, &[8]), "read back as"),
        (Statement::Prefix(Field::IpSaddr, Box::new([10, 0, 0, 1])), "1 to 3 bytes"),
        (Statement::Prefix(Field::ThSport, Box::new([0])), "read back as"),
        (Statement::Prefix(Field::ThDport, Box::new([0])), "none of Palisade's"),
        (Statement::Prefix(Field::Iif, Box::new([0])), "no prefix"),
        (Statement::Range(Field::Iif, Box::new([0; 4]), Box::new([1; 4])), "host order"),
        (Statement::Limit { rate: 0, burst: 1 }, "needs a rate"),
        (Statement::Log { prefix: "x".repeat(128).into(), group: 1 }, "127 bytes"),
        (Statement::Lookup { key: Box::new([]), set: "nd".into(), negate: false }, "without parts"),
        (
            Statement::Lookup { key: [Field::Ip6Saddr; 5].into(), set: "nd".into(), negate: false },
            "more than 64 bytes",
        ),
    ];
    for (statement, words) in cases {
        let rule = Rule::new().then(statement);
        let delta = Delta { ops: vec![rules("deny", vec![Rule::new(), rule])] };
        match Fake::new().commit(&delta, None) {
            Err(error @ Error::Invalid { .. }) => {
                let text = error.to_string();
                assert!(text.contains("rule 1 of chain deny of inet palisade"), "{text}");
                assert!(text.contains(words), "{text:?} does not say {words:?}");
            }
            other => panic!("{delta:?}: {other:?}"),
        }
    }
}
