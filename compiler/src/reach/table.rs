//! Look-ups in sets and verdict maps, all elements at once.

use super::{
    Part, Reader,
    region::{self, Region},
    statement::{Role, View, address, two_bytes},
};
use crate::ir::{Field, Name, Set, Verdict};
use policy_model::{
    object::Protocol,
    portset::{PortRanges, PortSet},
    reach::Reach,
};
use std::{collections::HashMap, net::IpAddr, rc::Rc};

/// Sets that were read in this walk: several chains may ask the same.
#[derive(Default)]
pub(super) struct Known<'a>(HashMap<(&'a Name, &'a [Field]), Rc<Contents<'a>>>);

/// What a set holds of the packets of a walk.
struct Contents<'a> {
    /// Ordered by address. Two overlap only if they are of the same addresses.
    entries: Vec<Entry>,
    /// Verdicts of the entries; in a set one `None`.
    verdicts: Vec<Option<&'a Verdict>>,
    /// The first element, as bytes, that is about protocols which a reach does not tell apart.
    apart: Option<u8>,
}

/// Ports of a range of peers.
struct Entry {
    lo: IpAddr,
    hi: IpAddr,
    /// Packets with a readable port.
    open: PortSet,
    /// Packets without.
    blind: PortSet,
    /// Index of its verdict.
    verdict: usize,
}

/// One element, in the order in which entries are made of them.
#[derive(Clone, Copy)]
struct Row {
    lo: IpAddr,
    hi: IpAddr,
    verdict: usize,
    /// `None` = every protocol.
    protocol: Option<Protocol>,
    ports: (u16, u16),
}

impl<'a> Reader<'a> {
    /// The part of `region` that a set holds, or with `negate` does not.
    pub(super) fn look_up(
        &mut self,
        key: &'a [Field],
        set: &'a Name,
        negate: bool,
        region: &Region,
    ) -> Result<Region, String> {
        let contents = self.contents(key, set, region)?;
        let held = Region::union_of(&contents.split(region));
        if !negate {
            return Ok(held);
        }
        let rest = region.difference(&held);
        if !key.iter().any(|field| self.view.role(*field) == Role::Port) {
            return Ok(rest);
        }
        if region.has_others() {
            return Err(format!("a port of protocols that may have none is looked up in set {set}"));
        }
        // Without a readable port there is no key, and the rule does not match.
        Ok(Region { blind: Reach::none(), ..rest })
    }

    /// The parts of `region` that a verdict map holds, by verdict.
    pub(super) fn verdict_map(
        &mut self,
        key: &'a [Field],
        map: &'a Name,
        region: &Region,
    ) -> Result<Vec<Part<'a>>, String> {
        let contents = self.contents(key, map, region)?;
        let regions = contents.split(region);
        let parts = contents.verdicts.iter().zip(regions).map(|(verdict, region)| {
            let verdict = verdict.ok_or_else(|| format!("map {map} has an element without a verdict"))?;
            Ok((verdict, region))
        });
        parts.filter(|part| part.as_ref().map_or(true, |(_, region)| !region.is_empty())).collect()
    }

    fn contents(
        &mut self,
        key: &'a [Field],
        name: &'a Name,
        region: &Region,
    ) -> Result<Rc<Contents<'a>>, String> {
        let set = self.table.sets.get(name).ok_or_else(|| format!("set {name} does not exist"))?;
        let contents = match self.known.0.get(&(name, key)) {
            Some(contents) => contents.clone(),
            None => {
                let contents =
                    Rc::new(Contents::of(&self.view, key, set).map_err(|why| format!("set {name} {why}"))?);
                self.known.0.insert((name, key), contents.clone());
                contents
            }
        };
        let asks = |role| key.iter().any(|field| self.view.role(*field) == role);
        if region.has_others() {
            if let Some(number) = contents.apart {
                return Err(format!("set {name} tells protocol {number} apart, which a reach does not"));
            }
            if asks(Role::Port) && !asks(Role::Protocol) {
                return Err(format!("a port of protocols that may have none is looked up in set {name}"));
            }
        }
        Ok(contents)
    }
}

