use super::*;
use crate::strategies;
use proptest::{collection::vec, prelude::*, sample::select};

/// A requirement as the API may hold it: values in any order, repeated.
fn raw() -> impl Strategy<Value = Requirement> {
    let key = select(&["app", "env", "tier"][..]).prop_map(Arc::<str>::from);
    let values = vec(select(&["a", "b", "c", ""][..]).prop_map(Arc::<str>::from), 1..5);
    (key, 0..4, values).prop_map(|(key, operator, values)| match operator {
        0 => Requirement::In(key, values.into()),
        1 => Requirement::NotIn(key, values.into()),
        2 => Requirement::Exists(key),
        _ => Requirement::DoesNotExist(key),
    })
}

/// The documentation of `metav1.LabelSelectorRequirement`, word by word.
fn means(requirement: &Requirement, labels: &Labels) -> bool {
    let is_one_of =
        |key: &str, values: &[Arc<str>]| labels.iter().any(|(k, v)| &**k == key && values.contains(v));
    let is_there = |key: &str| labels.iter().any(|(k, _)| &**k == key);
    match requirement {
        Requirement::In(key, values) => is_one_of(key, values),
        Requirement::NotIn(key, values) => !is_one_of(key, values),
        Requirement::Exists(key) => is_there(key),
        Requirement::DoesNotExist(key) => !is_there(key),
    }
}

proptest! {
    #[test]
    fn normal_form_keeps_the_meaning_and_knows_no_order(
        requirements in vec(raw(), 0..5),
        labels in vec(strategies::labels(), 8),
    ) {
        let selector = Selector::new(requirements.clone());
        for labels in &labels {
            let meant = requirements.iter().all(|requirement| means(requirement, labels));
            prop_assert_eq!(selector.matches(labels), meant, "{} on {}", selector, labels);
        }
        let twice_reversed = requirements.iter().rev().chain(&requirements).cloned();
        prop_assert_eq!(Selector::new(twice_reversed), selector.clone());
        prop_assert_eq!(Selector::new(selector.requirements().to_vec()), selector);
    }
}

#[test]
fn selectors_read_as_kubectl_writes_them() {
    let values = |values: &[&str]| values.iter().map(|value| Arc::from(*value)).collect();
    let selector = Selector::new([
        Requirement::DoesNotExist("old".into()),
        Requirement::In("app".into(), values(&["b", "a", "b"])),
        Requirement::NotIn("tier".into(), values(&["x"])),
        Requirement::Exists("env".into()),
        Requirement::In("app".into(), values(&["a"])),
    ]);
    assert_eq!(selector.to_string(), "app=a,app in (a,b),tier!=x,env,!old");
}
