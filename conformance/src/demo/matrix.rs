//! Who reaches whom: every question with the model's answer, and the network's.

use super::{
    checks::Checks,
    parties::{self, Column, Host, Party, Way},
    screen::Steps,
};
use crate::{
    enforced::Ground,
    lab::{Lab, LabError, Place},
    probe::{Outcome, Probe, Reply, Transport},
};
use policy_model::{
    cluster::Cluster,
    object::Protocol,
    verdict::{Endpoint, Flow},
};
use policyctl::{assertions, endpoint};
use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

/// Probes that are sent together, so that a bar moves.
const BATCH: usize = 700;

/// All questions of one state of the cluster.
#[derive(Debug)]
pub(super) struct Matrix {
    pub(super) rows: Vec<Party>,
    pub(super) columns: Vec<Column>,
    pub(super) questions: Vec<Question>,
}

/// One real probe, and what the model says.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// Indices of row, column and door.
    pub(super) cell: (usize, usize, usize),
    /// Who asks, for people.
    pub(super) from: String,
    /// Whom, for people: `db-0 pg`.
    pub(super) to: String,
    pub(super) probe: Probe,
    /// Who may answer, and whether the model allows that flow. Several behind a Service, of which the kernel chooses one.
    answers: Vec<(Place, bool)>,
}

impl Question {
    /// The model's answer; `None` if it depends on which pod of a Service the kernel chooses.
    pub(super) fn expected(&self) -> Option<bool> {
        let first = self.answers.first()?.1;
        self.answers.iter().all(|(_, allowed)| *allowed == first).then_some(first)
    }

    /// Whether a reply is what the model allows for, and from whom it should come.
    fn holds(&self, reply: &Reply) -> bool {
        let may = |allowed: bool| self.answers.iter().any(|(_, a)| *a == allowed);
        match (reply.outcome, &reply.answer) {
            (Outcome::Allowed, Some(answer)) => {
                self.answers.iter().any(|(place, allowed)| *allowed && *place == answer.by)
            }
            // A kernel answers an echo request without saying who it is.
            (Outcome::Allowed, None) => self.probe.transport == Transport::Icmp && may(true),
            (Outcome::Dropped, _) => may(false),
            // Policy drops and never refuses, and every port here has a server.
            (Outcome::Refused | Outcome::NoRoute, _) => false,
        }
    }

    fn complaint(&self, reply: &Reply) -> String {
        let expected = match self.expected() {
            Some(true) => "allows it",
            Some(false) => "denies it",
            None => "allows it to some backends",
        };
        let by = reply.answer.as_ref().map(|a| format!(" by {}", a.by)).unwrap_or_default();
        format!("{} → {}: {} was {}{by}; the model {expected}", self.from, self.to, self.probe, reply.outcome)
    }
}

/// What the network answered, question by question.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// Each with what the model expected.
    outcomes: HashMap<Packet, (Outcome, Option<bool>)>,
}

/// What the network sees of a probe: source, destination, port and how. Who has the source address may change.
type Packet = (Option<IpAddr>, IpAddr, u16, Transport);

fn packet(probe: &Probe) -> Packet {
    (probe.source, probe.to, probe.port, probe.transport)
}

/// A question with another answer than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turned {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) now: bool,
    /// How many probes: one of each family.
    pub(super) probes: usize,
}

impl Matrix {
    /// Every question about a cluster.
    pub(super) fn of(cluster: &Cluster, ground: &Ground<'_>) -> Self {
        let (rows, columns) = (parties::rows(cluster), parties::columns(cluster));
        let mut questions = Vec::new();
        for (r, row) in rows.iter().enumerate() {
            for (c, column) in columns.iter().enumerate() {
                for (d, door) in column.doors.iter().enumerate() {
                    let asked = row.hosts.iter().flat_map(|host| {
                        let new = Asker { cluster, ground, host };
                        door.ways.iter().flat_map(move |way| new.ask((r, c, d), way, &door.name))
                    });
                    questions.extend(asked);
                }
            }
        }
        Self { rows, columns, questions }
    }

    /// How many marks of the table have a question.
    pub(super) fn cells(&self) -> usize {
        self.questions.iter().map(|question| question.cell).collect::<BTreeSet<_>>().len()
    }

