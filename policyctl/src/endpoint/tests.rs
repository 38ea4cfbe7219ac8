use super::*;
use policy_model::{
    cluster::Cluster,
    object::{NamedPort, Node, Owner, Pod, Protocol, Service, ServicePort, TargetPort},
    policy::{NetworkPolicy, Peer, PolicyPort, PortMatch, Rule},
    selector::Requirement,
    verdict,
};

fn target(text: &str) -> Target {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> String {
    match text.parse::<Target>() {
        Ok(target) => panic!("{text} was read as {target:?}"),
        Err(error) => error.to_string(),
    }
}

fn key(namespace: &str, name: &str) -> ObjectKey {
    ObjectKey::new(namespace, name)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn pod(name: &str, labels: &[(&str, &str)], ips: &[&str]) -> Pod {
    Pod {
        key: key("shop", name),
        labels: labels.iter().copied().collect(),
        ips: ips.iter().map(|text| ip(text)).collect(),
        node: Some("node-1".into()),
        host_network: false,
        terminal: false,
        ports: Vec::new(),
        owner: None,
    }
}

/// Two pods of a Deployment, one of a Job, one that ended, one on the node's network; a Service; one policy.
fn cluster() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.insert_node(Node {
        name: "node-1".into(),
        addresses: vec![ip("192.168.50.1"), ip("fd00:50::1")],
        pod_cidrs: vec!["10.244.1.0/24".parse().expect("a block")],
    });
    let replica_set = Owner { kind: "ReplicaSet".into(), name: "api-7d9c".into() };
    let api = [("app", "api"), ("pod-template-hash", "7d9c")];
    let web = |port| NamedPort { name: "web".into(), protocol: Protocol::Tcp, port };
    let ports = vec![web(8080)];
    cluster.insert_pod(Pod {
        owner: Some(replica_set.clone()),
        ports,
        ..pod("api-a", &api, &["10.244.1.2", "fd00:10:244:1::2"])
    });
    let ports = vec![web(9090)];
    cluster.insert_pod(Pod { owner: Some(replica_set), ports, ..pod("api-b", &api, &["10.244.1.3"]) });
    let job = Owner { kind: "Job".into(), name: "report-28812345".into() };
    cluster.insert_pod(Pod { owner: Some(job), ..pod("report-x", &[("app", "report")], &["10.244.1.4"]) });
    cluster.insert_pod(Pod { terminal: true, ..pod("done", &[("app", "report")], &["10.244.1.5"]) });
    cluster.insert_pod(Pod { host_network: true, ..pod("agent", &[("app", "agent")], &[]) });
    cluster.insert_service(Service {
        key: key("shop", "api"),
        selector: Some([("app", "api")].into_iter().collect()),
        cluster_ips: vec![ip("10.96.0.10")],
        headless: false,
        ports: vec![ServicePort {
            name: "http".into(),
            protocol: Protocol::Tcp,
            port: 80,
            target: TargetPort::Name("web".into()),
            node_port: None,
        }],
        external_name: None,
    });
    cluster.insert_policy(NetworkPolicy {
        key: key("shop", "one"),
        pod_selector: Selector::everything(),
        ingress: Some(vec![Rule {
            peers: vec![Peer::IpBlock {
                cidr: "203.0.113.0/24".parse().expect("a block"),
                except: vec!["203.0.113.64/26".parse().expect("a block")],
            }],
            ports: vec![PolicyPort { protocol: Protocol::Tcp, port: PortMatch::Range(8000, 8100) }],
        }]),
        egress: None,
    });
    cluster
}

fn resolved(cluster: &Cluster, text: &str) -> Vec<String> {
    let endpoint: Endpoint = text.parse().expect("an endpoint");
    endpoint.resolve(cluster, &Slices::new()).expect("it exists").iter().map(ToString::to_string).collect()
}

#[test]
fn every_form_is_read_and_written_back() {
    for text in [
        "shop/db",
        "shop/db:5432/TCP",
        "shop/db:8000-8100/UDP",
        "shop/db:pg/TCP",
        "shop/db:http-alt/SCTP",
        "shop/db/ICMP",
        "shop/db/SCTP",
        "shop/deploy/api:80/TCP",
        "shop/cronjob/report",
        "shop/svc/api:80/TCP",
        "shop/[app=web]:80/TCP",
        "shop/[app=web,tier in (a,b),!legacy]",
        "*/[app!=web,tier notin (a,b),track]",
        "shop/*",
        "*/*:53/UDP",
        "node/node-1:10250/TCP",
        "10.244.1.2:80/TCP",
        "203.0.113.0/24",
        "203.0.113.0/24:443/TCP",
        "fd00::1",
        "fd00::/8",
        "[fd00::1]:80/TCP",
        "[fd00::/8]/ICMP",
        "internet:443/TCP",
    ] {
        assert_eq!(target(text).to_string(), text);
    }
}

#[test]
fn the_protocol_is_tcp_by_default_and_kinds_have_long_names() {
    assert_eq!(target("shop/db:80/udp"), target("shop/db:80/UDP"));
    assert_eq!(target("shop/db:5432"), target("shop/db:5432/TCP"));
    assert_eq!(target("shop/deployment/api"), target("shop/deploy/api"));
    assert_eq!(target("shop/service/api:80"), target("shop/svc/api:80/TCP"));
}

#[test]
fn a_selector_is_normalised() {
    let selector = |text: &str| match target(text).endpoint {
        Endpoint::Selected { selector, .. } => selector,
        other => panic!("{other:?}"),
    };
    assert_eq!(selector("shop/[a=1, b in (y, x)]"), selector("shop/[b in (x,y),a==1]"));
    assert_eq!(
        selector("shop/[kubernetes.io/name=x]").requirements(),
        [Requirement::In("kubernetes.io/name".into(), ["x".into()].into())]
    );
}

#[test]
fn what_cannot_be_read_says_what_to_write() {
    for (text, part) in [
        ("", "empty"),
        ("db", "no namespace"),
        ("Shop/db", "lower-case"),
        ("shop/pod/db", "deploy, sts"),
        ("shop/db:0", "1 to 65535"),
        ("shop/db:65536", "1 to 65535"),
        ("shop/db:90-80", "range"),
        ("shop/db:80/ICMP", "ICMP has no ports"),
        ("shop/db:80/quic", "`quic` is no protocol"),
        ("10.0.0.1/8", "write 10.0.0.0/8"),
        ("fd00::1:80/TCP", "brackets"),
        ("shop/[app=web]80", "may follow"),
        ("shop/[app in web]", "key in (a,b)"),
        ("shop/[=x]", "key=value"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
    }
    let error = "shop/db:80".parse::<Endpoint>().expect_err("a source has no port").to_string();
    assert!(error.contains("destination"), "{error}");
}

#[test]
fn pods_are_found_by_name_owner_label_and_service() {
    let cluster = cluster();
    let api = ["shop/api-a (10.244.1.2)", "shop/api-a (fd00:10:244:1::2)", "shop/api-b (10.244.1.3)"];
    assert_eq!(resolved(&cluster, "shop/api-a"), api[..2]);
    assert_eq!(resolved(&cluster, "shop/deploy/api"), api);
    assert_eq!(resolved(&cluster, "shop/rs/api-7d9c"), api);
    assert_eq!(resolved(&cluster, "shop/[app=api]"), api);
    assert_eq!(resolved(&cluster, "shop/svc/api"), api);
    assert_eq!(resolved(&cluster, "shop/cronjob/report"), ["shop/report-x (10.244.1.4)"]);
    assert_eq!(resolved(&cluster, "node/node-1"), ["192.168.50.1", "fd00:50::1"]);
}

#[test]
fn patterns_leave_out_pods_that_policies_do_not_see() {
    let cluster = cluster();
    let all = resolved(&cluster, "*/*");
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(!all.iter().any(|end| end.contains("agent") || end.contains("done")), "{all:?}");
    assert_eq!(resolved(&cluster, "shop/agent"), ["shop/agent (192.168.50.1)", "shop/agent (fd00:50::1)"]);
}

#[test]
fn what_does_not_exist_is_an_error_that_names_what_does() {
    let cluster = cluster();
    for (text, part) in [
        ("shop/web", "agent, api-a, api-b"),
        ("shop/done", "has ended"),
        ("shop/[app=web]", "matches no pod"),
        ("node/node-9", "node-1"),
        ("shop/svc/web", "there are api"),
    ] {
        let endpoint: Endpoint = text.parse().expect("an endpoint");
        let message = endpoint.resolve(&cluster, &Slices::new()).expect_err("it does not exist").to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
    let resolve =
        |text: &str| target(text).resolve(&cluster, &Slices::new()).expect_err("no such port").to_string();
    assert!(resolve("shop/svc/api:81").contains("it has 80/TCP"));
    assert!(resolve("shop/report-x:web").contains("no pod of it has a port called web"));
}

#[test]
fn a_service_leads_to_each_pods_own_port_in_its_own_families() {
    let cluster = cluster();
    let found = target("shop/svc/api:80").resolve(&cluster, &Slices::new()).expect("it exists");
    let seen: Vec<_> = found.iter().map(|d| (d.endpoint.to_string(), d.port)).collect();
    assert_eq!(
        seen,
        [("shop/api-a (10.244.1.2)".into(), Some(8080)), ("shop/api-b (10.244.1.3)".into(), Some(9090))]
    );
    assert!(found.iter().all(|d| d.service == Some(ServiceRoute { key: key("shop", "api"), port: 80 })));
}

#[test]
fn blocks_and_ranges_are_cut_where_a_policy_cuts() {
    let cluster = cluster();
    assert_eq!(resolved(&cluster, "203.0.113.0/24"), ["203.0.113.0", "203.0.113.64", "203.0.113.128"]);
    assert_eq!(resolved(&cluster, "203.0.113.64/27"), ["203.0.113.64"]);
    assert_eq!(
        resolved(&cluster, "10.244.1.2/31"),
        ["10.244.1.2", "10.244.1.3"],
        "a pod's address can be told from its neighbour's"
    );
    let ports = |text: &str| -> Vec<_> {
        let found = target(text).resolve(&cluster, &Slices::new()).expect("it exists");
        found.iter().map(|d| d.port).collect()
    };
    assert_eq!(ports("198.51.100.9:7999-8101"), [7999, 8000, 8080, 8081, 8101].map(Some));
    assert_eq!(ports("198.51.100.9/ICMP"), [None]);
    let all = target("198.51.100.9").resolve(&cluster, &Slices::new()).expect("it exists");
    assert_eq!(all.len(), 3 * 7 + 1, "1, 8000, 8080, 8081, 8101, 9090, 9091 of three protocols, and ICMP");
}

#[test]
fn the_internet_is_public_and_not_the_clusters_own() {
    let mut cluster = cluster();
    cluster.insert_node(Node {
        name: "node-2".into(),
        addresses: vec![ip("198.51.100.1")],
        pod_cidrs: vec!["2001:db8:1::/48".parse().expect("a block")],
    });
    let found = Endpoint::Internet.resolve(&cluster, &Slices::new()).expect("it exists");
    let has = |text: &str| found.contains(&verdict::Endpoint::Address(ip(text)));
    assert!(has("203.0.113.0") && has("203.0.113.64") && has("198.51.100.2") && has("2000::"));
    assert!(has("2001:db8:2::"), "what comes after the pod range");
    for own in
        ["198.51.100.1", "10.0.0.0", "10.244.1.2", "192.168.50.1", "127.0.0.0", "224.0.0.0", "2001:db8:1::"]
    {
        assert!(!has(own), "{own}");
    }
}
