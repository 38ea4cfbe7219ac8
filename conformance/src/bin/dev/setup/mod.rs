//! What the machine must have: packages, rights, kernel features.

mod kernel;
mod packages;

pub(crate) use packages::is_command;

/// The machine is not fit, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error(
        "missing: {missing}. This is no machine with apt-get: install what Debian calls\n  {missing}\nand run this again"
    )]
    NoApt { missing: String },
    #[error(
        "missing: {missing}. Installing needs root. Run\n  sudo apt-get install {missing}\nand then this again"
    )]
    NotRoot { missing: String },
    #[error("`apt-get {what}` failed ({status}); its own message is above. Install by hand: {missing}")]
    Apt { what: &'static str, status: String, missing: String },
    #[error("still missing after the installation: {missing}")]
    StillMissing { missing: String },
    #[error("cannot run `{program}`: {source}")]
    Start { program: &'static str, source: std::io::Error },
    #[error("cargo {tool} is not installed. Run\n  rustup component add {component}")]
    RustComponent { tool: &'static str, component: &'static str },
    #[error("{0} of the checks above failed; the labs cannot run on this machine as it is")]
    Machine(usize),
}

/// Sees to it that every program and library is there, and installs what is not.
pub(crate) fn packages() -> Result<(), SetupError> {
    packages::rust_components()?;
    packages::ensure()
}

/// Checks rights and kernel, a line a check; an error if one failed.
pub(crate) fn machine() -> Result<(), SetupError> {
    match kernel::check() {
        0 => Ok(()),
        failed => Err(SetupError::Machine(failed)),
    }
}
