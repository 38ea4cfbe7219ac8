//! What the JSON schema of SARIF 2.1.0 demands of what we write, in our own words: its text is not free to be copied here.
//! Every object of the schema that we use is here with all that it demands: `additionalProperties` is false for each, so a
//! property that is not listed here is an error, be it one that the schema has and we do not write.
//!
//! Source: OASIS `sarif-schema-2.1.0.json`. Outputs were held to the schema itself too, with a validator of JSON schemas.

use super::sarif;
use crate::{input, lint};
use serde_json::{Value, json};

enum Shape {
    Text,
    Uri,
    Integer {
        at_least: i64,
    },
    OneOf(&'static [&'static str]),
    List(&'static Shape),
    Object {
        required: &'static [&'static str],
        any_of: &'static [&'static str],
        fields: &'static [(&'static str, Shape)],
    },
}

use Shape::{Integer, List, Object, OneOf, Text, Uri};

const LEVEL: Shape = OneOf(&["none", "note", "warning", "error"]);

const MULTIFORMAT: Shape =
    Object { required: &["text"], any_of: &[], fields: &[("text", Text), ("markdown", Text)] };

const RULE: Shape = Object {
    required: &["id"],
    any_of: &[],
    fields: &[
        ("id", Text),
        ("name", Text),
        ("shortDescription", MULTIFORMAT),
        ("fullDescription", MULTIFORMAT),
        ("help", MULTIFORMAT),
        ("defaultConfiguration", Object { required: &[], any_of: &[], fields: &[("level", LEVEL)] }),
    ],
};

const LOCATION: Shape = Object {
    required: &[],
    any_of: &[],
    fields: &[(
        "physicalLocation",
        Object {
            required: &[],
            any_of: &["address", "artifactLocation"],
            fields: &[
                ("artifactLocation", Object { required: &[], any_of: &[], fields: &[("uri", Uri)] }),
                (
                    "region",
                    Object {
                        required: &[],
                        any_of: &["startLine", "charOffset", "byteOffset"],
                        fields: &[
                            ("startLine", Integer { at_least: 1 }),
                            ("startColumn", Integer { at_least: 1 }),
                        ],
                    },
                ),
            ],
        },
    )],
};

const RESULT: Shape = Object {
    required: &["message"],
    any_of: &[],
    fields: &[
        ("ruleId", Text),
        ("ruleIndex", Integer { at_least: -1 }),
        ("level", LEVEL),
        ("message", Object { required: &[], any_of: &["text", "id"], fields: &[("text", Text)] }),
        ("locations", List(&LOCATION)),
    ],
};

const DRIVER: Shape = Object {
    required: &["name"],
    any_of: &[],
    fields: &[("name", Text), ("version", Text), ("rules", List(&RULE))],
};

const LOG: Shape = Object {
    required: &["version", "runs"],
    any_of: &[],
    fields: &[
        ("$schema", Uri),
        ("version", OneOf(&["2.1.0"])),
        (
            "runs",
            List(&Object {
                required: &["tool"],
                any_of: &[],
                fields: &[
                    ("tool", Object { required: &["driver"], any_of: &[], fields: &[("driver", DRIVER)] }),
                    ("columnKind", OneOf(&["utf16CodeUnits", "unicodeCodePoints"])),
                    ("results", List(&RESULT)),
                ],
            }),
        ),
    ],
};

/// Everything that does not hold, with its place.
fn faults(value: &Value, shape: &Shape, path: &str) -> Vec<String> {
    let fault = |what: &str| vec![format!("{path}: {what}: {value}")];
    match (shape, value) {
        (Text, Value::String(_)) => Vec::new(),
        (Uri, Value::String(text))
            if !text.contains([' ', '\\', '"', '<', '>', '^', '`', '{', '|', '}']) && text.is_ascii() =>
        {
            Vec::new()
        }
        (Integer { at_least }, Value::Number(number)) if number.as_i64().is_some_and(|n| n >= *at_least) => {
            Vec::new()
        }
        (OneOf(words), Value::String(text)) if words.contains(&text.as_str()) => Vec::new(),
        (List(inner), Value::Array(items)) => {
            let each = items.iter().enumerate();
            each.flat_map(|(index, item)| faults(item, inner, &format!("{path}[{index}]"))).collect()
        }
        (Object { required, any_of, fields }, Value::Object(map)) => {
            let missing = required.iter().filter(|name| !map.contains_key(**name));
            let mut all: Vec<String> = missing.map(|name| format!("{path}: has no {name}")).collect();
            if !any_of.is_empty() && !any_of.iter().any(|name| map.contains_key(*name)) {
                all.push(format!("{path}: has none of {any_of:?}"));
            }
            for (name, value) in map {
                match fields.iter().find(|(known, _)| known == name) {
                    Some((_, shape)) => all.extend(faults(value, shape, &format!("{path}.{name}"))),
                    None => all.push(format!("{path}: has {name}")),
                }
            }
            all
        }
        _ => fault("is not what it must be"),
    }
}

#[test]
fn every_log_is_as_the_schema_demands() {
    let policy = |name: &str, spec: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
        )
    };
    let text = [
        policy(
            "nobody",
            "{podSelector: {matchLabels: {app: x}}, ingress: [{from: []}], policyTypes: [Egress]}",
        ),
        policy("wrong", "{podSelecter: {}}"),
        "{a: [\n".to_owned(),
    ]
    .join("---\n");
    let found = lint::lint(&input::parse("a dir/ü[1].yaml", &text, None));
    let log = sarif(&found);
    assert!(
        log["runs"][0]["results"].as_array().is_some_and(|results| results.len() >= 3),
        "{}",
        log["runs"][0]["results"]
    );
    assert_eq!(faults(&log, &LOG, "log"), Vec::<String>::new());
    assert_eq!(faults(&sarif(&[]), &LOG, "log"), Vec::<String>::new());
    // A rule is found by its index too.
    let rules = &log["runs"][0]["tool"]["driver"]["rules"];
    for result in log["runs"][0]["results"].as_array().into_iter().flatten() {
        let index = result["ruleIndex"].as_u64().unwrap_or(u64::MAX) as usize;
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
}

#[test]
fn what_the_schema_forbids_is_found() {
    let wrong = json!({ "version": "2.0", "runs": [{ "results": [{ "level": "bad", "extra": 1, "locations": [{
        "physicalLocation": { "region": { "startColumn": 0 }, "artifactLocation": { "uri": "a b" } },
    }] }] }] });
    let found = faults(&wrong, &LOG, "log").join("\n");
    for part in [
        "log.version",
        "runs[0]: has no tool",
        "results[0]: has no message",
        "results[0].level",
        "has extra",
        "startColumn",
        "has none of [\"startLine\"",
        "artifactLocation.uri",
    ] {
        assert!(found.contains(part), "{part} is not in\n{found}");
    }
}
