//! Flows that live on while rules change.

use crate::{firewall, three_pods, wait};
use conformance::{
    lab::{LabError, Place},
    probe::Side,
};
use std::time::Duration;

#[test]
fn a_stream_counts_its_bytes_in_both_directions_until_it_is_cut() {
    let (lab, [a, b, c]) = three_pods("stream");
    let cut = firewall("meta l4proto tcp drop");
    let streams = [
        lab.open_stream(&a, (b.ipv4(), 80).into()).expect("same node"),
        lab.open_stream(&a, (c.ipv6(), 80).into()).expect("other node"),
    ];
    assert_eq!(streams[1].server(), &Place::from(&c));
    for stream in &streams {
        for side in Side::BOTH {
            assert!(!stream.flows(side, Duration::from_millis(50)), "nobody sends yet");
        }
        stream.send(Side::Client, true);
        assert!(stream.flows(Side::Server, Duration::from_secs(1)));
        assert_eq!(stream.received(Side::Client), 0);
        stream.send(Side::Server, true);
        assert!(stream.flows(Side::Client, Duration::from_secs(1)));
    }
    lab.nft(1, &cut).expect("the cut");
    for stream in &streams {
        for side in Side::BOTH {
            assert_eq!(stream.received_during(side, Duration::from_millis(100)), 0);
        }
    }
    lab.exec(Place::Node(1), &["nft", "delete", "table", "inet", "test"]).expect("mended");
    for stream in &streams {
        assert!(stream.flows(Side::Server, Duration::from_secs(3)), "it resumes after a retransmission");
        stream.close_sending(Side::Client).expect("half closed");
        assert!(wait(|| stream.ended(Side::Server)));
        assert!(stream.flows(Side::Client, Duration::from_secs(3)), "the other half goes on");
    }
    let blocked = lab.nft(1, &cut).and_then(|()| lab.open_stream(&a, (b.ipv4(), 80).into()).map(drop));
    assert!(matches!(blocked, Err(LabError::NotEstablished { .. })), "{blocked:?}");
}

#[test]
fn a_udp_flow_knows_each_datagram_that_was_lost() {
    let (lab, [a, b, _]) = three_pods("udpflow");
    let flow = lab.open_udp_flow(&a, (b.ipv4(), 80).into(), Duration::from_millis(1)).expect("a flow");
    assert!(wait(|| flow.received(Side::Client) > 50 && flow.received(Side::Server) > 50));
    let (up, down) = flow.settle();
    assert_eq!((up.lost, down.lost), (vec![], vec![]), "nothing is lost without a reason");
    assert_eq!((up.sent, down.sent), (up.received, down.received));

    let rules = firewall(&format!("ip daddr {} udp dport 80 drop", b.ipv4()));
    lab.nft(1, &rules).expect("the rules");
    for _ in 0..3 {
        flow.send(Side::Client, true);
        flow.send(Side::Server, true);
        let (before, sent) = (flow.received(Side::Server), flow.sent(Side::Client));
        assert!(wait(|| flow.sent(Side::Client) > sent + 10));
        let (lost, other) = flow.settle();
        assert_eq!(lost.received, before);
        assert_eq!(lost.lost.len() as u64, lost.sent - before);
        assert!(other.lost.is_empty(), "the other direction is open");
    }
}
