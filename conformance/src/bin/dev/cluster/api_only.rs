//! `cargo cluster up --api-only`: etcd and the API server alone.

use conformance::cluster::{ClusterError, Kept};
use std::time::Instant;

pub(super) fn up(name: &str) -> Result<bool, ClusterError> {
    match Kept::find(name)? {
        Some(kept) if kept.require_ready().is_ok() => {
            println!("up already");
            describe(&kept)?;
        }
        found => {
            // One whose servers have ended is in the way.
            found.map_or(Ok(()), Kept::remove)?;
            let begin = Instant::now();
            let kept = Kept::start(name)?;
            println!("up in {:.1} s", begin.elapsed().as_secs_f64());
            describe(&kept)?;
        }
    }
    Ok(true)
}

pub(super) fn status(name: &str) -> Result<bool, ClusterError> {
    let Some(kept) = Kept::find(name)? else {
        println!("down; `cargo cluster up` starts it");
        return Ok(false);
    };
    match kept.require_ready() {
        Ok(()) => {
            println!("up, without nodes");
            describe(&kept)?;
            Ok(true)
        }
        Err(error) => {
            println!("not ready: {error}\n`cargo cluster up --api-only` starts another in its place");
            Ok(false)
        }
    }
}

pub(super) fn down(name: &str) -> Result<bool, ClusterError> {
    match Kept::find(name)? {
        Some(kept) => {
            kept.remove()?;
            println!("down");
        }
        None => println!("down already"),
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
