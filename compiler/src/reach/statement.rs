//! What a single test means for all packets of a walk.

use super::region::{self, Region};
use crate::{
    ir::{CmpOp, CtStates, Field, Statement},
    skeleton::Orientation,
    text,
};
use policy_model::{
    object::Protocol,
    portset::{PortRanges, PortSet},
    reach::Reach,
};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

/// Which packets are walked: those between a pod and its peers, of one orientation.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    /// The pod's address.
    pub(super) address: IpAddr,
    /// The field that holds it.
    pub(super) own: Field,
    /// The field that holds the peer's.
    pub(super) peer: Field,
    /// Which way the packets go.
    pub(super) orientation: Orientation,
}

/// What a field is to the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Peer,
    Own,
    Protocol,
    /// The responder's port, which a reach speaks of.
    Port,
    /// `meta nfproto`.
    Family,
    /// Of the other family's header: absent.
    Foreign,
    /// Anything else, such as an interface or a flag: it may be this or that.
    Free,
}

impl View {
    pub(super) fn role(&self, field: Field) -> Role {
        let v4 = self.address.is_ipv4();
        let port = match self.orientation {
            Orientation::Original => Field::ThDport,
            Orientation::Reply => Field::ThSport,
        };
        match field {
            _ if field == self.peer => Role::Peer,
            _ if field == self.own => Role::Own,
            _ if field == port => Role::Port,
            Field::L4Proto => Role::Protocol,
            Field::NfProto => Role::Family,
            Field::IpSaddr | Field::IpDaddr if !v4 => Role::Foreign,
            Field::Ip6Saddr | Field::Ip6Daddr | Field::Ip6HopLimit if v4 => Role::Foreign,
            _ => Role::Free,
        }
    }

    /// The bytes that a field has in every packet of the walk, if it is so.
    fn fixed(&self, field: Field) -> Option<Vec<u8>> {
        match (self.role(field), self.address) {
            (Role::Own, IpAddr::V4(a)) => Some(a.octets().to_vec()),
            (Role::Own, IpAddr::V6(a)) => Some(a.octets().to_vec()),
            // NFPROTO_IPV4 and NFPROTO_IPV6.
            (Role::Family, address) => Some(vec![if address.is_ipv4() { 2 } else { 10 }]),
            _ => None,
        }
    }

    /// Whether a test passes for all packets of the walk or for none; `None` if it depends on the packet.
    pub(super) fn constant(&self, test: &Statement) -> Option<bool> {
        if let Statement::Compare(field, ..)
        | Statement::Masked(field, ..)
        | Statement::Prefix(field, _)
        | Statement::Range(field, ..) = test
            && self.role(*field) == Role::Foreign
        {
            return Some(false);
        }
        match test {
            Statement::Compare(field, op, value) => {
                self.fixed(*field).map(|own| (*own == **value) == (*op == CmpOp::Eq))
            }
            Statement::Masked(field, mask, op, value) => self.fixed(*field).map(|own| {
                own.iter().zip(mask).map(|(b, m)| b & m).eq(value.iter().copied()) == (*op == CmpOp::Eq)
            }),
            Statement::Prefix(field, start) => self.fixed(*field).map(|own| own.starts_with(start)),
            Statement::Range(field, lo, hi) => {
                self.fixed(*field).map(|own| (&**lo..=&**hi).contains(&own.as_slice()))
            }
            Statement::CtState(states) => constant_state(*states),
            Statement::Lookup { key, .. } | Statement::VerdictMap(key, _) => {
                key.iter().any(|f| self.role(*f) == Role::Foreign).then_some(false)
            }
            Statement::Counter(_) | Statement::Log { .. } => Some(true),
            Statement::Limit { .. } | Statement::Verdict(_) => None,
        }
    }

