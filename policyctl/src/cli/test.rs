//! `policyctl test`.

use super::{
    CliError, Exit, Styles,
    args::Common,
    error::report,
    session::{read_state, selection, tell},
};
use crate::{
    assertions::TestFileError,
    input::{self, Snapshot},
    test_run::{self, FileReport, Refused},
};
use clap::{Args, ValueEnum};
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use policy_model::manifest::limits;
use std::{
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Whether policies do what test files expect of them
///
/// A test file says who must reach whom and who must not: see docs/testing-policies.md. Without -f, --kubeconfig and
/// --context a file is about the folder manifests beside it, or else about the other files beside it. A folder stands for its files that are called
/// tests.yaml, test.yaml or SOMETHING.test.yaml.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  policyctl test shop/tests.yaml
  policyctl test -R -f manifests policies.test.yaml -o junit > results.xml
  policyctl test -R .

Exit code 1 if an assertion fails, 2 if a file cannot be read or names what is not there.")]
pub(super) struct TestArgs {
    /// Test files, or folders of them
    #[arg(value_name = "FILE", required = true)]
    tests: Vec<PathBuf>,
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
    /// For pipelines
    Junit,
    /// Test Anything Protocol, version 13
    Tap,
}

pub(super) fn run(
    common: &Common,
    styles: Styles,
    args: &TestArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<Exit, CliError> {
    let mut files = Vec::new();
    for path in &args.tests {
        files.extend(test_run::test_files(path, common.recursive)?);
    }
    let is_shared = !common.files.is_empty() || common.names_cluster();
    let shared = if is_shared { Some(Arc::new(read_state(common)?.0)) } else { None };
    let mut broken = false;
    let mut reports: Vec<(Arc<Snapshot>, FileReport)> = Vec::new();
    let mut refused = Vec::new();
    for file in &files {
        let snapshot = match &shared {
            Some(snapshot) => snapshot.clone(),
            None => {
                let sources = test_run::manifests_of(file)
                    .map_err(|reason| input::InputError::Unreadable { path: file.clone(), reason })?;
                let snapshot = Arc::new(input::load(&selection(common, sources))?);
                tell(&snapshot, common, styles.err, err)?;
                broken |= !snapshot.faults.is_empty();
                snapshot
            }
        };
        match run_file(&snapshot, file) {
            Ok(report) => reports.push((snapshot, report)),
            Err(faults) => {
                broken = true;
                faults.iter().try_for_each(|fault| report(fault, styles.err, err))?;
                let faults = faults.iter().map(ToString::to_string).collect();
                refused.push(Refused { file: file.display().to_string(), faults });
            }
        }
    }
    if let Some(snapshot) = &shared {
        tell(snapshot, common, styles.err, err)?;
        broken |= !snapshot.faults.is_empty();
    }
    let shown: Vec<_> = reports.iter().map(|(snapshot, report)| (&**snapshot, report)).collect();
    match args.output {
        Format::Table => write!(out, "{}", test_run::table(&shown, styles.out))?,
        Format::Json => writeln!(out, "{:#}", test_run::json(&shown, &refused))?,
        Format::Junit => write!(out, "{}", test_run::junit(&shown, &refused))?,
        Format::Tap => write!(out, "{}", test_run::tap(&shown, &refused))?,
    }
    let failed = reports.iter().flat_map(|(_, report)| &report.outcomes).any(|outcome| !outcome.holds());
    Ok(match (broken, failed) {
        (true, _) => Exit::Usage,
        (false, true) => Exit::Denied,
        (false, false) => Exit::Allowed,
    })
}

fn run_file(snapshot: &Snapshot, path: &Path) -> Result<FileReport, Vec<TestFault>> {
    let name = path.display().to_string();
    let text = read(path).map_err(|message| {
        vec![TestFault {
            message: format!("{name}: {message}"),
            source: NamedSource::new(&name, String::new()),
            offset: None,
        }]
    })?;
    test_run::run(snapshot, &name, &text)
        .map_err(|errors| errors.iter().map(|error| TestFault::new(&name, &text, error)).collect())
}

/// Reads no more than a manifest may have.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(|error| format!("cannot be read: {error}"))?;
    let limit = limits::BYTES as u64;
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error: io::Error| format!("cannot be read: {error}"))?;
    if bytes.len() > limits::BYTES {
        return Err(format!(
            "it is larger than {} MiB, the most that one file may have",
            limits::BYTES >> 20
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        format!("byte {} is not UTF-8; a test file is text in UTF-8", error.utf8_error().valid_up_to() + 1)
    })
}

/// A fault of a test file, with its place marked.
#[derive(Debug)]
struct TestFault {
    message: String,
    source: NamedSource<String>,
    offset: Option<usize>,
}

impl TestFault {
    fn new(name: &str, text: &str, error: &TestFileError) -> Self {
        let place = error.place;
        let line = usize::try_from(place.line).unwrap_or(usize::MAX).saturating_sub(1);
        let column = usize::try_from(place.column).unwrap_or(usize::MAX).saturating_sub(1);
        let offset = text.split_inclusive('\n').nth(line).map(|found| {
            let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
            before + found.chars().take(column).map(char::len_utf8).sum::<usize>()
        });
        let test = error.test.as_ref().map(|test| format!("test \"{test}\": ")).unwrap_or_default();
        let message = format!("{test}{}", error.fault);
        Self { message, source: NamedSource::new(name, text.to_owned()), offset }
    }
}

impl std::error::Error for TestFault {}

impl fmt::Display for TestFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Diagnostic for TestFault {
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.offset.map(|_| &self.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new(Some("here".to_owned()), self.offset?, 1);
        Some(Box::new(std::iter::once(label)))
    }
}
