//! What Palisade is to reach, and which of the benchmarks' budgets say whether it does.

use super::Budget;
use std::fmt::Write;

/// One line of the table.
struct Goal {
    what: &'static str,
    limit: &'static str,
    /// Whether a budget, by its name, is about this goal.
    is_measured_by: fn(&str) -> bool,
}

const GOALS: [Goal; 19] = [
    goal("one side isolated, over the base, 1 to 10,000 policies", "at most 100 ns", |name| {
        name.contains("one side isolated") && name.contains("(the dearest)")
    }),
    goal("both sides isolated, over the base, 1 to 10,000 policies", "at most 180 ns", |name| {
        name.contains("both sides isolated") && name.contains("(the dearest)")
    }),
    goal("the dearest number of policies over the cheapest", "at most 1.1", |name| {
        name.contains("dearest over cheapest number of policies")
    }),
    goal("the dearest number of peers, ipBlocks or port ranges over the cheapest", "at most 1.1", |name| {
        name.ends_with(": dearest over cheapest")
    }),
    goal("TCP throughput against no policy", "at least 0.97", |name| {
        name.ends_with("TCP throughput against no policy")
    }),
    goal("new flows a second against no policy", "at least 0.95", |name| {
        name.ends_with("new flows a second against no policy")
    }),
    goal("a denied packet against a permitted one", "less", |name| {
        name.contains("a denied packet over a permitted one")
    }),
    goal("against kube-router at 100 policies, ns over the base", "at least 10 times less", |name| {
        name.contains("kube-router itself over Palisade")
    }),
    goal("compile 100,000 pods and 10,000 policies", "less than 1 s", |name| {
        name == "compile 100000 pods and 10000 policies from nothing"
    }),
    goal("compile 100,000 pods and 10,000 policies, resident", "less than 250 MB", |name| {
        name == "compile 100000 pods and 10000 policies from nothing, resident"
    }),
    goal("policyd alive with 100,000 pods and 10,000 policies", "less than 200 MB", |name| {
        name.starts_with("policyd with 100000 pods")
    }),
    goal("one event at 100,000 pods over the same at 1,000", "at most 1.3", |name| {
        name.contains("at 100000 pods over at 1000") || name.contains("100000 pods over 1000")
    }),
    goal("the same where what a pod's policies list does not grow", "at most 1.3", |name| {
        name.contains("with small teams: at 100000 pods over at 1000")
    }),
    goal("label change to kernel, 10,000 pods and 1,000 policies, p99", "less than 5 ms", |name| {
        name.contains("event to kernel") && name.contains("p99")
    }),
    goal("label change to kernel, 10,000 pods and 1,000 policies, CPU", "less than 200 us", |name| {
        name.contains("CPU to the kernel, median") || name.contains("CPU an event at 50 a second")
    }),
    goal(
        "kernel memory of the table at 100,000 pods, 10,000 policies, 110 local pods",
        "less than 64 MB",
        |name| name.starts_with("kernel memory of the table at 100000 pods"),
    ),
    goal("matrix, 1,000 workloads and 1,000 policies", "less than 0.5 s", |name| {
        name == "policyctl matrix -o json, 1000 workloads and 1000 policies"
    }),
    goal("matrix, 10,000 workloads and 10,000 policies", "less than 20 s", |name| {
        name == "policyctl matrix, 10000 workloads and 10000 policies"
    }),
    goal("matrix, 10,000 workloads and 10,000 policies, memory", "less than 1 GB", |name| {
        name == "policyctl matrix, 10000 workloads and 10000 policies, memory"
    }),
];

const fn goal(what: &'static str, limit: &'static str, is_measured_by: fn(&str) -> bool) -> Goal {
    Goal { what, limit, is_measured_by }
}

/// The table, and below it the reasons of goals that are not reached, which are looked up by the goals' names in lines
/// `- name: reason`. Writing to a String cannot fail.
pub(super) fn text(budgets: &[&Budget], reasons: &str) -> String {
    let mut text = "| what | goal | measured | |\n| --- | --- | --- | --- |\n".to_owned();
    let mut missed = String::new();
    for goal in &GOALS {
        let about: Vec<&Budget> =
            budgets.iter().copied().filter(|budget| (goal.is_measured_by)(&budget.what)).collect();
        let (measured, verdict) = said(&about);
        let _ = writeln!(text, "| {} | {} | {measured} | {verdict} |", goal.what, goal.limit);
        let start = format!("- {}: ", goal.what);
        if about.iter().any(|budget| budget.verdict != "met")
            && let Some(reason) = reasons.lines().find_map(|line| line.strip_prefix(&start))
        {
            let _ = writeln!(missed, "- *{}*: {reason}", goal.what);
        }
    }
    if !missed.is_empty() {
        let _ = write!(text, "\nWhy some are not reached:\n\n{missed}");
    }
    text
}

/// The figure and the verdict of a goal: of several budgets the first that is not met speaks for all.
fn said(about: &[&Budget]) -> (String, String) {
    let met = about.iter().filter(|budget| budget.verdict == "met").count();
    match (about, about.iter().find(|budget| budget.verdict != "met").or(about.first())) {
        ([_], Some(budget)) => (budget.measured.clone(), budget.verdict.clone()),
        (_, Some(budget)) if met == about.len() => {
            (format!("{} ({}), and {} more", budget.measured, budget.what, met - 1), "met".to_owned())
        }
        (_, Some(budget)) => {
            let verdict = format!("{} ({met} of {} met)", budget.verdict, about.len());
            (format!("{} ({})", budget.measured, budget.what), verdict)
        }
        (_, None) => ("-".to_owned(), "not measured".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(line: &str) -> Budget {
        Budget::read(&format!("budget: {line}")).unwrap()
    }

    #[test]
    fn a_goal_has_the_verdict_of_its_budgets_and_the_reason_where_it_is_missed() {
        let budgets = [
            budget("near: TCP throughput against no policy | 0.97 | 0.98 | met"),
            budget("far: TCP throughput against no policy | 0.97 | 0.90 | not met"),
            budget("policyd with 100000 pods and 10000 policies from its state | 200 MB | 190 MB | met"),
            budget("compile 100000 pods and 10000 policies from nothing | 1s | 2s | not met"),
        ];
        let budgets: Vec<&Budget> = budgets.iter().collect();
        let reasons = "- TCP throughput against no policy: it is far\n- policyd alive with 100,000 pods and 10,000 policies: x\n";
        let text = text(&budgets, reasons);
        for line in [
            "| TCP throughput against no policy | at least 0.97 | 0.90 (far: TCP throughput against no policy) | not met (1 of 2 met) |\n",
            "| policyd alive with 100,000 pods and 10,000 policies | less than 200 MB | 190 MB | met |\n",
            "| compile 100,000 pods and 10,000 policies | less than 1 s | 2s | not met |\n",
            "| matrix, 1,000 workloads and 1,000 policies | less than 0.5 s | - | not measured |\n",
            "\nWhy some are not reached:\n\n- *TCP throughput against no policy*: it is far\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains(": x"), "{text}");
    }

    #[test]
    fn every_reason_is_of_a_goal() {
        let (_, reasons) = super::super::document::NOTES.split_once(super::super::document::REASONS).unwrap();
        let is_of_a_goal =
            |line: &&str| GOALS.iter().any(|goal| line.starts_with(&format!("- {}: ", goal.what)));
        let strangers: Vec<&str> =
            reasons.lines().filter(|line| !line.is_empty()).filter(|line| !is_of_a_goal(line)).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
    }
}
