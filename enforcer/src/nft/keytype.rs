//! What nft writes beside a set and its elements, so that it can list them: the number of the key's type, and userdata.
//!
//! The kernel only keeps these bytes. They are as nft 1.0.6 makes them (`src/mnl.c`, `src/expression.c`, `src/payload.c`);
//! a set without them is listed wrongly or loads back as another.

use compiler::ir::{DataType, SetSpec};

/// Bits of one part in the number of a concatenated type (`TYPE_BITS`).
const TYPE_BITS: u32 = 6;

const TYPES: [DataType; 8] = [
    DataType::NdTarget,
    DataType::Ipv4Addr,
    DataType::Ipv6Addr,
    DataType::EtherAddr,
    DataType::InetProto,
    DataType::InetService,
    DataType::IfIndex,
    DataType::Icmpv6Type,
];

/// nft's number of a type (`enum datatypes`).
const fn number(data_type: DataType) -> u32 {
    match data_type {
        DataType::NdTarget => 4,
        DataType::Ipv4Addr => 7,
        DataType::Ipv6Addr => 8,
        DataType::EtherAddr => 9,
        DataType::InetProto => 12,
        DataType::InetService => 13,
        DataType::IfIndex => 20,
        DataType::Icmpv6Type => 29,
    }
}

/// `NFTA_SET_KEY_TYPE`: 6 bits a part, the first part in the highest.
pub(super) fn key_type(key: &[DataType]) -> u32 {
    key.iter().fold(0, |number_so_far, &part| number_so_far << TYPE_BITS | number(part))
}

/// `NFTA_SET_KEY_LEN`: parts of a concatenation are padded to registers, a single one is not.
pub(super) fn key_len(key: &[DataType]) -> usize {
    match key {
        [single] => single.len(),
        parts => parts.iter().map(|p| p.padded()).sum(),
    }
}

/// The parts of a key from its type and length; `None` if it is none of ours.
pub(super) fn key_parts(mut key_type: u32, len: u32) -> Option<Box<[DataType]>> {
    let mut parts = Vec::new();
    while key_type != 0 {
        let part = key_type & ((1 << TYPE_BITS) - 1);
        parts.push(TYPES.into_iter().find(|&t| number(t) == part)?);
        key_type >>= TYPE_BITS;
    }
    parts.reverse();
    (!parts.is_empty() && key_len(&parts) == len as usize).then_some(parts.into())
}

/// Userdata: a type, a length, a value, each type and length of one byte.
#[derive(Default)]
struct Userdata(Vec<u8>);

impl Userdata {
    fn bytes(mut self, kind: u8, value: &[u8]) -> Self {
        let value = &value[..value.len().min(255)];
        self.0.extend([kind, u8::try_from(value.len()).unwrap_or(u8::MAX)]);
        self.0.extend(value);
        self
    }

    fn number(self, kind: u8, value: u32) -> Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    fn nested(self, kind: u8, inner: Self) -> Self {
        self.bytes(kind, &inner.0)
    }
}

const SET_KEY_BYTE_ORDER: u8 = 0;
const SET_DATA_BYTE_ORDER: u8 = 1;
const SET_KEY_TYPEOF: u8 = 3;
const SET_DATA_INTERVAL: u8 = 6;
const TYPEOF_EXPRESSION: u8 = 0;
const TYPEOF_DATA: u8 = 1;
const EXPRESSION_PAYLOAD: u32 = 7;
const EXPRESSION_META: u32 = 9;
const EXPRESSION_CONCAT: u32 = 13;
const NO_BYTE_ORDER: u32 = 0;
const HOST_ORDER: u32 = 1;
const NETWORK_ORDER: u32 = 2;

/// `NFTA_SET_USERDATA`.
pub(super) fn set_userdata(spec: &SetSpec) -> Vec<u8> {
    let concatenated = spec.key.len() > 1;
    let order = match *spec.key {
        [DataType::IfIndex] => HOST_ORDER,
        [DataType::InetProto] => NO_BYTE_ORDER,
        [_] => NETWORK_ORDER,
        _ => NO_BYTE_ORDER,
    };
    let mut userdata = Userdata::default().number(SET_KEY_BYTE_ORDER, order);
    if spec.verdicts {
        userdata = userdata.number(SET_DATA_BYTE_ORDER, NO_BYTE_ORDER);
    }
    // A type that has only a length (`integer`) can be loaded back through `typeof` alone.
    if spec.key.contains(&DataType::NdTarget) {
        let inner = if concatenated { type_of_concatenation(&spec.key) } else { type_of(DataType::NdTarget) };
        userdata = userdata.nested(SET_KEY_TYPEOF, inner);
    } else if concatenated {
        let inner = Userdata::default().number(TYPEOF_EXPRESSION, EXPRESSION_CONCAT).bytes(TYPEOF_DATA, &[]);
        userdata = userdata.nested(SET_KEY_TYPEOF, inner);
    }
    if spec.verdicts {
        userdata = userdata.number(SET_DATA_INTERVAL, 0);
    }
    userdata.0
}

fn type_of_concatenation(key: &[DataType]) -> Userdata {
    let parts = key
        .iter()
        .zip(0..)
        .fold(Userdata::default(), |parts, (&part, index)| parts.nested(index, type_of(part)));
    Userdata::default().number(TYPEOF_EXPRESSION, EXPRESSION_CONCAT).nested(TYPEOF_DATA, parts)
}

