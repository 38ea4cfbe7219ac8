//! Credentials and rights: none, wrong ones, too few, renewed ones.

use super::{
    burst,
    daemon::{Daemon, run},
    ground::{Ground, eventually, policy},
};
use conformance::{cluster::Identity, enforced::binary};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A role with these verbs on everything but one resource, and with others on that.
fn grant(ground: &Ground, user: &str, but: &str, verbs: &[&str]) {
    let all = ["namespaces", "nodes", "services", "networkpolicies", "pods"];
    let most: Vec<&str> = all.into_iter().filter(|resource| *resource != but).collect();
    let rule = |resources: &[&str], verbs: &[&str]| json!({"apiGroups": ["", "networking.k8s.io"], "resources": resources, "verbs": verbs});
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "policyd"}, "rules": [rule(&most, &["list", "watch"]), rule(&[but], verbs)]}));
    ground.apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "policyd"}, "subjects": [{"kind": "User", "name": user,
        "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "policyd", "apiGroup": "rbac.authorization.k8s.io"}}));
}

fn once(ground: &Ground, config: &Path) -> (Option<i32>, String) {
    let output = run(ground, config, &["--once"]);
    // Messages are wrapped at the terminal's width.
    let said = String::from_utf8_lossy(&output.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    (output.status.code(), said.replace("│ ", ""))
}

#[test]
fn a_missing_right_is_named_and_once_granted_it_goes_on() {
    let ground = Ground::new("kube rights");
    burst::create(&ground, 0..4);
    let config = ground.kubeconfig(Identity { user: "policyd", group: "" }).unwrap();
    grant(&ground, "policyd", "networkpolicies", &["get"]);
    let (status, said) = once(&ground, &config);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("networkpolicies.networking.k8s.io is forbidden: User \"policyd\" cannot"),
        "{said}"
    );
    assert!(
        said.contains("grant the verbs list and watch on networkpolicies in API group \"networking.k8s.io\"")
    );

    let daemon = Daemon::launch(&ground, &config);
    eventually("it is said", || daemon.log().contains("networkpolicies.networking.k8s.io is forbidden"));
    assert!(!daemon.is_ready(), "a state without policies is none");
    grant(&ground, "policyd", "networkpolicies", &["list", "watch"]);
    eventually("it is ready", || daemon.is_ready());
    drop(daemon);
    let (status, said) = once(&ground, &config);
    assert_eq!(status, Some(0), "least rights are enough: {said}");
}

#[test]
fn a_node_that_the_api_server_does_not_know_is_told() {
    let ground = Ground::new("kube node");
    let folder = |name: &str| ground.dir().join(name).display().to_string();
    let arguments = ["--node-name", "w9", "--cni-dir", &folder("cni"), "--state-dir", &folder("state")];
    let arguments = arguments.map(str::to_owned);
    let daemon = Daemon::launch_in(ground.netns(), ground.dir(), &ground.admin, &arguments);
    eventually("it is ready", || daemon.is_ready());
    assert!(daemon.log().contains("has no node called w9"), "{}", daemon.log());
    drop(daemon);
    let daemon = Daemon::start(&ground);
    assert!(!daemon.log().contains("has no node"), "{}", daemon.log());
}

#[test]
fn credentials_that_are_none_are_told_apart() {
    let mut ground = Ground::new("kube credentials");
    let (status, said) = once(&ground, Path::new("/nowhere/kubeconfig"));
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("/nowhere/kubeconfig: no such file"), "{said}");

    let broken = ground.dir().join("broken.conf");
    fs::write(&broken, "clusters: 7").unwrap();
    let (status, said) = once(&ground, &broken);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains("not a kubeconfig that can be used"), "{said}");

    let token = ground.dir().join("token");
    fs::write(&token, "not-a-token").unwrap();
    let config = ground.kubeconfig_of_token("wrong", &token).unwrap();
    let (status, said) = once(&ground, &config);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("does not know these credentials"), "{said}");

    ground.kill();
    let (status, said) = once(&ground, &ground.admin);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("the API server cannot be reached") && said.contains("Connection refused"),
        "{said}"
    );
}

/// Puts a token and a certificate authority where a pod has them, in a mount namespace of its own, and runs a program.
const AS_POD: &str = r#"
mount --rbind /run/palisade-lab /mnt && mount -t tmpfs none /run && mkdir -p /run/palisade-lab &&
mount --rbind /mnt /run/palisade-lab && secrets=/run/secrets/kubernetes.io/serviceaccount && mkdir -p $secrets &&
cp "$1" $secrets/token && cp "$2" $secrets/ca.crt && echo shop > $secrets/namespace && shift 2 && exec "$@"
"#;

