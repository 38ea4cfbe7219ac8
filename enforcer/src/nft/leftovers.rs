//! What another engine has left in nf_tables, found by the names of its tables and chains, and removed in one transaction.
//!
//! Everything else of Palisade touches its own tables alone. This is for the one command that a person gives when another
//! engine is to go: `policyd takeover`.

use super::{
    error::{Error, Object, Refusal},
    kernel::generation,
    socket::{Dumped, Socket},
    uapi::*,
    wire::{Acknowledgement, Attributes, Malformed, Messages, Request},
};
use nix::errno::Errno;
use std::{collections::BTreeMap, collections::BTreeSet, time::Duration};

/// How often to begin anew when others change the tables meanwhile, and how much longer to wait each time.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// How another engine's objects are told from everybody else's.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// Whole tables of its own.
    pub tables: &'static [&'static str],
    /// How the names of its chains begin, in tables that it shares with others.
    pub chains: &'static [&'static str],
}

/// A table: the kernel's number of its family, and its name.
type Table = (u8, String);

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leftovers {
    generation: u32,
    tables: BTreeSet<Table>,
    /// Its chains in tables of others.
    chains: BTreeMap<Table, BTreeSet<String>>,
    /// Rules in chains of others that go to one of its chains: table, chain, handle.
    jumps: Vec<(Table, String, u64)>,
}

impl Leftovers {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.chains.is_empty() && self.jumps.is_empty()
    }

    /// What there is, a line each, such as `3 chains of table ip filter, and 3 jumps to them`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let whole = self.tables.iter().map(|table| format!("table {}", shown(table)));
        let chains = self.chains.iter().map(|(table, chains)| {
            let jumps = self.jumps.iter().filter(|(of, ..)| of == table).count();
            format!("{} chains of table {}, and {jumps} jumps to them", chains.len(), shown(table))
        });
        whole.chain(chains).collect()
    }

    fn messages(&self) -> Vec<(Request, String)> {
        let flags = NLM_F_REQUEST;
        let mut messages = Vec::new();
        for (table, chain, handle) in &self.jumps {
            let request = Request::new(message::DELRULE, flags, 0, table.0)
                .with_text(NFTA_TABLE, &table.1)
                .with_text(NFTA_RULE_CHAIN, chain)
                .with(NFTA_RULE_HANDLE, &handle.to_be_bytes());
            messages.push((request, format!("a rule of chain {chain} of table {}", shown(table))));
        }
        // First all rules, since its chains call each other.
        for (kind, name) in [(message::DELRULE, NFTA_RULE_CHAIN), (message::DELCHAIN, NFTA_CHAIN_NAME)] {
            for (table, chain) in
                self.chains.iter().flat_map(|(t, chains)| chains.iter().map(move |c| (t, c)))
            {
                let request = Request::new(kind, flags, 0, table.0)
                    .with_text(NFTA_TABLE, &table.1)
                    .with_text(name, chain);
                messages.push((request, format!("chain {chain} of table {}", shown(table))));
            }
        }
        for table in &self.tables {
            let request = Request::new(message::DELTABLE, flags, 0, table.0).with_text(NFTA_TABLE, &table.1);
            messages.push((request, format!("table {}", shown(table))));
        }
        messages
    }
}

/// As `nft` names it.
fn shown((family, name): &Table) -> String {
    let family = match *family {
        NFPROTO_INET => "inet",
        NFPROTO_IPV4 => "ip",
        NFPROTO_IPV6 => "ip6",
        NFPROTO_BRIDGE => "bridge",
        _ => "of another family:",
    };
    format!("{family} {name}")
}

/// Looks for what has these names, in all families.
///
/// # Errors
/// `CAP_NET_ADMIN` is missing, the kernel has no nf_tables, or others never stop changing it.
pub fn find(names: Names) -> Result<Leftovers, Error> {
    find_by(&mut Socket::open()?, names)
}

fn find_by(socket: &mut Socket, names: Names) -> Result<Leftovers, Error> {
    for attempt in 0..ATTEMPTS {
        let before = generation(socket, &mut Vec::new())?;
        let mut bytes = Vec::new();
        let mut whole = true;
        for kind in [message::GETTABLE, message::GETCHAIN, message::GETRULE] {
            let sequence = socket.take_sequence(1);
            let request = Request::new(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, NFPROTO_UNSPEC).finish();
            whole &= socket.dump(&request, sequence, &mut bytes)? != Dumped::Interrupted;
        }
        if whole && generation(socket, &mut Vec::new())? == before {
            return Ok(Leftovers { generation: before, ..read(&bytes, names)? });
        }
        std::thread::sleep(PAUSE * attempt);
    }
    Err(Error::Unsettled(ATTEMPTS))
}

