//! States that a first design forgot: flows older than conntrack, flows whose entry is gone, expected connections, and
//! other tables that say accept. Needs root.

use conformance::{
    attack::{self, Ground, Host, Installed, catalogue},
    lab::{Lab, LabError, Place},
    probe::{Outcome, Probe, Side, Stream},
};
use std::{
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

/// How long is watched whether something arrives.
const WATCH: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

fn addresses(host: &Host) -> [IpAddr; 2] {
    [host.v4.into(), host.v6.into()]
}

/// A TCP connection whose ends both send without a pause.
fn busy_stream(lab: &Lab, from: &Host, to: IpAddr) -> Result<(String, Stream), LabError> {
    let stream = lab.open_stream(&from.place, SocketAddr::new(to, 80))?;
    Side::BOTH.into_iter().for_each(|side| stream.send(side, true));
    Ok((format!("{} -> {to}", from.place), stream))
}

/// Connections from one host to others, over both families.
fn busy_streams(lab: &Lab, pairs: &[(&Host, &Host)]) -> Result<Vec<(String, Stream)>, LabError> {
    let both = pairs.iter().flat_map(|(from, to)| addresses(to).map(|address| (*from, address)));
    both.map(|(from, to)| busy_stream(lab, from, to)).collect()
}

fn assert_flowing(when: &str, streams: &[(String, Stream)]) {
    for (name, stream) in streams {
        for side in Side::BOTH {
            assert!(stream.flows(side, PATIENCE), "{when}: nothing arrives at the {side:?} of {name}");
        }
    }
}

fn assert_silent(when: &str, streams: &[(String, Stream)]) {
    for (name, stream) in streams {
        for side in Side::BOTH {
            let bytes = stream.received_during(side, WATCH);
            assert_eq!(bytes, 0, "{when}: bytes arrive at the {side:?} of {name}");
        }
    }
}

/// Conntrack comes to life while nft still prepares our tables, so a packet in these few milliseconds makes an entry
/// without being judged, in the direction that it has itself. The flows are silent then, as they are on every node whose
/// kube-proxy has brought conntrack to life long before.
#[test]
fn a_forbidden_flow_older_than_conntrack_stops_and_a_permitted_one_goes_on() -> Result<(), LabError> {
    for first in Side::BOTH {
        let ground = Ground::raise("older")?;
        let (lab, cast) = (&ground.lab, &ground.cast);
        // Without any rule that asks for it, conntrack does not look at this node's packets.
        lab.nft(1, "flush ruleset")?;
        let forbidden = busy_streams(lab, &[(&cast.c, &cast.b)])?;
        let permitted = busy_streams(lab, &[(&cast.a, &cast.b)])?;
        assert_flowing("before", &forbidden);
        assert_flowing("before", &permitted);
        let speak = |side: Side, on: bool| {
            forbidden.iter().chain(&permitted).for_each(|(_, stream)| stream.send(side, on));
        };
        Side::BOTH.into_iter().for_each(|side| speak(side, false));
        std::thread::sleep(WATCH);
        assert_eq!(
            lab.exec(Place::Node(1), &["conntrack", "-L", "-p", "tcp"])?,
            "",
            "conntrack is on already"
        );

        let _tables = Installed::install(lab)?;
        speak(first, true);
        assert_silent("forbidden", &forbidden);
        Side::BOTH.into_iter().for_each(|side| speak(side, true));
        assert_silent("forbidden", &forbidden);
        assert_flowing("permitted", &permitted);
        assert_ne!(lab.exec(Place::Node(1), &["conntrack", "-L", "-p", "tcp"])?, "", "conntrack is off");
    }
    Ok(())
}

/// The second half is a documented limit: a packet in mid-stream must be allowed whoever had opened the flow, and here it
/// would not be.
#[test]
fn a_permitted_flow_goes_on_after_a_flush_unless_its_client_hears_nobody_or_its_server_may_not_send()
-> Result<(), LabError> {
    let ground = Ground::raise("flush")?;
    let (lab, cast) = (&ground.lab, &ground.cast);
    let _tables = Installed::install(lab)?;
    // No flow here is translated: an entry made by a server's packet would translate it anew.
    let go_on = busy_streams(lab, &[(&cast.a, &cast.b), (&cast.a, &cast.d), (&cast.nodes[0], &cast.c)])?;
    let lost = busy_streams(lab, &[(&cast.b, &cast.c), (&cast.c, &cast.a), (&cast.c, &cast.e)])?;
    assert_flowing("before", &go_on);
    assert_flowing("before", &lost);
    for _ in 0..3 {
        ground.forget()?;
        assert_flowing("after a flush", &go_on);
    }
    assert_silent("after a flush", &lost);
    Ok(())
}

/// FTP announces a second connection in the first (RFC 959); conntrack's helper expects it, and it is born related.
/// Skipped, and said so, on a kernel without the helper.
#[test]
fn a_connection_that_the_ftp_helper_expects_is_judged_like_any_other() -> Result<(), LabError> {
    let ground = Ground::raise("ftp")?;
    let (lab, cast) = (&ground.lab, &ground.cast);
    let mut tables = Installed::install(lab)?;
    tables.apply_manifests(
        "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: a-sends-ftp, namespace: default }
spec:
  podSelector: { matchLabels: { pod: a } }
  policyTypes: [Egress]
  egress: [{ to: [{ podSelector: { matchLabels: { pod: b } } }], ports: [{ port: 2121 }] }]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: { name: b-hears-ftp, namespace: default }
spec:
  podSelector: { matchLabels: { pod: b } }
  policyTypes: [Ingress]
  ingress: [{ from: [{ podSelector: { matchLabels: { pod: a } } }], ports: [{ port: 2121 }] }]
",
    )?;
    let helper = lab.nft(
        1,
        "table ip ftp {
            ct helper standard { type \"ftp\" protocol tcp; }
            chain forward { type filter hook forward priority -10; tcp dport 2121 ct helper set \"standard\"; }
        }",
    );
    if let Err(LabError::Command { message, .. }) = &helper
        && message.contains("No such file or directory")
    {
        println!("skipped: this kernel has no FTP helper (CONFIG_NF_CONNTRACK_FTP)");
        return Ok(());
    }
    helper?;
    let netns = |place: &Place| lab.netns(place);
    let failed = |e: io::Error| LabError::NotEstablished { what: "FTP from a to b".to_owned(), source: e };
    let server = netns(&cast.b.place)?.enter(|| TcpListener::bind(("0.0.0.0", 2121)))?.map_err(failed)?;
    let to = SocketAddr::new(cast.b.v4.into(), 2121);
    let connect = || TcpStream::connect_timeout(&to, Duration::from_secs(1));
    let client = netns(&cast.a.place)?.enter(connect)?.map_err(failed)?;
    let (mut served, _) = server.accept().map_err(failed)?;
    client.set_read_timeout(Some(Duration::from_secs(1))).map_err(failed)?;
    let mut lines = BufReader::new(&client);
    let mut say = |line: &str| -> io::Result<()> {
        served.write_all(line.as_bytes())?;
        let mut heard = String::new();
        lines.read_line(&mut heard)?;
        assert_eq!(heard, line);
        Ok(())
    };
    // The helper trusts a line only after it has seen the end of the one before.
    say("220 ready\r\n").map_err(failed)?;
    (&client).write_all(b"PASV\r\n").map_err(failed)?;
    // 31 * 256 + 144 is port 8080, which b serves and no policy permits to a.
    let [w, x, y, z] = cast.b.v4.octets();
    say(&format!("227 Entering Passive Mode ({w},{x},{y},{z},31,144)\r\n")).map_err(failed)?;
    let expected = lab.exec(Place::Node(1), &["conntrack", "-L", "expect"])?;
    assert!(expected.contains("dport=8080"), "the helper expects the second connection: {expected:?}");

    let reply = lab.probe(Probe::tcp(&cast.a.place, cast.b.v4, 8080))?;
    assert_eq!(reply.outcome, Outcome::Dropped);
    Ok(())
}

/// A table that accepts everything on every way, before, beside or after ours.
fn accepting(name: &str, priority: i32) -> String {
    let hooks = ["forward", "input", "output"];
    let chains = hooks.map(|hook| {
        format!("chain {hook} {{ type filter hook {hook} priority {priority}; policy accept; accept; }}\n")
    });
    let bridge = format!(
        "table bridge {name} {{
            chain prerouting {{ type filter hook prerouting priority {}; policy accept; accept; }}
            chain forward {{ type filter hook forward priority {}; policy accept; accept; }}
        }}\n",
        priority - 300,
        priority - 200
    );
    format!("table inet {name} {{\n{}}}\n{bridge}", chains.concat())
}

