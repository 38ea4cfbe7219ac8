use super::*;
use policy_model::object::ObjectKey;
use std::{fs, path::PathBuf};

/// A folder of these files, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        let path = std::env::temp_dir().join(format!("policyctl-input-{name}-{}", std::process::id()));
        for (file, content) in files {
            let file = path.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, content).expect("a file");
        }
        Self(path)
    }

    fn load(&self, recursive: bool) -> Snapshot {
        let sources = vec![Source::Path(self.0.clone())];
        load(&Selection { sources, recursive, namespace: None }).expect("it is there")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn pod(name: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: []}}\n")
}

fn pods(snapshot: &Snapshot) -> Vec<String> {
    snapshot.cluster.pods().map(|pod| pod.key.name.to_string()).collect()
}

#[test]
fn manifests_are_known_by_their_endings_and_links_to_folders_are_not_followed() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| pod(name).into_bytes());
    let files: [(&str, &[u8]); 5] = [
        ("a.yaml", &a),
        ("b.YML", &b),
        ("c.txt", b"not a manifest: ["),
        ("sub/c.json", &c),
        ("sub/deep/d.yaml", &d),
    ];
    let folder = Folder::new("endings", &files);
    std::os::unix::fs::symlink(&folder.0, folder.0.join("sub/round")).expect("a link");
    let flat = folder.load(false);
    assert_eq!(pods(&flat), ["a", "b"]);
    assert!(matches!(flat.warnings[..], [Warning::FoldersNotRead { folders: 1, .. }, Warning::NoPolicies]));
    let deep = folder.load(true);
    assert_eq!(pods(&deep), ["a", "b", "c", "d"]);
    assert_eq!(deep.faults.len(), 0);
    // A file that is named itself is read whatever it is called.
    let source = Source::Path(folder.0.join("c.txt"));
    let named = load(&Selection { sources: vec![source], ..Selection::default() }).expect("it is there");
    assert_eq!(named.faults.len(), 1);
}

#[test]
fn many_files_are_read_in_their_order() {
    let files: Vec<(String, String)> = (0..40)
        .map(|number| {
            let labels = format!("labels: {{from: file-{number:02}}}");
            let text = format!(
                "apiVersion: v1\nkind: Pod\nmetadata: {{name: same, {labels}}}\nspec: {{containers: []}}\n"
            );
            (format!("{number:02}.yaml"), text)
        })
        .collect();
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let snapshot = Folder::new("order", &files).load(false);
    let same = snapshot.cluster.pod(&ObjectKey::new("default", "same")).expect("the last one counts");
    assert_eq!(same.labels.to_string(), "from=file-39");
    let duplicates = snapshot.warnings.iter().filter(|w| matches!(w, Warning::Duplicate { .. })).count();
    assert_eq!(duplicates, 39);
}

#[test]
fn what_is_not_utf8_is_named_with_its_line() {
    let folder = Folder::new("utf8", &[("latin.yaml", b"kind: Pod\nname: caf\xe9\n")]);
    let fault = folder.load(false).faults.remove(0).to_string();
    assert!(
        fault.contains("latin.yaml") && fault.contains("not UTF-8") && fault.contains("line 2"),
        "{fault}"
    );
}

