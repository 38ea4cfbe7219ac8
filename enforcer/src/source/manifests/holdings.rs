//! The objects of all files as one state: who holds which object, and what changes when a file changes. Without I/O.

use super::fault::Fault;
use crate::source::intern::Interner;
use policy_model::{
    admission::ObjectRef,
    cluster::Change,
    manifest::{Located, Location, Object, Parsed},
};
use smallvec::SmallVec;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::Arc,
};
use tracing::debug;

/// Every file with what it holds. Of two objects with one kind and name, the one in the first file by path order counts.
///
/// There may be 100,000 objects, so their words are shared, and of the files' texts nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    files: BTreeMap<Arc<Path>, File>,
    /// By path order.
    holders: BTreeMap<Id, SmallVec<[Arc<Path>; 1]>>,
    /// Objects with more than one holder.
    contested: BTreeSet<Id>,
    interner: Interner,
}

#[derive(Debug, Default)]
struct File {
    objects: BTreeMap<Id, (Object, Location)>,
    faults: Vec<Fault>,
}

/// An object's kind and name, in words that it has itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    kind: Arc<str>,
    namespace: Option<Arc<str>>,
    name: Arc<str>,
}

impl From<&ObjectRef> for Id {
    fn from(ObjectRef { kind, namespace, name }: &ObjectRef) -> Self {
        Self {
            kind: kind.as_str().into(),
            namespace: namespace.as_deref().map(Arc::from),
            name: name.as_str().into(),
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, namespace, name } = self;
        let object = ObjectRef {
            kind: kind.to_string(),
            namespace: namespace.as_deref().map(str::to_owned),
            name: name.to_string(),
        };
        object.fmt(f)
    }
}

impl Holdings {
    /// Paths of all files.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.files.keys()
    }

    /// A file says this now. What is broken in it keeps what the file said before.
    pub(super) fn set(&mut self, path: &Path, text: Arc<str>, parsed: Parsed) -> Vec<Change> {
        let mut file = File::default();
        for Located { value, location, .. } in parsed.objects {
            let (id, value) = self.shared(value);
            if let Some((_, first)) = file.objects.get(&id) {
                let duplicate = Fault::duplicate(&id.to_string(), first, &location, text.clone());
                file.faults.push(duplicate);
            } else {
                file.objects.insert(id, (value, location));
            }
        }
        for skipped in &parsed.skipped {
            debug!(place = %skipped.location, kind = skipped.kind, "not needed for policy");
        }
        // A document that cannot be read may have held any of the objects that are missing now.
        let any_document = parsed.problems.iter().any(|problem| problem.object.is_none());
        let broken: BTreeSet<Id> =
            parsed.problems.iter().filter_map(|p| p.object.as_ref().map(Id::from)).collect();
        if let Some(before) = self.files.get(path) {
            for (id, held) in &before.objects {
                if (any_document || broken.contains(id)) && !file.objects.contains_key(id) {
                    file.objects.insert(id.clone(), held.clone());
                }
            }
        }
        file.faults.extend(parsed.problems.iter().map(|problem| Fault::problem(problem, text.clone())));
        // Built in one go its nodes are full, which they are not after one object at a time: a third of its memory.
        file.objects = std::mem::take(&mut file.objects).into_iter().collect();
        self.replace(path, Some(file))
    }

    /// A file cannot be read: what it said before stays.
    pub(super) fn set_unreadable(&mut self, path: &Path, fault: Fault) {
        self.files.entry(path.into()).or_default().faults = vec![fault];
    }

    /// A file is gone.
    pub(super) fn remove(&mut self, path: &Path) -> Vec<Change> {
        self.replace(path, None)
    }

    fn replace(&mut self, path: &Path, file: Option<File>) -> Vec<Change> {
        let of = |file: Option<&File>| {
            file.into_iter().flat_map(|f| f.objects.keys().cloned()).collect::<BTreeSet<_>>()
        };
        let (before, after) = (of(self.files.get(path)), of(file.as_ref()));
        let concerned: Vec<Id> = before.union(&after).cloned().collect();
        let old: Vec<Option<Object>> = concerned.iter().map(|id| self.in_force(id).cloned()).collect();

        for id in before.difference(&after) {
            if let Some(holders) = self.holders.get_mut(id) {
                holders.retain(|holder| **holder != *path);
                if holders.is_empty() {
                    self.holders.remove(id);
                }
            }
        }
        let known = self.files.get_key_value(path).map(|(path, _)| path.clone());
        let shared: Arc<Path> = known.unwrap_or_else(|| path.into());
        for id in after.difference(&before) {
            let holders = self.holders.entry(id.clone()).or_default();
            let at = holders.partition_point(|holder| **holder < *path);
            holders.insert(at, shared.clone());
        }
        match file {
            Some(file) => self.files.insert(shared, file),
            None => self.files.remove(path),
        };
        for id in &concerned {
            if self.holders.get(id).is_some_and(|holders| holders.len() > 1) {
                self.contested.insert(id.clone());
            } else {
                self.contested.remove(id);
            }
        }
        concerned.iter().zip(old).filter_map(|(id, old)| change(old, self.in_force(id))).collect()
    }

    /// The object in words that are shared, with its name.
    fn shared(&mut self, object: Object) -> (Id, Object) {
        let object = match object {
            Object::Pod(pod) => Object::Pod(self.interner.pod(pod)),
            other => other,
        };
        let kind = self.interner.word(&object.kind().into());
        let id = Id { kind, namespace: object.namespace().cloned(), name: object.name().clone() };
        (id, object)
    }

    /// The object that counts.
    fn in_force(&self, id: &Id) -> Option<&Object> {
        let holder = self.holders.get(id)?.first()?;
        self.files.get(holder)?.objects.get(id).map(|(object, _)| object)
    }

    /// Everything that is wrong now: what is wrong in each file, then what several files hold. `text` reads a file again.
    #[must_use]
    pub(super) fn faults(&self, mut text: impl FnMut(&Path) -> Arc<str>) -> Vec<Fault> {
        let mut faults: Vec<Fault> =
            self.files.values().flat_map(|file| file.faults.iter().cloned()).collect();
        for id in &self.contested {
            let mut held = self
                .holders
                .get(id)
                .into_iter()
                .flatten()
                .filter_map(|path| Some((path, &self.files.get(path)?.objects.get(id)?.1)));
            let Some((_, first)) = held.next() else { continue };
            let duplicate =
                |(path, here): (&Arc<Path>, _)| Fault::duplicate(&id.to_string(), first, here, text(path));
            faults.extend(held.map(duplicate));
        }
        faults
    }

    /// How many objects are in force.
    #[must_use]
    pub(super) fn len(&self) -> usize {
        self.holders.len()
    }
}