/// One field that has this type; which one does not matter to a look-up.
fn type_of(part: DataType) -> Userdata {
    let meta = |key| (EXPRESSION_META, Userdata::default().number(0, key));
    // A header of nft's (`enum proto_desc_id`) and a field of it.
    let header = |header, field| (EXPRESSION_PAYLOAD, Userdata::default().number(0, header).number(1, field));
    let (expression, data) = match part {
        DataType::IfIndex => meta(super::uapi::NFT_META_IIF),
        DataType::InetProto => meta(super::uapi::NFT_META_L4PROTO),
        DataType::EtherAddr => header(17, 2),
        DataType::Ipv4Addr => header(12, 11),
        DataType::Ipv6Addr => header(13, 8),
        DataType::InetService => header(11, 2),
        DataType::Icmpv6Type => header(14, 1),
        // Raw: base, offset and length in bits.
        DataType::NdTarget => {
            let (expression, unknown) = header(0, 0);
            (expression, unknown.number(2, 3).number(3, 64).number(4, 128))
        }
    };
    Userdata::default().number(TYPEOF_EXPRESSION, expression).nested(TYPEOF_DATA, data)
}

const ELEMENT_COMMENT: u8 = 0;
const ELEMENT_FLAGS: u8 = 1;
/// The range is open: it has no end of its own since it reaches the last key.
const ELEMENT_INTERVAL_OPEN: u32 = 1;

/// `NFTA_SET_ELEM_USERDATA`; empty if there is nothing to say.
pub(super) fn element_userdata(comment: Option<&str>, open: bool) -> Vec<u8> {
    let mut userdata = Userdata::default();
    if let Some(comment) = comment {
        let mut bytes = Vec::from(comment);
        bytes.push(0);
        userdata = userdata.bytes(ELEMENT_COMMENT, &bytes);
    }
    if open {
        userdata = userdata.number(ELEMENT_FLAGS, ELEMENT_INTERVAL_OPEN);
    }
    userdata.0
}

/// The comment in an element's userdata.
pub(super) fn element_comment(mut userdata: &[u8]) -> Option<&str> {
    while let [kind, len, rest @ ..] = userdata {
        let value = rest.get(..usize::from(*len))?;
        if *kind == ELEMENT_COMMENT {
            return std::str::from_utf8(value.split(|&b| b == 0).next()?).ok();
        }
        userdata = &rest[value.len()..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::{EtherAddr, Icmpv6Type, IfIndex, InetProto, InetService, Ipv4Addr, Ipv6Addr, NdTarget};

    /// Taken from `nft --debug=mnl`, version 1.0.6.
    #[test]
    fn set_userdata_is_nfts_own() {
        let target = "000407000000 011e 000400000000 010400000000 020403000000 030440000000 040480000000";
        let raw = |index: &str| format!("{index}26 {target}");
        for (spec, hex) in [
            (SetSpec::plain(&[Ipv4Addr]), "000402000000".into()),
            (SetSpec::plain(&[Icmpv6Type]), "000402000000".into()),
            (SetSpec::plain(&[IfIndex]), "000401000000".into()),
            (SetSpec::plain(&[InetProto]), "000400000000".into()),
            (SetSpec::plain(&[Ipv4Addr]).with_verdicts(), "000402000000 010400000000 060400000000".into()),
            (
                SetSpec::plain(&[Ipv4Addr, InetProto, InetService]),
                "000400000000 0308 00040d000000 0100".into(),
            ),
            (
                SetSpec::plain(&[Ipv4Addr, InetService]).with_verdicts(),
                "000400000000 010400000000 0308 00040d000000 0100 060400000000".into(),
            ),
            (SetSpec::plain(&[NdTarget]), format!("000402000000 {}", raw("03"))),
            (
                SetSpec::plain(&[IfIndex, NdTarget]),
                format!(
                    "000400000000 0340 00040d000000 0138 000e 000409000000 0106 000404000000 {}",
                    raw("01")
                ),
            ),
            (
                SetSpec::plain(&[Ipv6Addr, NdTarget]),
                format!(
                    "000400000000 0346 00040d000000 013e 0014 000407000000 010c 00040d000000 010408000000 {}",
                    raw("01")
                ),
            ),
            (
                SetSpec::plain(&[EtherAddr, NdTarget]),
                format!(
                    "000400000000 0346 00040d000000 013e 0014 000407000000 010c 000411000000 010402000000 {}",
                    raw("01")
                ),
            ),
        ] {
            let shown: String = set_userdata(&spec).iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(shown, hex.replace(' ', ""), "{spec:?}");
        }
    }

    #[test]
    fn a_key_type_is_read_back() {
        for key in [&[Ipv4Addr][..], &[IfIndex, EtherAddr, Ipv6Addr], &[NdTarget], &[Icmpv6Type, InetService]]
        {
            let len = u32::try_from(key_len(key)).unwrap();
            assert_eq!(key_parts(key_type(key), len).as_deref(), Some(key));
            assert_eq!(key_parts(key_type(key), len + 4), None);
        }
        assert_eq!(key_type(&[Ipv4Addr, InetProto, InetService]), 0x730d);
        assert_eq!(key_parts(0, 0), None);
    }

    #[test]
    fn a_comment_is_read_back_whatever_stands_beside_it() {
        let both = element_userdata(Some("default/web"), true);
        assert_eq!(element_comment(&both), Some("default/web"));
        assert_eq!(element_comment(&element_userdata(None, true)), None);
        assert_eq!(element_comment(&both[..5]), None);
    }
}
