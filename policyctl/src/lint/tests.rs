use super::*;
use crate::input;
use std::{collections::BTreeSet, fs, path::Path};

/// What the examples of the codes are held against: pods of three namespaces, a node, Services.
const CLUSTER: &str = "
{apiVersion: v1, kind: Namespace, metadata: {name: prod, labels: {team: prod}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: web, labels: {team: web}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: mesh, labels: {istio.io/dataplane-mode: ambient}}}
---
apiVersion: v1
kind: Node
metadata: {name: w1}
spec: {podCIDRs: [10.244.1.0/24]}
status: {addresses: [{type: InternalIP, address: 192.168.50.1}]}
---
{apiVersion: v1, kind: Service, metadata: {name: db, namespace: prod}, spec: {clusterIP: 10.96.0.20, ports: [{port: 5432}]}}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: prod, labels: {app: db}}
spec: {nodeName: w1, containers: [{name: c, ports: [{name: pg, containerPort: 5432}]}]}
status: {podIPs: [{ip: 10.244.1.2}]}
---
apiVersion: v1
kind: Pod
metadata: {name: api, namespace: prod, labels: {app: api}}
spec: {nodeName: w1, containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]}
status: {podIPs: [{ip: 10.244.1.3}]}
---
apiVersion: v1
kind: Pod
metadata: {name: agent, namespace: prod, labels: {app: agent}}
spec: {nodeName: w1, hostNetwork: true, containers: []}
status: {podIPs: [{ip: 192.168.50.1}]}
---
{apiVersion: v1, kind: Pod, metadata: {name: front, namespace: web, labels: {app: front}}, spec: {nodeName: w1, containers: []}, status: {podIPs: [{ip: 10.244.1.4}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: cart, namespace: mesh, labels: {app: cart}}, spec: {nodeName: w1, containers: []}, status: {podIPs: [{ip: 10.244.1.5}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: coredns, namespace: kube-system, labels: {k8s-app: kube-dns}}, spec: {nodeName: w1, containers: []}, status: {podIPs: [{ip: 10.244.1.6}]}}
";

/// DNS at the node, for the code that is about it.
const NODE_LOCAL_DNS: &str = "---
{apiVersion: v1, kind: Pod, metadata: {name: node-local-dns, namespace: kube-system, labels: {k8s-app: node-local-dns}}, spec: {nodeName: w1, hostNetwork: true, containers: []}, status: {podIPs: [{ip: 192.168.50.1}]}}
";

fn findings(policies: &str) -> Vec<Finding> {
    lint(&input::parse("all.yaml", &format!("{CLUSTER}---\n{policies}"), None))
}

fn codes(policies: &str) -> BTreeSet<String> {
    findings(policies).iter().map(|finding| finding.code.to_string()).collect()
}

/// A policy `prod/p` of this spec, in the flow style.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p, namespace: prod}}\nspec: {spec}\n"
    )
}

#[test]
fn codes_stand_in_the_table_at_their_number_and_are_found_by_number_and_name() {
    for (index, code) in Code::all().enumerate() {
        assert_eq!(code as usize, index + 1);
        assert_eq!(code.info().code, code);
        assert_eq!(code.to_string().to_lowercase().parse(), Ok(code));
        assert_eq!(code.info().name.parse(), Ok(code));
    }
    let names: BTreeSet<_> = Code::all().map(|code| code.info().name).collect();
    assert_eq!(names.len(), Code::all().count());
    assert_eq!(
        "P999".parse::<Code>().unwrap_err().to_string(),
        "there is no code P999; the codes are P001 to P023"
    );
}

#[test]
fn the_example_of_every_code_has_that_finding() {
    for info in Code::all().map(Code::info) {
        let around = if info.code == Code::P016 { NODE_LOCAL_DNS } else { "" };
        let found = findings(&format!("{}{around}", info.example));
        let own: Vec<_> = found.iter().filter(|finding| finding.code == info.code).collect();
        assert_eq!(own.len(), 1, "{}: {found:#?}", info.code);
        // Pods do not know their places.
        if info.code != Code::P023 {
            assert!(own[0].place.as_ref().is_some_and(|place| place.line > Some(30)), "{:?}", own[0]);
        }
        if info.code != Code::P017 {
            assert_eq!(own[0].severity, info.severity);
        }
    }
}

#[test]
fn docs_are_made_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/lint.md");
    let made = docs::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "docs/lint.md is not what the code says; run this test with UPDATE_DOCS=1");
}

