//! `policyctl report`.

use super::{CliError, Exit, Session};
use crate::report::{
    Report,
    graph::{self, Graph},
    page,
};
use clap::{Args, ValueEnum};
use std::io::Write;

/// What policies let pass, as one page that needs nothing else
///
/// The page has the matrix as a heat map with the reason of every cell, the graph of workloads, the findings of lint and a search.
/// It asks nothing of any network.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl report -R -f manifests > report.html
  policyctl report -R -f manifests -o svg > graph.svg
  policyctl report -R -f manifests -o dot | dot -Tpdf > graph.pdf")]
pub(super) struct ReportArgs {
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// What stands in the page's head; without it the paths or the context that was read
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The page
    #[default]
    Html,
    /// The graph of workloads, for Graphviz
    Dot,
    /// The graph of workloads, as a picture
    Svg,
}

pub(super) fn run(session: &Session, args: &ReportArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    let paths = || session.common.files.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let source = || session.live.as_ref().map_or_else(paths, |live| live.connection.name().to_owned());
    let report = Report::new(&session.snapshot, args.title.clone().unwrap_or_else(source));
    match args.output {
        Format::Html => page::write(&report, out)?,
        Format::Dot => out.write_all(graph::dot(&report).as_bytes())?,
        Format::Svg => out.write_all(graph::svg(&Graph::new(&report)).as_bytes())?,
    }
    Ok(Exit::Allowed)
}
