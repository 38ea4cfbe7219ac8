//! Fuzz target of what an API server, or who pretends to be one, sends in a watch: lines of any bytes are refused or read, never a
//! panic, and what comes after them is understood as before. `cargo test` runs it on random input, of which half are good lines with
//! some bytes changed; `cargo dev fuzz lines` searches with coverage.

use super::{tests::connection, *};

/// Bytes that are put over others, by place.
type Edits = Vec<(u16, u8)>;

/// A good line of each form: objects of all kinds, the end of a list, a deletion, an error.
const GOOD: [&str; 8] = [
    r#"{"type":"ADDED","object":{"metadata":{"name":"shop","resourceVersion":"3","labels":{"l":"1"},"deletionTimestamp":"2026-11-27T17:00:00Z"}}}"#,
    r#"{"type":"ADDED","object":{"metadata":{"name":"w1","resourceVersion":"4"},"spec":{"podCIDR":"10.244.1.0/24","podCIDRs":["10.244.1.0/24","fd00::/64"]},"status":{"addresses":[{"type":"InternalIP","address":"192.0.2.1"}]}}}"#,
    r#"{"type":"MODIFIED","object":{"metadata":{"name":"web","namespace":"shop","resourceVersion":"5"},"spec":{"clusterIPs":["10.96.0.9"],"selector":{"app":"web"},"ports":[{"port":80,"targetPort":"main","protocol":"TCP","nodePort":30080}]}}}"#,
    r#"{"type":"ADDED","object":{"metadata":{"name":"web","namespace":"shop","resourceVersion":"6"},"spec":{"podSelector":{"matchExpressions":[{"key":"app","operator":"In","values":["web"]}]},"policyTypes":["Ingress","Egress"],"ingress":[{"from":[{"ipBlock":{"cidr":"10.0.0.0/8","except":["10.1.0.0/16"]}},{"namespaceSelector":{}}],"ports":[{"port":80,"endPort":90},{"port":"main","protocol":"UDP"}]}]}}}"#,
    r#"{"type":"ADDED","object":{"metadata":{"name":"web-0","namespace":"shop","resourceVersion":"7","ownerReferences":[{"kind":"ReplicaSet","name":"web"}]},"spec":{"nodeName":"w1","hostNetwork":false,"containers":[{"name":"c","ports":[{"name":"main","containerPort":8080,"protocol":"TCP"}]}]},"status":{"phase":"Running","podIP":"10.244.1.2","podIPs":[{"ip":"10.244.1.2"},{"ip":"fd00::2"}]}}}"#,
    r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8","annotations":{"k8s.io/initial-events-end":"true"}}}}"#,
    r#"{"type":"DELETED","object":{"metadata":{"name":"web","namespace":"shop","resourceVersion":"9"}}}"#,
    r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","message":"too old resource version","reason":"Expired","code":410}}"#,
];

const PAGE: &str =
    r#"{"metadata":{"resourceVersion":"7","continue":"x"},"items":[{"metadata":{"name":"a"}}]}"#;

fn edited(good: &str, edits: &Edits) -> Vec<u8> {
    let mut bytes = good.as_bytes().to_vec();
    for &(place, byte) in edits {
        let place = usize::from(place) % bytes.len();
        bytes[place] = byte;
    }
    bytes
}

#[test]
fn lines_never_panic() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // Nobody is asked: the lines are given by hand.
    let connection = Arc::new(runtime.block_on(connection("127.0.0.1:1")));
    bolero::check!().with_type::<(Vec<u8>, Edits, [u8; 4])>().for_each(|(random, edits, order)| {
        runtime.block_on(async {
            for kind in Kind::ALL {
                let (sender, mut receiver) = mpsc::channel(1000);
                let mut follower = Follower::new(kind, connection.clone(), sender, Counter::default());
                follower.announced.begin();
                // Whose policies are deleted an API server is asked about; there is none.
                let asks = |line: &&str| kind == Kind::Policies && (line.contains("DELETED") || line.contains("BOOKMARK"));
                let chosen = order.map(|n| GOOD[usize::from(n) % GOOD.len()]);
                let chosen = chosen.into_iter().filter(|line| !asks(line));
                for line in chosen {
                    // They come as the server writes them, with the end of the line.
                    let [good, bad] = [line.as_bytes().to_vec(), edited(line, edits)].map(|l| [&l[..], b"\n"].concat());
                    for line in [&good[..], &bad, random] {
                        // An odd line ends the watch; what was told before stays.
                        follower.line(line).await.ok();
                    }
                }
                while receiver.try_recv().is_ok() {}
                let last = br#"{"type":"MODIFIED","object":{"metadata":{"name":"zz","namespace":"shop","resourceVersion":"99"},"spec":{"podSelector":{}}}}"#;
                follower.line(last).await.expect("a good line");
                let told = std::iter::from_fn(|| receiver.try_recv().ok());
                assert!(told.into_iter().any(|news| matches!(news, News::Change { .. })), "{kind:?} is followed no more");
            }
        });
        serde_json::from_slice::<Page<'_>>(random).ok();
        serde_json::from_slice::<Page<'_>>(&edited(PAGE, edits)).ok();
    });
}
