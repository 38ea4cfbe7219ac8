//! Who else may hold this node's tables: no second `policyd`, and none of a later version's without a word.

mod support;

use nix::sys::signal::Signal;
use std::process::Command;
use support::{Node, shop, succeed};

#[test]
fn a_second_policyd_is_refused_and_changes_nothing() {
    let node = Node::new("second");
    node.write("shop.yaml", &shop());
    let mut first = node.start("");
    let before = node.nft("--stateless list ruleset");
    let other = "run --unknown-pods allow";
    for command in [other, &format!("{other} --http 127.0.0.1:0"), &format!("{other} --once"), "cleanup"] {
        let ended = node.policyd(command);
        assert_eq!(ended.status, 1, "{command}: {ended:?}");
        let said = ended.said();
        assert!(said.contains("another policyd runs in this network namespace"), "{command}: {said}");
    }
    assert_eq!(node.nft("--stateless list ruleset"), before);
    // What the message says finds it.
    let sockets = succeed(Command::new("ss").args(["--unix", "--all", "--processes"]));
    let line = sockets.lines().find(|line| line.contains("palisade/policyd")).expect("its socket");
    assert!(line.contains(r#"(("policyd",pid="#), "{line}");
    assert_eq!(node.policyd("run --dry-run").status, 0, "who changes nothing may look");

    // However the first one ends, the next one need not wait.
    assert_eq!(first.stop(Signal::SIGKILL), None);
    let mut next = node.start("");
    assert!(next.log().contains("operations=0"), "{}", next.log());
    assert_eq!(next.stop(Signal::SIGTERM), Some(0));
    assert_eq!(node.policyd("cleanup").status, 0);
}

#[test]
fn tables_of_a_later_layout_are_left_in_force_and_said() {
    let node = Node::new("later");
    node.write("shop.yaml", &shop());
    node.nft("add table inet palisade");
    node.nft("add chain inet palisade layout-2");
    node.nft("add chain inet palisade judge { type filter hook forward priority 10; policy drop; }");
    let before = node.nft("list ruleset");
    for command in ["run", "run --once"] {
        let ended = node.policyd(command);
        assert_eq!(ended.status, 1, "{command}: {ended:?}");
        let said = ended.said();
        assert!(said.contains("have layout 2, which this policyd does not know"), "{command}: {said}");
    }
    assert_eq!(node.nft("list ruleset"), before);

    // Who means it takes them away.
    assert!(node.policyd("cleanup").out.contains("removed  table inet palisade"));
    assert!(node.policyd("run --once").out.starts_with("in force: 3 objects"));
    assert_eq!(node.policyd("cleanup").status, 0);
}