impl<'a> Contents<'a> {
    /// Reads all elements.
    fn of(view: &View, key: &[Field], set: &'a Set) -> Result<Self, &'static str> {
        let fits = key.len() == set.spec.key.len()
            && key.iter().zip(&set.spec.key).all(|(field, kind)| field.data_type() == Some(*kind));
        if !fits {
            return Err("has a key of other types");
        }
        let roles: Vec<_> = key.iter().map(|field| view.role(*field)).collect();
        if roles.contains(&Role::Free) {
            return Err("is asked about more than the peer's address, the protocol and the port");
        }
        let mut contents = Self { entries: Vec::new(), verdicts: Vec::new(), apart: None };
        let mut index_of: HashMap<Option<&Verdict>, usize> = HashMap::new();
        let mut rows = Vec::with_capacity(set.elements.len());
        for (first, attributes) in &set.elements {
            let attributes = attributes.as_deref();
            let verdict = attributes.and_then(|a| a.verdict.as_ref());
            let verdict = *index_of.entry(verdict).or_insert_with(|| {
                contents.verdicts.push(verdict);
                contents.verdicts.len() - 1
            });
            let last = match (set.spec.interval, attributes.and_then(|a| a.end.as_ref())) {
                (false, _) => first,
                (true, Some(end)) => end,
                (true, None) => return Err("has a range without an end"),
            };
            let (lo, hi) = region::whole_family(view.address);
            let whole = Row { lo, hi, verdict, protocol: None, ports: (0, u16::MAX) };
            let parts = |k: &'a crate::ir::Key| k.parts(&set.spec.key).map(|(_, bytes)| bytes);
            let mut row = Some(whole);
            let mut count = 0;
            for ((role, lo), hi) in roles.iter().zip(parts(first)).zip(parts(last)) {
                count += 1;
                row = match row {
                    Some(row) => contents.limit(view, row, *role, lo, hi)?,
                    None => None,
                };
            }
            if count != roles.len() {
                return Err("has an element whose bytes do not fit its key");
            }
            rows.extend(row);
        }
        contents.entries = entries(rows, roles.contains(&Role::Port), roles.contains(&Role::Protocol));
        let apart = |a: &Entry, b: &Entry| a.hi < b.lo || (a.lo, a.hi) == (b.lo, b.hi);
        if contents.entries.windows(2).any(|pair| !apart(&pair[0], &pair[1])) {
            return Err("has ranges that overlap");
        }
        Ok(contents)
    }

    /// The row with one part of the key taken into account; `None` if no packet of the walk has such a part.
    fn limit(
        &mut self,
        view: &View,
        row: Row,
        role: Role,
        lo: &[u8],
        hi: &[u8],
    ) -> Result<Option<Row>, &'static str> {
        const UNFIT: &str = "has an element whose bytes do not fit its key";
        match role {
            Role::Peer => {
                let (lo, hi) = (address(lo).ok_or(UNFIT)?, address(hi).ok_or(UNFIT)?);
                Ok(Some(Row { lo, hi, ..row }))
            }
            Role::Own => {
                let (lo, hi) = (address(lo).ok_or(UNFIT)?, address(hi).ok_or(UNFIT)?);
                Ok((lo..=hi).contains(&view.address).then_some(row))
            }
            Role::Protocol => {
                let (&[lo], &[hi]) = (lo, hi) else { return Err(UNFIT) };
                if lo != hi {
                    return Err("has a range of protocols");
                }
                let protocol = Protocol::from_number(lo);
                if protocol.is_none() {
                    self.apart.get_or_insert(lo);
                }
                Ok(protocol.map(|p| Row { protocol: Some(p), ..row }))
            }
            Role::Port => {
                let ports = (two_bytes(lo).ok_or(UNFIT)?, two_bytes(hi).ok_or(UNFIT)?);
                Ok(Some(Row { ports, ..row }))
            }
            // No packet has the field; sets have no key of the family.
            Role::Foreign | Role::Family | Role::Free => Ok(None),
        }
    }

    /// What of `region` each verdict gets, in the order of the verdicts.
    fn split(&self, region: &Region) -> Vec<Region> {
        let open = self.cut(&region.open, |entry| &entry.open);
        let blind = self.cut(&region.blind, |entry| &entry.blind);
        open.into_iter().zip(blind).map(|(open, blind)| Region { open, blind }).collect()
    }

    fn cut(&self, reach: &Reach, ports_of: impl Fn(&Entry) -> &PortSet) -> Vec<Reach> {
        let mut pieces = vec![Vec::new(); self.verdicts.len()];
        for (lo, hi, ports) in reach.ranges() {
            let start = self.entries.partition_point(|entry| entry.hi < lo);
            for entry in self.entries[start..].iter().take_while(|entry| entry.lo <= hi) {
                let both = ports.intersection(ports_of(entry));
                if !both.is_empty() {
                    pieces[entry.verdict].push((lo.max(entry.lo), hi.min(entry.hi), both));
                }
            }
        }
        pieces.into_iter().map(Reach::from_iter).collect()
    }
}

/// Rows of the same addresses and verdict become one entry.
fn entries(mut rows: Vec<Row>, by_port: bool, by_protocol: bool) -> Vec<Entry> {
    let order = |row: &Row| (row.lo, row.hi, row.verdict);
    if !rows.is_sorted_by_key(order) {
        rows.sort_by_key(order);
    }
    rows.chunk_by(|a, b| order(a) == order(b))
        .map(|same| {
            let ports = |protocol: Protocol| {
                let of = |row: &&Row| row.protocol.is_none_or(|p| p == protocol);
                PortRanges::from_iter(same.iter().filter(of).map(|row| row.ports))
            };
            let named = Protocol::ALL.into_iter().fold(PortSet::none(), |set, p| set.with(p, ports(p)));
            // A key without protocol and port is about every packet; one with a port about none whose port is unread.
            let others = if by_port || by_protocol { PortSet::none() } else { PortSet::others() };
            let open = named.union(&others);
            let blind = if by_port { PortSet::none() } else { named };
            Entry { lo: same[0].lo, hi: same[0].hi, open, blind, verdict: same[0].verdict }
        })
        .collect()
}