fn read(bytes: &[u8], names: Names) -> Result<Leftovers, Malformed> {
    let mut found = Leftovers::default();
    let mut rules = Vec::new();
    for message in Messages(bytes) {
        let message = message?;
        let attributes = message.attributes()?;
        let Some(name) = attributes.text(NFTA_TABLE) else { continue };
        let table = (message.family(), name.to_owned());
        let is_its_own = names.tables.contains(&name);
        match message.kind {
            message::NEWTABLE if is_its_own => {
                found.tables.insert(table);
            }
            message::NEWCHAIN if !is_its_own => {
                let chain = attributes.text(NFTA_CHAIN_NAME).unwrap_or_default();
                if names.chains.iter().any(|beginning| chain.starts_with(beginning)) {
                    found.chains.entry(table).or_default().insert(chain.to_owned());
                }
            }
            message::NEWRULE if !is_its_own => rules.push((table, attributes)),
            _ => {}
        }
    }
    for (table, rule) in rules {
        let Some(chains) = found.chains.get(&table) else { continue };
        let chain = rule.text(NFTA_RULE_CHAIN).unwrap_or_default();
        if !chains.contains(chain) && targets(rule)?.any(|target| chains.contains(target)) {
            let handle = rule.u64(NFTA_RULE_HANDLE).ok_or(Malformed("a rule without its handle"))?;
            found.jumps.push((table, chain.to_owned(), handle));
        }
    }
    Ok(found)
}

/// The chains that a rule's own verdicts go to.
fn targets(rule: Attributes<'_>) -> Result<impl Iterator<Item = &str>, Malformed> {
    let mut targets = Vec::new();
    for (_, expression) in rule.nested(NFTA_RULE_EXPRESSIONS)?.iter() {
        let expression = Attributes::new(expression)?;
        if expression.text(NFTA_EXPR_NAME) == Some("immediate") {
            let verdict = expression.nested(NFTA_EXPR_DATA)?.nested(NFTA_IMMEDIATE_DATA)?;
            targets.extend(verdict.nested(NFTA_DATA_VERDICT)?.text(NFTA_VERDICT_CHAIN));
        }
    }
    Ok(targets.into_iter())
}

/// Removes what has these names in one transaction: all of it or nothing, and nothing else. Gives what was removed.
///
/// # Errors
/// As [`find`]; [`Error::Refused`] names what the kernel will not delete: somebody else's rule goes there.
pub fn remove(names: Names) -> Result<Leftovers, Error> {
    let mut socket = Socket::open()?;
    for attempt in 0..ATTEMPTS {
        let found = find_by(&mut socket, names)?;
        if found.is_empty() {
            return Ok(found);
        }
        match commit(&mut socket, &found) {
            Err(Error::Restart(_)) => std::thread::sleep(PAUSE * attempt),
            result => return result.map(|()| found),
        }
    }
    Err(Error::Unsettled(ATTEMPTS))
}

fn commit(socket: &mut Socket, found: &Leftovers) -> Result<(), Error> {
    let messages = found.messages();
    let count = u32::try_from(messages.len() + 2).unwrap_or(u32::MAX);
    let first = socket.take_sequence(count);
    let begin = Request::new(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, first, NFPROTO_UNSPEC)
        .with(NFNL_BATCH_GENID, &found.generation.to_be_bytes());
    let mut bytes = begin.finish();
    let mut what = Vec::new();
    for ((request, about), sequence) in messages.into_iter().zip(first.wrapping_add(1)..) {
        let mut message = request.finish();
        message[8..12].copy_from_slice(&sequence.to_ne_bytes());
        what.push(about);
        // What the kernel refuses it says in any case; of what it does, the last alone, since answers take room.
        if what.len() as u32 == count - 2 {
            message[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        }
        bytes.extend(message);
    }
    let last = first.wrapping_add(count - 1);
    bytes.extend(Request::new(NFNL_MSG_BATCH_END, NLM_F_REQUEST, last, NFPROTO_UNSPEC).finish());
    socket.send(&bytes)?;

    let (deadline, mut buffer) = (Socket::deadline(), Vec::new());
    loop {
        let len = socket.receive(&mut buffer, deadline)?;
        for message in Messages(&buffer[..len]) {
            let message = message?;
            if message.kind != NLMSG_ERROR {
                continue;
            }
            let answer = Acknowledgement::read(&message)?;
            let index = answer.sequence.wrapping_sub(first) as usize;
            let about = index.checked_sub(1).and_then(|index| what.get(index));
            match (answer.errno, Errno::from_raw(answer.errno), about) {
                (0, _, Some(_)) => return Ok(()),
                (0, _, None) => {}
                (_, Errno::ERESTART, _) => return Err(Error::Restart(found.generation)),
                (_, errno, Some(about)) if errno != Errno::EPERM => {
                    let message = format!("cannot delete {about}");
                    let message = answer.message.iter().fold(message, |all, more| all + ": " + more);
                    let refusal = Refusal { object: Object::Batch, op: index, errno, message: Some(message) };
                    return Err(Error::Refused(vec![refusal]));
                }
                (_, errno, _) => return Err(Error::system("change nftables")(errno)),
            }
        }
    }
}
