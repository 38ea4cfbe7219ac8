//! `policyctl who`.

use super::{
    CliError, Exit, Session,
    args::{WhoArgs, WhoQuestion},
    names,
};
use crate::who;
use std::io::Write;

pub(super) fn run(session: &Session, args: &WhoArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let found = match &args.question {
        WhoQuestion::Can { destination, .. } => {
            who::who_reaches(&session.snapshot, &names::target(destination, session.namespace())?)
        }
        WhoQuestion::Does { source, .. } => {
            who::reached_by(&session.snapshot, &names::endpoint(source, session.namespace())?)
        }
    };
    let found = found.map_err(|error| session.no_end(error.into()))?;
    args.output.write(out, |out| Ok(write!(out, "{}", found.text(session.style))?), || found.json())?;
    Ok(Exit::Allowed)
}
