//! Entries of dead addresses.

use crate::support::*;
use enforcer::nft::{Backend, Kernel, Tracked, Tuple};
use std::{collections::BTreeSet, net::IpAddr};

fn entry(source: &str, destination: &str, answer_from: &str) {
    let (from, to) =
        (["--sport", "1000", "--dport", "80"], ["--reply-port-src", "80", "--reply-port-dst", "1000"]);
    let mut arguments = vec!["-I", "-p", "udp", "-t", "1000", "-s", source, "-d", destination];
    arguments.extend(["-r", answer_from, "-q", source]);
    arguments.extend(from.into_iter().chain(to));
    let output = command("conntrack", &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn forget(kernel: &mut Kernel, addresses: &BTreeSet<IpAddr>) -> usize {
    let entries = kernel.tracked(addresses).unwrap();
    let count = kernel.forget(&entries).unwrap();
    assert_eq!(count, entries.len());
    assert_eq!(kernel.forget(&entries).unwrap(), 0, "they have gone");
    count
}

fn entries() -> Vec<String> {
    let all = String::from_utf8(command("conntrack", &["-L"]).stdout).unwrap();
    all.lines().map(str::to_owned).collect()
}

#[test]
fn every_entry_with_the_address_at_any_end_goes_and_no_other() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        let dead: BTreeSet<IpAddr> = ["10.1.0.1", "fd00::1"].map(|a| a.parse().unwrap()).into();
        assert_eq!(forget(&mut kernel, &dead), 0);
        entry("10.1.0.1", "10.1.0.2", "10.1.0.2");
        entry("10.1.0.3", "10.1.0.1", "10.1.0.1");
        // Through a Service: the address is in the answer alone.
        entry("10.1.0.4", "10.96.0.1", "10.1.0.1");
        entry("10.1.0.3", "10.1.0.2", "10.1.0.2");
        entry("fd00::1", "fd00::2", "fd00::2");
        entry("fd00::3", "fd00::2", "fd00::2");
        assert_eq!(entries().len(), 6);
        assert_eq!(forget(&mut kernel, &BTreeSet::new()), 0);
        assert_eq!(forget(&mut kernel, &dead), 4);
        let left = entries();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.iter().all(|line| line.contains("10.1.0.3") || line.contains("fd00::3")), "{left:?}");
        assert_eq!(forget(&mut kernel, &dead), 0);
    });
}

#[test]
fn of_the_flows_of_an_address_the_kernel_tells_both_directions_and_those_go_that_are_chosen() {
    in_namespace(|| {
        let mut kernel = Kernel::open().unwrap();
        entry("10.1.0.1", "10.1.0.2", "10.1.0.2");
        entry("10.1.0.1", "10.96.0.1", "10.1.0.5");
        entry("fd00::1", "fd00::2", "fd00::2");
        entry("10.1.0.3", "10.1.0.4", "10.1.0.4");
        let addresses: BTreeSet<IpAddr> =
            ["10.1.0.2", "10.1.0.5", "fd00::2"].map(|a| a.parse().unwrap()).into();
        let (translated, untranslated): (Vec<_>, Vec<_>) =
            kernel.tracked(&addresses).unwrap().into_iter().partition(|entry| !entry.flow.is_untranslated());
        let tuple = |source: &str, destination: &str, ports| Tuple {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: 17,
            ports: Some(ports),
        };
        let flow = Tracked {
            original: tuple("10.1.0.1", "10.96.0.1", (1000, 80)),
            reply: tuple("10.1.0.5", "10.1.0.1", (80, 1000)),
        };
        assert_eq!(translated.iter().map(|entry| entry.flow).collect::<Vec<_>>(), [flow]);
        assert_eq!(kernel.forget(&untranslated).unwrap(), 2);
        let left = entries();
        assert_eq!(left.len(), 2, "{left:?}");
        assert!(left.iter().any(|line| line.contains("10.96.0.1")), "{left:?}");
    });
}
