//! Input that is broken, hostile or merely odd: it is said, with its place; what is good beside it is answered; nothing panics.

use crate::support::{Ran, policyctl};
use std::{fs, path::Path};
use tempfile::TempDir;

/// What stands beside everything that is broken.
const GOOD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: good, namespace: shop}\n";

/// A folder with a good file and these.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let all = files.iter().copied().chain([("good.yaml", GOOD.as_bytes())]);
    all.for_each(|(name, bytes)| fs::write(folder.path().join(name), bytes).expect("a file"));
    folder
}

fn matrix(folder: &Path) -> Ran {
    policyctl(&format!("matrix -R -o csv -f {}", folder.display()))
}

/// What is said without line ends and the marks of a report, which fall anywhere.
fn words(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c == '│')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Every one of these is refused with these words, and never hides the good file.
#[test]
fn what_is_broken_is_said_and_hides_nothing() {
    let bomb = {
        let level =
            |level: usize| format!("a{level}: &a{level} [{}]\n", format!("*a{}, ", level - 1).repeat(9));
        (1..12).map(level).fold("a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, line| text + &line)
    };
    let pod = |fields: &str| format!("apiVersion: v1\nkind: Pod\nmetadata:\n{fields}");
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("bomb.yaml", bomb.into(), "the aliases stand for more than 100000 values"),
        ("self.yaml", "a: &a [*a]\n".into(), "the alias stands for itself"),
        ("deep.yaml", format!("a: {}", "[".repeat(100_000)).into(), "recursion limit exceeded"),
        ("deep.json", "{\"a\":".repeat(100_000).into(), "deep.json:1"),
        (
            "deep-block.yaml",
            (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>().into(),
            "lists and maps nest deeper than 100",
        ),
        (
            "binary.yaml",
            (0..=255).collect(),
            "it is not UTF-8: the first wrong byte is number 128 (from 0), in line 2",
        ),
        (
            "utf16.yaml",
            pod("  name: a\n").encode_utf16().flat_map(u16::to_le_bytes).chain([0xff]).collect(),
            "it is not UTF-8",
        ),
        ("packed.yaml", vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0], "it is compressed (gzip) help: unpack it first"),
        ("tab.yaml", pod("\tname: a\n").into(), "tabs disallowed"),
        ("twice.yaml", pod("  name: a\n  name: b\n").into(), "the key name is there twice"),
        (
            "template.yaml",
            pod("  name: {{ .Release.Name }}\n").into(),
            "render it first, as with helm template",
        ),
        (
            "template-if.yaml",
            "{{- if .Values.on }}\na: b\n{{- end }}\n".into(),
            "render it first, as with helm template",
        ),
        ("values.yaml", "replicas: 1\n".into(), "the object has no kind"),
        ("list.json", "[1, 2]".into(), "a document must be an object"),
        ("text.yaml", "just words".into(), "a document must be an object"),
        ("unclosed.json", "{\"apiVersion\": \"v1\"".into(), "unclosed.json:1"),
        ("quote.yaml", "a: \"b\n---\nc: d\n".into(), "quote.yaml:1"),
        (
            "port.yaml",
            format!(
                "{}spec: {{containers: [{{name: c, ports: [{{containerPort: 70000}}]}}]}}\n",
                pod("  name: a\n")
            )
            .into(),
            "70000 is not a port number",
        ),
    ];
    for (name, bytes, said) in cases {
        let folder = folder(&[(name, bytes)]);
        let ran = matrix(folder.path());
        assert_eq!(ran.code(), 2, "{name}: {}", ran.err);
        assert!(words(&ran.err).contains(said), "{name}: {}", ran.err);
        assert!(ran.out.contains("shop/good[Pod]"), "{name}: {}", ran.out);
        let longest = ran.err.lines().map(str::len).max().unwrap_or(0);
        assert!(longest < 1_000, "{name}: a line of {longest} bytes");
    }
}

/// Every one of these is a pod called `odd`, or several, however it is written.
#[test]
fn what_is_merely_odd_is_read() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: odd\n";
    let json = "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"odd\"}}";
    let cases: &[(&str, String)] = &[
        ("crlf.yaml", pod.replace('\n', "\r\n")),
        ("mark.yaml", format!("\u{feff}{pod}")),
        ("empty-documents.yaml", format!("---\n---\n# nothing\n---\n{pod}---\n---\n")),
        ("end.yaml", format!("{pod}...\n")),
        ("directive.yaml", format!("%YAML 1.2\n---\n{pod}")),
        ("one.json", json.to_owned()),
        ("row.json", format!("{json}\n{}", json.replace("odd", "odder"))),
        ("UPPER.YML", pod.to_owned()),
        (
            "list.yaml",
            format!(
                "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - {json}\n"
            ),
        ),
        (
            "pods.yaml",
            "apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: odd}\n- metadata: {name: odder}\n"
                .to_owned(),
        ),
        (
            "empty-list.yaml",
            format!(
                "apiVersion: v1\nkind: PodList\nitems: []\n---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n---\n{pod}"
            ),
        ),
        ("kustomization.yaml", "resources: [a.yaml]\n---\n".to_owned() + pod),
        (
            "unknown.yaml",
            format!("apiVersion: example.com/v1\nkind: Widget\nmetadata: {{name: w}}\n---\n{pod}"),
        ),
    ];
    for (name, text) in cases {
        let folder = folder(&[(name, text.as_bytes())]);
        let ran = matrix(folder.path());
        assert_eq!(ran.code(), 0, "{name}: {}", ran.screen());
        assert!(ran.out.contains("default/odd[Pod],shop/good[Pod],all"), "{name}: {}", ran.screen());
        let is_double = name.starts_with("row") || name.starts_with("pods");
        assert_eq!(ran.out.contains("default/odder[Pod]"), is_double, "{name}: {}", ran.screen());
    }
}

