//! What a real API server does only now and then, played by a script: refusals, torn and silent streams, expiry. That it is
//! followed rightly when all is well is tested against a real one (`conformance/tests/kube_source`).

use super::*;
use crate::source::kube::connection::Credentials;
use policy_model::cluster::Change;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    fs,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What the next request is answered.
enum Answer {
    /// One JSON document with this status.
    Whole(u16, Value),
    /// Lines of a watch, then the end of the connection.
    Lines(Vec<Value>),
    /// Lines, half of one more, then the end.
    Torn(Vec<Value>),
    /// Lines, then nothing more over an open connection.
    Silent(Vec<Value>),
}

type Requests = Arc<Mutex<Vec<String>>>;

/// Follows a kind on a server with this script; when the script is at its end, requests are held open. Gives what is told,
/// until `until` is told, and the paths that were asked for.
async fn follow(kind: Kind, script: Vec<Answer>, until: &str) -> (Vec<String>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Requests::default();
    let server = tokio::spawn(serve(listener, script.into(), requests.clone()));
    let (sender, mut receiver) = mpsc::channel(100);
    let mut follower =
        Follower::new(kind, Arc::new(connection(&address.to_string()).await), sender, Default::default());
    let short = Duration::from_secs(1);
    follower.patience = Patience { answer: 5 * short, list: short, watch: short };
    let follower = tokio::spawn(follower.run());
    let mut told = Vec::new();
    let tell = async {
        while let Some(news) = receiver.recv().await {
            told.push(word(&news));
            if word(&news).starts_with(until) {
                break;
            }
        }
    };
    let in_time = timeout(Duration::from_secs(20), tell).await.is_ok();
    follower.abort();
    server.abort();
    let requests = requests.lock().unwrap().clone();
    assert!(in_time, "`{until}` was not told: {told:#?}, asked {requests:#?}");
    (told, requests)
}

pub(super) async fn connection(address: &str) -> Connection {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("palisade-follower-{}-{number}", std::process::id()));
    let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "u", "user": {}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
    fs::write(&path, config.to_string()).unwrap();
    let connection = Connection::open(Credentials::Kubeconfig(path.clone())).await.unwrap();
    fs::remove_file(path).unwrap();
    connection
}

async fn serve(listener: TcpListener, mut script: VecDeque<Answer>, requests: Requests) {
    let mut open = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let path = read_path(&mut stream).await;
        requests.lock().unwrap().push(path);
        let text = |lines: &[Value]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let (status, body) = match script.front() {
            Some(Answer::Whole(status, body)) => (*status, body.to_string()),
            Some(Answer::Lines(lines) | Answer::Silent(lines)) => (200, text(lines)),
            Some(Answer::Torn(lines)) => (200, text(lines) + "{\"type\": \"ADDED\", \"object\": {\"metad"),
            None => (200, String::new()),
        };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).await.unwrap();
        if matches!(script.pop_front(), None | Some(Answer::Silent(_))) {
            open.push(stream);
        }
    }
}

async fn read_path(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned()
}

/// News in a word.
fn word(news: &News) -> String {
    match news {
        News::Change { change: Change::Namespace(namespace), .. } => {
            format!("{} {}", namespace.name, namespace.labels)
        }
        News::Change { change: Change::NamespaceDeleted(name), .. } => format!("-{name}"),
        News::Change { change: Change::Policy(policy), .. } => format!("policy {}", policy.key),
        News::PolicyDeleted { key, ending_at, .. } => format!("-policy {key} {ending_at:?}"),
        News::Trouble(_, fault) => format!("trouble: {fault}"),
        News::Complete(_) => "complete".into(),
        other => format!("{other:?}"),
    }
}

/// What is told of the objects themselves.
fn objects(told: &[String]) -> Vec<&str> {
    let others = ["NamespacesAt", "PoliciesAt", "Restarted", "Recovered", "trouble"];
    told.iter()
        .map(String::as_str)
        .filter(|word| !others.iter().any(|other| word.starts_with(other)))
        .collect()
}

