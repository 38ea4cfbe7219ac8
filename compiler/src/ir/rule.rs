//! Rules: a list of statements, each a test that must hold, an effect, or the verdict at the end.

use super::{Field, Name};
use std::sync::Arc;

/// What becomes of the packet.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[expect(missing_docs, reason = "the variants are nft's words")]
pub enum Verdict {
    Drop,
    Return,
    Jump(Name),
    Goto(Name),
}

/// `==` or `!=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[expect(missing_docs, reason = "the variants are their own names")]
pub enum CmpOp {
    Eq,
    Ne,
}

/// Bits of `ct state`, as the kernel numbers them (`NF_CT_STATE_BIT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct CtStates(pub u32);

impl CtStates {
    /// `invalid`.
    pub const INVALID: Self = Self(1);
    /// `established`.
    pub const ESTABLISHED: Self = Self(2);
    /// `related`.
    pub const RELATED: Self = Self(4);
    /// `new`.
    pub const NEW: Self = Self(8);
    /// `untracked`.
    pub const UNTRACKED: Self = Self(64);
}

/// One statement. Values are as long as the field, in the byte order of [`super::Key`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum Statement {
    /// `FIELD OP value`.
    Compare(Field, CmpOp, #[cfg_attr(feature = "serde", serde(with = "super::bytes"))] Box<[u8]>),
    /// `FIELD & mask OP value`, such as `tcp flags & (fin | syn) != syn`.
    Masked(
        Field,
        #[cfg_attr(feature = "serde", serde(with = "super::bytes"))] Box<[u8]>,
        CmpOp,
        #[cfg_attr(feature = "serde", serde(with = "super::bytes"))] Box<[u8]>,
    ),
    /// `ip6 daddr ff00::/8` and the like: the first `n` bytes of the field are these. nft loads no more than those.
    Prefix(Field, #[cfg_attr(feature = "serde", serde(with = "super::bytes"))] Box<[u8]>),
    /// `FIELD lo-hi`, both included.
    Range(
        Field,
        #[cfg_attr(feature = "serde", serde(with = "super::bytes"))] Box<[u8]>,
        #[cfg_attr(feature = "serde", serde(with = "super::bytes"))] Box<[u8]>,
    ),
    /// `ct state` is one of these.
    CtState(CtStates),
    /// `A . B . C @set`, or `!= @set` where negated.
    Lookup {
        /// Parts of the key.
        key: Box<[Field]>,
        /// A set of the same table.
        set: Name,
        /// Holds where the set does *not* have the key.
        negate: bool,
    },
    /// `A vmap @map`: the verdict of the element; without one the rule does not match.
    VerdictMap(Box<[Field]>, Name),
    /// `counter name X`.
    Counter(Name),
    /// `limit rate N/second burst M packets`: does not match above the rate.
    Limit {
        /// Packets a second.
        rate: u64,
        /// Packets at once.
        burst: u32,
    },
    /// `log prefix "…" group N`.
    Log {
        /// At most 127 bytes.
        prefix: Arc<str>,
        /// NFLOG group.
        group: u16,
    },
    /// The last statement of a rule.
    Verdict(Verdict),
}

/// A rule: every test holds = the effects happen and the verdict counts; the first that fails ends the rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Rule {
    /// In order.
    pub statements: Vec<Statement>,
}

/// `meta nfproto` of IPv4 (`NFPROTO_IPV4`).
const NFPROTO_IPV4: u8 = 2;
/// `meta nfproto` of IPv6 (`NFPROTO_IPV6`).
const NFPROTO_IPV6: u8 = 10;
/// ICMP's protocol number.
const ICMP: u8 = 1;
/// ICMPv6's protocol number.
const ICMPV6: u8 = 58;
/// TCP's protocol number.
const TCP: u8 = 6;

impl Rule {
    /// Without any statement yet: matches every packet and does nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more statement, with nothing before it.
    #[must_use]
    pub fn then(mut self, statement: Statement) -> Self {
        self.statements.push(statement);
        self
    }

    fn require(self, field: Field, value: u8) -> Self {
        let dependency = Statement::Compare(field, CmpOp::Eq, Box::new([value]));
        if self.statements.contains(&dependency) { self } else { self.then(dependency) }
    }

    /// `meta nfproto ipv4`.
    #[must_use]
    pub fn ipv4(self) -> Self {
        self.require(Field::NfProto, NFPROTO_IPV4)
    }

    /// `meta nfproto ipv6`.
    #[must_use]
    pub fn ipv6(self) -> Self {
        self.require(Field::NfProto, NFPROTO_IPV6)
    }