#[test]
fn in_a_pod_it_takes_what_kubernetes_has_put_there_and_its_log_never_has_the_token() {
    let ground = Ground::new("kube pod");
    burst::create(&ground, 0..8);
    ground.run("create serviceaccount policyd --namespace shop");
    grant(&ground, "system:serviceaccount:shop:policyd", "pods", &["list", "watch"]);
    let secret = ground.run("create token policyd --namespace shop");
    let token = ground.dir().join("token");
    fs::write(&token, secret.trim()).unwrap();
    let mut command = ground.netns().command("sh");
    command
        .args(["-c", AS_POD, "sh"])
        .arg(&token)
        .arg(ground.dir().join("pki/ca.crt"))
        .arg(binary().unwrap());
    command.args(["run", "--once", "--node-name", "w1", "--state-dir"]).arg(ground.dir().join("state"));
    command.env("KUBERNETES_SERVICE_HOST", "172.30.0.1").env("KUBERNETES_SERVICE_PORT", "6443");
    // Of every library too.
    command.env("RUST_LOG", "trace");
    let output = command.output().unwrap();
    let [out, err] = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    assert!(output.status.success(), "{err}");
    assert!(out.contains("4 local pods"), "{out}");
    // A token's last part is its signature: without that nobody can use the others.
    let signature = secret.trim().rsplit('.').next().unwrap();
    assert!(signature.len() > 40 && err.contains("TRACE"), "it does not say everything: {err}");
    assert!(!out.contains(signature) && !err.contains(signature), "the token is in the log");
}

/// A new token of the account. It is valid as long as what it is bound to.
fn bound(ground: &Ground, secret: &str) -> String {
    ground.run(&format!("create secret generic {secret} --namespace shop"));
    ground.run(&format!(
        "create token policyd --namespace shop --bound-object-kind Secret --bound-object-name {secret}"
    ))
}

/// Puts a token into a volume as a kubelet does: a folder of its own, and one link that leads to it and is replaced in one step.
fn project(volume: &Path, token: &str) {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_nanos();
    let folder = volume.join(format!("..{at}"));
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("token"), token.trim()).expect("a file");
    let (half, data, file) = (volume.join("..data_tmp"), volume.join("..data"), volume.join("token"));
    let before = fs::read_link(&data).ok();
    symlink(folder.file_name().expect("a name"), &half).expect("a link");
    fs::rename(&half, &data).expect("the link");
    if let Some(before) = before {
        fs::remove_dir_all(volume.join(before)).expect("the old folder");
    } else {
        symlink("..data/token", file).expect("a link");
    }
}

#[test]
fn a_renewed_token_is_read_again_and_nothing_is_lost_in_between() {
    let mut ground = Ground::new("kube token");
    let user = "system:serviceaccount:shop:policyd";
    ground.apply(&json!({"apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "policyd", "namespace": "shop"}}));
    grant(&ground, user, "pods", &["list", "watch"]);
    let volume = ground.dir().join("volume");
    project(&volume, &bound(&ground, "first"));
    let config = ground.kubeconfig_of_token("account", &volume.join("token")).unwrap();
    ground.apply(&policy("db", "api"));
    burst::create(&ground, 0..8);
    let daemon = Daemon::launch(&ground, &config);
    eventually("it is ready", || daemon.is_ready());
    daemon.settles(&ground);

    // Watches that are open outlive their token.
    ground.run("delete secret first --namespace shop");
    let asks = ["--kubeconfig", &config.display().to_string(), "get", "pods", "--namespace", "shop"];
    eventually("the API server refuses the token", || ground.kubectl(&asks, "").is_err());
    burst::create(&ground, 8..12);
    eventually("what they tell is in force", || daemon.metric("palisade_pods ") == 12.0);
    daemon.settles(&ground);
    let before = daemon.tables();

    // A restart ends every watch, and none can begin.
    ground.restart().unwrap();
    eventually("it is said", || daemon.log().contains("does not know these credentials"));
    burst::create(&ground, 12..16);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(daemon.tables(), before);

    project(&volume, &bound(&ground, "second"));
    eventually("the new pods are in force", || daemon.metric("palisade_pods ") == 16.0);
    daemon.settles(&ground);
}