    /// Asks the network everything and compares each answer with the model's.
    pub(super) fn ask(&self, lab: &Lab, steps: &Steps, checks: &mut Checks) -> Result<Answers, LabError> {
        let mut outcomes = HashMap::new();
        for questions in self.questions.chunks(BATCH) {
            let probes: Vec<_> = questions.iter().map(|question| question.probe.clone()).collect();
            let replies = lab.probe_all(&probes)?;
            for (question, reply) in questions.iter().zip(&replies) {
                checks.check(question.holds(reply), || question.complaint(reply));
            }
            let answered = questions.iter().zip(&replies);
            outcomes.extend(answered.map(|(q, reply)| (packet(&q.probe), (reply.outcome, q.expected()))));
            steps.done(questions.len());
        }
        Ok(Answers { outcomes })
    }

    /// The questions that have another answer now, in the order of the matrix, both families as one.
    pub(super) fn turned(&self, before: &Answers, now: &Answers) -> Vec<Turned> {
        let mut turned: Vec<Turned> = Vec::new();
        for question in &self.questions {
            let (Some(was), Some(is)) = (before.certain(question), now.certain(question)) else { continue };
            if was == is {
                continue;
            }
            match turned.iter_mut().find(|t| t.from == question.from && t.to == question.to && t.now == is) {
                Some(same) => same.probes += 1,
                None => turned.push(Turned {
                    from: question.from.clone(),
                    to: question.to.clone(),
                    now: is,
                    probes: 1,
                }),
            }
        }
        turned
    }
}

impl Answers {
    /// Whether the probe got through; `None` if it was not sent.
    pub(super) fn get(&self, question: &Question) -> Option<bool> {
        self.outcomes.get(&packet(&question.probe)).map(|(outcome, _)| *outcome == Outcome::Allowed)
    }

    /// The same, unless the answer was chance: which pod of a Service the kernel chose.
    fn certain(&self, question: &Question) -> Option<bool> {
        let (outcome, expected) = self.outcomes.get(&packet(&question.probe))?;
        expected.map(|_| *outcome == Outcome::Allowed)
    }
}

/// One host that asks.
#[derive(Clone, Copy)]
struct Asker<'a> {
    cluster: &'a Cluster,
    ground: &'a Ground<'a>,
    host: &'a Host,
}