/// One line: a spec of `prod/p`, and the codes that are found, in order.
macro_rules! cases {
    ($($name:ident: $spec:expr => [$($code:expr),*];)*) => {$(
        #[test]
        fn $name() {
            let expected: BTreeSet<String> = [$($code.to_owned()),*].into_iter().collect();
            assert_eq!(codes(&policy($spec)), expected, "{:#?}", findings(&policy($spec)));
        }
    )*};
}

const DNS: &str = "{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}";

cases! {
    a_sound_policy_has_none: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: pg}]}]}" => [];
    deny_all_has_none: "{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}" => [];
    all_pods_of_a_namespace_may_include_hosts: "{podSelector: {}}" => ["P020"];
    allowing_everything_is_no_trap: "{podSelector: {matchLabels: {app: db}}, ingress: [{}]}" => [];
    no_peers_by_a_missing_field_is_no_trap: "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 5432}]}]}" => [];
    empty_ports_are_a_trap: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: []}]}" => ["P012"];
    a_null_list_is_a_trap: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: , ports: [{port: 1}]}]}" => ["P012"];
    names_are_by_protocol: "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: pg, protocol: UDP}]}]}" => ["P006"];
    names_of_egress_are_the_peers: "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: http}]}, {to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}]}" => ["P006"];
    equal_rules_are_found_once: "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1}]}, {ports: [{port: 1}]}]}" => ["P007"];
    overlapping_rules_are_not_shadowed: "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 1, endPort: 5}]}, {ports: [{port: 5, endPort: 9}]}]}" => [];
    a_range_within_another: "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: 2, endPort: 3}]}, {ports: [{port: 1, endPort: 9}]}]}" => ["P007"];
    a_rule_without_ports_is_wider: "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{protocol: TCP}, {protocol: UDP}, {protocol: SCTP}]}, {}]}" => ["P007"];
    a_rule_without_ports_is_not_covered: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {}}]}, {ports: [{protocol: TCP}]}]}" => [];
    blocks_are_covered_by_several: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 172.16.0.0/23}}]}, {from: [{ipBlock: {cidr: 172.16.0.0/24}}, {ipBlock: {cidr: 172.16.1.0/24}}]}]}" => ["P007"];
    a_block_beside_pods_is_fine: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.244.0.0/16]}}]}]}" => [];
    the_internet_is_pods_and_nodes_too: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}" => ["P008", "P009"];
    one_node_is_meant: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 192.168.50.1/32}}]}]}" => [];
    one_pod_changes: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 10.244.1.3/32}}]}]}" => ["P008"];
    an_exception_within_another: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 172.16.0.0/12, except: [172.16.0.0/16, 172.16.1.0/24]}}]}]}" => ["P011"];
    an_exception_that_a_narrower_port_allows_cuts: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{ipBlock: {cidr: 172.16.0.0/12, except: [172.16.1.0/24]}}]}, {from: [{ipBlock: {cidr: 172.16.0.0/16}}], ports: [{port: 1}]}]}" => [];
    two_entries_that_are_meant: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: web}}}, {podSelector: {matchLabels: {app: api}}}]}]}" => [];
    one_entry_is_no_split: "{podSelector: {matchLabels: {app: db}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: web}}, podSelector: {matchLabels: {app: front}}}]}]}" => [];
    dns_by_address_of_anybody: "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}, {port: 53}]}]}" => [];
    dns_by_name_of_its_ports: "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{}]}" => [];
    no_egress_rule_needs_no_names: "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: []}" => [];
    absent_policy_types_with_egress_are_both: "{podSelector: {matchLabels: {app: db}}, egress: [{}]}" => [];
}

#[test]
fn dns_that_is_allowed_is_allowed() {
    let spec =
        format!("{{podSelector: {{matchLabels: {{app: api}}}}, policyTypes: [Egress], egress: [{DNS}]}}");
    assert_eq!(codes(&policy(&spec)), BTreeSet::new());
    let on_node = format!("{}{NODE_LOCAL_DNS}", policy(&spec));
    assert_eq!(codes(&on_node), ["P016".to_owned()].into());
    let by_address = "{podSelector: {matchLabels: {app: api}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 169.254.20.10/32}}], ports: [{port: 53, protocol: UDP}, {port: 53}]}]}";
    assert_eq!(codes(&format!("{}{NODE_LOCAL_DNS}", policy(by_address))), BTreeSet::new());
}

