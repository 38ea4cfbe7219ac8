//! `policyctl completion`: shells and man pages.

use super::{
    CliError, Exit,
    args::{CompletionArgs, Shell, command},
};
use clap_complete::{Generator, shells};
use std::{fs, io, io::Write, path::Path};

const NAME: &str = "policyctl";

pub(super) fn run(args: &CompletionArgs, out: &mut dyn Write) -> Result<Exit, CliError> {
    match args.shell {
        Shell::Bash => generate(shells::Bash, out)?,
        Shell::Elvish => generate(shells::Elvish, out)?,
        Shell::Fish => generate(shells::Fish, out)?,
        Shell::Powershell => generate(shells::PowerShell, out)?,
        Shell::Zsh => generate(shells::Zsh, out)?,
        Shell::Man => match &args.to {
            Some(folder) => pages(folder, out)?,
            None => one_page(out)?,
        },
    }
    Ok(Exit::Allowed)
}

fn generate(shell: impl Generator, out: &mut dyn Write) -> io::Result<()> {
    // Into memory first: the generators panic where they cannot write, as into a pipe that is closed.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(None), NAME, &mut text);
    out.write_all(&text)
}

/// The verbs one after the other.
fn one_page(out: &mut dyn Write) -> io::Result<()> {
    let mut command = command(None);
    command.build();
    clap_mangen::Man::new(command.clone()).render(out)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        clap_mangen::Man::new(verb.clone()).render(out)?;
    }
    Ok(())
}

/// `policyctl.1`, `policyctl-explain.1`, …
fn pages(folder: &Path, out: &mut dyn Write) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command(None), folder)?;
    writeln!(out, "man pages are in {}", folder.display())
}
