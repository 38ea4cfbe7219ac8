//! What Ginkgo says: while it runs in its output, afterwards in its JSON report (`--json-report`, Ginkgo's `types.Report`).

use super::Spec;
use serde::Deserialize;

/// Reads Ginkgo's verbose output: how many specs it will run, and those that have ended. Such a one begins with
/// `• [13.021 seconds]` or `• [FAILED] [48.310 seconds]`; its name is on the next line. Why one failed is in the report alone.
pub(super) fn progress(text: &str) -> (usize, Vec<Spec>) {
    let announced =
        text.lines().find_map(|line| line.strip_prefix("Will run ")?.split(' ').next()?.parse().ok());
    let mut lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).peekable();
    let mut specs = Vec::new();
    while let Some(line) = lines.next() {
        let Some(words) = line.strip_prefix("• [").and_then(|rest| rest.strip_suffix(']')) else {
            continue;
        };
        let (state, time) = words.split_once("] [").unwrap_or(("passed", words));
        let Some(seconds) = time.strip_suffix(" seconds").and_then(|time| time.parse().ok()) else {
            continue;
        };
        // Not there yet.
        let Some(name) = lines.peek() else { break };
        let (name, state) = ((*name).to_owned(), state.to_lowercase());
        specs.push(Spec { name, state, seconds, message: String::new() });
    }
    (announced.unwrap_or(0), specs)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Suite {
    spec_reports: Option<Vec<Report>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    leaf_node_text: String,
    state: String,
    /// Nanoseconds.
    run_time: u64,
    #[serde(default)]
    failure: Failure,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Failure {
    message: String,
    forwarded_panic: String,
}

/// Reads the report. Specs that nobody chose are not in it; `left_out` gives a reason for those that were, by their name.
pub(super) fn report(
    json: &[u8],
    left_out: impl Fn(&str) -> Option<&'static str>,
) -> serde_json::Result<Vec<Spec>> {
    let suites: Vec<Suite> = serde_json::from_slice(json)?;
    let reports = suites.into_iter().flat_map(|suite| suite.spec_reports.unwrap_or_default());
    // What is done before and after all specs is there too.
    let specs = reports.filter(|report| report.leaf_node_type == "It").filter_map(|report| {
        let Failure { message, forwarded_panic } = report.failure;
        let mut words = report.container_hierarchy_texts.unwrap_or_default();
        words.push(report.leaf_node_text);
        let name = words.join(" ");
        let message = [message, forwarded_panic].into_iter().filter(|part| !part.is_empty());
        let mut message = message.collect::<Vec<_>>().join(": ");
        if report.state == "skipped" && message.is_empty() {
            message = left_out(&name)?.to_owned();
        }
        Some(Spec { name, state: report.state, seconds: report.run_time as f64 / 1e9, message })
    });
    Ok(specs.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ended_specs_are_read_with_their_state_and_a_half_written_line_is_not() {
        let text = "Will run 3 of 51 specs\n• [13.021 seconds]\na b\n/x.go:1\n• [FAILED] [48.310 seconds]\nc\n• [2.0 seconds]\nhal";
        let (announced, specs) = progress(text);
        let found: Vec<_> = specs.iter().map(|spec| (&*spec.name, &*spec.state, spec.failed())).collect();
        assert_eq!(announced, 3);
        assert_eq!(found, [("a b", "passed", false), ("c", "failed", true)]);
    }

    #[test]
    fn the_report_says_why_a_spec_failed_or_was_left_out_and_has_no_spec_that_nobody_chose() {
        let json = br#"[{"SpecReports": [
            {"ContainerHierarchyTexts": null, "LeafNodeType": "BeforeSuite", "LeafNodeText": "", "State": "passed", "RunTime": 1},
            {"ContainerHierarchyTexts": ["a", "b"], "LeafNodeType": "It", "LeafNodeText": "works", "State": "passed", "RunTime": 1500000000},
            {"ContainerHierarchyTexts": ["a"], "LeafNodeType": "It", "LeafNodeText": "breaks", "State": "panicked", "RunTime": 0,
             "Failure": {"Message": "Test Panicked", "ForwardedPanic": "nil map"}},
            {"ContainerHierarchyTexts": ["a"], "LeafNodeType": "It", "LeafNodeText": "sctp", "State": "skipped", "RunTime": 0},
            {"ContainerHierarchyTexts": ["a"], "LeafNodeType": "It", "LeafNodeText": "windows", "State": "skipped", "RunTime": 0,
             "Failure": {"Message": "only on Windows"}},
            {"ContainerHierarchyTexts": ["a"], "LeafNodeType": "It", "LeafNodeText": "other", "State": "skipped", "RunTime": 0}
        ]}]"#;
        let specs = report(json, |name| name.contains("sctp").then_some("no sockets")).unwrap();
        let found: Vec<_> = specs.iter().map(|s| (&*s.name, &*s.state, s.seconds, &*s.message)).collect();
        assert_eq!(
            found,
            [
                ("a b works", "passed", 1.5, ""),
                ("a breaks", "panicked", 0.0, "Test Panicked: nil map"),
                ("a sctp", "skipped", 0.0, "no sockets"),
                ("a windows", "skipped", 0.0, "only on Windows"),
            ]
        );
    }
}