    /// `meta l4proto N`.
    #[must_use]
    pub fn l4proto(self, number: u8) -> Self {
        self.require(Field::L4Proto, number)
    }

    /// What nft puts before a test of this field in the inet family.
    fn dependencies(self, field: Field) -> Self {
        match field {
            Field::IpSaddr | Field::IpDaddr => self.ipv4(),
            Field::Ip6Saddr | Field::Ip6Daddr | Field::Ip6HopLimit => self.ipv6(),
            Field::TcpFlags => self.l4proto(TCP),
            Field::IcmpType => self.ipv4().l4proto(ICMP),
            Field::Icmpv6Type => self.ipv6().l4proto(ICMPV6),
            _ => self,
        }
    }

    /// `FIELD == value`, with what it depends on.
    #[must_use]
    pub fn is(self, field: Field, value: &[u8]) -> Self {
        self.dependencies(field).then(Statement::Compare(field, CmpOp::Eq, value.into()))
    }

    /// `FIELD != value`, with what it depends on.
    #[must_use]
    pub fn is_not(self, field: Field, value: &[u8]) -> Self {
        self.dependencies(field).then(Statement::Compare(field, CmpOp::Ne, value.into()))
    }

    /// `iifname` or `oifname` is exactly this.
    #[must_use]
    pub fn interface(self, field: Field, name: &str) -> Self {
        let mut padded = [0; 16];
        let len = name.len().min(15);
        padded[..len].copy_from_slice(&name.as_bytes()[..len]);
        self.is(field, &padded)
    }

    /// `A . B @set`, with what the fields depend on.
    #[must_use]
    pub fn lookup(self, key: &[Field], set: &str) -> Self {
        self.lookup_with(key, set, false)
    }

    /// `A . B != @set`.
    #[must_use]
    pub fn lookup_not(self, key: &[Field], set: &str) -> Self {
        self.lookup_with(key, set, true)
    }

    fn lookup_with(self, key: &[Field], set: &str, negate: bool) -> Self {
        key.iter().fold(self, |rule, &field| rule.dependencies(field)).then(Statement::Lookup {
            key: key.into(),
            set: set.into(),
            negate,
        })
    }

    /// `A . B @set` with nothing before it. In the bridge family, where a header depends on `meta protocol` or on
    /// `ether type`, the dependency is a statement that the caller puts there.
    #[must_use]
    pub fn has(self, key: &[Field], set: &str) -> Self {
        self.then(Statement::Lookup { key: key.into(), set: set.into(), negate: false })
    }

    /// `A . B != @set` with nothing before it.
    #[must_use]
    pub fn has_not(self, key: &[Field], set: &str) -> Self {
        self.then(Statement::Lookup { key: key.into(), set: set.into(), negate: true })
    }

    /// `FIELD == value` with nothing before it.
    #[must_use]
    pub fn equals(self, field: Field, value: &[u8]) -> Self {
        self.then(Statement::Compare(field, CmpOp::Eq, value.into()))
    }

    /// `A vmap @map`, with what the field depends on.
    #[must_use]
    pub fn vmap(self, key: Field, map: &str) -> Self {
        self.dependencies(key).then(Statement::VerdictMap([key].into(), map.into()))
    }

    /// `ct state` is one of these.
    #[must_use]
    pub fn ct_state(self, states: CtStates) -> Self {
        self.then(Statement::CtState(states))
    }

    /// `ct direction`: 0 = original, 1 = reply.
    #[must_use]
    pub fn ct_direction(self, reply: bool) -> Self {
        self.is(Field::CtDirection, &[u8::from(reply)])
    }

    /// `counter name X`.
    #[must_use]
    pub fn counter(self, name: &str) -> Self {
        self.then(Statement::Counter(name.into()))
    }

    /// Ends with `drop`.
    #[must_use]
    pub fn drop(self) -> Self {
        self.then(Statement::Verdict(Verdict::Drop))
    }

    /// Ends with `return`.
    #[must_use]
    pub fn ret(self) -> Self {
        self.then(Statement::Verdict(Verdict::Return))
    }

    /// Ends with `jump`.
    #[must_use]
    pub fn jump(self, chain: &str) -> Self {
        self.then(Statement::Verdict(Verdict::Jump(chain.into())))
    }

    /// Ends with `goto`.
    #[must_use]
    pub fn goto(self, chain: &str) -> Self {
        self.then(Statement::Verdict(Verdict::Goto(chain.into())))
    }
}
