//! Statements of the IR and expressions of the kernel, one to one.
//!
//! Both directions are here, side by side. A rule is only ever sent if reading its expressions gives the same statements
//! back, so that what is read later is what was meant.

use super::{
    expression::{Comparison, Expression, WORDS},
    uapi::*,
};
use compiler::ir::{CmpOp, CtStates, Field, Statement};

/// Where the kernel finds a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `NFT_META_*`.
    Meta(u32),
    /// `NFT_CT_*`.
    Conntrack(u32),
    /// Bytes of a header: `NFT_PAYLOAD_*`.
    Payload { base: u32, offset: u32, len: u32 },
}

impl Source {
    const CT_STATE: Self = Self::Conntrack(NFT_CT_STATE);

    fn of(field: Field) -> Self {
        let payload = |base, offset| Self::Payload { base, offset, len: len(field) };
        let link = |offset| payload(NFT_PAYLOAD_LL_HEADER, offset);
        let network = |offset| payload(NFT_PAYLOAD_NETWORK_HEADER, offset);
        let transport = |offset| payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset);
        match field {
            Field::NfProto => Self::Meta(NFT_META_NFPROTO),
            Field::Protocol => Self::Meta(NFT_META_PROTOCOL),
            Field::L4Proto => Self::Meta(NFT_META_L4PROTO),
            Field::IifName => Self::Meta(NFT_META_IIFNAME),
            Field::OifName => Self::Meta(NFT_META_OIFNAME),
            Field::Iif => Self::Meta(NFT_META_IIF),
            Field::Oif => Self::Meta(NFT_META_OIF),
            Field::PktType => Self::Meta(NFT_META_PKTTYPE),
            Field::CtDirection => Self::Conntrack(NFT_CT_DIRECTION),
            Field::EtherDaddr => link(0),
            Field::EtherSaddr => link(6),
            Field::EtherType => link(12),
            Field::ArpOperation => network(6),
            Field::Ip6HopLimit => network(7),
            Field::Ip6Saddr | Field::ArpSaddrEther => network(8),
            Field::IpSaddr => network(12),
            Field::ArpSaddrIp => network(14),
            Field::IpDaddr => network(16),
            Field::Ip6Daddr => network(24),
            Field::ThSport | Field::IcmpType | Field::Icmpv6Type => transport(0),
            Field::ThDport => transport(2),
            Field::NdTarget => transport(8),
            Field::TcpFlags => transport(13),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Payload { len, .. } => len as usize,
            Self::Meta(_) | Self::Conntrack(_) => {
                FIELDS.iter().find(|&&f| Self::of(f) == self).map_or(4, |f| f.len())
            }
        }
    }
}

fn len(field: Field) -> u32 {
    u32::try_from(field.len()).unwrap_or(u32::MAX)
}

const FIELDS: &[Field] = &[
    Field::NfProto,
    Field::Protocol,
    Field::L4Proto,
    Field::IifName,
    Field::OifName,
    Field::Iif,
    Field::Oif,
    Field::PktType,
    Field::CtDirection,
    Field::IpSaddr,
    Field::IpDaddr,
    Field::Ip6Saddr,
    Field::Ip6Daddr,
    Field::Ip6HopLimit,
    Field::ThSport,
    Field::ThDport,
    Field::TcpFlags,
    Field::IcmpType,
    Field::Icmpv6Type,
    Field::EtherType,
    Field::EtherSaddr,
    Field::EtherDaddr,
    Field::ArpOperation,
    Field::ArpSaddrEther,
    Field::ArpSaddrIp,
    Field::NdTarget,
];

/// What earlier tests of a rule say about the headers: the same bytes are one field or another by it.
#[derive(Clone, Copy, Default)]
struct Headers {
    network: Option<Network>,
    icmp: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    Ipv4,
    Ipv6,
    Arp,
    Other,
}

const ICMP: u8 = 1;

impl Headers {
    fn learn(&mut self, statement: &Statement) {
        let Statement::Compare(field, CmpOp::Eq, value) = statement else { return };
        match (field, &**value) {
            (Field::L4Proto, value) => self.icmp = value == [ICMP],
            (Field::NfProto, [2]) | (Field::EtherType | Field::Protocol, [0x08, 0x00]) => {
                self.network = Some(Network::Ipv4);
            }
            (Field::NfProto, [10]) | (Field::EtherType | Field::Protocol, [0x86, 0xdd]) => {
                self.network = Some(Network::Ipv6);
            }
            (Field::EtherType | Field::Protocol, [0x08, 0x06]) => self.network = Some(Network::Arp),
            (Field::NfProto | Field::EtherType | Field::Protocol, _) => self.network = Some(Network::Other),
            _ => {}
        }
    }

