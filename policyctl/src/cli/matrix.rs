//! `policyctl matrix`.

use super::{
    CliError, Exit, Session,
    args::{MatrixArgs, MatrixFormat},
};
use crate::matrix::{self, Matrix, Options};
use std::io::Write;

pub(super) fn run(session: &Session, args: &MatrixArgs, mut out: &mut dyn Write) -> Result<Exit, CliError> {
    let options = Options {
        granularity: args.granularity(),
        namespace: session.common.namespace.clone(),
        cuts: Vec::new(),
    };
    let matrix = Matrix::new(&session.snapshot, &options);
    match args.output {
        MatrixFormat::Table => write!(out, "{}", matrix::table(&matrix, session.style))?,
        MatrixFormat::Json => matrix::write_json(&matrix, &mut out)?,
        MatrixFormat::Yaml => matrix::write_yaml(&matrix, &mut out)?,
        MatrixFormat::Csv => write!(out, "{}", matrix::csv(&matrix))?,
        MatrixFormat::Md => write!(out, "{}", matrix::markdown(&matrix))?,
        MatrixFormat::Dot => write!(out, "{}", matrix::dot(&matrix))?,
        MatrixFormat::Mermaid => write!(out, "{}", matrix::mermaid(&matrix))?,
        MatrixFormat::Svg => write!(out, "{}", matrix::svg(&matrix))?,
    }
    Ok(Exit::Allowed)
}
