//! P007: rules that add nothing to others of the same pods.

use crate::lint::{
    Code, Finding,
    context::{Context, RuleAt, rules_of},
    cover,
};
use policy_model::policy::NetworkPolicy;
use std::collections::BTreeMap;

pub(super) fn check(context: &Context<'_>) -> Vec<Finding> {
    let mut by_namespace: BTreeMap<&str, Vec<&NetworkPolicy>> = BTreeMap::new();
    for policy in context.policies() {
        by_namespace.entry(&policy.key.namespace).or_default().push(policy);
    }
    by_namespace.into_values().flat_map(|policies| of_namespace(context, &policies)).collect()
}

fn of_namespace(context: &Context<'_>, policies: &[&NetworkPolicy]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for narrow in policies {
        let selects_as_much =
            |wide: &&&NetworkPolicy| cover::selector(&wide.pod_selector, &narrow.pod_selector);
        let wider: Vec<RuleAt<'_>> =
            policies.iter().filter(selects_as_much).flat_map(|policy| rules_of(policy)).collect();
        for rule in rules_of(narrow) {
            if let Some(wide) = wider.iter().find(|wide| is_shadowed(context, rule, **wide)) {
                findings.push(finding(context, rule, *wide));
            }
        }
    }
    findings
}

fn is_shadowed(context: &Context<'_>, rule: RuleAt<'_>, wide: RuleAt<'_>) -> bool {
    let place = |rule: RuleAt<'_>| (rule.policy.key.clone(), rule.index);
    let covers = |wide: RuleAt<'_>, narrow: RuleAt<'_>| {
        cover::rule(context.cluster(), &narrow.policy.key, wide.rule, narrow.rule)
    };
    if rule.direction != wide.direction || std::ptr::eq(rule.rule, wide.rule) || !covers(wide, rule) {
        return false;
    }
    // Of two that say the same, the later one is needless.
    let is_mutual =
        covers(rule, wide) && cover::selector(&rule.policy.pod_selector, &wide.policy.pod_selector);
    !is_mutual || place(wide) < place(rule)
}

fn finding(context: &Context<'_>, rule: RuleAt<'_>, wide: RuleAt<'_>) -> Finding {
    let other = match wide.policy.key == rule.policy.key {
        true => wide.name(),
        false => format!("{} of {}", wide.name(), wide.policy.key),
    };
    let place = context.snapshot.place(&wide.policy.key, &wide.path());
    let place = place.map(|place| format!(" ({}:{})", place.file, place.line)).unwrap_or_default();
    let message = format!("{} allows nothing that {other}{place} does not allow already", rule.name());
    context.finding(Code::P007, &rule.policy.key, &rule.path(), message, Code::P007.info().remedy)
}