fn namespace(name: &str, version: u32, label: &str) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": version.to_string(), "labels": {"l": label}}})
}

fn event(what: &str, object: Value) -> Value {
    json!({"type": what, "object": object})
}

fn added(name: &str, version: u32) -> Value {
    event("ADDED", namespace(name, version, "1"))
}

fn end_of_list(version: u32) -> Value {
    let annotations = json!({END_OF_LIST: "true"});
    event(
        "BOOKMARK",
        json!({"metadata": {"resourceVersion": version.to_string(), "annotations": annotations}}),
    )
}

fn status(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "message": message, "reason": "X"})
}

fn page(names: &[&str], next: &str, version: u32) -> Answer {
    let items: Vec<Value> = names.iter().map(|name| namespace(name, 1, "1")).collect();
    let metadata = json!({"resourceVersion": version.to_string(), "continue": next});
    Answer::Whole(200, json!({"kind": "NamespaceList", "metadata": metadata, "items": items}))
}

const LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace as it is told.
fn seen(name: &str, label: &str) -> String {
    format!("{name} {LABEL}={name},l={label}")
}

#[tokio::test]
async fn a_list_is_a_consistent_read_and_the_watch_goes_on_from_its_last_event() {
    let script = vec![
        Answer::Lines(vec![
            added("a", 3),
            end_of_list(7),
            event("MODIFIED", namespace("a", 8, "2")),
            event("BOOKMARK", json!({"metadata": {"resourceVersion": "9"}})),
        ]),
        Answer::Silent(vec![event("DELETED", namespace("a", 10, "2"))]),
    ];
    let (told, asked) = follow(Kind::Namespaces, script, "-a").await;
    assert_eq!(objects(&told), [seen("a", "1"), "complete".into(), seen("a", "2"), "-a".into()]);
    let is_list = asked[0].contains("sendInitialEvents=true") && asked[0].ends_with("&resourceVersion=");
    assert!(is_list, "without a version, so that it is no older than what was: {asked:?}");
    assert!(asked[1].ends_with("&resourceVersion=9") && !asked[1].contains("sendInitialEvents"), "{asked:?}");
}

#[tokio::test]
async fn a_refused_streaming_list_is_read_page_by_page() {
    let script = vec![
        Answer::Whole(422, status(422, "sendInitialEvents is forbidden")),
        page(&["a", "b"], "token", 7),
        page(&["c"], "", 7),
    ];
    let (told, asked) = follow(Kind::Namespaces, script, "Restarted").await;
    assert_eq!(objects(&told), [seen("a", "1"), seen("b", "1"), seen("c", "1"), "complete".into()]);
    assert!(asked[1].contains("limit=500") && !asked[1].contains("watch"), "{asked:?}");
    assert!(asked[2].contains("continue=token"), "{asked:?}");
}

#[tokio::test]
async fn an_old_server_that_never_says_where_a_list_ends_is_read_page_by_page() {
    let script = vec![Answer::Silent(vec![added("a", 3)]), page(&["a"], "", 7)];
    let (told, _) = follow(Kind::Namespaces, script, "complete").await;
    assert_eq!(objects(&told), [seen("a", "1"), "complete".into()]);
}

#[tokio::test]
async fn a_torn_list_deletes_nothing_and_the_next_whole_one_what_is_gone() {
    let script = vec![
        Answer::Lines(vec![added("a", 1), added("b", 2), end_of_list(7)]),
        Answer::Lines(vec![event("ERROR", status(410, "too old resource version"))]),
        Answer::Torn(vec![]),
        Answer::Lines(vec![added("b", 2)]),
        Answer::Whole(422, status(422, "sendInitialEvents is forbidden")),
        page(&["b"], "token", 9),
        Answer::Whole(500, status(500, "etcd has no leader")),
        Answer::Lines(vec![added("c", 8), end_of_list(9)]),
    ];
    let (told, _) = follow(Kind::Namespaces, script, "-b").await;
    let all = [seen("a", "1"), seen("b", "1"), "complete".into(), seen("c", "1"), "-a".into(), "-b".into()];
    assert_eq!(objects(&told), all);
    let troubles: Vec<_> = told.iter().filter(|word| word.starts_with("trouble")).collect();
    assert_eq!(troubles.len(), 4, "{troubles:?}");
}

