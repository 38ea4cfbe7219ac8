//! Fuzz targets of what lies in files of the host: libcni's results, and the state on disk. Whatever is in them, they are read or
//! refused, never a panic. `cargo test` runs them on their corpora and on random input, of which half is a good file with some
//! bytes changed; `cargo dev fuzz results` and `states` search with coverage.

use enforcer::{node::cni, state};
use policy_model::{cluster::Cluster, strategies};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use std::fs;

const RESULT: &[u8] = br#"{"kind":"cniCacheV1","containerId":"c1","ifName":"eth0","networkName":"cbr0",
"cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","shop"],["K8S_POD_NAME","web-0"]],
"result":{"cniVersion":"1.0.0","interfaces":[{"name":"cni0","mac":"aa:bb:cc:dd:ee:01"},
{"name":"veth1","mac":"aa:bb:cc:dd:ee:02"},{"name":"eth0","mac":"aa:bb:cc:dd:ee:03","sandbox":"/var/run/netns/x"}],
"ips":[{"interface":2,"address":"10.244.1.2/24"},{"interface":2,"address":"fd00:10:244:1::2/64"}]}}"#;

/// Bytes that are put over others, by place.
type Edits = Vec<(u16, u8)>;

fn edited(good: &[u8], edits: &Edits) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for &(place, byte) in edits {
        let place = usize::from(place) % bytes.len();
        bytes[place] = byte;
    }
    bytes
}

#[test]
fn results_never_panic() {
    assert!(matches!(cni::parse(RESULT), Ok(Some(_))), "the good one is good");
    bolero::check!().with_type::<(Vec<u8>, Edits)>().for_each(|(random, edits)| {
        for bytes in [random.clone(), edited(RESULT, edits)] {
            cni::parse(&bytes).ok();
        }
    });
}

#[test]
fn states_never_panic_and_a_changed_one_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("objects.jsonl");
    let cluster: Cluster =
        strategies::cluster().new_tree(&mut TestRunner::deterministic()).expect("a cluster").current();
    state::write(&path, "node-1", &state::State::of(&cluster)).expect("it is written");
    let good = fs::read(&path).expect("a file");
    let changes = state::read(&path).expect("the good one is good").expect("a state");
    bolero::check!().with_type::<(Vec<u8>, Edits)>().for_each(|(random, edits)| {
        fs::write(&path, random).expect("a file");
        assert!(!matches!(state::read(&path), Ok(Some(_))), "random bytes are no state");
        let bytes = edited(&good, edits);
        fs::write(&path, &bytes).expect("a file");
        if let Ok(Some(read)) = state::read(&path) {
            // The header's node is not in what is restored, and all else is under the checksum.
            assert!(bytes == good || read == changes, "what was changed is not used");
        }
    });
}