#[test]
fn misspelt_labels_are_suggested() {
    let remedy = |spec: &str| findings(&policy(spec))[0].remedy.clone();
    assert_eq!(remedy("{podSelector: {matchLabels: {app: dbb}}}"), "did you mean app=db?");
    assert_eq!(remedy("{podSelector: {matchLabels: {ap: db}}}"), "did you mean the label app?");
    assert_eq!(
        remedy("{podSelector: {matchLabels: {app: front}}}"),
        "such pods are in web; a policy selects pods of its own namespace"
    );
    assert!(findings(&policy("{podSelecter: {}}"))[0].remedy.starts_with("did you mean podSelector?"));
}

#[test]
fn policies_without_any_pod_are_not_said_to_select_nothing() {
    let text = policy(
        "{podSelector: {matchLabels: {app: x}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: other}}}]}]}",
    );
    assert_eq!(lint(&input::parse("p.yaml", &text, None)), []);
}

#[test]
fn a_broken_document_hides_no_finding_and_makes_the_exit_code_2() {
    let text = format!("{}---\n{{a: [\n", policy("{podSelector: {}, ingress: [{from: []}]}"));
    let found = lint(&input::parse("p.yaml", &text, None));
    let codes: Vec<_> = found.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::P012, Code::P001]);
    assert_eq!(exit_status(&found, Severity::Error), 2);
    assert_eq!(exit_status(&found[..1], Severity::Error), 0);
    assert_eq!(exit_status(&found[..1], Severity::Warning), 1);
    assert_eq!(exit_status(&[], Severity::Info), 0);
}

#[test]
fn every_output_form() {
    let text = format!(
        "{}---\n{}---\n{}---\n{}",
        policy("{podSelector: {matchLabels: {app: dbb}}, ingress: [{from: []}]}"),
        policy("{podSelecter: {}}").replace("name: p", "name: q"),
        "{a: [",
        ""
    );
    let found = lint(&input::parse("a dir/p.yaml", &format!("{CLUSTER}---\n{text}"), None));
    insta::assert_snapshot!("table", output::table(&found, crate::style::Style::plain()));
    insta::assert_snapshot!("json", format!("{:#}", output::json(&found)));
    insta::assert_snapshot!("junit", output::junit(&found, Severity::Warning));
    let mut sarif = output::sarif(&found);
    assert_eq!(
        sarif["runs"][0]["tool"]["driver"]["rules"].as_array().map(Vec::len),
        Some(Code::all().count())
    );
    sarif["runs"][0]["tool"]["driver"]["rules"] = "all codes".into();
    insta::assert_snapshot!("sarif", format!("{sarif:#}"));
    insta::assert_snapshot!("nothing", output::table(&[], crate::style::Style::plain()));
    insta::assert_snapshot!("junit_of_nothing", output::junit(&[], Severity::Warning));
    insta::assert_snapshot!("explain", docs::explain(Code::P014, 100));
}

mod what_findings_promise {
    //! A finding that says that something has no effect is right: without it, every reach is the same.

    use super::*;
    use crate::input::Snapshot;
    use policy_model::{
        cluster::Cluster,
        object::ObjectKey,
        policy::{Direction, NetworkPolicy, Peer, Rule},
        reach::Reach,
        strategies,
    };
    use proptest::prelude::*;

    /// What every pod lets pass.
    fn reaches(cluster: &Cluster) -> Vec<[Reach; 2]> {
        let pods: Vec<_> = cluster.pods().map(|pod| pod.key.clone()).collect();
        pods.iter().map(|pod| Direction::BOTH.map(|direction| cluster.reach(pod, direction))).collect()
    }

    /// The policy of a finding, and the numbers in its field: `spec.ingress[0].from[1]` gives 0 and 1.
    fn subject(cluster: &Cluster, finding: &Finding) -> (NetworkPolicy, Direction, Vec<usize>) {
        let name =
            finding.object.as_deref().and_then(|object| object.strip_prefix("NetworkPolicy ")).unwrap();
        let (namespace, name) = name.split_once('/').unwrap();
        let policy = cluster.policy(&ObjectKey::new(namespace, name)).unwrap().clone();
        let direction =
            if finding.field.contains(".egress") { Direction::Egress } else { Direction::Ingress };
        let numbers =
            finding.field.split('[').skip(1).map(|part| part.split(']').next().unwrap().parse().unwrap());
        (policy, direction, numbers.collect())
    }

