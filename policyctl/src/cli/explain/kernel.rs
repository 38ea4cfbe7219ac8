//! `policyctl explain --node`: the same question to the kernels of the nodes.

use super::super::{CliError, Session, args::ExplainArgs, nodes};
use crate::{
    explain::{Asked, Explanation, Question},
    live::{
        Agent,
        walk::{self, Walk},
    },
};
use compiler::readback::Readback;
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
    explanation: &mut Explanation,
) -> Result<(Vec<Walk>, bool), CliError> {
    let questions = walk::questions(&session.snapshot.cluster, explanation);
    let mut by_node: BTreeMap<String, Vec<walk::Question>> = BTreeMap::new();
    for question in questions {
        by_node.entry(question.node.clone()).or_default().push(question);
    }
    if by_node.is_empty() {
        explanation.notes.push(
            "no node judges this packet: neither end is a pod with an address and a network of its own, or both are one pod"
                .to_owned(),
        );
        return Ok((Vec::new(), true));
    }
    let kernels = kernels(session, args, by_node.keys())?;
    let (mut walks, mut settled) = (Vec::new(), true);
    for (node, questions) in by_node {
        let Some(kernel) = kernels.get(&node) else {
            explanation
                .notes
                .push(format!("node {node} judges this too, and is not asked: no address names it"));
            continue;
        };
        settled &= kernel.drift == 0;
        walks.extend(questions.into_iter().map(|question| walk::walk(question, kernel)));
    }
    Ok((walks, settled))
}

/// What these nodes hold; of nodes that addresses name, those that are among them.
fn kernels<'a>(
    session: &Session,
    args: &ExplainArgs,
    judges: impl Iterator<Item = &'a String>,
) -> Result<BTreeMap<String, Readback>, CliError> {
    let agents = args.agents.agents(session)?;
    let asked: Vec<&Agent> = match args.agents.is_given() {
        true => agents.all().iter().collect(),
        false => judges.map(|node| agents.of_node(node)).collect::<Result<_, _>>()?,
    };
    let mut kernels = BTreeMap::new();
    for (agent, kernel) in asked.iter().zip(agents.kernels(&asked, || {})) {
        let kernel = kernel?;
        if let Some(node) = &agent.node {
            nodes::require_node(node, &kernel)?;
        }
        kernels.insert(kernel.node.clone(), kernel);
    }
    Ok(kernels)
}
