//! The command line: verbs, flags, exit codes. Every verb is a thin layer over the library.
//!
//! A verb gets a [`Session`] (what was read, how to show it) and writes its answer to a buffer; what is wrong with the input is
//! said afterwards on standard error, and turns the exit code into [`Exit::Usage`].

mod args;
mod can;
mod completion;
mod diff;
mod error;
mod exit;
mod explain;
mod exposure;
mod generate;
mod get;
mod lint;
mod matrix;
mod names;
mod nodes;
mod progress;
mod report;
mod session;
mod status;
mod test;
mod verify;
mod who;

pub use args::{Cli, command};
pub use exit::Exit;

use crate::style::Style;
use args::Verb;
use clap::FromArgMatches;
use error::CliError;
use session::Session;
use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

/// Runs with the arguments of the process.
#[must_use]
pub fn main() -> ExitCode {
    let styles = Styles { out: Style::of(&io::stdout()), err: Style::of(&io::stderr()) };
    run(std::env::args_os().collect(), styles, &mut io::stdout().lock(), &mut io::stderr().lock()).into()
}

/// How answers and what is wrong are shown.
#[derive(Clone, Copy, Debug)]
pub struct Styles {
    /// On standard output.
    pub out: Style,
    /// On standard error.
    pub err: Style,
}

/// Runs with these arguments, the first of which is the program's name.
pub fn run(args: Vec<OsString>, styles: Styles, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let command = command(args.first());
    let cli = command.try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => return usage(&error, styles, out, err),
    };
    let mut out = io::BufWriter::with_capacity(1 << 16, out);
    let answered = answer(cli, styles, &mut out, err).and_then(|exit| {
        out.flush()?;
        Ok(exit)
    });
    match answered {
        Ok(exit) => exit,
        // Whoever reads has seen enough, as with `| head`.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Allowed,
        Err(error) => {
            let _ = out.flush();
            let _ = error::report(&error, styles.err, err);
            error.exit()
        }
    }
}

fn answer(cli: Cli, styles: Styles, out: &mut dyn Write, err: &mut dyn Write) -> Result<Exit, CliError> {
    let Cli { common, verb } = cli;
    if let Verb::Completion(args) = verb {
        return completion::run(&args, out);
    }
    if let Verb::Diff(args) = verb {
        return diff::run(&common, styles, &args, out, err);
    }
    if let Verb::Lint(args) = verb {
        return lint::run(common, styles, &args, out, err);
    }
    if let Verb::Test(args) = verb {
        return test::run(&common, styles, &args, out, err);
    }
    if let Verb::Generate(args) = verb {
        return generate::run(common, styles, &args, out, err);
    }
    if let Verb::Status(args) = verb {
        return status::run(&common, styles, &args, out);
    }
    let mut session = Session::open(common, styles)?;
    if let Verb::Verify(args) = &verb {
        return verify::run(&mut session, args, out, err);
    }
    let answered = match &verb {
        Verb::Explain(args) => explain::run(&mut session, args, out),
        Verb::Can(args) => can::run(&session, args, out),
        Verb::Matrix(args) => matrix::run(&session, args, out),
        Verb::Who(args) => who::run(&session, args, out),
        Verb::Exposure(args) => exposure::run(&session, args, out),
        Verb::Report(args) => report::run(&session, args, out),
        Verb::Get(args) => get::run(&session, args, out, err),
        Verb::Diff(_)
        | Verb::Completion(_)
        | Verb::Lint(_)
        | Verb::Test(_)
        | Verb::Generate(_)
        | Verb::Status(_)
        | Verb::Verify(_) => Ok(Exit::Allowed),
    };
    // What is broken is said whether or not there is an answer: it may be why there is none.
    out.flush()?;
    session.tell(err)?;
    Ok(session.exit(answered?))
}

/// `--help` and `--version` are answers, everything else is wrong usage.
fn usage(error: &clap::Error, styles: Styles, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let is_answer = !error.use_stderr();
    let (to, style): (&mut dyn Write, _) = if is_answer { (out, styles.out) } else { (err, styles.err) };
    let text = error.render();
    let text = if style.has_colour() { text.ansi().to_string() } else { text.to_string() };
    // There is nobody left to tell if this fails.
    let _ = to.write_all(text.as_bytes());
    if is_answer { Exit::Allowed } else { Exit::Usage }
}
