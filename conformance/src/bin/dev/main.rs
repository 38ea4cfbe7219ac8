//! The commands of this repository: `cargo demo`, `cargo test-all`, `cargo bench-all` and `cargo dev …` (see `.cargo/config.toml`).
//!
//! One program, so that a fresh machine needs no more than Rust and a C linker to start: it links no C library, checks
//! for what the other parts need, and installs what is missing.
#![forbid(unsafe_code)]

mod bench;
mod closing_lines;
mod cluster;
mod conformance_suites;
mod demo;
mod endure;
mod failures;
mod fuzz;
mod image;
mod interrupt;
mod phases;
mod runner;
mod setup;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds, tests and shows Palisade.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the main job: a small company on two nodes, enforced by policyd, changed live, every verdict proved by traffic.
    Demo {
        /// Leave the lab up at the end, and say how to look around in it.
        #[arg(long)]
        keep: bool,
    },
    /// Take down a lab that `demo --keep` left up.
    DemoDown {
        /// The lab's id, such as pal-demo-1a2b3c.
        id: String,
    },
    /// The servers of a lab that was left up; `demo --keep` starts this.
    #[command(hide = true)]
    DemoServe(demo::Serve),
    /// Install missing packages, then run every check and every test; the last line is `N passed, M failed`.
    TestAll(phases::Choice),
    /// Check that this machine has the packages, rights and kernel features; install packages that are missing.
    Setup,
    /// Run the benchmarks of all crates, and tell which budgets are kept.
    Bench(bench::Choice),
    /// A real Kubernetes API server in a network namespace of this machine.
    Cluster(cluster::Options),
    /// Build policyd and write its container image, from scratch, as an OCI archive.
    Image(image::Options),
    /// Run outsiders' suites on a real cluster; the last line is `N passed, M failed`.
    Conformance(conformance_suites::Options),
    /// Change and break things at random under traffic; no promise may be broken. The last line is `N passed, M failed`.
    Endure(endure::Options),
    /// Search the fuzz targets with coverage, and keep what reaches more code; takes cargo-bolero and a nightly compiler.
    Fuzz(fuzz::Options),
    /// Check format and lints, and with cargo-deny where it is installed.
    Lint,
}

/// What a command failed with, in a sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
enum DevError {
    #[error(transparent)]
    Setup(#[from] setup::SetupError),
    #[error(transparent)]
    Workspace(#[from] workspace::WorkspaceError),
    #[error(transparent)]
    Phase(#[from] phases::PhaseError),
    #[error(transparent)]
    Run(#[from] runner::RunError),
    #[error(transparent)]
    Bench(#[from] bench::BenchError),
    #[error(transparent)]
    Demo(#[from] demo::DemoCommandError),
    #[error(transparent)]
    Endure(#[from] endure::EndureCommandError),
    #[error(transparent)]
    Fuzz(#[from] fuzz::FuzzError),
    #[error(transparent)]
    Cluster(#[from] conformance::cluster::ClusterError),
    #[error(transparent)]
    Suite(#[from] conformance::suite::SuiteError),
    #[error(transparent)]
    Image(#[from] image::ImageCommandError),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; `false` when it ran to its end and something failed.
fn run(command: Command) -> Result<bool, DevError> {
    match command {
        Command::Demo { keep } => {
            setup::packages()?;
            setup::machine()?;
            Ok(demo::run(keep)?)
        }
        Command::DemoDown { id } => Ok(demo::take_down(&id).map(|()| true)?),
        Command::DemoServe(serve) => Ok(demo::serve(&serve).map(|()| true)?),
        Command::TestAll(choice) => {
            setup::packages()?;
            setup::machine()?;
            Ok(phases::run(phases::TEST_ALL, &choice)?)
        }
        Command::Setup => {
            setup::packages()?;
            setup::machine()?;
            Ok(true)
        }
        Command::Bench(choice) => {
            setup::packages()?;
            Ok(bench::run(&choice)?)
        }
        Command::Cluster(options) => {
            setup::packages()?;
            Ok(cluster::run(&options)?)
        }
        Command::Image(options) => {
            setup::packages()?;
            image::run(&options)?;
            Ok(true)
        }
        Command::Conformance(options) => {
            setup::packages()?;
            Ok(conformance_suites::run(&options)?)
        }
        Command::Endure(options) => {
            setup::packages()?;
            setup::machine()?;
            Ok(endure::run(&options)?)
        }
        Command::Fuzz(options) => {
            setup::packages()?;
            Ok(fuzz::run(&options)?)
        }
        Command::Lint => {
            setup::packages()?;
            Ok(phases::run(&phases::lint(), &phases::Choice::default())?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_phase_is_refused_with_the_names_that_exist() {
        let parsed = Cli::try_parse_from(["cargo dev", "test-all", "--phase", "clipy"]);
        let message = parsed.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("'clipy'") && message.contains("clippy"), "{message}");
    }
}
