//! `policyd`: see [`enforcer::cli`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    enforcer::cli::main()
}
