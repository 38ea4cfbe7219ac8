//! Labels, and selectors over the same keys and values.

use crate::{
    labels::Labels,
    selector::{Requirement, Selector},
};
use proptest::{
    collection::{btree_map, btree_set},
    prelude::*,
    sample::select,
};
use std::sync::Arc;

const KEYS: [&str; 3] = ["app", "env", "tier"];
const VALUES: [&str; 3] = ["a", "b", ""];

/// Up to three labels; the empty value, which is one, among their values.
pub fn labels() -> impl Strategy<Value = Labels> {
    btree_map(select(&KEYS[..]), select(&VALUES[..]), 0..4).prop_map(Labels::from_iter)
}

/// Up to three requirements of all four operators. Half of all selectors match everything or ask for one value.
pub fn selector() -> impl Strategy<Value = Selector> {
    let one = (select(&KEYS[..]), select(&VALUES[..]))
        .prop_map(|(key, value)| Selector::new([Requirement::In(key.into(), [Arc::from(value)].into())]));
    let several = proptest::collection::vec(requirement(), 1..4).prop_map(Selector::new);
    prop_oneof![1 => Just(Selector::everything()), 2 => one, 3 => several]
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let values = btree_set(select(&VALUES[..]), 1..3)
        .prop_map(|values| values.into_iter().map(Arc::from).collect::<Box<[Arc<str>]>>());
    (select(&KEYS[..]), 0..4, values).prop_map(|(key, operator, values)| {
        let key = Arc::from(key);
        match operator {
            0 => Requirement::In(key, values),
            1 => Requirement::NotIn(key, values),
            2 => Requirement::Exists(key),
            _ => Requirement::DoesNotExist(key),
        }
    })
}
