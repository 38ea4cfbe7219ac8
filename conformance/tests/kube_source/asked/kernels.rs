//! `verify` and `explain --node` against a policyd whose kernel is broken by hand.

use super::{asked, policyctl, shop};
use crate::{
    daemon::Daemon,
    ground::{Ground, eventually},
};
use conformance::lab::Netns;
use serde_json::{Value, json};
use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

const AT: &str = "--address w1=127.0.0.1:9469";

/// Does something to the kernel again and again, because policyd puts it right, while `work` is done.
fn while_broken<T>(netns: &Netns, command: &str, work: impl FnOnce() -> T) -> T {
    struct Ended<'a>(&'a AtomicBool);
    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let ended = AtomicBool::new(false);
    let argv: Vec<&str> = ["nft"].into_iter().chain(command.split(' ')).collect();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Acquire) {
                // It fails as long as it is still broken.
                let _ = netns.exec(&argv);
            }
        });
        let _ends = Ended(&ended);
        work()
    })
}

/// The name of the set with the exact pairs of db's program, and one of its elements as nft writes it.
fn exact_set(daemon: &Daemon) -> (String, String) {
    let tables = daemon.tables();
    let rest = tables.split("set in-").nth(1).expect("a program's set");
    let name = format!("in-{}", rest.split_whitespace().next().expect("its name"));
    (name, "10.244.1.3 . tcp . 5432".to_owned())
}

#[test]
fn a_kernel_that_differs_is_found_and_the_range_is_named() {
    let ground = Ground::new("ctl verify");
    shop(&ground);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let verify = |extra: &str| asked(&ground, &ground.admin, &format!("verify --node w1 {AT}{extra}"));

    let equal = verify("");
    assert_eq!(equal.code, 0, "{}\n{}", equal.out, equal.err);
    assert!(
        equal.out.contains("w1  revision") && equal.out.contains("equal on 1 of 1 nodes: 3 pods"),
        "{}",
        equal.out
    );
    let json = verify(" -o json").json();
    assert_eq!((&json["kind"], &json["equal"]), (&json!("Proof"), &json!(true)));
    assert_eq!((&json["nodes"][0]["pods"], &json["nodes"][0]["reaches"]), (&json!(3), &json!(12)));

    let (set, element) = exact_set(&daemon);
    let delete = format!("delete element inet palisade {set} {{ {element} }}");
    let mut found: Option<Value> = None;
    while_broken(ground.netns(), &delete, || {
        eventually("the difference is seen", || {
            let ran = verify(" -o json");
            found = (ran.code == 4).then(|| ran.json());
            found.is_some()
        });
    });
    let found = found.unwrap();
    let difference = &found["nodes"][0]["differences"][0];
    assert_eq!(difference["pod"], "shop/db", "{found:#}");
    assert_eq!(difference["direction"], "ingress");
    assert_eq!(difference["peers"], json!({"first": "10.244.1.3", "last": "10.244.1.3"}));
    assert_eq!(
        (&difference["protocol"], &difference["ports"]),
        (&json!("TCP"), &json!({"first": 5432, "last": 5432}))
    );
    assert_eq!((&difference["model"], &difference["kernel"]), (&json!("Allowed"), &json!("Denied")));
    assert!(found["nodes"][0]["drift"].as_u64().unwrap() > 0, "policyd knows better: {found:#}");
    eventually("policyd puts it right", || verify("").code == 0);

    // What is more than the policies allow.
    let add = format!("add element inet palisade {set} {{ 203.0.113.9 . tcp . 5432 }}");
    let mut text = String::new();
    while_broken(ground.netns(), &add, || {
        eventually("the hole is seen", || {
            let ran = verify("");
            text.clone_from(&ran.out);
            ran.code == 4
        });
    });
    assert!(text.contains("DIFFERS  w1"), "{text}");
    assert!(
        text.contains("shop/db (10.244.1.2)  ingress  203.0.113.9  TCP 5432: model denied, kernel allowed"),
        "{text}"
    );

    // The way to the programs.
    while_broken(ground.netns(), "flush chain inet palisade forward", || {
        eventually("the missing rules are seen", || {
            let ran = verify("");
            text.clone_from(&ran.out);
            ran.code == 4
        });
    });
    assert!(text.contains("chain inet palisade forward: rule 0 is `the end`"), "{text}");
    eventually("policyd puts it right", || verify("").code == 0);
}

