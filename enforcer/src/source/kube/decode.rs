//! From an object's JSON to what the loop is told of it.

use super::{
    kind::Kind,
    slim::{Metadata, Slim, SlimNamespace, SlimNode, SlimPod, SlimPolicy, SlimService},
};
use crate::source::intern::Interner;
use policy_model::{
    admission::{self, Rejection},
    cluster::Change,
    object::ObjectKey,
};
use serde::de::{DeserializeOwned, IgnoredAny};

/// One object as it was read.
#[derive(Debug)]
pub(super) struct Object {
    /// Its key; the namespace is empty for kinds that have none.
    pub(super) key: ObjectKey,
    /// `metadata.resourceVersion`.
    pub(super) version: String,
    /// What it says, or why that cannot be understood.
    pub(super) change: Result<Change, String>,
}

/// Reads an object.
///
/// # Errors
/// It has not even metadata: this is no object of Kubernetes.
pub(super) fn object(kind: Kind, json: &str, interner: &mut Interner) -> Result<Object, serde_json::Error> {
    let (metadata, change) = match kind {
        Kind::Namespaces => {
            read(json, |slim: SlimNamespace| admission::namespace(&slim.into()), Change::Namespace)
        }
        Kind::Nodes => read(json, |slim: SlimNode| admission::node(&slim.into()), Change::Node),
        Kind::Services => read(json, |slim: SlimService| admission::service(&slim.into()), Change::Service),
        Kind::Policies => {
            read(json, |slim: SlimPolicy| admission::stored_policy(&slim.into()), Change::Policy)
        }
        Kind::Pods => {
            read(json, |slim: SlimPod| admission::pod(&slim.into()), |pod| Change::Pod(interner.pod(pod)))
        }
    }?;
    let word = |word: Option<String>| word.unwrap_or_default();
    let version = word(metadata.resource_version);
    let key = ObjectKey::new(word(metadata.namespace), word(metadata.name));
    Ok(Object { key, version, change })
}

/// An object's metadata, and what it says or what is wrong with it.
type Reading = Result<(Metadata, Result<Change, String>), serde_json::Error>;

fn read<Spec, Status, T>(
    json: &str,
    admit: impl FnOnce(Slim<Spec, Status>) -> Result<T, Rejection>,
    change: impl FnOnce(T) -> Change,
) -> Reading
where
    Slim<Spec, Status>: DeserializeOwned,
{
    match serde_json::from_str::<Slim<Spec, Status>>(json) {
        Ok(slim) => {
            let metadata = slim.metadata.identity();
            let said = admit(slim).map(change).map_err(|rejection| rejection.to_string());
            Ok((metadata, said))
        }
        Err(error) => {
            let head: Slim<IgnoredAny, IgnoredAny> = serde_json::from_str(json)?;
            Ok((head.metadata, Err(error.to_string())))
        }
    }
}

/// That an object is gone.
pub(super) fn deletion(kind: Kind, key: ObjectKey) -> Change {
    match kind {
        Kind::Namespaces => Change::NamespaceDeleted(key.name),
        Kind::Nodes => Change::NodeDeleted(key.name),
        Kind::Services => Change::ServiceDeleted(key),
        Kind::Policies => Change::PolicyDeleted(key),
        Kind::Pods => Change::PodDeleted(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, json: &str) -> Object {
        object(kind, json, &mut Interner::default()).unwrap()
    }

    #[test]
    fn each_kind_is_read_with_its_key_and_version() {
        let metadata = r#""metadata": {"name": "a", "namespace": "shop", "resourceVersion": "7"}"#;
        for (kind, api) in Kind::ALL.into_iter().zip(["v1", "v1", "v1", "networking.k8s.io/v1", "v1"]) {
            let name = ["Namespace", "Node", "Service", "NetworkPolicy", "Pod"][kind as usize];
            for json in [
                format!(
                    r#"{{"apiVersion": "{api}", "kind": "{name}", {metadata}, "spec": {{"podSelector": {{}}}}}}"#
                ),
                // Objects of a list do not say what they are.
                format!(r#"{{{metadata}}}"#),
            ] {
                let object = read(kind, &json);
                assert_eq!((&*object.version, &*object.key.name), ("7", "a"), "{name}");
                assert!(object.change.is_ok(), "{name}: {:?}", object.change);
            }
        }
    }

    #[test]
    fn what_cannot_be_understood_still_has_its_key_and_says_why() {
        let wrong_type = r#"{"metadata": {"name": "a", "namespace": "shop"}, "spec": {"podSelector": 7}}"#;
        let object = read(Kind::Policies, wrong_type);
        assert_eq!(object.key.to_string(), "shop/a");
        assert!(object.change.unwrap_err().contains("invalid type"));

        let wrong_value = r#"{"metadata": {"name": "a", "namespace": "shop"},
            "spec": {"ingress": [{"ports": [{"port": 80, "endPort": 79}]}]}}"#;
        let why = read(Kind::Policies, wrong_value).change.unwrap_err();
        assert!(why.contains("NetworkPolicy shop/a: spec.ingress[0].ports[0].endPort"), "{why}");
        let pod =
            read(Kind::Pods, r#"{"metadata": {"name": "a", "namespace": "shop"}, "status": {"podIP": []}}"#);
        assert!(pod.change.is_err());
    }
}
