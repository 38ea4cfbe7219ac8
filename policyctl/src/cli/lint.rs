//! `policyctl lint`.

use super::{
    CliError, Exit, Styles,
    args::Common,
    session::{Session, tell_notes},
};
use crate::lint::{self, Code, Severity, docs, output};
use clap::{Args, ValueEnum};
use std::io::Write;

/// What in policies is probably not what was meant
///
/// Every finding has a code, a severity, a place and a remedy. What cannot be read is a finding too.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl lint -R -f manifests
  policyctl lint -R -f manifests -o sarif > lint.sarif
  policyctl lint -f manifests --fail-on error
  policyctl lint --explain P014

Exit code 1 if there is a finding of at least the severity of --fail-on, 2 if something cannot be read.")]
pub(super) struct LintArgs {
    /// Say what a code means, instead
    #[arg(long, value_name = "CODE", conflicts_with = "list")]
    explain: Option<Code>,
    /// List every code, instead (-o md: as docs/lint.md)
    #[arg(long)]
    list: bool,
    /// The least severity that makes the exit code 1
    #[arg(long, value_enum, default_value_t = Severity::Warning, value_name = "SEVERITY")]
    fail_on: Severity,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
    /// For pipelines
    Junit,
    /// With --list: Markdown
    Md,
}

pub(super) fn run(
    common: Common,
    styles: Styles,
    args: &LintArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    if let Some(code) = args.explain {
        write!(out, "{}", docs::explain(code, styles.out.width))?;
        return Ok(Exit::Allowed);
    }
    if args.list {
        list(args.output, out)?;
        return Ok(Exit::Allowed);
    }
    let session = Session::open(common, styles)?;
    let findings = lint::lint(&session.snapshot);
    match args.output {
        Format::Table => write!(out, "{}", output::table(&findings, session.style))?,
        Format::Json => writeln!(out, "{:#}", output::json(&findings))?,
        Format::Sarif => writeln!(out, "{:#}", output::sarif(&findings))?,
        Format::Junit => write!(out, "{}", output::junit(&findings, args.fail_on))?,
        Format::Md => {
            return Err(CliError::Usage {
                message: "-o md goes with --list",
                help: "use table, json, sarif or junit",
            });
        }
    }
    out.flush()?;
    // What is broken has been said as findings.
    tell_notes(&session.snapshot, &session.common, err)?;
    Ok(match lint::exit_status(&findings, args.fail_on) {
        0 => Exit::Allowed,
        1 => Exit::Denied,
        _ => Exit::Usage,
    })
}

fn list(format: Format, out: &mut dyn Write) -> std::io::Result<()> {
    if format == Format::Md {
        return write!(out, "{}", docs::markdown());
    }
    for info in Code::all().map(Code::info) {
        writeln!(out, "{}  {:7}  {:21}  {}", info.code, info.severity, info.name, info.title)?;
    }
    Ok(())
}
