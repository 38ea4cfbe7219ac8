use super::*;
use crate::manifest::split;
use proptest::prelude::*;

/// Lines of which some fit together and some do not.
fn line() -> impl Strategy<Value = String> {
    let indent =
        prop::sample::select(vec!["", "", "  ", "  ", "    ", "   ", "- ", "  - ", "    - ", "-   ", "- - "]);
    let key = prop::sample::select(vec![
        "a: ",
        "b: ",
        "key.io/x-1: ",
        "\"q r\": ",
        "'s': ",
        "on: ",
        "1: ",
        "<<: ",
        "a : ",
        "a:",
        "null: ",
        "",
        "",
        "? ",
        "x:y: ",
    ]);
    let value = prop::sample::select(vec![
        "",
        "",
        "",
        "1",
        "x",
        "x y",
        "x:y",
        "x: y",
        "x:",
        "\"x\"",
        "\"x",
        "'x'",
        "'it''s'",
        "\"\\n\"",
        "0x1f",
        "on",
        "-",
        "-1",
        "- x",
        "~",
        "null",
        "1.5",
        "10.0.0.0/8",
        "x #y",
        "x#y",
        "#x",
        " # x",
        "|",
        "&x 1",
        "*x",
        "!!str 1",
        "é",
        "\t",
        "x,y",
        "[x]y",
        "...",
        "{}",
        "[]",
        "[x, \"y\", 'z']",
        "{x: 1, \"y\": [1, 2,], z: {}}",
        "{x: 1",
        "[x",
        "{x:1}",
        "{\"x\":1}",
        "{x: }",
        "[a: b]",
        "[- x]",
        "[x #y]",
        "{a: b: c}",
        "[a:]",
        "[,]",
        "{x: 1,}",
        "[x y, z]",
        "{a: [b: 1]}",
        "[x:y]",
        "{x : 1}",
    ]);
    let end =
        prop::sample::select(vec!["\n", "\n", "\n", "\n", " \n", "  # c\n", "\n\n", "\n  # c\n", "", "\r\n"]);
    (indent, key, value, end).prop_map(|(indent, key, value, end)| format!("{indent}{key}{value}{end}"))
}

fn read(text: &str) -> (Vec<String>, Option<String>) {
    let part = &split(text, usize::MAX)[0];
    let places = Places { part };
    let mut all = Vec::new();
    general(text, places, |document| all.push(format!("{document:?}")));
    let simple = simple::document(text, places).map(|simple| match simple {
        Simple::Empty => String::new(),
        Simple::Document(document) => format!("{:?}", Ok::<_, Fault>(document)),
    });
    (all, simple)
}

fn holds(text: &str) -> Result<bool, TestCaseError> {
    let (general, simple) = read(text);
    let Some(simple) = simple else { return Ok(false) };
    prop_assert_eq!(general.join("\n"), simple, "{}", text);
    Ok(true)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    /// What is read without the general parser is what it reads.
    #[test]
    fn simple_documents_are_read_as_by_the_general_parser(lines in prop::collection::vec(line(), 0..7), start in 0..3_usize) {
        let start = ["", "---\n", "--- # x\n"][start];
        holds(&format!("{start}{}", lines.concat()))?;
    }

    #[test]
    fn json_is_read_as_by_the_general_parser(text in "(\\{|\\[)(\\{|\\[|\\}|\\]|,|:|: |\n| |\"a\"|\"b\": |\"c\":|1|true|x|#|'y'){0,14}(\\}|\\])") {
        holds(&text)?;
    }
}

/// The properties above would hold of a reader that reads nothing.
#[test]
fn manifests_are_simple() {
    let policy = "# A policy\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: db   # it\n  \
        namespace: \"prod\"\nspec:\n  podSelector: {}\n  policyTypes: [Ingress, 'Egress']\n  ingress:\n  - from:\n    \
        - podSelector:\n        matchLabels:\n          app: api\n      namespaceSelector: {}\n    - ipBlock: {cidr: 10.0.0.0/8}\n    \
        ports:\n    - port: 80\n    - {port: 443, protocol: TCP}\n  egress:\n    -\n      to: []\n    - {}\n  empty:\n";
    for text in [
        &policy[11..],
        "{\n  \"kind\": \"List\",\n  \"items\": [\n    {\"a\": 1},\n    []\n  ]\n}\n",
        "- a\n- b: 1\n  c: 2\n- - x\n",
    ] {
        assert!(holds(text).expect("the same tree"), "{text}");
    }
}
