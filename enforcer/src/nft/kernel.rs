//! The real backend: nf_tables and conntrack of one network namespace.

use super::{
    backend::{Backend, Commit, Counter, Dump},
    conntrack::{self, Entry},
    decode::{parse, parse_counters},
    encode::{Ending, Transaction, nfproto},
    error::{Error, Object, Refusal},
    ffi::Scratch,
    refusal::refused_object,
    socket::{Dumped, Socket},
    uapi::*,
    wire::{Acknowledgement, Messages, Request},
};
use compiler::{
    delta::Delta,
    ir::{Family, Name, TABLE},
};
use nix::errno::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

/// How often to begin reading again before giving up.
const ATTEMPTS: u32 = 20;

/// How much longer to wait after each attempt.
const PAUSE: Duration = Duration::from_millis(2);

/// The tables of the network namespace in which the socket was opened.
pub struct Kernel {
    socket: Socket,
    /// For the messages of transactions and the answers to them: both are large, and transactions come often.
    scratch: Scratch,
    buffer: Vec<u8>,
}

/// What has come back for a transaction.
#[derive(Default)]
struct Answers {
    refusals: Vec<Acknowledgement>,
    done: bool,
    generation: Option<u32>,
    overflow: bool,
}

impl Kernel {
    /// Opens a socket in the network namespace of the calling thread. Works without privileges; commits then do not.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the kernel has no netfilter, [`Error::System`].
    pub fn open() -> Result<Self, Error> {
        Ok(Self { socket: Socket::open()?, scratch: Scratch::new(), buffer: Vec::new() })
    }

    /// The port id that notifications of this socket's commits carry; [`super::Monitor`] tells them apart by it.
    #[must_use]
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Lets the kernel check a Delta as it would for a commit, and changes nothing.
    ///
    /// # Errors
    /// As [`Backend::commit`].
    pub fn check(&mut self, delta: &Delta) -> Result<(), Error> {
        self.check_in(delta, TABLE)
    }

    /// The same for tables of another name.
    pub(super) fn check_in(&mut self, delta: &Delta, table: &str) -> Result<(), Error> {
        self.transact(delta, table, None, Ending::Check).map(drop)
    }

    /// The ruleset's generation: it is another after every commit, by anyone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the kernel has no nftables.
    pub fn generation(&mut self) -> Result<u32, Error> {
        generation(&mut self.socket, &mut self.buffer)
    }

    fn transact(
        &mut self,
        delta: &Delta,
        table: &str,
        generation: Option<u32>,
        ending: Ending,
    ) -> Result<Commit, Error> {
        let mut transaction = Transaction::encode(delta, table, generation, ending, &mut self.scratch)?;
        if transaction.len() == 0 {
            return self.nothing_to_do(generation);
        }
        let count = u32::try_from(transaction.len() + 2).unwrap_or(u32::MAX);
        transaction.number_from(self.socket.take_sequence(count));
        let start = Instant::now();
        self.socket.send(&transaction.bytes)?;
        let answers = self.answers(&transaction)?;
        let took = start.elapsed();
        if !answers.refusals.is_empty() {
            return Err(refused(delta, &transaction, &answers.refusals, generation));
        }
        if !answers.done {
            return Err(if answers.overflow { Error::NoBuffers } else { Error::Timeout(Socket::PATIENCE) });
        }
        let made = match (answers.generation, ending) {
            (Some(generation), _) => generation,
            (None, Ending::Check) => 0,
            (None, Ending::Commit) => self.generation()?,
        };
        Ok(Commit { generation: made, messages: transaction.len(), bytes: transaction.bytes.len(), took })
    }

    /// The kernel would make a generation of an empty batch all the same, wake everyone who listens, and not answer.
    fn nothing_to_do(&mut self, expected: Option<u32>) -> Result<Commit, Error> {
        let start = Instant::now();
        let generation = self.generation()?;
        match expected {
            Some(expected) if expected != generation => Err(Error::Restart(expected)),
            _ => Ok(Commit { generation, messages: 0, bytes: 0, took: start.elapsed() }),
        }
    }