impl Asker<'_> {
    /// The questions of both families that lead this way; none where the lab cannot ask.
    fn ask(self, cell: (usize, usize, usize), way: &Way, door: &str) -> Vec<Question> {
        match way {
            Way::Host { name, end, address, protocol, port } => {
                let to = format!("{name} {door}");
                self.ask_host(cell, &to, end, *address, *protocol, *port).into_iter().collect()
            }
            Way::Service { .. } => self.ask_service(cell, way),
        }
    }

    fn ask_host(
        self,
        cell: (usize, usize, usize),
        to: &str,
        end: &Endpoint,
        address: IpAddr,
        protocol: Option<Protocol>,
        port: u16,
    ) -> Option<Question> {
        let place = match end {
            Endpoint::Pod { key, .. } => Place::Pod(key.clone()),
            Endpoint::Address(address) => self.node(*address).map_or(Place::Outside, Place::Node),
        };
        // What a host sends to itself leaves no network.
        if place == self.host.place {
            return None;
        }
        let source = self.source(address, self.is_elsewhere(end))?;
        let number = match (protocol, address) {
            (Some(protocol), _) => protocol.number(),
            (None, IpAddr::V4(_)) => 1,
            (None, IpAddr::V6(_)) => 58,
        };
        let flow = Flow {
            source: self.end(source),
            destination: end.clone(),
            protocol: number,
            port: protocol.map(|_| port),
        };
        let allowed = self.cluster.verdict(&flow).allowed;
        let transport = protocol.map_or(endpoint::Transport::Icmp, endpoint::Transport::Ported);
        let probe = self.ground.probe(&assertions::Probe { flow, transport, service: None })?;
        let answers = vec![(place, allowed)];
        Some(Question { cell, from: self.host.name.clone(), to: to.to_owned(), probe, answers })
    }

    fn ask_service(self, cell: (usize, usize, usize), way: &Way) -> Vec<Question> {
        let Way::Service { key, addresses, port, protocol, backends } = way else { return Vec::new() };
        // From a node, masquerading depends on the backend; from outside there is no way to a ClusterIP.
        if !matches!(self.host.place, Place::Pod(_)) {
            return Vec::new();
        }
        let transport = match protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            Protocol::Sctp => Transport::Sctp,
        };
        let ask = |&address: &IpAddr| {
            let source = self.source(address, false)?;
            let same = |ip: &&IpAddr| ip.is_ipv4() == address.is_ipv4();
            let answers = backends.iter().filter_map(|backend| {
                let flow = Flow {
                    source: self.end(source),
                    destination: Endpoint::Pod {
                        key: backend.key.clone(),
                        address: Some(*backend.addresses.iter().find(same)?),
                    },
                    protocol: protocol.number(),
                    port: Some(backend.port),
                };
                Some((Place::Pod(backend.key.clone()), self.cluster.verdict(&flow).allowed))
            });
            Some(Question {
                cell,
                from: self.host.name.clone(),
                to: format!("svc/{}:{port}", key.name),
                probe: Probe::new(transport, &self.host.place, address, *port).from_address(source),
                answers: answers.collect(),
            })
        };
        addresses.iter().filter_map(ask).collect()
    }

    fn end(self, source: IpAddr) -> Endpoint {
        match &self.host.place {
            Place::Pod(key) => Endpoint::Pod { key: key.clone(), address: Some(source) },
            _ => Endpoint::Address(source),
        }
    }

    fn source(self, to: IpAddr, elsewhere: bool) -> Option<IpAddr> {
        let own = if elsewhere { &self.host.overlay } else { &self.host.addresses };
        own.iter().copied().find(|address| address.is_ipv4() == to.is_ipv4())
    }

    /// Whether this is a node and that a pod of another one.
    fn is_elsewhere(self, end: &Endpoint) -> bool {
        let (Place::Node(node), Endpoint::Pod { key, .. }) = (&self.host.place, end) else { return false };
        let there = self.cluster.pod(key).and_then(|pod| pod.node.as_deref());
        there.is_some_and(|there| there != format!("node-{node}"))
    }

    /// The node that has this address.
    fn node(self, address: IpAddr) -> Option<u8> {
        let node = self.cluster.nodes().find(|node| node.addresses.contains(&address))?;
        node.name.strip_prefix("node-")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Answer;

    /// Of two pods behind a Service the model allows the first.
    fn question() -> Question {
        let [a, b] = ["a", "b"].map(|name| Place::pod("shop", name));
        Question {
            cell: (0, 0, 0),
            from: "c".to_owned(),
            to: "svc/ab:80".to_owned(),
            probe: Probe::tcp(Place::pod("shop", "c"), [10, 96, 0, 1], 80),
            answers: vec![(a, true), (b, false)],
        }
    }

    fn reply(outcome: Outcome, by: Option<&str>) -> Reply {
        let answer = by.map(|name| Answer { by: Place::pod("shop", name), client: [10, 244, 1, 2].into() });
        Reply { outcome, answer }
    }

    #[test]
    fn an_answer_must_come_from_someone_whom_the_model_allows() {
        let question = question();
        assert_eq!(question.expected(), None, "it depends on the pod");
        assert!(question.holds(&reply(Outcome::Allowed, Some("a"))));
        assert!(!question.holds(&reply(Outcome::Allowed, Some("b"))));
        assert!(!question.holds(&reply(Outcome::Allowed, Some("stranger"))));
        assert!(question.holds(&reply(Outcome::Dropped, None)), "the other pod was chosen");
    }

    #[test]
    fn a_certain_answer_is_the_only_one() {
        let mut allowed = question();
        allowed.answers.truncate(1);
        let denied = Question { answers: vec![(Place::pod("shop", "b"), false)], ..question() };
        assert!(!allowed.holds(&reply(Outcome::Dropped, None)));
        assert!(denied.holds(&reply(Outcome::Dropped, None)));
        assert!(!denied.holds(&reply(Outcome::Allowed, Some("b"))));
        for outcome in [Outcome::Refused, Outcome::NoRoute] {
            assert!(!denied.holds(&reply(outcome, None)), "policy drops: {outcome}");
        }
    }

    #[test]
    fn only_certain_answers_turn() {
        let mut certain = question();
        certain.answers.truncate(1);
        let matrix = |question| Matrix { rows: Vec::new(), columns: Vec::new(), questions: vec![question] };
        let answers = |question: &Question, outcome| Answers {
            outcomes: [(packet(&question.probe), (outcome, question.expected()))].into(),
        };
        let before = answers(&certain, Outcome::Allowed);
        let now = answers(&certain, Outcome::Dropped);
        let turned = matrix(certain.clone()).turned(&before, &now);
        assert_eq!(turned.iter().map(|t| (t.now, t.probes)).collect::<Vec<_>>(), [(false, 1)]);
        assert!(matrix(certain.clone()).turned(&before, &before).is_empty());
        let chance = answers(&question(), Outcome::Dropped);
        assert!(matrix(question()).turned(&before, &chance).is_empty());
    }
}
