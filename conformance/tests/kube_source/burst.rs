//! Many pods at once: created as objects, with the status that a kubelet would give them.

use super::ground::Ground;
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use std::ops::Range;

/// Requests under way at a time.
const WIDTH: usize = 16;

/// The local pods of a node, as a kubelet limits them.
const LOCAL: usize = 110;

/// Whether pod `i` is on `w1`: every other one until the node is full. The others are on `w2`.
fn is_local(i: usize) -> bool {
    i.is_multiple_of(2) && i / 2 < LOCAL
}

/// Pod `i` of a burst: one application of four.
pub(crate) fn pod(i: usize) -> Value {
    let app = ["front", "api", "db", "pay"][i / 2 % 4];
    let node = if is_local(i) { "w1" } else { "w2" };
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": format!("{app}-{i}"), "namespace": "shop", "labels": {"app": app, "index": i.to_string()}},
        "spec": {"nodeName": node, "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "c", "image": "i", "ports": [{"name": "main", "containerPort": 8080}]}]}})
}

/// Its status: running, with an address of its node's range.
pub(crate) fn status(i: usize) -> Value {
    let range = if is_local(i) { 244 } else { 245 };
    let address = format!("10.{range}.{}.{}", i / 250, i % 250 + 2);
    json!({"status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}})
}

/// A pod's name.
pub(crate) fn name(i: usize) -> String {
    pod(i)["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// Creates pods and patches their status.
pub(crate) fn create(ground: &Ground, range: Range<usize>) {
    each(ground, range, async |pods: Api<Pod>, i| {
        let object = serde_json::from_value(pod(i)).expect("a pod");
        pods.create(&PostParams::default(), &object).await.expect("the API server takes it");
        pods.patch_status(&name(i), &PatchParams::default(), &Patch::Merge(status(i)))
            .await
            .expect("the API server takes it");
    });
}

/// Changes nothing that policy needs, as a kubelet does all the time.
pub(crate) fn touch(ground: &Ground, range: Range<usize>, word: &str) {
    each(ground, range, async |pods: Api<Pod>, i| {
        let patch = json!({"status": {"message": word}});
        pods.patch_status(&name(i), &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the API server takes it");
    });
}

/// Patches metadata of one pod.
pub(crate) fn label(ground: &Ground, i: usize, app: &str) {
    each(ground, i..i + 1, async |pods: Api<Pod>, i| {
        let patch = json!({"metadata": {"labels": {"app": app}}});
        pods.patch(&name(i), &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the API server takes it");
    });
}

/// Lets pods end, as a Job's do.
pub(crate) fn finish(ground: &Ground, range: Range<usize>) {
    each(ground, range, async |pods: Api<Pod>, i| {
        let patch = json!({"status": {"phase": "Succeeded"}});
        pods.patch_status(&name(i), &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("the API server takes it");
    });
}

/// Deletes pods at once.
pub(crate) fn delete(ground: &Ground, range: Range<usize>) {
    each(ground, range, async |pods: Api<Pod>, i| {
        pods.delete(&name(i), &DeleteParams::default().grace_period(0))
            .await
            .expect("the API server takes it");
    });
}

fn each(ground: &Ground, range: Range<usize>, work: impl AsyncFn(Api<Pod>, usize) + Sync) {
    ground.with_client(async |client: Client| {
        let pods: Api<Pod> = Api::namespaced(client, "shop");
        let requests = range.map(|i| work(pods.clone(), i));
        stream::iter(requests).buffer_unordered(WIDTH).collect::<()>().await;
    });
}