fn change(before: Option<Object>, after: Option<&Object>) -> Option<Change> {
    if before.as_ref() == after {
        return None;
    }
    match (after, before) {
        (Some(after), _) => after.clone().into_change(),
        (None, Some(before)) => match before {
            Object::Pod(pod) => Some(Change::PodDeleted(pod.key)),
            Object::Namespace(namespace) => Some(Change::NamespaceDeleted(namespace.name)),
            Object::Node(node) => Some(Change::NodeDeleted(node.name)),
            Object::Service(service) => Some(Change::ServiceDeleted(service.key)),
            Object::Policy(policy) => Some(Change::PolicyDeleted(policy.key)),
            Object::Workload(_) => None,
        },
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy_model::manifest::parse;

    fn set(holdings: &mut Holdings, path: &str, text: &str) -> Vec<Change> {
        holdings.set(Path::new(path), text.into(), parse(path, text))
    }

    fn pod(name: &str, app: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop, labels: {{app: \"{app}\"}}}}\n"
        )
    }

    const BROKEN_POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
        metadata: {name: p, namespace: shop}\nspec: {podSelecter: {}}\n";
    const POLICY: &str = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
        metadata: {name: p, namespace: shop}\nspec: {podSelector: {}}\n";

    fn names(changes: &[Change]) -> Vec<String> {
        let name = |change: &Change| match change {
            Change::Pod(pod) => format!("{} {}", pod.key, pod.labels),
            Change::PodDeleted(key) => format!("-{key}"),
            Change::Policy(policy) => format!("policy {}", policy.key),
            Change::PolicyDeleted(key) => format!("-policy {key}"),
            other => format!("{other:?}"),
        };
        changes.iter().map(name).collect()
    }

    fn faults(holdings: &Holdings) -> Vec<String> {
        holdings.faults(|_| "".into()).iter().map(Fault::line).collect()
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let mut holdings = Holdings::default();
        let two = pod("a", "1") + "---\n" + &pod("b", "1");
        assert_eq!(names(&set(&mut holdings, "x.yaml", &two)), ["shop/a app=1", "shop/b app=1"]);
        let changed = pod("a", "1") + "---\n" + &pod("b", "2");
        assert_eq!(names(&set(&mut holdings, "x.yaml", &changed)), ["shop/b app=2"]);
        assert_eq!(names(&set(&mut holdings, "x.yaml", &pod("b", "2"))), ["-shop/a"]);
        assert_eq!(names(&holdings.remove(Path::new("x.yaml"))), ["-shop/b"]);
        assert_eq!(holdings.len(), 0);
    }

    #[test]
    fn of_a_duplicate_the_first_by_path_holds_whichever_came_first() {
        let mut holdings = Holdings::default();
        assert_eq!(names(&set(&mut holdings, "b.yaml", &pod("a", "b"))), ["shop/a app=b"]);
        assert_eq!(names(&set(&mut holdings, "a.yaml", &pod("a", "a"))), ["shop/a app=a"]);
        assert_eq!(
            faults(&holdings),
            ["b.yaml:1:1: Pod shop/a is there twice: a.yaml:1:1 holds, b.yaml:1:1 is not used"]
        );
        assert_eq!(names(&set(&mut holdings, "b.yaml", &pod("a", "c"))), [""; 0], "it does not hold");
        assert_eq!(names(&holdings.remove(Path::new("a.yaml"))), ["shop/a app=c"], "now it does");
        assert!(faults(&holdings).is_empty());
    }

    #[test]
    fn a_duplicate_within_a_file_is_told_with_both_places() {
        let mut holdings = Holdings::default();
        let text = pod("a", "1") + "---\n" + &pod("a", "2");
        assert_eq!(names(&set(&mut holdings, "x.yaml", &text)), ["shop/a app=1"]);
        assert_eq!(
            faults(&holdings),
            ["x.yaml:5:1: Pod shop/a is there twice: x.yaml:1:1 holds, x.yaml:5:1 is not used"]
        );
    }

    #[test]
    fn a_file_that_breaks_keeps_what_it_said() {
        let mut holdings = Holdings::default();
        let good = pod("a", "1") + "---\n" + &pod("b", "1");
        set(&mut holdings, "x.yaml", &good);
        assert_eq!(names(&set(&mut holdings, "x.yaml", "kind: [")), [""; 0]);
        assert_eq!(faults(&holdings).len(), 1);
        let half = pod("a", "2") + "---\nkind: [\n";
        assert_eq!(
            names(&set(&mut holdings, "x.yaml", &half)),
            ["shop/a app=2"],
            "what is readable is taken"
        );
        assert_eq!(
            names(&set(&mut holdings, "x.yaml", &pod("a", "2"))),
            ["-shop/b"],
            "mended: what it says counts"
        );
        assert!(faults(&holdings).is_empty());
    }

    #[test]
    fn an_object_that_breaks_keeps_what_it_said_and_others_go_on() {
        let mut holdings = Holdings::default();
        set(&mut holdings, "x.yaml", &(POLICY.to_owned() + "---\n" + &pod("a", "1")));
        let changes = set(&mut holdings, "x.yaml", &(BROKEN_POLICY.to_owned() + "---\n" + &pod("b", "1")));
        assert_eq!(names(&changes), ["-shop/a", "shop/b app=1"], "the policy stays, what is readable counts");
        let [fault] = &faults(&holdings)[..] else { panic!("one fault: {:?}", faults(&holdings)) };
        assert!(
            fault.starts_with("x.yaml:4:") && fault.contains("NetworkPolicy shop/p: spec.podSelecter"),
            "{fault}"
        );
        assert_eq!(names(&holdings.remove(Path::new("x.yaml"))), ["-policy shop/p", "-shop/b"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_what_it_said() {
        let mut holdings = Holdings::default();
        set(&mut holdings, "x.yaml", &pod("a", "1"));
        holdings.set_unreadable(
            Path::new("x.yaml"),
            Fault::unreadable(Path::new("x.yaml"), &"permission denied"),
        );
        assert_eq!(faults(&holdings), ["x.yaml: cannot be read: permission denied"]);
        assert_eq!(holdings.len(), 1);
    }
}
