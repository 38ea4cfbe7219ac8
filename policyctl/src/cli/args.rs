//! Verbs and flags.

use super::CliError;
use crate::{input::Source, matrix::Granularity, yaml};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use serde_json::Value;
use std::{ffi::OsString, io::Write, path::Path};

/// What NetworkPolicies allow, why, and what to change
///
/// Reads Kubernetes manifests (pods, workloads, namespaces, Services, NetworkPolicies), or a cluster's objects where there is no
/// -f, and answers questions about them. Nothing is changed.
#[derive(Debug, Parser)]
#[command(name = "policyctl", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXIT_CODES: &str = "Exit codes:
  0  allowed (diff: nothing gained)
  1  denied (diff: something gained)
  2  wrong usage or bad input
  3  unknown or mixed
  4  a cluster or node could not be reached, or a kernel disagrees";

/// Flags that every verb has.
#[derive(Clone, Debug, Args)]
pub(super) struct Common {
    /// A file or folder of manifests, or - for standard input; may be given more than once
    #[arg(short = 'f', long = "filename", value_name = "PATH", global = true)]
    pub(super) files: Vec<Source>,
    /// Read folders within folders too
    #[arg(short = 'R', long, global = true)]
    pub(super) recursive: bool,
    /// The namespace of objects and ends that name none; matrix and exposure show it alone
    #[arg(short = 'n', long, value_name = "NS", global = true)]
    pub(super) namespace: Option<String>,
    /// The kubeconfig of the cluster that is asked where there is no -f [default: $KUBECONFIG, ~/.kube/config]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Cluster")]
    pub(super) kubeconfig: Option<std::path::PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "CONTEXT", global = true, help_heading = "Cluster")]
    pub(super) context: Option<String>,
    /// Ask the API server as this user
    #[arg(long = "as", value_name = "USER", global = true, help_heading = "Cluster")]
    pub(super) user: Option<String>,
    /// Ask as a member of this group; may be given more than once
    #[arg(long = "as-group", value_name = "GROUP", global = true, help_heading = "Cluster")]
    pub(super) groups: Vec<String>,
    /// Say what was read and what was skipped
    #[arg(short = 'v', long, action = clap::ArgAction::Count, global = true)]
    pub(super) verbose: u8,
    /// Say less: no warnings; explain prints its verdict alone
    #[arg(short = 'q', long, global = true)]
    pub(super) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Explain(ExplainArgs),
    Can(CanArgs),
    Who(WhoArgs),
    Matrix(MatrixArgs),
    Diff(DiffArgs),
    Exposure(ExposureArgs),
    Lint(super::lint::LintArgs),
    Test(super::test::TestArgs),
    Generate(super::generate::GenerateArgs),
    Report(super::report::ReportArgs),
    Get(super::get::GetArgs),
    Status(super::status::StatusArgs),
    Verify(super::verify::VerifyArgs),
    Completion(CompletionArgs),
}

/// Whether SRC may reach DST, why, and what to change
///
/// SRC and DST are ns/pod, ns/deploy/name (sts ds rs job cronjob rc svc), 'ns/[app=web,tier in (a,b)]', node/name, an address, a
/// CIDR or internet. DST may have a port (a number, a range or a port's name) and a protocol; without a port every port is
/// answered. A Service is followed to its pods.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl explain -f manifests shop/front shop/db:5432
  policyctl explain -f manifests shop/deploy/front shop/svc/db:pg
  policyctl explain -R -f . shop/api 203.0.113.9:443/TCP -o json
  policyctl explain -f manifests shop/front shop/db            # every port
  policyctl explain -f manifests --deny shop/api shop/db:5432  # how to stop it
  policyctl explain --node shop/front shop/db:5432             # what do the nodes' kernels say?")]
pub(super) struct ExplainArgs {
    /// Who opens the connection
    #[arg(value_name = "SRC")]
    pub(super) source: String,
    /// Whom to: DST[:PORT[/PROTOCOL]]
    #[arg(value_name = "DST")]
    pub(super) destination: String,
    /// For what is allowed: the smallest change that stops it
    #[arg(long)]
    pub(super) deny: bool,
    /// Follow the packet through the kernels of the nodes that judge it, too
    #[arg(long)]
    pub(super) node: bool,
    #[command(flatten)]
    pub(super) agents: super::nodes::AgentArgs,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Structured,
}

/// Whether SRC may reach DST: one word and an exit code
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl can -f manifests shop/front shop/db:5432
  policyctl can -q -f manifests shop/front shop/db:5432 || echo 'as it should be'")]
pub(super) struct CanArgs {
    /// Who opens the connection
    #[arg(value_name = "SRC")]
    pub(super) source: String,
    /// Whom to: DST[:PORT[/PROTOCOL]]
    #[arg(value_name = "DST")]
    pub(super) destination: String,
}

/// Who can reach a destination, or whom a source does reach
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl who -f manifests can reach shop/db:5432
  policyctl who -f manifests does shop/api reach
  policyctl who -f manifests does shop/api reach -o json")]