    /// All answers are there when the send returns; the deadline is for a kernel that breaks this.
    fn answers(&mut self, transaction: &Transaction) -> Result<Answers, Error> {
        let (deadline, mut answers) = (Socket::deadline(), Answers::default());
        let Self { socket, buffer, .. } = self;
        loop {
            match socket.receive_now(buffer) {
                Ok(Some(len)) => answers.read(&buffer[..len], transaction)?,
                // Some are lost; those that came before can be read still.
                Err(Errno::ENOBUFS) => answers.overflow = true,
                Err(errno) => return Err(Error::system("read the kernel's answer")(errno)),
                Ok(None) if answers.done || !answers.refusals.is_empty() || answers.overflow => {
                    return Ok(answers);
                }
                Ok(None) => {
                    let len = socket.receive(buffer, deadline)?;
                    answers.read(&buffer[..len], transaction)?;
                }
            }
        }
    }

    /// The answers to dumps of our tables, as of one generation, which is returned too.
    fn read_settled(
        &mut self,
        mut read: impl FnMut(&mut Self, &mut Vec<u8>) -> Result<Dumped, Error>,
    ) -> Result<(Vec<u8>, u32), Error> {
        for attempt in 0..ATTEMPTS {
            let generation = self.generation()?;
            let mut bytes = Vec::new();
            if read(self, &mut bytes)? != Dumped::Interrupted && self.generation()? == generation {
                return Ok((bytes, generation));
            }
            // Others commit in bursts.
            std::thread::sleep(PAUSE * attempt);
        }
        Err(Error::Unsettled(ATTEMPTS))
    }

    /// Dumps what there is of one kind in one of our tables.
    pub(super) fn read(
        &mut self,
        kind: u16,
        family: Family,
        set: Option<&Name>,
        to: &mut Vec<u8>,
    ) -> Result<Dumped, Error> {
        let sequence = self.socket.take_sequence(1);
        let mut request = Request::new(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, nfproto(family))
            .with_text(NFTA_TABLE, TABLE);
        if let Some(set) = set {
            request = request.with_text(NFTA_SET_ELEM_LIST_SET, set);
        }
        self.socket.dump(&request.finish(), sequence, to)
    }

    fn read_table(&mut self, family: Family, to: &mut Vec<u8>) -> Result<Dumped, Error> {
        for kind in [message::GETTABLE, message::GETOBJ, message::GETFLOWTABLE] {
            if self.read(kind, family, None, to)? == Dumped::Interrupted {
                return Ok(Dumped::Interrupted);
            }
        }
        let sets = to.len();
        if self.read(message::GETSET, family, None, to)? == Dumped::Interrupted {
            return Ok(Dumped::Interrupted);
        }
        for set in set_names(&to[sets..])? {
            // A set that is not there any more is a change, which the generation shows.
            if self.read(message::GETSETELEM, family, Some(&set), to)? == Dumped::Interrupted {
                return Ok(Dumped::Interrupted);
            }
        }
        for kind in [message::GETCHAIN, message::GETRULE] {
            if self.read(kind, family, None, to)? == Dumped::Interrupted {
                return Ok(Dumped::Interrupted);
            }
        }
        Ok(Dumped::Whole)
    }
}

/// The ruleset's generation, read through a buffer.
pub(super) fn generation(socket: &mut Socket, buffer: &mut Vec<u8>) -> Result<u32, Error> {
    let sequence = socket.take_sequence(1);
    let request = Request::new(message::GETGEN, NLM_F_REQUEST, sequence, NFPROTO_UNSPEC).finish();
    socket.send(&request)?;
    let deadline = Socket::deadline();
    loop {
        let len = socket.receive(buffer, deadline)?;
        for message in Messages(&buffer[..len]) {
            let message = message?;
            if message.sequence != sequence {
                continue;
            }
            if message.kind == message::NEWGEN {
                let generation = message.attributes()?.u32(NFTA_GEN_ID);
                return generation.ok_or_else(|| Error::Malformed("a generation without its id".into()));
            }
            if message.kind == NLMSG_ERROR {
                return Err(unusable(Errno::from_raw(Acknowledgement::read(&message)?.errno)));
            }
        }
    }
}

