//! `policyctl get`.

use super::{CliError, Exit, Session, args::Structured, error::report, nodes::AgentArgs, progress::Progress};
use crate::{
    live::listing::{self, Listing, Programs},
    style::Style,
};
use clap::Args;
use std::{collections::BTreeMap, io::Write};

/// Policies and whom they select; pods, who isolates them, and the programs in force on their nodes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl get
  policyctl get -n shop -o json
  policyctl get --node w2
  policyctl get -R -f manifests

Exit code 4 if a node cannot be asked for its programs; the rest is shown.")]
pub(super) struct GetArgs {
    /// Pods of this node alone
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    #[command(flatten)]
    agents: AgentArgs,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Structured,
}

pub(super) fn run(
    session: &Session,
    args: &GetArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    let mut programs: BTreeMap<String, Programs> = BTreeMap::new();
    let mut exit = Exit::Allowed;
    if session.live.is_some() || args.agents.is_given() {
        let agents = args.agents.agents(session)?;
        let chosen = agents.chosen(args.node.as_deref())?;
        let progress = Progress::nodes(chosen.len());
        let answers = agents.programs(&chosen, || progress.step());
        drop(progress);
        for (agent, answer) in chosen.into_iter().zip(answers) {
            match answer {
                Ok(told) => drop(programs.insert(agent.to_string(), told)),
                Err(error) => {
                    exit = Exit::Unreachable;
                    report(&CliError::Live(error), Style::plain(), err)?;
                }
            }
        }
    }
    let listing = Listing::new(&session.snapshot, &programs, session.namespace(), args.node.as_deref());
    args.output.write(
        out,
        |out| Ok(write!(out, "{}", listing::text(&listing, session.style))?),
        || listing::json(&listing, &programs),
    )?;
    Ok(exit)
}
