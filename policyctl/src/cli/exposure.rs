//! `policyctl exposure`.

use super::{CliError, Exit, Session, args::ExposureArgs};
use crate::{
    exposure,
    matrix::{Matrix, Options},
};
use std::io::Write;

pub(super) fn run(session: &Session, args: &ExposureArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let options = Options { namespace: session.common.namespace.clone(), ..Options::default() };
    let found = exposure::exposure(&Matrix::new(&session.snapshot, &options));
    args.output.write(out, |out| Ok(write!(out, "{}", found.text(session.style))?), || found.json())?;
    Ok(Exit::Allowed)
}