fn set_names(messages: &[u8]) -> Result<Vec<Name>, Error> {
    let mut names = Vec::new();
    for message in Messages(messages) {
        if let Some((_, set)) = super::decode::ours(&message?)? {
            names.extend(set.text(NFTA_NAME).map(Name::from));
        }
    }
    Ok(names)
}

impl Answers {
    fn read(&mut self, datagram: &[u8], transaction: &Transaction) -> Result<(), Error> {
        for message in Messages(datagram) {
            let message = message?;
            if message.kind == message::NEWGEN && message.sequence == transaction.first {
                self.generation = message.attributes()?.u32(NFTA_GEN_ID);
            }
            if message.kind != NLMSG_ERROR {
                continue;
            }
            let answer = Acknowledgement::read(&message)?;
            // Answers to what was sent before and given up are nobody's.
            if answer.sequence.wrapping_sub(transaction.first) as usize > transaction.len() + 1 {
                continue;
            }
            self.done |= answer.errno == 0 && answer.sequence == transaction.last_sequence();
            if answer.errno != 0 {
                self.refusals.push(answer);
            }
        }
        Ok(())
    }
}

fn sent_last(delta: &Delta) -> usize {
    delta.ops.len().saturating_sub(1)
}

/// The whole subsystem says no.
fn unusable(errno: Errno) -> Error {
    match errno {
        Errno::EOPNOTSUPP | Errno::EINVAL | Errno::EPROTONOSUPPORT => Error::Unsupported("nftables"),
        errno => Error::system("use nftables")(errno),
    }
}

fn refused(
    delta: &Delta,
    transaction: &Transaction,
    answers: &[Acknowledgement],
    generation: Option<u32>,
) -> Error {
    let mut refusals = Vec::new();
    for answer in answers {
        let errno = Errno::from_raw(answer.errno);
        let Some((sent, request)) = transaction.message(answer.sequence) else {
            // About the batch as a whole.
            return match (errno, generation) {
                (Errno::ERESTART, Some(generation)) => Error::Restart(generation),
                // Found when the whole was looked at in the end.
                (Errno::ELOOP | Errno::EMLINK | Errno::ENFILE, _) => Error::Refused(vec![Refusal {
                    object: Object::Batch,
                    op: sent_last(delta),
                    errno,
                    message: answer.message.clone(),
                }]),
                _ => unusable(errno),
            };
        };
        let object = delta
            .ops
            .get(sent.op)
            .map_or(Object::Batch, |op| refused_object(op, sent.rule, request, answer.offset));
        refusals.push(Refusal { object, op: sent.op, errno, message: answer.message.clone() });
    }
    Error::Refused(refusals)
}

impl Backend for Kernel {
    fn commit(&mut self, delta: &Delta, generation: Option<u32>) -> Result<Commit, Error> {
        self.transact(delta, TABLE, generation, Ending::Commit)
    }

    fn dump(&mut self) -> Result<Dump, Error> {
        let (bytes, generation) = self.read_settled(|kernel, bytes| {
            for family in Family::BOTH {
                if kernel.read_table(family, bytes)? == Dumped::Interrupted {
                    return Ok(Dumped::Interrupted);
                }
            }
            Ok(Dumped::Whole)
        })?;
        Ok(Dump { generation, ..parse(&bytes)? })
    }

    fn counters(&mut self) -> Result<BTreeMap<(Family, Name), Counter>, Error> {
        let (bytes, _) = self.read_settled(|kernel, bytes| {
            for family in Family::BOTH {
                if kernel.read(message::GETOBJ, family, None, bytes)? == Dumped::Interrupted {
                    return Ok(Dumped::Interrupted);
                }
            }
            Ok(Dumped::Whole)
        })?;
        parse_counters(&bytes)
    }

    fn tracked(&mut self, addresses: &BTreeSet<IpAddr>) -> Result<Vec<Entry>, Error> {
        conntrack::tracked(&mut self.socket, addresses)
    }

    fn forget(&mut self, entries: &[Entry]) -> Result<usize, Error> {
        conntrack::forget(&mut self.socket, entries)
    }
}
