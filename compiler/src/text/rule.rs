//! Rules and statements.

use super::value::{PROTOCOLS, hex, interface, quoted, value};
use crate::ir::{CmpOp, CtStates, DataType, Family, Field, Rule, Statement, Verdict};

/// A rule on one line.
#[must_use]
pub fn rule(family: Family, rule: &Rule) -> String {
    let statements = &rule.statements;
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(one) = statements.get(at) {
        let dependencies = statements[at..].iter().take_while(|s| is_dependency(s)).count();
        match statements.get(at + dependencies) {
            Some(target) if dependencies > 0 => {
                let implied = implied(family, &statements[..at + dependencies], target);
                words.extend(statements[at..at + dependencies - implied].iter().map(statement));
                // The port of a protocol that was just left out is named after it.
                let left_out = &statements[at + dependencies - implied..at + dependencies];
                words.push(after(left_out, target));
                at += dependencies + 1;
            }
            _ => {
                words.push(statement(one));
                at += 1;
            }
        }
    }
    words.join(" ")
}

/// A verdict: `goto deny`.
#[must_use]
pub fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Drop => "drop".to_owned(),
        Verdict::Return => "return".to_owned(),
        Verdict::Jump(chain) => format!("jump {chain}"),
        Verdict::Goto(chain) => format!("goto {chain}"),
    }
}

/// One statement, whatever stands before it.
#[must_use]
pub fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Compare(field, op, wanted) => {
            format!("{field}{} {}", operator(*field, *op), value(*field, wanted))
        }
        Statement::Masked(field, mask, op, wanted) => {
            let op = if *op == CmpOp::Eq { "==" } else { "!=" };
            // What nft shows in words under a mask; other values are one number there.
            let in_words = matches!(
                field.data_type(),
                Some(DataType::Ipv4Addr | DataType::Ipv6Addr | DataType::EtherAddr)
            ) || *field == Field::TcpFlags;
            let words = |bytes: &[u8]| if in_words { value(*field, bytes) } else { hex(bytes) };
            format!("{field} & {} {op} {}", words(mask), words(wanted))
        }
        Statement::Prefix(field, start) => prefix(*field, start),
        Statement::Range(field, lo, hi) => {
            format!("{field} {}-{}", value(*field, lo), value(*field, hi))
        }
        Statement::CtState(states) => format!("ct state {}", ct_states(*states)),
        Statement::Lookup { key, set, negate } => {
            format!("{}{} @{set}", concatenation(key), if *negate { " !=" } else { "" })
        }
        Statement::VerdictMap(key, map) => format!("{} vmap @{map}", concatenation(key)),
        Statement::Counter(name) => format!("counter name {name}"),
        Statement::Limit { rate, burst } => format!("limit rate {rate}/second burst {burst} packets"),
        Statement::Log { prefix, group } => format!("log prefix {} group {group}", quoted(prefix)),
        Statement::Verdict(v) => verdict(v),
    }
}

fn concatenation(key: &[Field]) -> String {
    key.iter().map(|f| f.name()).collect::<Vec<_>>().join(" . ")
}

/// Flags alone would mean *any of these*, so equality is written.
fn operator(field: Field, op: CmpOp) -> &'static str {
    match (op, field) {
        (CmpOp::Ne, _) => " !=",
        (CmpOp::Eq, Field::TcpFlags) => " ==",
        (CmpOp::Eq, _) => "",
    }
}

fn prefix(field: Field, start: &[u8]) -> String {
    let padded = |fill: u8| {
        let mut bytes = start.to_vec();
        bytes.resize(field.len(), fill);
        bytes
    };
    match field {
        Field::IifName | Field::OifName => format!("{field} {}", interface(start, true)),
        Field::IpSaddr | Field::IpDaddr | Field::Ip6Saddr | Field::Ip6Daddr | Field::ArpSaddrIp => {
            format!("{field} {}/{}", value(field, &padded(0)), start.len() * 8)
        }
        _ => format!("{field} {}-{}", value(field, &padded(0)), value(field, &padded(0xff))),
    }
}