    fn rules(policy: &mut NetworkPolicy, direction: Direction) -> &mut Vec<Rule> {
        match direction {
            Direction::Ingress => policy.ingress.as_mut().unwrap(),
            Direction::Egress => policy.egress.as_mut().unwrap(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn without_it_nothing_moves(cluster in strategies::cluster()) {
            let before = reaches(&cluster);
            for finding in lint(&Snapshot::of(cluster.clone())) {
                if !matches!(finding.code, Code::P004 | Code::P007 | Code::P011) {
                    continue;
                }
                let (mut policy, direction, numbers) = subject(&cluster, &finding);
                let mut without = cluster.clone();
                match finding.code {
                    Code::P004 => without.remove_policy(&policy.key),
                    Code::P007 => {
                        rules(&mut policy, direction).remove(numbers[0]);
                        without.insert_policy(policy);
                    }
                    _ => {
                        let Peer::IpBlock { except, .. } = &mut rules(&mut policy, direction)[numbers[0]].peers[numbers[1]] else {
                            panic!("a block");
                        };
                        except.retain(|block| !finding.message.starts_with(&format!("except {block} ")));
                        without.insert_policy(policy);
                    }
                }
                prop_assert_eq!(&reaches(&without), &before, "{:?}", finding);
            }
        }
    }
}

#[test]
fn what_a_terminal_obeys_is_not_shown() {
    let found = findings(&policy("{podSelector: {matchLabels: {app: \"\\e[31mred\\n\"}}}"));
    assert!(found.iter().any(|finding| finding.message.contains('\u{1b}')), "{found:?}");
    assert!(!output::table(&found, crate::style::Style::plain()).contains('\u{1b}'));
}

#[test]
fn dns_that_everybody_may_ask_is_isolated_well() {
    let system = |ingress: &str| {
        let policy =
            policy(&format!("{{podSelector: {{matchLabels: {{k8s-app: kube-dns}}}}, ingress: [{ingress}]}}"));
        let found = findings(&policy.replace("namespace: prod", "namespace: kube-system"));
        let own = found.into_iter().find(|finding| finding.code == Code::P017);
        own.map(|finding| (finding.severity, finding.message))
    };
    let (severity, message) =
        system("{from: [{namespaceSelector: {}}], ports: [{port: 53, protocol: UDP}]}").unwrap();
    assert!(severity == Severity::Info && message.ends_with("every pod may ask it"), "{message}");
    let (severity, message) =
        system("{from: [{podSelector: {}}], ports: [{port: 53, protocol: UDP}]}").unwrap();
    assert!(severity == Severity::Warning && message.contains("may not ask it"), "{message}");
}

#[test]
fn meshes_are_known_by_labels() {
    let mesh = |namespace: &str, pod: &str, spec: &str| {
        let text = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: m, labels: {{{namespace}}}}}}}\n---\n\
             {{apiVersion: v1, kind: Pod, metadata: {{name: a, namespace: m, labels: {{app: a, {pod}}}}}, spec: {{containers: []}}}}\n---\n{}",
            policy(spec).replace("namespace: prod", "namespace: m")
        );
        let found = lint(&input::parse("m.yaml", &text, None));
        found
            .into_iter()
            .filter(|finding| finding.code == Code::P018)
            .map(|finding| finding.message)
            .collect::<Vec<_>>()
    };
    let (out, into) =
        ("{policyTypes: [Egress], egress: [{ports: [{port: 443}]}]}", "{ingress: [{ports: [{port: 8080}]}]}");
    let sidecar = ["m/a: no egress rule allows 15012/TCP, which the Istio sidecar (istiod) needs"];
    assert_eq!(mesh("istio-injection: enabled", "", out), sidecar);
    assert_eq!(mesh("", "sidecar.istio.io/inject: 'true'", out), sidecar);
    assert_eq!(mesh("istio-injection: enabled", "sidecar.istio.io/inject: 'false'", out), [""; 0]);
    assert_eq!(
        mesh("istio-injection: enabled", "", "{policyTypes: [Egress]}"),
        [""; 0],
        "who may reach nobody needs no mesh"
    );
    let ambient = ["m/a: no ingress rule allows 15008/TCP, which Istio ambient (HBONE) needs"];
    assert_eq!(mesh("istio.io/dataplane-mode: ambient", "", into), ambient);
    assert_eq!(mesh("istio.io/dataplane-mode: ambient", "istio.io/dataplane-mode: none", into), [""; 0]);
    assert_eq!(
        mesh("istio.io/dataplane-mode: ambient", "", "{ingress: [{from: [{podSelector: {}}]}]}"),
        [""; 0]
    );
    let linkerd = "linkerd.io/control-plane-ns: linkerd";
    assert_eq!(
        mesh("", linkerd, into),
        ["m/a: no ingress rule allows 4143/TCP, which the Linkerd proxy needs"]
    );
    assert_eq!(
        mesh("", linkerd, out),
        [
            "m/a: no egress rule allows 8080/TCP, 8086/TCP and 8090/TCP, which the Linkerd proxy (identity, destination, policy) needs"
        ]
    );
}
