//! `policyctl exposure`.

use super::{
    CliError, Exit, Session,
    args::{ExposureArgs, Structured},
};
use crate::{
    exposure,
    matrix::{Matrix, Options},
    yaml,
};
use std::io::Write;

pub(super) fn run(session: &Session, args: &ExposureArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let options = Options { namespace: session.common.namespace.clone(), ..Options::default() };
    let found = exposure::exposure(&Matrix::new(&session.snapshot, &options));
    match args.output {
        Structured::Table => write!(out, "{}", found.text(session.style))?,
        Structured::Json => writeln!(out, "{:#}", found.json())?,
        Structured::Yaml => write!(out, "{}", yaml::to_yaml(&found.json()))?,
    }
    Ok(Exit::Allowed)
}
