//! The kernel's expressions, as many of them as the IR's statements are made of.
//!
//! Registers are counted in words of 4 bytes from 0, which is the kernel's `NFT_REG_1`.

use super::{
    ffi,
    statement::Source,
    uapi::*,
    wire::{Attributes, Malformed},
};
use compiler::ir::{Name, Verdict};
use std::ffi::CString;

/// Words of data that a rule has registers for (`NFT_REG32_COUNT`).
pub(super) const WORDS: usize = 16;

/// How a comparison compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    AtMost,
    AtLeast,
}

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Expression {
    Load {
        source: Source,
        register: usize,
    },
    /// In place, without `xor`.
    Mask {
        register: usize,
        mask: Box<[u8]>,
    },
    Compare {
        register: usize,
        comparison: Comparison,
        value: Box<[u8]>,
    },
    Lookup {
        register: usize,
        set: Name,
        verdict: bool,
        negate: bool,
    },
    Counter(Name),
    /// A second.
    Limit {
        rate: u64,
        burst: u32,
    },
    Log {
        prefix: Name,
        group: u16,
    },
    Verdict(Verdict),
}

/// The kernel's number of a register, in the form in which it tells it itself: `NFT_REG_1` to `NFT_REG_4` where one begins,
/// `NFT_REG32_00` and on elsewhere.
fn register_number(word: usize) -> u32 {
    let word = u32::try_from(word).unwrap_or(u32::MAX);
    if word.is_multiple_of(4) { 1 + word / 4 } else { 8 + word }
}

fn register_word(number: u32) -> Option<usize> {
    match number {
        1..=4 => Some((number as usize - 1) * 4),
        8..=23 => Some(number as usize - 8),
        _ => None,
    }
}