fn ct_states(states: CtStates) -> String {
    let names = [
        (CtStates::INVALID, "invalid"),
        (CtStates::ESTABLISHED, "established"),
        (CtStates::RELATED, "related"),
        (CtStates::NEW, "new"),
        (CtStates::UNTRACKED, "untracked"),
    ];
    let known: Vec<_> = names.iter().filter(|(s, _)| states.0 & s.0 != 0).map(|(_, name)| *name).collect();
    if known.is_empty() { format!("0x{:x}", states.0) } else { known.join(",") }
}

/// Compares that nft makes by itself before a test that depends on them.
fn is_dependency(statement: &Statement) -> bool {
    matches!(statement, Statement::Compare(Field::NfProto | Field::Protocol | Field::L4Proto, CmpOp::Eq, _))
}

/// How many statements at the end of `before` nft puts before `target` by itself, those and in that order.
fn implied(family: Family, before: &[Statement], target: &Statement) -> usize {
    let port = match target {
        Statement::Compare(field, ..) | Statement::Range(field, ..) => Some(*field),
        Statement::Lookup { key, .. } | Statement::VerdictMap(key, _) if key.len() == 1 => Some(key[0]),
        _ => None,
    };
    // `tcp dport` is `meta l4proto tcp` and `th dport`, in both families.
    if matches!(port, Some(Field::ThSport | Field::ThDport)) && before.last().and_then(transport).is_some() {
        return 1;
    }
    if family == Family::Bridge {
        return 0;
    }
    let fields: &[Field] = match target {
        Statement::Compare(field, ..)
        | Statement::Masked(field, ..)
        | Statement::Prefix(field, _)
        | Statement::Range(field, ..) => std::slice::from_ref(field),
        Statement::Lookup { key, .. } | Statement::VerdictMap(key, _) => key,
        _ => &[],
    };
    // What nft would add after each possible beginning of the rule: the longest run that is just what stands there.
    (1..=before.len().min(2))
        .rev()
        .find(|&n| {
            let (start, end) = before.split_at(before.len() - n);
            required(fields, start).iter().eq(end.iter())
        })
        .unwrap_or(0)
}

/// The compares that nft adds in the inet family for these fields where `start` stands before.
fn required(fields: &[Field], start: &[Statement]) -> Vec<Statement> {
    let mut needed: Vec<Statement> = Vec::new();
    let has = |field: Field, needed: &[Statement]| {
        start.iter().chain(needed).any(|s| matches!(s, Statement::Compare(f, CmpOp::Eq, _) if *f == field))
    };
    for field in fields {
        let (network, transport): (Option<u8>, Option<u8>) = match field {
            Field::IpSaddr | Field::IpDaddr => (Some(2), None),
            Field::Ip6Saddr | Field::Ip6Daddr | Field::Ip6HopLimit => (Some(10), None),
            Field::TcpFlags => (None, Some(6)),
            Field::IcmpType => (Some(2), Some(1)),
            Field::Icmpv6Type => (Some(10), Some(58)),
            _ => (None, None),
        };
        // Where the transport protocol is told already, nft asks for no network protocol.
        let told = transport.is_some() && has(Field::L4Proto, &needed);
        for (field, value) in [(Field::NfProto, network), (Field::L4Proto, transport)] {
            if let Some(value) = value
                && !told
                && !has(field, &needed)
            {
                needed.push(Statement::Compare(field, CmpOp::Eq, Box::new([value])));
            }
        }
    }
    needed
}

/// nft's name of a transport protocol whose ports it can ask for, if the statement tells it.
fn transport(statement: &Statement) -> Option<&'static str> {
    match statement {
        Statement::Compare(Field::L4Proto, CmpOp::Eq, value) => {
            let number = u32::from(*value.first()?);
            PROTOCOLS.iter().find(|(n, _)| *n == number && matches!(n, 6 | 17 | 132)).map(|(_, name)| *name)
        }
        _ => None,
    }
}

/// The statement where `left_out` before it is left out.
fn after(left_out: &[Statement], target: &Statement) -> String {
    let text = statement(target);
    match (left_out.last().and_then(transport), text.strip_prefix("th ")) {
        (Some(protocol), Some(port)) => format!("{protocol} {port}"),
        _ => text,
    }
}
