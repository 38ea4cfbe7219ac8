//! `policyctl status`.

use super::{
    CliError, Exit, Styles,
    args::{Common, Structured},
};
use crate::live::{Connection, status};
use clap::Args;
use jiff::Timestamp;
use std::io::Write;

/// Whether every policy is in force on every node, who is behind, and why
///
/// Each node's policyd writes what it enforces into a Lease of the namespace palisade-system.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl status
  policyctl status --context production -o json

Exit code 3 if a node is behind, does not report or has no policyd, 4 if the cluster cannot be reached.")]
pub(super) struct StatusArgs {
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Structured,
}

pub(super) fn run(
    common: &Common,
    styles: Styles,
    args: &StatusArgs,
    out: &mut dyn Write,
) -> Result<Exit, CliError> {
    if !common.files.is_empty() {
        return Err(CliError::Usage {
            message: "status asks a cluster, and -f names files",
            help: "leave -f out; --kubeconfig and --context say which cluster",
        });
    }
    let marks = Connection::open(&common.access())?.marks()?;
    let status = status::Status::of(&marks, Timestamp::now());
    args.output.write(
        out,
        |out| Ok(write!(out, "{}", status::text(&status, styles.out))?),
        || status::json(&status),
    )?;
    Ok(if status.is_all_live() { Exit::Allowed } else { Exit::Unsure })
}