#[tokio::test]
async fn a_silent_watch_is_begun_again_where_it_was() {
    let script =
        vec![Answer::Silent(vec![added("a", 1), end_of_list(7)]), Answer::Lines(vec![added("b", 8)])];
    let (told, asked) = follow(Kind::Namespaces, script, "b").await;
    assert_eq!(objects(&told), [seen("a", "1"), "complete".into(), seen("b", "1")]);
    assert!(asked[1].ends_with("&resourceVersion=7"), "{asked:?}");
}

#[tokio::test]
async fn a_server_that_is_overloaded_is_left_alone_as_long_as_it_asks() {
    let mut busy = status(429, "too many requests");
    busy["details"] = json!({"retryAfterSeconds": 1});
    let begin = Instant::now();
    let script = vec![Answer::Whole(429, busy), Answer::Lines(vec![end_of_list(7)])];
    let (told, asked) = follow(Kind::Namespaces, script, "complete").await;
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert!(told[0].contains("namespaces: the API server answers 429: too many requests"), "{told:?}");
    assert_eq!(asked.len(), 2, "{asked:?}");
}

#[tokio::test]
async fn an_object_that_cannot_be_understood_keeps_what_it_said_and_others_go_on() {
    let bad = json!({"metadata": {"name": "a", "resourceVersion": "8", "labels": {"l": "not a value!"}}});
    let script = vec![
        Answer::Lines(vec![added("a", 1), end_of_list(7), event("MODIFIED", bad.clone()), added("b", 9)]),
        Answer::Whole(410, status(410, "expired")),
        Answer::Lines(vec![event("ADDED", bad), end_of_list(9)]),
        Answer::Lines(vec![event("MODIFIED", namespace("a", 10, "2"))]),
    ];
    let (told, _) = follow(Kind::Namespaces, script, "a kubernetes.io/metadata.name=a,l=2").await;
    let problems = |count| format!("Problems(Namespaces, {count})");
    let all = [
        seen("a", "1"),
        "complete".into(),
        problems(1),
        seen("b", "1"),
        "-b".into(),
        "complete".into(),
        problems(0),
        seen("a", "2"),
    ];
    assert_eq!(objects(&told), all);
}

#[tokio::test]
async fn a_policy_that_goes_with_its_namespace_is_told_apart() {
    let policy = |name: &str| json!({"metadata": {"name": name, "namespace": name, "resourceVersion": "3"}});
    let list = vec![event("ADDED", policy("alone")), event("ADDED", policy("ending")), end_of_list(7)];
    let ending = json!({"metadata": {"name": "ending", "deletionTimestamp": "2026-11-25T14:00:00Z"}});
    let namespaces =
        |items: Value| Answer::Whole(200, json!({"metadata": {"resourceVersion": "12"}, "items": items}));
    let script = vec![
        Answer::Lines(list),
        Answer::Lines(vec![event("DELETED", policy("alone")), event("DELETED", policy("ending"))]),
        namespaces(json!([namespace("alone", 1, "1")])),
        // As long as this is not known, the policy holds.
        Answer::Whole(403, status(403, "namespaces is forbidden")),
        namespaces(json!([ending])),
    ];
    let (told, asked) = follow(Kind::Policies, script, "-policy ending").await;
    let all = ["policy alone/alone", "policy ending/ending", "complete", "-policy alone/alone None"];
    assert_eq!(objects(&told), [&all[..], &["-policy ending/ending Some(12)"]].concat());
    assert!(asked[2].contains("fieldSelector=metadata.name%3Dalone"), "{asked:?}");
}