#[test]
fn a_workload_stands_for_its_template_unless_running_pods_of_it_are_there() {
    let workload = "
apiVersion: batch/v1
kind: Job
metadata: {name: import}
spec:
  template:
    metadata: {labels: {app: import}}
    spec: {hostNetwork: true, containers: [{name: main, ports: [{name: web, containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: import-x, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: import, uid: u1}]}
spec: {containers: []}
";
    let ended = format!("{workload}status: {{phase: Failed}}\n");
    let names = |text: &str| pods(&parse("x.yaml", text, None));
    assert_eq!(names(workload), ["import-x"]);
    assert_eq!(names(&ended), ["import-x", "import[Job]"]);
    let snapshot = parse("x.yaml", &ended, Some("team"));
    let template = snapshot.cluster.pod(&ObjectKey::new("team", "import[Job]")).expect("the template");
    assert!(snapshot.is_template(&template.key) && template.host_network && template.ips.is_empty());
    assert_eq!((template.labels.to_string().as_str(), template.ports.len()), ("app=import", 1));
}

#[test]
fn a_workload_is_there_once_with_what_it_has_made() {
    let owned = |kind: &str, name: &str| {
        format!("ownerReferences: [{{apiVersion: apps/v1, kind: {kind}, name: {name}, uid: u1}}]")
    };
    let made = |kind: &str, name: &str, owner: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: {name}, {owner}}}\nspec: {{template: {{}}}}\n---\n"
        )
    };
    let pod = |owner: &str, labels: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, labels: {{{labels}}}, {owner}}}\nspec: {{containers: []}}\n---\n"
        )
    };
    let deployment = made("Deployment", "web", "");
    let replica_set = made("ReplicaSet", "web-7d9c", &owned("Deployment", "web"));
    let running = pod(&owned("ReplicaSet", "web-7d9c"), "pod-template-hash: 7d9c");
    let names = |texts: &[&str]| pods(&parse("x.yaml", &texts.concat(), None));
    assert_eq!(names(&[&deployment, &replica_set]), ["web[Deployment]"]);
    assert_eq!(names(&[&replica_set]), ["web-7d9c[ReplicaSet]"]);
    assert_eq!(names(&[&deployment, &replica_set, &running]), ["p"]);
    assert_eq!(names(&[&deployment, &running]), ["p"]);
    let other = pod(&owned("ReplicaSet", "web-7d9c"), "");
    assert_eq!(names(&[&deployment, &other]), ["p", "web[Deployment]"]);

    let (cron, job) =
        (made("CronJob", "nightly", ""), made("Job", "nightly-29", &owned("CronJob", "nightly")));
    let (cron, job) = (cron.replace("apps/v1", "batch/v1"), job.replacen("apps/v1", "batch/v1", 1));
    assert_eq!(names(&[&cron, &job]), ["nightly[CronJob]"]);
    assert_eq!(names(&[&cron, &job, &pod(&owned("Job", "nightly-29"), "")]), ["p"]);
    assert_eq!(names(&[&cron, &pod(&owned("Job", "nightly-x"), "")]), ["nightly[CronJob]", "p"]);
}

#[test]
fn a_pod_of_a_snapshot_that_is_laid_over_stands_for_its_workload() {
    let workload = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {template: {}}\n";
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: db-0, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u1}]}\nspec: {containers: []}\n";
    let [workload, pod] = [workload, pod].map(|text| move || parse("x.yaml", text, None));
    for (mut below, above) in [(workload(), pod()), (pod(), workload())] {
        below.overlay(above);
        assert_eq!((pods(&below), below.templates.len()), (vec!["db-0".to_owned()], 0));
    }
}

#[test]
fn a_pod_counts_under_its_first_owner() {
    let name = |owners: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: team, ownerReferences: [{owners}]}}\nspec: {{containers: []}}\n"
        );
        let snapshot = parse("x.yaml", &text, None);
        assert!(snapshot.faults.is_empty(), "{:?}", snapshot.faults);
        snapshot.cluster.pods().map(workload_name).collect::<Vec<_>>()
    };
    let owner = |kind: &str, name: &str| format!("{{apiVersion: v1, kind: {kind}, name: {name}, uid: u1}}");
    assert_eq!(name(""), ["team/p[Pod]"]);
    assert_eq!(name(&owner("Node", "node-1")), ["team/p[Pod]"]);
    assert_eq!(name(&owner("ReplicaSet", "web-7d9c")), ["team/web-7d9c[ReplicaSet]"]);
    assert_eq!(name(&[owner("Rollout", "a"), owner("Other", "b")].join(", ")), ["team/a[Rollout]"]);
    assert_eq!(name("{name: web, controller: true}"), ["team/web[Pod]"]);
}

#[test]
fn policies_know_where_their_fields_stand() {
    let text = "apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: p}
spec:
  podSelector: {}
  ingress:
  - from:
    - podSelector: {}
";
    let snapshot = parse("policies/p.yaml", text, Some("team"));
    let field = policy_model::field::FieldPath::root().field("spec").field("ingress").index(0);
    let place = snapshot.place(&ObjectKey::new("team", "p"), &field).expect("a place");
    assert_eq!((place.line, &*place.file), (7, "policies/p.yaml"));
}