#[test]
fn no_other_table_that_accepts_overrules_ours() -> Result<(), LabError> {
    let ground = Ground::raise("accept")?;
    let lab = &ground.lab;
    let load = |when: &str| {
        lab.nodes().iter().try_for_each(|node| {
            let tables = [-10, 0, 10].map(|p| accepting(&format!("{when}{}", p + 10), p));
            lab.nft(node.index(), &tables.concat())
        })
    };
    // Chains of equal priority: the one made last runs first.
    load("before")?;
    let _tables = Installed::install(lab)?;
    load("after")?;
    ground.forget()?;
    let attacks = catalogue::all(&ground.cast);
    let faults = attack::faults(&ground, &attacks, |attack| attack.wanted)?;
    assert!(faults.is_empty(), "{faults:#?}");
    Ok(())
}

/// What another owner does before conntrack looks: each flow is followed in a zone of its own choosing.
#[test]
fn a_conntrack_zone_that_another_table_sets_changes_no_verdict() -> Result<(), LabError> {
    let ground = Ground::raise("zone")?;
    let lab = &ground.lab;
    let zones = "table inet zones {
        chain prerouting { type filter hook prerouting priority -300; policy accept; ct zone set 7; }
        chain output { type filter hook output priority -300; policy accept; ct zone set 7; }
    }";
    lab.nodes().iter().try_for_each(|node| lab.nft(node.index(), zones))?;
    let _tables = Installed::install(lab)?;
    ground.forget()?;
    let attacks = catalogue::all(&ground.cast);
    let faults = attack::faults(&ground, &attacks, |attack| attack.wanted)?;
    assert!(faults.is_empty(), "{faults:#?}");
    let flows = busy_streams(lab, &[(&ground.cast.a, &ground.cast.b), (&ground.cast.a, &ground.cast.d)])?;
    assert_flowing("in another zone", &flows);
    let entries = lab.exec(Place::Node(1), &["conntrack", "-L", "-p", "tcp"])?;
    assert!(entries.contains("zone=7"), "{entries}");
    Ok(())
}
