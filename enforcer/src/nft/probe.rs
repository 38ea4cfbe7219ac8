//! Whether this host's kernel can do what Palisade asks of it.

use super::{error::Error, kernel::Kernel};
use compiler::{delta::diff, ir::*};

/// One thing that was tried.
#[derive(Debug)]
pub struct Finding {
    /// What it is, to be read after "can".
    pub what: &'static str,
    /// Whether it works. [`Error::Refused`] names the object that the kernel did not take.
    pub result: Result<(), Error>,
}

/// The table that is tried and never made.
const TABLE_NAME: &str = "palisade-probe";

/// Tries everything in the network namespace of the calling thread, in transactions that the kernel undoes itself. After
/// the first that fails because of a missing privilege or a missing subsystem, the rest is left out.
#[must_use]
pub fn probe() -> Vec<Finding> {
    let mut kernel = match Kernel::open() {
        Ok(kernel) => kernel,
        Err(error) => {
            return vec![Finding { what: "open a netlink socket of netfilter", result: Err(error) }];
        }
    };
    let mut findings = Vec::new();
    for (what, ruleset) in trials() {
        let result = kernel.check_in(&diff(&Ruleset::default(), &ruleset), TABLE_NAME);
        let hopeless = matches!(result, Err(Error::Permission | Error::Unsupported(_)));
        findings.push(Finding { what, result });
        if hopeless {
            break;
        }
    }
    findings
}

fn trials() -> [(&'static str, Ruleset); 6] {
    let of = |family, table| Ruleset { tables: [(family, table)].into() };
    let inet = |table| of(Family::Inet, table);
    [
        ("make a table in the inet family", inet(Table::default())),
        ("hang chains into forward, input and output", inet(hooks())),
        ("keep maps of verdicts and sets of ranges", inet(sets())),
        ("ask conntrack for state and direction", inet(with_rule(conntrack()))),
        ("count, limit and log", inet(with_rule(effects()))),
        ("guard bridge ports (bridge family)", of(Family::Bridge, bridge())),
    ]
}

fn hooks() -> Table {
    let hooks = [("forward", Hook::Forward), ("input", Hook::Input), ("output", Hook::Output)];
    let chains = hooks.map(|(name, hook)| (name.into(), Chain::base(hook, 0, Vec::new())));
    Table { chains: chains.into(), ..Table::default() }
}

fn sets() -> Table {
    use DataType::{InetProto, InetService, Ipv4Addr};
    let specs = [
        ("map", SetSpec::plain(&[Ipv4Addr]).with_verdicts().with_size(16)),
        ("ranges", SetSpec::intervals(Ipv4Addr)),
        ("ranges-map", SetSpec::intervals(Ipv4Addr).with_verdicts()),
        ("exact", SetSpec::plain(&[Ipv4Addr, InetProto, InetService])),
    ];
    let exact = [Field::IpDaddr, Field::L4Proto, Field::ThDport];
    let rules = vec![
        Rule::new().vmap(Field::IpSaddr, "map"),
        Rule::new().vmap(Field::IpSaddr, "ranges-map"),
        Rule::new().lookup(&[Field::IpSaddr], "ranges").lookup(&exact, "exact").ret(),
    ];
    Table {
        sets: specs.map(|(name, spec)| (name.into(), Set::new(spec))).into(),
        chains: [("chain".into(), Chain::regular(rules))].into(),
        ..Table::default()
    }
}

fn with_rule(rule: Rule) -> Table {
    Table {
        counters: ["counter".into()].into(),
        chains: [("chain".into(), Chain::base(Hook::Forward, 0, vec![rule]))].into(),
        ..Table::default()
    }
}

fn conntrack() -> Rule {
    Rule::new().ct_state(CtStates::ESTABLISHED).ct_direction(true).ret()
}

fn effects() -> Rule {
    Rule::new()
        .counter("counter")
        .then(Statement::Limit { rate: 1, burst: 1 })
        .then(Statement::Log { prefix: "palisade".into(), group: 1 })
}

fn bridge() -> Table {
    let key = [Field::Iif, Field::EtherSaddr, Field::IpSaddr];
    let spec = SetSpec::plain(&[DataType::IfIndex, DataType::EtherAddr, DataType::Ipv4Addr]);
    let rule = Rule::new().equals(Field::EtherType, &[8, 0]).has(&key, "own").drop();
    let chains = [("prerouting", Hook::Prerouting, -300), ("forward", Hook::Forward, -200)];
    Table {
        sets: [("own".into(), Set::new(spec))].into(),
        chains: chains
            .map(|(name, hook, priority)| (name.into(), Chain::base(hook, priority, vec![rule.clone()])))
            .into(),
        ..Table::default()
    }
}