fn text(value: &str) -> CString {
    // Names and prefixes are checked before they come here; a zero would end them as C sees it anyway.
    CString::new(value.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

impl Expression {
    /// For libnftnl.
    pub(super) fn encode(&self) -> ffi::Expression {
        use nftnl::nftnl_sys as sys;
        let new = ffi::Expression::new;
        match self {
            &Self::Load { source, register } => {
                let register = register_number(register);
                match source {
                    Source::Meta(key) => new(c"meta")
                        .number(sys::NFTNL_EXPR_META_KEY, key)
                        .number(sys::NFTNL_EXPR_META_DREG, register),
                    Source::Conntrack(key) => new(c"ct")
                        .number(sys::NFTNL_EXPR_CT_KEY, key)
                        .number(sys::NFTNL_EXPR_CT_DREG, register),
                    Source::Payload { base, offset, len } => new(c"payload")
                        .number(sys::NFTNL_EXPR_PAYLOAD_DREG, register)
                        .number(sys::NFTNL_EXPR_PAYLOAD_BASE, base)
                        .number(sys::NFTNL_EXPR_PAYLOAD_OFFSET, offset)
                        .number(sys::NFTNL_EXPR_PAYLOAD_LEN, len),
                }
            }
            Self::Mask { register, mask } => {
                let register = register_number(*register);
                new(c"bitwise")
                    .number(sys::NFTNL_EXPR_BITWISE_SREG, register)
                    .number(sys::NFTNL_EXPR_BITWISE_DREG, register)
                    .number(sys::NFTNL_EXPR_BITWISE_LEN, u32::try_from(mask.len()).unwrap_or_default())
                    .data(sys::NFTNL_EXPR_BITWISE_MASK, mask)
                    .data(sys::NFTNL_EXPR_BITWISE_XOR, &vec![0; mask.len()])
            }
            Self::Compare { register, comparison, value } => new(c"cmp")
                .number(sys::NFTNL_EXPR_CMP_SREG, register_number(*register))
                .number(sys::NFTNL_EXPR_CMP_OP, comparison.number())
                .data(sys::NFTNL_EXPR_CMP_DATA, value),
            Self::Lookup { register, set, verdict, negate } => {
                let lookup = new(c"lookup")
                    .number(sys::NFTNL_EXPR_LOOKUP_SREG, register_number(*register))
                    .text(sys::NFTNL_EXPR_LOOKUP_SET, &text(set));
                match (verdict, negate) {
                    (true, _) => lookup.number(sys::NFTNL_EXPR_LOOKUP_DREG, 0),
                    (false, true) => lookup.number(sys::NFTNL_EXPR_LOOKUP_FLAGS, 1),
                    (false, false) => lookup,
                }
            }
            Self::Counter(name) => new(c"objref")
                .number(sys::NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER)
                .text(sys::NFTNL_EXPR_OBJREF_IMM_NAME, &text(name)),
            &Self::Limit { rate, burst } => new(c"limit")
                .long(sys::NFTNL_EXPR_LIMIT_RATE, rate)
                .long(sys::NFTNL_EXPR_LIMIT_UNIT, 1)
                .number(sys::NFTNL_EXPR_LIMIT_BURST, burst)
                .number(sys::NFTNL_EXPR_LIMIT_TYPE, 0)
                .number(sys::NFTNL_EXPR_LIMIT_FLAGS, 0),
            Self::Log { prefix, group } => {
                let log = new(c"log").short(sys::NFTNL_EXPR_LOG_GROUP, *group);
                if prefix.is_empty() { log } else { log.text(sys::NFTNL_EXPR_LOG_PREFIX, &text(prefix)) }
            }
            Self::Verdict(verdict) => {
                let (code, chain) = verdict_code(verdict);
                let immediate = new(c"immediate")
                    .number(sys::NFTNL_EXPR_IMM_DREG, 0)
                    .number(sys::NFTNL_EXPR_IMM_VERDICT, code);
                match chain {
                    Some(chain) => immediate.text(sys::NFTNL_EXPR_IMM_CHAIN, &text(chain)),
                    None => immediate,
                }
            }
        }
    }

    /// From the attributes of one element of `NFTA_RULE_EXPRESSIONS`; the error says what it is that we never make.
    pub(super) fn decode(expression: Attributes<'_>) -> Result<Self, String> {
        let name = expression.text(NFTA_EXPR_NAME).unwrap_or_default();
        let data = expression.nested(NFTA_EXPR_DATA).map_err(|e| e.to_string())?;
        let known = match name {
            "meta" => decode_load(data, (1, Some(3)), |d| Some(Source::Meta(d.u32(2)?))),
            "ct" if !data.has(3) => decode_load(data, (1, Some(4)), |d| Some(Source::Conntrack(d.u32(2)?))),
            "payload" => decode_load(data, (1, Some(5)), |d| {
                Some(Source::Payload { base: d.u32(2)?, offset: d.u32(3)?, len: d.u32(4)? })
            }),
            "bitwise" => decode_mask(data),
            "cmp" => decode_compare(data),
            "lookup" => decode_lookup(data),
            "objref" => decode_counter(data),
            "limit" => decode_limit(data),
            "log" => decode_log(data),
            "immediate" => data
                .nested(2)
                .ok()
                .filter(|_| data.u32(1) == Some(0))
                .and_then(decode_verdict)
                .map(Self::Verdict),
            _ => None,
        };
        known.ok_or_else(|| format!("expression {name:?} in a form that Palisade never makes"))
    }
}

impl Comparison {
    const fn number(self) -> u32 {
        match self {
            Self::Equal => NFT_CMP_EQ,
            Self::NotEqual => NFT_CMP_NEQ,
            Self::AtMost => NFT_CMP_LTE,
            Self::AtLeast => NFT_CMP_GTE,
        }
    }
}

/// The kernel's number of a verdict, and the chain that it leads to.
pub(super) fn verdict_code(verdict: &Verdict) -> (u32, Option<&Name>) {
    match verdict {
        Verdict::Drop => (NF_DROP, None),
        Verdict::Return => (NFT_RETURN.cast_unsigned(), None),
        Verdict::Jump(chain) => (NFT_JUMP.cast_unsigned(), Some(chain)),
        Verdict::Goto(chain) => (NFT_GOTO.cast_unsigned(), Some(chain)),
    }
}

/// From nested `NFTA_DATA_*`. `None` for verdicts that we never give, such as accept.
pub(super) fn decode_verdict(data: Attributes<'_>) -> Option<Verdict> {
    let verdict = data.nested(NFTA_DATA_VERDICT).ok()?;
    let chain = || verdict.text(NFTA_VERDICT_CHAIN).map(Name::from);
    let code = verdict.u32(NFTA_VERDICT_CODE)?;
    match code.cast_signed() {
        0 => Some(Verdict::Drop),
        NFT_RETURN => Some(Verdict::Return),
        NFT_JUMP => chain().map(Verdict::Jump),
        NFT_GOTO => chain().map(Verdict::Goto),
        _ => None,
    }
}

/// Attribute numbers are those of `NFTA_META_*`, `NFTA_CT_*` and `NFTA_PAYLOAD_*`: the destination register, and the source
/// register of the forms that write to the packet.
fn decode_load(
    data: Attributes<'_>,
    (destination, written): (u16, Option<u16>),
    source: impl Fn(Attributes<'_>) -> Option<Source>,
) -> Option<Expression> {
    if written.is_some_and(|w| data.has(w)) {
        return None;
    }
    Some(Expression::Load { source: source(data)?, register: register_word(data.u32(destination)?)? })
}

fn value(data: Attributes<'_>, kind: u16) -> Result<Option<&[u8]>, Malformed> {
    Ok(data.nested(kind)?.get(NFTA_DATA_VALUE))
}

/// `NFTA_BITWISE_*`: SREG, DREG, LEN, MASK, XOR, OP (0 = mask and xor).
fn decode_mask(data: Attributes<'_>) -> Option<Expression> {
    let register = register_word(data.u32(1)?)?;
    let (mask, xor) = (value(data, 4).ok()??, value(data, 5).ok()??);
    let plain = data.u32(6).unwrap_or_default() == 0
        && register_word(data.u32(2)?)? == register
        && xor.iter().all(|&b| b == 0)
        && data.u32(3)? as usize == mask.len();
    plain.then(|| Expression::Mask { register, mask: mask.into() })
}

/// `NFTA_CMP_*`: SREG, OP, DATA.
fn decode_compare(data: Attributes<'_>) -> Option<Expression> {
    let comparison = match data.u32(2)? {
        NFT_CMP_EQ => Comparison::Equal,
        NFT_CMP_NEQ => Comparison::NotEqual,
        NFT_CMP_LTE => Comparison::AtMost,
        NFT_CMP_GTE => Comparison::AtLeast,
        _ => return None,
    };
    let value = value(data, 3).ok()??.into();
    Some(Expression::Compare { register: register_word(data.u32(1)?)?, comparison, value })
}

/// `NFTA_LOOKUP_*`: SET, SREG, DREG, SET_ID, FLAGS (1 = inverted).
fn decode_lookup(data: Attributes<'_>) -> Option<Expression> {
    let verdict = match data.u32(3) {
        None if data.has(3) => return None,
        None => false,
        Some(0) => true,
        Some(_) => return None,
    };
    let negate = match data.u32(5).unwrap_or_default() {
        0 => false,
        1 if !verdict => true,
        _ => return None,
    };
    let (register, set) = (register_word(data.u32(2)?)?, data.text(1)?.into());
    Some(Expression::Lookup { register, set, verdict, negate })
}

/// `NFTA_OBJREF_*`: IMM_TYPE, IMM_NAME.
fn decode_counter(data: Attributes<'_>) -> Option<Expression> {
    (data.u32(1)? == NFT_OBJECT_COUNTER).then_some(())?;
    Some(Expression::Counter(data.text(2)?.into()))
}

/// `NFTA_LIMIT_*`: RATE, UNIT, BURST, TYPE (0 = packets), FLAGS (1 = over).
fn decode_limit(data: Attributes<'_>) -> Option<Expression> {
    let plain = data.u64(2)? == 1 && data.u32(4).unwrap_or(0) == 0 && data.u32(5).unwrap_or(0) == 0;
    plain.then_some(Expression::Limit { rate: data.u64(1)?, burst: data.u32(3)? })
}

/// `NFTA_LOG_*`: GROUP, PREFIX, SNAPLEN, QTHRESHOLD, LEVEL, FLAGS.
fn decode_log(data: Attributes<'_>) -> Option<Expression> {
    let group = u16::from_be_bytes(data.get(1)?.try_into().ok()?);
    let plain = [3, 4, 6].iter().all(|&kind| data.get(kind).is_none_or(|v| v.iter().all(|&b| b == 0)));
    plain.then(|| Expression::Log { prefix: data.text(2).unwrap_or_default().into(), group })
}