    /// Nothing that a rule has tested before speaks against the field. Without any test, IP is assumed rather than ARP,
    /// and ICMPv6 rather than ICMP.
    fn allow(self, field: Field) -> bool {
        match field {
            Field::IpSaddr | Field::IpDaddr => self.network.is_none_or(|n| n == Network::Ipv4),
            Field::Ip6Saddr | Field::Ip6Daddr | Field::Ip6HopLimit => {
                self.network.is_none_or(|n| n == Network::Ipv6)
            }
            Field::ArpSaddrEther | Field::ArpSaddrIp | Field::ArpOperation => {
                self.network == Some(Network::Arp)
            }
            Field::IcmpType => self.icmp,
            Field::Icmpv6Type => !self.icmp,
            _ => true,
        }
    }

    fn field(self, source: Source) -> Option<Field> {
        FIELDS.iter().copied().find(|&f| Source::of(f) == source && self.allow(f))
    }

    /// The address whose first bytes these are.
    fn prefix(self, source: Source) -> Option<Field> {
        use Field::{EtherDaddr, EtherSaddr, Ip6Daddr, Ip6Saddr, IpDaddr, IpSaddr};
        let Source::Payload { base, offset, len } = source else { return None };
        let begins = |field: &Field| match Source::of(*field) {
            Source::Payload { base: b, offset: o, len: whole } => (b, o) == (base, offset) && len < whole,
            Source::Meta(_) | Source::Conntrack(_) => false,
        };
        let addresses = [IpSaddr, IpDaddr, Ip6Saddr, Ip6Daddr, EtherSaddr, EtherDaddr];
        addresses.into_iter().find(|field| begins(field) && self.allow(*field))
    }
}

/// The expressions of a rule, in order.
///
/// # Errors
/// Says which statement has no form in the kernel, or none that could be told from another.
pub(super) fn expressions(statements: &[Statement]) -> Result<Vec<Expression>, String> {
    let mut expressions = Vec::with_capacity(3 * statements.len());
    for statement in statements {
        encode(statement, &mut expressions)?;
    }
    let read = self::statements(&expressions)?;
    match statements.iter().zip(&read).find(|(meant, read)| meant != read) {
        Some((meant, read)) => Err(format!("{meant:?} would be read back as {read:?}")),
        None if read.len() != statements.len() => Err("it would be read back as fewer statements".into()),
        None => Ok(expressions),
    }
}

fn encode(statement: &Statement, to: &mut Vec<Expression>) -> Result<(), String> {
    let check = |field: Field, value: &[u8]| {
        if value.len() == field.len() {
            Ok(())
        } else {
            Err(format!("{field} has {} bytes, the value has {}", field.len(), value.len()))
        }
    };
    let load = |field| Expression::Load { source: Source::of(field), register: 0 };
    let compare =
        |comparison, value: &[u8]| Expression::Compare { register: 0, comparison, value: value.into() };
    let mask = |mask: &[u8]| Expression::Mask { register: 0, mask: mask.into() };
    match statement {
        Statement::Compare(field, op, value) => {
            check(*field, value)?;
            to.extend([load(*field), compare((*op).into(), value)]);
        }
        Statement::Masked(field, bits, op, value) => {
            check(*field, value)?;
            check(*field, bits)?;
            to.extend([load(*field), mask(bits), compare((*op).into(), value)]);
        }
        Statement::Prefix(field, value) => {
            let Source::Payload { base, offset, .. } = Source::of(*field) else {
                return Err(format!("{field} is not of a header, so it has no prefix"));
            };
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            if len == 0 || value.len() >= field.len() {
                return Err(format!("a prefix of {field} has 1 to {} bytes, not {len}", field.len() - 1));
            }
            let source = Source::Payload { base, offset, len };
            to.extend([Expression::Load { source, register: 0 }, compare(Comparison::Equal, value)]);
        }
        Statement::Range(field, low, high) => {
            check(*field, low)?;
            check(*field, high)?;
            if matches!(field, Field::Iif | Field::Oif) {
                return Err(format!("{field} is in host order, so it has no ranges"));
            }
            to.extend([load(*field), compare(Comparison::AtLeast, low), compare(Comparison::AtMost, high)]);
        }
        Statement::CtState(states) => to.extend([
            Expression::Load { source: Source::CT_STATE, register: 0 },
            mask(&states.0.to_ne_bytes()),
            compare(Comparison::NotEqual, &[0; 4]),
        ]),
        Statement::Lookup { key, set, negate } => {
            loads(key, to)?;
            to.push(Expression::Lookup { register: 0, set: set.clone(), verdict: false, negate: *negate });
        }
        Statement::VerdictMap(key, map) => {
            loads(key, to)?;
            to.push(Expression::Lookup { register: 0, set: map.clone(), verdict: true, negate: false });
        }
        Statement::Counter(name) => to.push(Expression::Counter(name.clone())),
        &Statement::Limit { rate, burst } => {
            if rate == 0 || burst == 0 {
                return Err("a limit needs a rate and a burst".into());
            }
            to.push(Expression::Limit { rate, burst });
        }
        Statement::Log { prefix, group } => {
            if prefix.len() > 127 || prefix.contains('\0') {
                return Err("a log prefix has at most 127 bytes and no zero".into());
            }
            to.push(Expression::Log { prefix: prefix.clone(), group: *group });
        }
        Statement::Verdict(verdict) => to.push(Expression::Verdict(verdict.clone())),
    }
    Ok(())
}

