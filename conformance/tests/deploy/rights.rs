//! What the ServiceAccount may do: all that policyd asks for, and nothing else that the API server knows.

use super::deploy;
use conformance::{cluster::ApiServer, enforced};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
};

const USER: &str = "system:serviceaccount:palisade-system:palisade";
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];
/// Resources within others, which the API server does not list by itself.
const PARTS: [(&str, &str); 8] = [
    ("", "pods/exec"),
    ("", "pods/log"),
    ("", "pods/proxy"),
    ("", "pods/portforward"),
    ("", "nodes/proxy"),
    ("", "nodes/status"),
    ("", "services/proxy"),
    ("", "serviceaccounts/token"),
];

fn installed(name: &str) -> ApiServer {
    let server = ApiServer::start_with(name, super::PRIVILEGED).expect("an API server");
    let file = deploy().join("palisade.yaml");
    server.kubectl(&["apply", "--server-side", "--filename", &file.to_string_lossy()], "").expect("applied");
    server
}

/// What every authenticated user may, whatever is installed (system:basic-user).
const EVERYBODY: [&str; 4] = [
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
    "selfsubjectreviews.authentication.k8s.io",
    "clustertrustbundles.certificates.k8s.io",
];

#[test]
fn it_may_do_this_and_nothing_else() {
    let server = installed("deploy rights");
    let known = server.kubectl(&["api-resources", "--output", "name"], "").unwrap();
    let mut resources: Vec<(String, String)> = known
        .lines()
        .filter(|line| !EVERYBODY.contains(line))
        .map(|line| line.split_once('.').unwrap_or((line, "")))
        .map(|(resource, group)| (group.to_owned(), resource.to_owned()))
        .collect();
    assert!(resources.len() > 40, "{known}");
    resources.extend(PARTS.map(|(group, resource)| (group.to_owned(), resource.to_owned())));

    // One document a question; the API server's own authorizer answers.
    let mut questions = String::new();
    for (group, resource) in &resources {
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        for namespace in ["palisade-system", "default"] {
            for verb in VERBS {
                let question = json!({
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SubjectAccessReview",
                    "spec": {
                        "user": USER,
                        "groups": ["system:serviceaccounts", "system:serviceaccounts:palisade-system", "system:authenticated"],
                        "resourceAttributes": {
                            "namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": part,
                        },
                    },
                });
                questions.push_str(&format!("---\n{question}\n"));
            }
        }
    }
    let answer = "jsonpath={.status.allowed} {.spec.resourceAttributes.namespace} {.spec.resourceAttributes.verb} \
                  {.spec.resourceAttributes.resource}.{.spec.resourceAttributes.group}{\"\\n\"}";
    let said = server.kubectl(&["create", "--filename", "-", "--output", answer], &questions).unwrap();
    assert_eq!(said.lines().count(), resources.len() * 2 * VERBS.len());
    let allowed: BTreeSet<&str> = said.lines().filter_map(|line| line.strip_prefix("true ")).collect();

    let mut expected = BTreeSet::new();
    for resource in ["namespaces.", "nodes.", "pods.", "services.", "networkpolicies.networking.k8s.io"] {
        for namespace in ["palisade-system", "default"] {
            for verb in ["list", "watch"] {
                expected.insert(format!("{namespace} {verb} {resource}"));
            }
        }
    }
    for namespace in ["palisade-system", "default"] {
        for verb in ["create", "patch"] {
            expected.insert(format!("{namespace} {verb} events."));
        }
    }
    for verb in ["get", "create", "patch"] {
        expected.insert(format!("palisade-system {verb} leases.coordination.k8s.io"));
    }
    assert_eq!(allowed, expected.iter().map(String::as_str).collect());
}

#[test]
fn policyd_reads_the_cluster_with_its_token_and_not_without_one_of_its_rights() {
    let server = installed("deploy token");
    let token = server.dir().join("token");
    let create = ["create", "token", "palisade", "--namespace", "palisade-system"];
    fs::write(&token, server.kubectl(&create, "").unwrap().trim()).unwrap();
    let kubeconfig = server.kubeconfig_of_token("palisade", &token).unwrap();
    let run = || -> Output {
        let program = enforced::binary().unwrap();
        let mut command: Command = server.netns().command(&program.to_string_lossy());
        command.args(["run", "--node-name", "w1", "--dry-run", "--kubeconfig"]).arg(&kubeconfig);
        command.output().unwrap()
    };
    let output = run();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("table inet palisade"), "{output:?}");

    let less = r#"[{"op": "remove", "path": "/rules/1"}]"#;
    server.kubectl(&["patch", "clusterrole", "palisade", "--type", "json", "--patch", less], "").unwrap();
    let output = run();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("networkpolicies") && said.contains("networking.k8s.io"), "{said}");
}