pub(super) struct WhoArgs {
    #[command(subcommand)]
    pub(super) question: WhoQuestion,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT", global = true)]
    pub(super) output: Structured,
}

#[derive(Debug, Subcommand)]
pub(super) enum WhoQuestion {
    /// Who can reach DST[:PORT[/PROTOCOL]]
    Can {
        /// The word reach
        #[arg(value_parser = ["reach"], value_name = "reach")]
        reach: String,
        /// Whom to
        #[arg(value_name = "DST")]
        destination: String,
    },
    /// Whom SRC does reach
    Does {
        /// Who opens the connections
        #[arg(value_name = "SRC")]
        source: String,
        /// The word reach
        #[arg(value_parser = ["reach"], value_name = "reach")]
        reach: String,
    },
}

/// Who reaches whom on what
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl matrix -R -f manifests
  policyctl matrix -f manifests -n shop -o md
  policyctl matrix -f manifests --pods -o json
  policyctl matrix -f manifests -o dot | dot -Tsvg > matrix.svg")]
pub(super) struct MatrixArgs {
    /// A row for every pod
    #[arg(long, conflicts_with = "by")]
    pub(super) pods: bool,
    /// What a row stands for
    #[arg(long, value_enum, default_value_t, value_name = "WHAT")]
    pub(super) by: By,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: MatrixFormat,
}

/// What may pass in one state and not in another
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl diff before/ after/
  policyctl diff -R -f manifests --with new-policy.yaml
  policyctl diff -R -f manifests --without shop/default-deny
  policyctl diff --with new-policy.yaml    # put over what the cluster has

Exit code 1 if any connection is gained, so that a pipeline can stop.")]
pub(super) struct DiffArgs {
    /// The state before, and the state after
    #[arg(value_name = "PATH", num_args = 2, conflicts_with_all = ["with", "without"])]
    pub(super) states: Vec<Source>,
    /// Manifests that are put over what -f names or the cluster has
    #[arg(long, value_name = "PATH")]
    pub(super) with: Vec<Source>,
    /// A policy of these that is left out
    #[arg(long, value_name = "NS/POLICY")]
    pub(super) without: Vec<String>,
    /// A row for every pod
    #[arg(long)]
    pub(super) pods: bool,
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: DiffFormat,
}

/// What the outside reaches, what reaches the outside, and what nothing isolates
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl exposure -R -f manifests
  policyctl exposure -f manifests -n shop -o json")]
pub(super) struct ExposureArgs {
    #[arg(short = 'o', long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Structured,
}

/// Completions for a shell, or the man pages
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl completion bash > /etc/bash_completion.d/policyctl
  policyctl completion zsh > ~/.zfunc/_policyctl
  policyctl completion man --to /usr/local/share/man/man1")]
pub(super) struct CompletionArgs {
    /// bash, elvish, fish, powershell, zsh or man
    #[arg(value_enum, value_name = "SHELL")]
    pub(super) shell: Shell,
    /// The folder to write man pages to; without it one page with all verbs goes to standard output
    #[arg(long, value_name = "DIR")]
    pub(super) to: Option<std::path::PathBuf>,
}

/// For people, or for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Structured {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

impl Structured {
    /// Writes an answer in this form; only that form is made.
    pub(super) fn write(
        self,
        out: &mut dyn Write,
        text: impl FnOnce(&mut dyn Write) -> Result<(), CliError>,
        json: impl FnOnce() -> Value,
    ) -> Result<(), CliError> {
        match self {
            Self::Table => text(out)?,
            Self::Json => writeln!(out, "{:#}", json())?,
            Self::Yaml => write!(out, "{}", yaml::to_yaml(&json()))?,
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum MatrixFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// The same as YAML
    Yaml,
    /// For spreadsheets
    Csv,
    /// A table for Markdown
    Md,
    /// A graph for Graphviz
    Dot,
    /// A graph for Markdown
    Mermaid,
    /// A heat map
    Svg,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DiffFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
    /// For spreadsheets
    Csv,
    /// A table for Markdown
    Md,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// Pods count under their first owner
    #[default]
    Workload,
    /// Every pod by itself
    Pod,
    /// Pods count under their namespace
    Namespace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
    /// Manual pages in roff
    Man,
}

impl MatrixArgs {
    pub(super) fn granularity(&self) -> Granularity {
        match self.by {
            _ if self.pods => Granularity::Pods,
            By::Workload => Granularity::Workloads,
            By::Pod => Granularity::Pods,
            By::Namespace => Granularity::Namespaces,
        }
    }
}

/// The command as the program was called: installed as `kubectl-policy`, it is `kubectl policy`.
#[must_use]
pub fn command(program: Option<&OsString>) -> clap::Command {
    let is_plugin = program
        .and_then(|program| Path::new(program).file_stem())
        .is_some_and(|name| name == "kubectl-policy" || name == "kubectl_policy");
    let command = Cli::command();
    if is_plugin { command.name("kubectl-policy").bin_name("kubectl policy") } else { command }
}