fn loads(key: &[Field], to: &mut Vec<Expression>) -> Result<(), String> {
    let mut register = 0;
    for &field in key {
        to.push(Expression::Load { source: Source::of(field), register });
        register += field.len().div_ceil(4);
    }
    match register {
        0 => Err("a key without parts".into()),
        1..=WORDS => Ok(()),
        _ => Err("a key of more than 64 bytes".into()),
    }
}

/// The statements that some expressions are.
///
/// # Errors
/// Says what there is that we never make.
pub(super) fn statements(expressions: &[Expression]) -> Result<Vec<Statement>, String> {
    let mut headers = Headers::default();
    let mut statements = Vec::new();
    let mut rest = expressions;
    while !rest.is_empty() {
        let (statement, taken) = decode(rest, headers)?;
        headers.learn(&statement);
        statements.push(statement);
        rest = &rest[taken..];
    }
    Ok(statements)
}

fn decode(rest: &[Expression], headers: Headers) -> Result<(Statement, usize), String> {
    let unknown = || format!("{:?}, which is none of Palisade's statements", &rest[..rest.len().min(4)]);
    let mut sources = Vec::new();
    let mut word = 0;
    for expression in rest {
        let Expression::Load { source, register } = expression else { break };
        if *register != word {
            return Err(unknown());
        }
        word += source.len().div_ceil(4);
        sources.push(*source);
    }
    let tail = &rest[sources.len()..];
    let statement = match sources[..] {
        [] => effect(&rest[0]).map(|s| (s, 1)),
        [source] if !matches!(tail, [Expression::Lookup { .. }, ..]) => test(source, tail, headers),
        _ => lookup(&sources, tail, headers).map(|s| (s, 1)),
    };
    statement.map(|(s, taken)| (s, sources.len() + taken)).ok_or_else(unknown)
}

fn effect(expression: &Expression) -> Option<Statement> {
    Some(match expression {
        Expression::Counter(name) => Statement::Counter(name.clone()),
        &Expression::Limit { rate, burst } => Statement::Limit { rate, burst },
        Expression::Log { prefix, group } => Statement::Log { prefix: prefix.clone(), group: *group },
        Expression::Verdict(verdict) => Statement::Verdict(verdict.clone()),
        _ => return None,
    })
}

/// A test of what was loaded, and of how many expressions beside the load it is made.
fn test(source: Source, tail: &[Expression], headers: Headers) -> Option<(Statement, usize)> {
    use Expression::{Compare, Mask};
    let whole = || headers.field(source).filter(|f| f.len() == source.len());
    Some(match tail {
        [
            Compare { register: 0, comparison: Comparison::AtLeast, value: low },
            Compare { register: 0, comparison: Comparison::AtMost, value: high },
            ..,
        ] => (Statement::Range(whole()?, low.clone(), high.clone()), 2),
        [Compare { register: 0, comparison, value }, ..] if value.len() == source.len() => {
            let op = comparison.op()?;
            match whole() {
                Some(field) => (Statement::Compare(field, op, value.clone()), 1),
                None if op == CmpOp::Eq => (Statement::Prefix(headers.prefix(source)?, value.clone()), 1),
                None => return None,
            }
        }
        [Mask { register: 0, mask }, Compare { register: 0, comparison, value }, ..]
            if mask.len() == value.len() =>
        {
            let op = comparison.op()?;
            if source == Source::CT_STATE {
                let states = CtStates(u32::from_ne_bytes((**mask).try_into().ok()?));
                (op == CmpOp::Ne && **value == [0; 4]).then_some(())?;
                (Statement::CtState(states), 2)
            } else {
                (Statement::Masked(whole()?, mask.clone(), op, value.clone()), 2)
            }
        }
        _ => return None,
    })
}

fn lookup(sources: &[Source], tail: &[Expression], headers: Headers) -> Option<Statement> {
    let [Expression::Lookup { register: 0, set, verdict, negate }, ..] = tail else { return None };
    let key = sources.iter().map(|&s| headers.field(s)).collect::<Option<Box<[_]>>>()?;
    Some(if *verdict {
        Statement::VerdictMap(key, set.clone())
    } else {
        Statement::Lookup { key, set: set.clone(), negate: *negate }
    })
}

impl Comparison {
    const fn op(self) -> Option<CmpOp> {
        match self {
            Self::Equal => Some(CmpOp::Eq),
            Self::NotEqual => Some(CmpOp::Ne),
            Self::AtMost | Self::AtLeast => None,
        }
    }
}

impl From<CmpOp> for Comparison {
    fn from(op: CmpOp) -> Self {
        match op {
            CmpOp::Eq => Self::Equal,
            CmpOp::Ne => Self::NotEqual,
        }
    }
}
