//! A real API server and what it says to each file.

use super::{PRIVILEGED, deploy, render};
use conformance::cluster::ApiServer;
use std::{fs, path::Path};

/// Values that let the chart render all that it can.
pub(crate) const EVERYTHING: [&str; 17] = [
    r#"grafana.dashboard=true"#,
    r#"image.tag="1.2.3""#,
    r#"image.pullSecrets=["registry"]"#,
    r#"log={"format":"json","verbosity":2}"#,
    r#"established="keep""#,
    r#"unknownPods="allow""#,
    r#"limits={"podEntries":20000,"podSelectors":300,"podElements":2000000,"namespaceEntries":1,"namespaceSelectors":0}"#,
    r#"http={"address":"0.0.0.0","port":9999}"#,
    r#"host.podInterfaces=["cni0","br1"]"#,
    r#"host.overlayPorts=[8472,4789]"#,
    r#"host.cniDir="/var/snap/cni""#,
    r#"host.runtimeSocket="/run/k3s/containerd/containerd.sock""#,
    r#"extraArgs=["--once"]"#,
    r#"resources={"requests":{"cpu":"10m","memory":"32Mi"},"limits":{"memory":"1Gi"}}"#,
    r#"seLinuxOptions={"type":"spc_t"}"#,
    r#"update.maxUnavailable="10%""#,
    r#"tolerations=[{"key":"node-role.kubernetes.io/control-plane","operator":"Exists","effect":"NoSchedule"}]"#,
];

/// Server-side apply with strict validation: an unknown or doubled field is an error.
fn apply(server: &ApiServer, manifest: &str) -> Result<String, String> {
    let arguments = ["apply", "--server-side", "--force-conflicts", "--validate=strict", "--filename", "-"];
    server.kubectl(&arguments, manifest).map_err(|error| error.to_string())
}

/// Without the namespace there is nowhere to put the rest.
fn install(server: &ApiServer) -> String {
    apply(server, &fs::read_to_string(deploy().join("palisade.yaml")).expect("the manifest"))
        .expect("applied")
}

#[test]
fn every_file_is_taken_by_a_real_api_server() {
    let server = ApiServer::start_with("deploy files", PRIVILEGED).unwrap();
    let said = install(&server);
    let expected = [
        "namespace/palisade-system serverside-applied",
        "serviceaccount/palisade serverside-applied",
        "clusterrole.rbac.authorization.k8s.io/palisade serverside-applied",
        "clusterrolebinding.rbac.authorization.k8s.io/palisade serverside-applied",
        "role.rbac.authorization.k8s.io/palisade serverside-applied",
        "rolebinding.rbac.authorization.k8s.io/palisade serverside-applied",
        "daemonset.apps/palisade serverside-applied",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);

    // What a user who follows the guide does next.
    let uninstall = fs::read_to_string(deploy().join("uninstall.yaml")).unwrap();
    assert_eq!(apply(&server, &uninstall).unwrap(), "daemonset.apps/palisade serverside-applied\n");
    let read = |path| {
        let output = format!("jsonpath={{{path}}}");
        let namespace = ["--namespace", "palisade-system", "--output", &*output];
        let arguments: Vec<&str> = ["get", "daemonset", "palisade"].into_iter().chain(namespace).collect();
        server.kubectl(&arguments, "").unwrap()
    };
    assert_eq!(read(".spec.template.spec.initContainers"), "", "cleaning takes the place of enforcing");
    assert!(read(".spec.template.spec.containers[*].args").contains("cleanup"));

    // All that the chart can render, and what kustomize makes.
    for values in
        [&EVERYTHING[..], &[r#"namespace.create=false"#, r#"host.prepare=false"#], &[r#"mode="cleanup""#]]
    {
        apply(&server, &render(values).unwrap()).unwrap_or_else(|error| panic!("{values:?}: {error}"));
    }
    for base in [deploy(), deploy().join("grafana")] {
        let base = server.kubectl(&["kustomize", &base.to_string_lossy()], "").unwrap();
        apply(&server, &base).unwrap();
    }
    let path = ["configmap", "palisade-dashboard", "--namespace", "palisade-system"];
    let kept = [&["get"][..], &path, &[r"--output=jsonpath={.data.palisade\.json}"]].concat();
    let dashboard = fs::read_to_string(deploy().join("grafana/palisade.json")).unwrap();
    assert_eq!(server.kubectl(&kept, "").unwrap(), dashboard);

    // The check sees a field that is none.
    let wrong = render(&[]).unwrap().replace("hostNetwork:", "hostNetwerk:");
    let refused = apply(&server, &wrong).unwrap_err();
    assert!(refused.contains("hostNetwerk"), "{refused}");
}

/// The overlay of the guide, on the base that is here.
#[test]
fn the_overlay_of_the_guide_changes_what_it_says() {
    let guide = fs::read_to_string(deploy().join("../docs/install.md")).unwrap();
    let overlay = guide.split("```yaml kustomization\n").nth(1).expect("an overlay in docs/install.md");
    let overlay = overlay.split("```").next().unwrap();
    let server = conformance::cluster::Binaries::ensure().unwrap();
    let folder = std::env::temp_dir().join(format!("palisade-overlay-{}", std::process::id()));
    let result = overlaid(&folder, overlay, &server.path("kubectl"));
    let _ = fs::remove_dir_all(&folder);
    let rendered = result.unwrap();
    assert!(rendered.contains("image: registry.example.com/palisade/policyd:0.1.0"), "{rendered}");
    assert!(!rendered.contains("ghcr.io"), "{rendered}");
    assert!(rendered.contains("memory: 128Mi"), "{rendered}");
    assert!(rendered.contains("- --max-pod-entries=32768\n"), "{rendered}");
}

fn overlaid(folder: &Path, overlay: &str, kubectl: &Path) -> Result<String, Box<dyn std::error::Error>> {
    fs::create_dir_all(folder.join("overlay"))?;
    fs::create_dir_all(folder.join("deploy"))?;
    for file in ["kustomization.yaml", "palisade.yaml"] {
        fs::copy(deploy().join(file), folder.join("deploy").join(file))?;
    }
    // In the guide it is a place in a repository.
    let local = overlay.replace("github.com/palisade-policy/palisade/deploy?ref=v0.1.0", "../deploy");
    assert_ne!(local, overlay, "the guide names the base");
    fs::write(folder.join("overlay/kustomization.yaml"), local)?;
    let output = std::process::Command::new(kubectl).arg("kustomize").arg(folder.join("overlay")).output()?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into())
    }
}