    /// The part of `region` that passes a test which depends on the packet.
    pub(super) fn narrow(&self, test: &Statement, region: Region) -> Result<Region, String> {
        let unclear = |why: &str| Err(format!("`{}` {why}", text::statement(test)));
        let (field, range, op) = match test {
            Statement::Compare(field, op, value) => (*field, value.to_vec()..=value.to_vec(), *op),
            Statement::Range(field, lo, hi) => (*field, lo.to_vec()..=hi.to_vec(), CmpOp::Eq),
            Statement::Prefix(field, start) => (*field, prefix(*field, start), CmpOp::Eq),
            Statement::Masked(..) => {
                return unclear("tests single bits of what a reach tells apart or does not know");
            }
            Statement::CtState(_) => return unclear("depends on the state of the connection"),
            Statement::Limit { .. } => return unclear("depends on how many packets there are"),
            Statement::Lookup { .. }
            | Statement::VerdictMap(..)
            | Statement::Counter(_)
            | Statement::Log { .. }
            | Statement::Verdict(_) => return Ok(region),
        };
        match self.role(field) {
            Role::Peer => match (address(range.start()), address(range.end())) {
                (Some(lo), Some(hi)) => {
                    let inside = region.within(&Reach::of(lo, hi, PortSet::all()));
                    Ok(if op == CmpOp::Eq { inside } else { region.difference(&inside) })
                }
                _ => unclear("compares with what is no address"),
            },
            Role::Protocol => {
                let Some(numbers) = one_byte(&range) else {
                    return unclear("compares with what is no protocol number");
                };
                let Some(inside) = protocols(&numbers, region.has_others()) else {
                    return unclear("tells protocols apart that a reach holds to be one");
                };
                let ports = if op == CmpOp::Eq { inside } else { PortSet::all().difference(&inside) };
                Ok(region.restricted(&ports, &ports))
            }
            Role::Port if region.has_others() => unclear("reads a port of protocols that may have none"),
            Role::Port => match (two_bytes(range.start()), two_bytes(range.end())) {
                (Some(lo), Some(hi)) => {
                    let inside = PortRanges::from_iter([(lo, hi)]);
                    let ports = if op == CmpOp::Eq { inside } else { inside.complement() };
                    Ok(region.restricted(&region::ports_of_all(&ports), &PortSet::none()))
                }
                _ => unclear("compares with what is no port"),
            },
            Role::Own | Role::Family | Role::Foreign | Role::Free => {
                unclear("depends on more than the peer's address, the protocol and the port")
            }
        }
    }
}

/// Packets of a reach are new, established, invalid or untracked, and any of these.
fn constant_state(states: CtStates) -> Option<bool> {
    let spoken_of = CtStates::INVALID.0 | CtStates::ESTABLISHED.0 | CtStates::NEW.0 | CtStates::UNTRACKED.0;
    match states.0 & spoken_of {
        0 => Some(false),
        all if all == spoken_of => Some(true),
        _ => None,
    }
}

/// The packets of the protocols with these numbers; `None` if it has some of those that are one class, but not all, and
/// the region has packets of them.
fn protocols(numbers: &RangeInclusive<u8>, region_has_others: bool) -> Option<PortSet> {
    let named: Vec<_> = Protocol::ALL.into_iter().filter(|p| numbers.contains(&p.number())).collect();
    let all = *numbers == (0..=u8::MAX);
    let has_others = numbers.clone().count() > named.len();
    if has_others && !all && region_has_others {
        return None;
    }
    let others = if all { PortSet::others() } else { PortSet::none() };
    Some(named.into_iter().fold(others, |set, p| set.union(&region::protocol(p))))
}

/// All values that begin with these bytes.
fn prefix(field: Field, start: &[u8]) -> RangeInclusive<Vec<u8>> {
    let filled = |byte| {
        let mut bytes = start.to_vec();
        bytes.resize(field.len(), byte);
        bytes
    };
    filled(0)..=filled(0xff)
}

pub(super) fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

pub(super) fn two_bytes(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

fn one_byte(range: &RangeInclusive<Vec<u8>>) -> Option<RangeInclusive<u8>> {
    match (&range.start()[..], &range.end()[..]) {
        (&[lo], &[hi]) => Some(lo..=hi),
        _ => None,
    }
}