#[test]
fn a_folder_is_compared_with_the_node_that_enforces_something_else() {
    let ground = Ground::new("ctl folder");
    shop(&ground);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let kinds = "namespaces,nodes,services,networkpolicies,pods";
    let state = ground.run(&format!("get {kinds} --all-namespaces --output json"));
    let file = ground.dir().join("state.json");
    let path = file.display().to_string();
    let verify = || policyctl(&ground, &["verify", "-f", &path, "--policyd", "http://127.0.0.1:9469"]);
    fs::write(&file, &state).expect("a file");
    let equal = verify();
    assert_eq!(equal.code, 0, "{}\n{}", equal.out, equal.err);

    fs::write(&file, state.replace("\"port\": \"main\"", "\"port\": 5433")).expect("a file");
    let differs = verify();
    assert_eq!(differs.code, 4, "{}\n{}", differs.out, differs.err);
    assert!(differs.out.contains("TCP 543"), "{}", differs.out);
}

#[test]
fn the_walk_through_the_kernel_stands_beside_the_models() {
    let ground = Ground::new("ctl walk");
    shop(&ground);
    let daemon = Daemon::start(&ground);
    daemon.settles(&ground);
    let explain = |line: &str| asked(&ground, &ground.admin, &format!("explain --node {line} {AT}"));

    for (line, code, words) in [
        ("shop/api shop/db:5432", 0, "element → allowed"),
        ("shop/front shop/db:5432", 1, "no element → deny"),
        ("shop/front shop/api:80", 0, "not isolated"),
        ("203.0.113.9 shop/db:5432", 1, "no element → deny"),
        ("shop/front 203.0.113.9:443", 0, "not isolated"),
        ("shop/remote shop/db:5432", 0, "node w2 judges this too, and is not asked"),
        // The overlay address of another node.
        ("10.245.0.0 shop/db:5432", 1, "no element → deny"),
    ] {
        let ran = explain(line);
        assert_eq!(ran.code, code, "{line}\n{}\n{}", ran.out, ran.err);
        let out = ran.out.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            out.contains("agrees") && out.contains(words) && out.contains("node w1, revision"),
            "{line}\n{}",
            ran.out
        );
    }
    let json = explain("shop/front shop/db:5432 -o json").json();
    assert_eq!(json["verdict"], "Denied");
    assert_eq!((&json["kernel"]["verdict"], &json["kernel"]["agrees"]), (&json!("Denied"), &json!(true)));
    assert_eq!(json["kernel"]["nodes"][0]["node"], "w1");
    let several = explain("shop/front shop/db");
    assert_eq!(several.code, 2, "{}", several.err);

    let (set, element) = exact_set(&daemon);
    let delete = format!("delete element inet palisade {set} {{ {element} }}");
    let mut text = String::new();
    while_broken(ground.netns(), &delete, || {
        eventually("the disagreement is seen", || {
            let ran = explain("shop/api shop/db:5432");
            text.clone_from(&ran.out);
            ran.code == 4
        });
    });
    assert!(text.contains("ALLOWED") && text.contains("DISAGREES"), "{text}");
    assert!(text.contains(&format!("set inet palisade {set}")), "the object is named: {text}");
    assert!(text.contains("The kernel's walk on node w1") && text.contains("no such element"), "{text}");
}

/// A program with a hundred thousand elements is read, sent and proven.
#[test]
fn a_table_of_a_hundred_thousand_elements_is_proven() {
    let ground = Ground::new("ctl large");
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}),
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "db", "namespace": "shop", "labels": {"app": "db"}},
            "spec": {"nodeName": "w1", "containers": [{"name": "c"}]}, "status": {"phase": "Running", "podIP": "10.244.1.2"}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "db", "namespace": "shop"},
            "spec": {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{
                "from": [{"podSelector": {"matchLabels": {"app": "many"}}}],
                "ports": (0..16).map(|n| json!({"port": 1000 + 2 * n})).collect::<Vec<_>>()}]}}),
    ];
    objects.extend((0..6_300u32).map(|n| {
        json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("m{n}"), "namespace": "shop", "labels": {"app": "many"}},
            "spec": {"nodeName": "w2", "containers": [{"name": "c"}]},
            "status": {"phase": "Running", "podIP": format!("10.250.{}.{}", n / 250, n % 250 + 1)}})
    }));
    let folder = ground.dir().join("large");
    fs::create_dir_all(&folder).expect("a folder");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    fs::write(folder.join("all.json"), list).expect("a file");
    let daemon = Daemon::of_folder(&ground, &folder);
    eventually("policyd is ready", || daemon.is_ready());

    let path = folder.display().to_string();
    let begin = Instant::now();
    let ran =
        policyctl(&ground, &["verify", "-f", &path, "--policyd", "http://127.0.0.1:9469", "-o", "json"]);
    println!("verify of 100,000 elements: {:?}", begin.elapsed());
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    let elements = ran.json()["nodes"][0]["elements"].as_u64().unwrap();
    assert!(elements > 100_000, "{elements}");
}
