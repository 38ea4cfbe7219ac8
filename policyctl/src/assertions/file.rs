//! The file as it is written.

use super::{Expect, Place, Require, TestFileError, TestFileFault};
use crate::endpoint::{Endpoint, Target};
use serde::Deserialize;
use serde_saphyr::Spanned;
use std::{collections::BTreeMap, str::FromStr, sync::Arc};

/// A test file that was read: its tests, each endpoint with its place.
#[derive(Clone, Debug)]
pub struct TestFile {
    pub(super) tests: Vec<Test>,
}

/// One test: every source against every destination of every entry.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) name: Arc<str>,
    pub(super) entries: Vec<Entry>,
    pub(super) require: Require,
    pub(super) family: Option<Family>,
}

/// What one item of `allow` or `deny` says, or a test with `expect`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    /// As it was written.
    pub(super) source: String,
    /// As it was written.
    pub(super) target: String,
    /// Several where a group was written.
    pub(super) sources: Vec<Endpoint>,
    /// Several where a group was written.
    pub(super) targets: Vec<Target>,
    pub(super) expect: Expect,
}

/// `family`: only addresses of this family are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(super) enum Family {
    #[serde(rename = "IPv4")]
    V4,
    #[serde(rename = "IPv6")]
    V6,
}

type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    groups: BTreeMap<String, Vec<Text>>,
    tests: Vec<Spanned<RawTest>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    name: String,
    from: Option<Text>,
    to: Option<Text>,
    #[serde(default)]
    allow: Vec<Text>,
    #[serde(default)]
    deny: Vec<Text>,
    expect: Option<Expect>,
    #[serde(default)]
    require: Require,
    family: Option<Family>,
}

type Groups = BTreeMap<String, Vec<Text>>;

impl TestFile {
    /// Reads a test file's text. A broken test does not hide the others: every fault is reported.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the file; the first alone where the text is no YAML.
    pub fn parse(text: &str) -> Result<Self, Vec<TestFileError>> {
        let raw: RawFile = serde_saphyr::from_str(text).map_err(|error| vec![yaml_error(&error)])?;
        if raw.tests.is_empty() {
            let place = Place { line: 1, column: 1 };
            return Err(vec![TestFileError { place, test: None, fault: TestFileFault::Empty }]);
        }
        let (mut tests, mut errors) = (Vec::new(), Vec::new());
        for test in raw.tests {
            let place = place(&test);
            let name = test.value.name.clone();
            match read_test(test.value, place, &raw.groups) {
                Ok(test) => tests.push(test),
                Err((place, fault)) => {
                    let test = (!name.is_empty()).then_some(name);
                    errors.push(TestFileError { place, test, fault });
                }
            }
        }
        if errors.is_empty() { Ok(Self { tests }) } else { Err(errors) }
    }
}

type Fault = (Place, TestFileFault);

fn read_test(raw: RawTest, place: Place, groups: &Groups) -> Result<Test, Fault> {
    if raw.name.trim().is_empty() {
        return Err((place, TestFileFault::NoName));
    }
    let has_lists = !raw.allow.is_empty() || !raw.deny.is_empty();
    let expected = |allow, deny| {
        let each = |list: Vec<Text>, expect| list.into_iter().map(move |text| (text, expect));
        each(allow, Expect::Allowed).chain(each(deny, Expect::Denied))
    };
    let entries = match (&raw.from, &raw.to, raw.expect) {
        (Some(from), Some(to), Some(expect)) if !has_lists => {
            vec![entry(place, from, to, expect, groups)?]
        }
        (None, Some(to), None) if has_lists => expected(raw.allow, raw.deny)
            .map(|(source, expect)| entry(self::place(&source), &source, to, expect, groups))
            .collect::<Result<_, _>>()?,
        (Some(from), None, None) if has_lists => expected(raw.allow, raw.deny)
            .map(|(target, expect)| entry(self::place(&target), from, &target, expect, groups))
            .collect::<Result<_, _>>()?,
        _ => return Err((place, TestFileFault::Form)),
    };
    Ok(Test { name: raw.name.into(), entries, require: raw.require, family: raw.family })
}

fn entry(
    place: Place,
    source: &Text,
    target: &Text,
    expect: Expect,
    groups: &Groups,
) -> Result<Entry, Fault> {
    Ok(Entry {
        place,
        source: source.value.clone(),
        target: target.value.clone(),
        sources: read_all(source, groups)?,
        targets: read_all(target, groups)?,
        expect,
    })
}

/// One endpoint, or those of a group: `$name` stands for its members, with what follows the name added to each.
fn read_all<T>(text: &Text, groups: &Groups) -> Result<Vec<T>, Fault>
where
    T: FromStr,
    TestFileFault: From<T::Err>,
{
    let read = |text: &str, at: Place| text.parse().map_err(|error: T::Err| (at, TestFileFault::from(error)));
    let Some(group) = text.value.strip_prefix('$') else { return Ok(vec![read(&text.value, place(text))?]) };
    let (name, suffix) = group.split_at(group.find([':', '/']).unwrap_or(group.len()));
    let members = groups.get(name).filter(|members| !members.is_empty()).ok_or_else(|| {
        let known = groups.keys().map(|name| format!("${name}")).collect();
        (place(text), TestFileFault::NoGroup { name: name.to_owned(), known })
    })?;
    members
        .iter()
        .map(|member| {
            if member.value.starts_with('$') {
                return Err((place(member), TestFileFault::NestedGroup(format!("${name}"))));
            }
            read(&format!("{}{suffix}", member.value), place(member))
        })
        .collect()
}

fn place<T>(spanned: &Spanned<T>) -> Place {
    Place { line: spanned.referenced.line(), column: spanned.referenced.column() }
}

fn yaml_error(error: &serde_saphyr::Error) -> TestFileError {
    let place = error.location().map(|at| Place { line: at.line(), column: at.column() }).unwrap_or_default();
    // The place is said apart from the text.
    let text = error.without_snippet().to_string();
    let text = text.split_once(" at line ").map_or(&*text, |(text, _)| text.trim_end());
    TestFileError { place, test: None, fault: TestFileFault::Yaml(text.to_owned()) }
}
