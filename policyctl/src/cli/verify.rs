//! `policyctl verify`.

use super::{
    CliError, Exit, Session,
    args::Structured,
    nodes::{self, AgentArgs},
    progress::Progress,
};
use crate::{
    explain::wrapped,
    live::{
        Agent, Agents, LiveError,
        proof::{self, Proof},
    },
    style::Tone,
};
use clap::Args;
use serde_json::{Value, json};
use std::{io::Write, thread};

/// Whether the nodes' kernels enforce exactly what the policies say: a proof for all packets
///
/// Each node's tables are read back from its kernel, every local pod's reach is rebuilt from them and compared with the model's.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl verify
  policyctl verify --node w2 -o json
  policyctl verify -R -f manifests --policyd http://127.0.0.1:9469

Exit code 4 if a kernel differs or a node cannot be asked.")]
pub(super) struct VerifyArgs {
    /// One node alone
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    agents: AgentArgs,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Structured,
}

/// What came of a node, and whom it was.
type Outcome = (Agent, Result<Proof, LiveError>);

pub(super) fn run(
    session: &mut Session,
    args: &VerifyArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    let agents = args.agents.agents(session)?;
    let chosen = agents.chosen(args.node.as_deref())?;
    let outcomes = prove(session, &agents, &chosen)?;
    let unguarded = if args.node.is_none() { unguarded(session, &agents) } else { Vec::new() };
    args.output.write(
        out,
        |out| table(session, &outcomes, &unguarded, out),
        || document(session, &outcomes, &unguarded),
    )?;
    out.flush()?;
    session.tell(err)?;
    Ok(if is_equal(&outcomes, &unguarded) { session.exit(Exit::Allowed) } else { Exit::Unreachable })
}

fn is_equal(outcomes: &[Outcome], unguarded: &[String]) -> bool {
    let holds = |(_, outcome): &Outcome| outcome.as_ref().is_ok_and(Proof::holds);
    outcomes.iter().all(holds) && unguarded.is_empty() && !outcomes.is_empty()
}

/// Proves each node. What differs though the kernel holds what its policyd wants may be news that one of the two had not heard
/// when it was read: both are read again.
fn prove(session: &mut Session, agents: &Agents, chosen: &[&Agent]) -> Result<Vec<Outcome>, CliError> {
    let progress = Progress::nodes(chosen.len());
    let mut outcomes: Vec<Option<Outcome>> = chosen.iter().map(|_| None).collect();
    let mut due: Vec<usize> = (0..chosen.len()).collect();
    for attempt in 1..=nodes::ATTEMPTS {
        let asked: Vec<&Agent> = due.iter().map(|&index| chosen[index]).collect();
        let kernels = agents.kernels(&asked, || progress.step());
        let mut early = Vec::new();
        for (&index, kernel) in due.iter().zip(kernels) {
            let agent = chosen[index];
            let proof = kernel.and_then(|kernel| {
                if let Some(node) = &agent.node {
                    nodes::require_node(node, &kernel)?;
                }
                Ok(proof::prove(&kernel, &session.snapshot.cluster, &session.snapshot.terminating))
            });
            if proof.as_ref().is_ok_and(Proof::may_be_early) {
                early.push(index);
            }
            outcomes[index] = Some((agent.clone(), proof));
        }
        if early.is_empty() || session.live.is_none() || attempt == nodes::ATTEMPTS {
            break;
        }
        due = early;
        thread::sleep(nodes::PAUSE);
        session.read_again()?;
    }
    Ok(outcomes.into_iter().flatten().collect())
}

/// Nodes that have pods and no policyd.
fn unguarded(session: &Session, agents: &Agents) -> Vec<String> {
    let has_pods = |node: &&String| {
        session.snapshot.cluster.pods().any(|pod| pod.is_policed() && pod.node.as_deref() == Some(&***node))
    };
    agents.without().iter().filter(has_pods).cloned().collect()
}

fn table(
    session: &Session,
    outcomes: &[Outcome],
    unguarded: &[String],
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let style = session.style;
    for (agent, outcome) in outcomes {
        match outcome {
            Ok(proof) => write!(out, "{}", proof::text(proof, style))?,
            Err(error) => {
                let text = wrapped("         ", &format!("{agent}  {error}"), style.width);
                write!(out, "{}  {}", style.paint(Tone::Bad, "UNKNOWN"), text.trim_start())?;
            }
        }
    }
    for node in unguarded {
        writeln!(
            out,
            "{}  {node}  it has pods, and no policyd runs there",
            style.paint(Tone::Bad, "UNKNOWN")
        )?;
    }
    let proofs = || outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok());
    let sum = |of: fn(&Proof) -> usize| proofs().map(of).sum::<usize>();
    let equal = proofs().filter(|proof| proof.holds()).count();
    writeln!(
        out,
        "equal on {equal} of {} nodes: {} pods in both directions, {} elements, every packet",
        outcomes.len() + unguarded.len(),
        sum(|proof| proof.pods),
        sum(|proof| proof.elements),
    )?;
    Ok(())
}

fn document(session: &Session, outcomes: &[Outcome], unguarded: &[String]) -> Value {
    let nodes: Vec<Value> =
        outcomes.iter().filter_map(|(_, outcome)| outcome.as_ref().ok().map(proof::json)).collect();
    let unanswered = outcomes.iter().filter_map(|(agent, outcome)| {
        let error = outcome.as_ref().err()?;
        Some(json!({ "node": agent.to_string(), "error": error.to_string() }))
    });
    let without = unguarded
        .iter()
        .map(|node| json!({ "node": node, "error": "it has pods, and no policyd runs there" }));
    json!({
        "kind": "Proof",
        "equal": is_equal(outcomes, unguarded),
        "policies": session.live.as_ref().map(|live| &live.policies),
        "nodes": nodes,
        "unanswered": unanswered.chain(without).collect::<Vec<_>>(),
    })
}
