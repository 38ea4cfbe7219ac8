//! `policyctl explain`.

mod kernel;

use super::{CliError, Exit, Session, args::ExplainArgs, names};
use crate::{
    explain::{self, Answer, Explanation, Question},
    fix::{self, Goal},
    live::walk,
};
use policy_model::cluster::Cluster;
use std::io::Write;

pub(super) fn run(session: &mut Session, args: &ExplainArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let question = question(session, &args.source, &args.destination)?;
    let mut explanation = ask(session, &question)?;
    let walks = match args.node {
        true => Some(kernel::walks(session, args, &question, &mut explanation)?),
        false => None,
    };
    let goal = if args.deny { Goal::Deny } else { Goal::Allow };
    // A question about several pairs or ports is no wish to have them all: only what may not pass at all gets a remedy.
    let turns = goal == Goal::Deny || explanation.verdict == Answer::Denied;
    if turns && !session.common.quiet {
        explanation.fix = fix::find(&session.snapshot, &explanation, goal);
        explanation.notes.extend(remark(&session.snapshot.cluster, &explanation, goal));
    }
    let snapshot = &session.snapshot;
    let json = || {
        let mut value = explain::json(snapshot, &explanation);
        if let Some(walks) = &walks {
            value["kernel"] = walk::json(walks);
        }
        value
    };
    let text = |out: &mut dyn Write| {
        if session.common.quiet {
            writeln!(out, "{}", explanation.verdict.word().to_uppercase())?;
            return Ok(());
        }
        write!(out, "{}", explain::text(snapshot, &explanation, session.style))?;
        if let Some(walks) = &walks {
            let policies = session.live.as_ref().map(|live| &*live.policies);
            write!(out, "{}", walk::text(walks, policies, session.style))?;
        }
        Ok(())
    };
    args.output.write(out, text, json)?;
    let disagree = walks.iter().flatten().any(|walk| !walk.agrees());
    Ok(if disagree { Exit::Unreachable } else { explanation.verdict.into() })
}

pub(super) fn question(session: &Session, source: &str, destination: &str) -> Result<Question, CliError> {
    let source = names::endpoint(source, session.namespace())?;
    let target = names::target(destination, session.namespace())?;
    Ok(Question { source, target })
}

pub(super) fn ask(session: &Session, question: &Question) -> Result<Explanation, CliError> {
    explain::explain(&session.snapshot, question).map_err(|error| session.no_end(error))
}

/// How many pods are named.
const NAMED: usize = 4;

/// Says why there is nothing to change, or why more moves than was asked for, where somebody waits for it.
fn remark(cluster: &Cluster, explanation: &Explanation, goal: Goal) -> Option<String> {
    match (goal, explanation.verdict, &explanation.fix) {
        (Goal::Allow, Answer::Denied, None) => {
            let why = "the ends cannot be named by a rule, or it takes more than one policy";
            Some(format!("no single small change allows this: {why}"))
        }
        (Goal::Deny, Answer::Denied, _) => Some("it is denied already: there is nothing to stop".to_owned()),
        (Goal::Deny, Answer::Allowed | Answer::Mixed, None) => {
            let reason = fix::why_unstoppable(cluster, explanation);
            Some(
                reason
                    .unwrap_or("no few changes of policies stop this without more being allowed")
                    .to_owned(),
            )
        }
        (_, _, Some(found)) => {
            let alike = found.alike(cluster, explanation);
            let names = alike.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let more = alike.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let (they, label) = match alike.len() {
                1 => ("it moves", "a label of its own would tell it"),
                _ => ("they move", "labels of their own would tell them"),
            };
            let note = format!(
                "no label tells {names}{more} from the ends asked about, so {they} too; {label} apart"
            );
            (!alike.is_empty()).then_some(note)
        }
        _ => None,
    }
}
