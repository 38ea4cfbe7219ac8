//! `policyctl explain --node`: the same question to the kernels of the nodes.

use super::super::{CliError, Session, args::ExplainArgs, nodes};
use crate::{
    explain::{Asked, Explanation, Question},
    live::walk::{self, Walk},
};
use std::{collections::BTreeMap, thread};

/// The packet's way through every node that judges it. Where a node does not agree though its kernel holds what its policyd
/// wants, cluster and node may have been read at two moments: both are read again.
pub(super) fn walks(
    session: &mut Session,
    args: &ExplainArgs,
    question: &Question,
    explanation: &mut Explanation,
) -> Result<Vec<Walk>, CliError> {
    if explanation.pairs.iter().any(|pair| matches!(pair.asked, Asked::Many(_))) {
        return Err(CliError::Usage {
            message: "--node follows one packet",
            help: "name a port, as in ns/pod:5432, or ICMP",
        });
    }
    for attempt in 1.. {
        let (walks, settled) = once(session, args, explanation)?;
        if walks.iter().all(Walk::agrees) || !settled || session.live.is_none() || attempt == nodes::ATTEMPTS
        {
            if walks.is_empty() {
                explanation.notes.push(
                    "no node judges this packet: neither end is a pod with an address and a network of its own, or both are \
                     one pod"
                        .to_owned(),
                );
            }
            return Ok(walks);
        }
        thread::sleep(nodes::PAUSE);
        session.read_again()?;
        *explanation = super::ask(session, question)?;
    }
    Ok(Vec::new())
}

/// The walks, and whether every kernel holds what its policyd wants.
fn once(
    session: &Session,
    args: &ExplainArgs,
    explanation: &Explanation,
) -> Result<(Vec<Walk>, bool), CliError> {
    let questions = walk::questions(&session.snapshot.cluster, explanation);
    let mut by_node: BTreeMap<String, Vec<walk::Question>> = BTreeMap::new();
    for question in questions {
        by_node.entry(question.node.clone()).or_default().push(question);
    }
    if by_node.is_empty() {
        return Ok((Vec::new(), true));
    }
    let agents = args.agents.agents(session)?;
    let chosen = by_node.keys().map(|node| agents.of_node(node)).collect::<Result<Vec<_>, _>>()?;
    let (mut walks, mut settled) = (Vec::new(), true);
    for ((node, questions), kernel) in by_node.into_iter().zip(agents.kernels(&chosen, || {})) {
        let kernel = kernel?;
        nodes::require_node(&node, &kernel)?;
        settled &= kernel.drift == 0;
        walks.extend(questions.into_iter().map(|question| walk::walk(question, &kernel)));
    }
    Ok((walks, settled))
}
