//! What the CNI plugins leave on a node.

use crate::{every_probe, expect, three_pods};
use conformance::{
    lab::{LabError, Place, PodSpec},
    probe::Outcome,
};

#[test]
fn a_pod_leaves_the_files_that_a_real_one_leaves() {
    let (lab, [a, b, _]) = three_pods("files");
    let dir = lab.node(1).cni_dir();
    let text = |path: &str| std::fs::read_to_string(dir.join(path));
    let lease = format!("{}\r\neth0", a.container_id());
    assert_eq!(text(&format!("networks/cbr0/{}", a.ipv4())).expect("the lease"), lease);
    assert_eq!(text(&format!("networks/cbr0/{}", a.ipv6())).expect("the lease"), lease);
    assert_eq!(text("networks/cbr0/last_reserved_ip.0").expect("the last lease"), b.ipv4().to_string());

    let cache = format!("results/cbr0-{}-eth0", a.container_id());
    let cache: serde_json::Value = serde_json::from_str(&text(&cache).expect("the cache")).expect("JSON");
    assert_eq!(cache["kind"], "cniCacheV1");
    let arguments: std::collections::BTreeMap<String, String> =
        serde_json::from_value(cache["cniArgs"].as_array().expect("arguments").iter().fold(
            serde_json::Map::new().into(),
            |mut all: serde_json::Value, pair| {
                all[pair[0].as_str().expect("a key")] = pair[1].clone();
                all
            },
        ))
        .expect("strings");
    assert_eq!(arguments["K8S_POD_NAMESPACE"], "default");
    assert_eq!(arguments["K8S_POD_NAME"], "a");
    assert_eq!(arguments["K8S_POD_UID"], a.uid());
    let veth = &cache["result"]["interfaces"][1];
    assert_eq!(veth["name"], a.host_veth());
    let link = lab
        .exec(Place::Node(1), &["ip", "-o", "link", "show", a.host_veth()])
        .expect("the host veth is there");
    assert!(link.contains(veth["mac"].as_str().expect("a MAC")) && link.contains("master cni0"), "{link}");
    assert_eq!(cache["result"]["ips"][0]["address"], format!("{}/24", a.ipv4()));
    assert_eq!(cache["result"]["interfaces"][2]["mac"], a.mac());

    lab.delete_pod(a.key()).expect("deleted");
    let left = |folder: &str| std::fs::read_dir(dir.join(folder)).expect("the folder").count();
    // Of b: a lease in each family, the scratch file, its cache and that of its loopback.
    assert_eq!((left("networks/cbr0"), left("flannel"), left("results")), (2 + 3, 1, 2));
    let again = lab
        .add_pod(PodSpec::new(1, "default", "heir").ipv4(a.ipv4()).ipv6(a.ipv6()))
        .expect("its address is free");
    assert_eq!((again.ipv4(), again.ipv6()), (a.ipv4(), a.ipv6()));
    expect(&lab, Outcome::Allowed, &every_probe(&b, |f| again.address(f)));
    let taken = lab.add_pod(PodSpec::new(1, "default", "thief").ipv4(b.ipv4()));
    assert!(matches!(taken, Err(LabError::Invalid(_))), "{taken:?}");
}

#[test]
fn a_started_pod_answers_before_its_result_is_written() {
    let (lab, [a, ..]) = three_pods("started");
    let new = lab.start_pods(&[PodSpec::new(2, "default", "new")]).expect("a pod").remove(0);
    let cni = lab.node(2).cni_dir();
    let result = cni.join(format!("results/cbr0-{}-eth0", new.container_id()));
    expect(&lab, Outcome::Allowed, &every_probe(&a, |f| new.address(f)));
    assert!(cni.join(format!("networks/cbr0/{}", new.ipv4())).exists() && !result.exists());
    lab.finish_pod(&new).expect("its result");
    assert!(result.exists());
}