#[test]
fn what_is_skipped_is_counted_with_v() {
    let widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\n";
    let folder = folder(&[
        ("a.yaml", format!("{widget}---\n{widget}").as_bytes()),
        ("kustomization.yml", b"resources: []\n"),
    ]);
    let line = format!("matrix -o csv -f {}", folder.path().display());
    assert!(!policyctl(&line).err.contains("skipped"));
    let told = policyctl(&format!("{line} -v")).err;
    assert!(told.contains("skipped: 2 × example.com/v1 Widget"), "{told}");
    assert!(told.contains("skipped: 1 × kustomize.config.k8s.io/v1beta1 Kustomization"), "{told}");
}

#[test]
fn a_file_beyond_the_limit_is_refused_and_the_rest_is_read() {
    let folder = folder(&[]);
    let large = fs::File::create(folder.path().join("large.yaml")).expect("a file");
    large.set_len(100 << 20).expect("a hundred megabytes of nothing");
    let ran = matrix(folder.path());
    assert_eq!(ran.code(), 2, "{}", ran.screen());
    assert!(ran.err.contains("larger than 64 MiB") && ran.out.contains("shop/good[Pod]"), "{}", ran.screen());
}

/// A large file is read in parts, by several threads: every object is in it once, and a place is the place in the file.
#[test]
fn a_large_file_is_read_whole_and_its_places_are_right() {
    let pod = |number: usize| {
        format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p{number}\n  labels: {{app: a}} # é\n")
    };
    let mut documents: Vec<String> = (0..2_000).map(pod).collect();
    documents.push("apiVersion: v1\nkind: Pod\nmetadata: {name: last}\nmetadata: {}\n".to_owned());
    let folder = folder(&[("large.yaml", documents.join("---\n").as_bytes())]);
    let ran = policyctl(&format!("can -v -f {} default/p1 default/p1999", folder.path().display()));
    assert_eq!(ran.code(), 2, "{}", ran.screen());
    // Six lines a document with its marker.
    assert!(ran.err.contains("large.yaml:12004:1"), "{}", ran.screen());
    assert!(ran.err.contains("pods, 0 workloads") && ran.out == "Allowed\n", "{}", ran.screen());
}

#[cfg(unix)]
#[test]
fn links_are_followed_to_files_and_never_in_a_circle() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[]);
    let at = |name: &str| folder.path().join(name);
    symlink(folder.path(), at("again")).expect("a link to the folder itself");
    symlink(at("good.yaml"), at("same.yaml")).expect("a link to a file");
    let ran = matrix(folder.path());
    assert_eq!(ran.code(), 0, "{}", ran.screen());
    assert!(ran.err.contains("1 link to a folder is not followed"), "{}", ran.screen());
    assert!(words(&ran.err).contains("the later one counts"), "{}", ran.screen());
    symlink(at("nowhere"), at("lost.yaml")).expect("a link to nothing");
    symlink(at("circle.yaml"), at("circle.yaml")).expect("a link to itself");
    let ran = matrix(folder.path());
    assert_eq!(ran.code(), 2, "{}", ran.screen());
    for name in ["lost.yaml: cannot be read", "circle.yaml: cannot be read"] {
        assert!(words(&ran.err).contains(name), "{}", ran.screen());
    }
    assert!(ran.out.contains("shop/good[Pod]"), "{}", ran.screen());
}

#[test]
fn wrong_ends_end_with_2_and_say_what_to_write() {
    for (line, said) in [
        ("can -f tests/data/shop shop/apj shop/db-0:80", "did you mean shop/api?"),
        ("can -f tests/data/shop shop/api shop/db-0:0", "a number from 1 to 65535"),
        ("can -f tests/data/shop shop/api shop/db-0:65536", "a number from 1 to 65535"),
        ("can -f tests/data/shop shop/api shop/db-0:90-80", "port"),
        ("can -f tests/data/shop shop/api shop/db-0:80/QUIC", "write TCP, UDP or SCTP"),
        ("can -f tests/data/shop shop/api 'shop/[app in'", "app in"),
    ] {
        let ran = policyctl(line);
        assert_eq!(ran.code(), 2, "{}", ran.screen());
        assert!(words(&ran.err).contains(said), "{}", ran.screen());
    }
}
