//! A conntrack table that is full, as a flood makes it: no new flow of anybody begins, those that are there go on, nothing that
//! is forbidden passes, and a revoked flow stops all the same. Needs root.

use conformance::{
    attack::{Ground, Host, Installed},
    lab::{Lab, LabError, Place},
    probe::{Outcome, Probe, Side, Stream, Transport},
};
use std::{
    fmt::Write,
    fs,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_millis(300);
/// Nobody may reach `b` any more.
const REVOKED: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: b-hears, namespace: default }
spec: { podSelector: { matchLabels: { pod: b } }, policyTypes: [Ingress] }
";
/// More than this is not filled: it would take minutes.
const LARGEST: u64 = 2_000_000;

fn addresses(host: &Host) -> [IpAddr; 2] {
    [host.v4.into(), host.v6.into()]
}

fn count(lab: &Lab) -> Result<u64, LabError> {
    Ok(lab.exec(Place::Node(1), &["conntrack", "-C"])?.trim().parse().unwrap_or_default())
}

/// Fills node 1's table with entries that the kernel does not drop early. `false` where it is too large for that.
fn fill(lab: &Lab) -> Result<bool, LabError> {
    let max: u64 = lab
        .exec(Place::Node(1), &["cat", "/proc/sys/net/netfilter/nf_conntrack_max"])?
        .trim()
        .parse()
        .unwrap_or_default();
    if max > LARGEST {
        return Ok(false);
    }
    let mut text = String::new();
    for n in 0..max {
        let (a, b, port) = (n >> 8 & 255, n & 255, 1000 + (n >> 16));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "-I -p udp -s 198.18.{a}.{b} -d 198.19.0.1 --sport {port} --dport 9 -t 3600 -u ASSURED,SEEN_REPLY"
        );
    }
    let file = tempfile::NamedTempFile::new().expect("make a file");
    fs::write(file.path(), text).expect("write a file");
    // It ends with an error when the table is full, which is what is wanted.
    let path = file.path().to_string_lossy().into_owned();
    let _ = lab.exec(Place::Node(1), &["conntrack", "-R", &path]);
    assert!(count(lab)? >= max, "{} of {max} entries", count(lab)?);
    Ok(true)
}

fn probes(from: &Host, to: &Host) -> Vec<Probe> {
    let all = [Transport::Tcp, Transport::Udp]
        .map(|transport| addresses(to).map(|address| Probe::new(transport, &from.place, address, 80)));
    all.concat()
}

fn assert_all(when: &str, lab: &Lab, probes: &[Probe], wanted: Outcome) -> Result<(), LabError> {
    for (probe, reply) in probes.iter().zip(lab.probe_all(probes)?) {
        assert_eq!(reply.outcome, wanted, "{when}: {probe}");
    }
    Ok(())
}

fn streams(lab: &Lab, from: &Host, to: &Host) -> Result<Vec<Stream>, LabError> {
    let open = |address| lab.open_stream(&from.place, SocketAddr::new(address, 80));
    let streams = addresses(to).into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
    for stream in &streams {
        Side::BOTH.into_iter().for_each(|side| stream.send(side, true));
    }
    Ok(streams)
}

fn assert_flowing(when: &str, streams: &[Stream]) {
    for stream in streams {
        assert!(
            Side::BOTH.into_iter().all(|side| stream.flows(side, PATIENCE)),
            "{when}: a stream has stopped"
        );
    }
}

#[test]
fn a_full_table_lets_nothing_forbidden_pass_and_a_revoke_still_holds() -> Result<(), LabError> {
    let ground = Ground::raise("full")?;
    let (lab, cast) = (&ground.lab, &ground.cast);
    let mut tables = Installed::install(lab)?;
    let forbidden = [probes(&cast.c, &cast.b), probes(&cast.a, &cast.c)].concat();
    let permitted = probes(&cast.a, &cast.b);
    assert_all("before", lab, &permitted, Outcome::Allowed)?;
    assert_all("before", lab, &forbidden, Outcome::Dropped)?;
    let flows = streams(lab, &cast.a, &cast.b)?;
    assert_flowing("before", &flows);
    if !fill(lab)? {
        eprintln!("skipped: this machine's conntrack table has room for more than {LARGEST} entries");
        return Ok(());
    }

    assert_all("full", lab, &forbidden, Outcome::Dropped)?;
    // The kernel drops what it has no room to follow before any rule of ours sees it.
    assert_all("full", lab, &permitted, Outcome::Dropped)?;
    assert_flowing("while it is full", &flows);

    tables.apply_manifests(REVOKED)?;
    for stream in &flows {
        for side in Side::BOTH {
            assert_eq!(stream.received_during(side, WATCH), 0, "bytes arrive after the revoke");
        }
    }
    // With room again all is as policies say.
    ground.forget()?;
    assert_all("emptied", lab, &forbidden, Outcome::Dropped)?;
    Ok(())
}
