//! `cargo cluster`: a real API server that stays up.

use conformance::cluster::{ClusterError, Kept};
use std::time::Instant;

/// Which cluster, and what to do with it.
#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
    /// Tells clusters apart that stand side by side: small letters and digits.
    #[arg(long, global = true, default_value = "cluster", value_parser = name)]
    name: String,
}

fn name(name: &str) -> Result<String, &'static str> {
    let is_word = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if is_word && (1..=20).contains(&name.len()) {
        Ok(name.to_owned())
    } else {
        Err("a cluster's name has 1 to 20 small letters and digits")
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start it, unless it is up; builds the servers the first time, which takes minutes.
    Up {
        /// etcd and the API server alone, without nodes: the one form that there is.
        #[arg(long, required = true)]
        api_only: bool,
    },
    /// Say whether it is up and how to reach it.
    Status,
    /// Take it down and leave nothing; it need not be up.
    Down,
}

/// Does it; `false` when `status` finds no cluster that is ready.
pub(crate) fn run(options: &Options) -> Result<bool, ClusterError> {
    let found = Kept::find(&options.name)?;
    match (&options.command, found) {
        (Command::Up { .. }, Some(kept)) if kept.require_ready().is_ok() => {
            println!("up already");
            describe(&kept)?;
        }
        (Command::Up { .. }, found) => {
            // One whose servers have ended is in the way.
            found.map_or(Ok(()), Kept::remove)?;
            let begin = Instant::now();
            let kept = Kept::start(&options.name)?;
            println!("up in {:.1} s", begin.elapsed().as_secs_f64());
            describe(&kept)?;
        }
        (Command::Status, Some(kept)) => match kept.require_ready() {
            Ok(()) => {
                println!("up");
                describe(&kept)?;
            }
            Err(error) => {
                println!("not ready: {error}\n`cargo cluster up --api-only` starts another in its place");
                return Ok(false);
            }
        },
        (Command::Status, None) => {
            println!("down; `cargo cluster up --api-only` starts it");
            return Ok(false);
        }
        (Command::Down, Some(kept)) => {
            kept.remove()?;
            println!("down");
        }
        (Command::Down, None) => println!("down already"),
    }
    Ok(true)
}

fn describe(kept: &Kept) -> Result<(), ClusterError> {
    let (netns, kubeconfig, kubectl) = (kept.netns(), kept.kubeconfig(), kept.kubectl()?);
    println!("  kubeconfig {}", kubeconfig.display());
    println!(
        "  ip netns exec {} {} --kubeconfig {} get namespaces",
        netns.name(),
        kubectl.display(),
        kubeconfig.display()
    );
    Ok(())
}
