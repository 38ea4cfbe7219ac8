//! What a host is found to be able to do.

use crate::{rulesets::everything, support::*};
use enforcer::nft::{Backend, Error, Kernel, probe};
use std::process::Command;

#[test]
fn everything_that_palisade_needs_is_found_here_and_nothing_is_left_behind() {
    in_namespace(|| {
        let findings = probe();
        assert_eq!(findings.len(), 6);
        for finding in findings {
            assert!(finding.result.is_ok(), "cannot {}: {:?}", finding.what, finding.result);
        }
        assert_eq!(nft(&["list", "ruleset"]), "");
    });
}

/// Runs itself again without `CAP_NET_ADMIN`.
#[test]
fn without_the_privilege_it_is_the_privilege_that_is_named() {
    let this = std::env::current_exe().unwrap();
    let output = Command::new("setpriv")
        .args(["--bounding-set=-net_admin", "--inh-caps=-net_admin"])
        .arg(this)
        .args(["--exact", "--ignored", "privileges::unprivileged"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by without_the_privilege_it_is_the_privilege_that_is_named"]
fn unprivileged() {
    in_bare_namespace(|| {
        let findings = probe();
        assert_eq!(findings.len(), 1, "nothing more is tried");
        assert!(matches!(findings[0].result, Err(Error::Permission)), "{findings:?}");
        let mut kernel = Kernel::open().unwrap();
        assert!(matches!(kernel.commit(&from_nothing(&everything()), None), Err(Error::Permission)));
        assert!(matches!(kernel.dump(), Err(Error::Permission)));
    });
}
