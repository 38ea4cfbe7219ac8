//! `policyctl can`.

use super::{CliError, Exit, Session, args::CanArgs, explain};
use std::io::Write;

pub(super) fn run(session: &Session, args: &CanArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let question = explain::question(session, &args.source, &args.destination)?;
    let answer = explain::ask(session, &question)?.verdict;
    writeln!(out, "{answer}")?;
    Ok(answer.into())
}
