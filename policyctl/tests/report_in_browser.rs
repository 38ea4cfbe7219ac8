//! The report in a browser: search, a click on a cell, the explanation; hostile names; 500 workloads.
//!
//! Needs Chromium (`apt-get install chromium`). Without it the tests say that they were skipped, and fail if
//! `PALISADE_REQUIRE_BROWSER` is set, as it is where they must not be skipped.

use policyctl::{
    input,
    report::{Report, page},
};
use serde_json::Value;
use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::PathBuf,
    process::Command,
    time::Instant,
};

/// The first Chromium on the path.
fn chromium() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = env::var_os("PATH")?;
    let found = env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        assert!(
            env::var_os("PALISADE_REQUIRE_BROWSER").is_none(),
            "there is no Chromium, and PALISADE_REQUIRE_BROWSER is set"
        );
        // Past the capture of the test runner, which hides what passed tests print.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: there is no Chromium here, so the report is not looked at in a browser (apt-get install chromium)"
        );
    }
    found
}

/// Opens a page, runs a script in it that puts its findings into `result`, and gives these back. Errors of any script are in
/// `result.errors`. `None` if there is no browser.
fn in_browser(name: &str, html: &str, script: &str) -> Option<Value> {
    let browser = chromium()?;
    let folder = env::temp_dir().join(format!("policyctl-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let harness = format!(
        "<script>window.result={{errors:[]}};addEventListener('error',e=>result.errors.push(e.message));</script>{}",
        html.replace(
            "</body>",
            &format!(
                "<script>
                const sleep = ms => new Promise(done => setTimeout(done, ms));
                const canvas = document.getElementById('canvas');
                const at = (row, column) => {{
                  const d = canvas.dataset, box = canvas.getBoundingClientRect();
                  const x = box.left + Number(d.left) + (column + .5) * d.cell, y = box.top + Number(d.top) + (row + .5) * d.cell;
                  canvas.dispatchEvent(new MouseEvent('click', {{clientX: x, clientY: y, bubbles: true}}));
                }};
                const find = async text => {{
                  const box = document.getElementById('search');
                  box.value = text; box.dispatchEvent(new Event('input')); await sleep(150);
                }};
                const text = id => document.getElementById(id).textContent;
                (async () => {{ try {{ {script} }} catch (e) {{ result.errors.push(String(e)); }}
                  result.hacked = window.hacked ?? null;
                  result.resources = performance.getEntriesByType('resource').map(r => r.name);
                  const pre = document.createElement('pre'); pre.id = 'result'; pre.textContent = JSON.stringify(result); document.body.append(pre);
                }})();</script></body>"
            )
        )
    );
    let file = folder.join("report.html");
    fs::write(&file, harness).expect("the page is written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=1400,900", "--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .expect("Chromium runs");
    fs::remove_dir_all(&folder).expect("the folder goes");
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = dom
        .find("<pre id=\"result\">")
        .unwrap_or_else(|| panic!("the script did not end: {}", &dom[..dom.len().min(2000)]));
    let text = &dom[start + "<pre id=\"result\">".len()..];
    let text = &text[..text.find("</pre>").expect("the result ends")];
    let text =
        text.replace("&lt;", "<").replace("&gt;", ">").replace("&nbsp;", "\u{a0}").replace("&amp;", "&");
    let result: Value = serde_json::from_str(&text).expect("the result is JSON");
    assert_eq!(result["errors"], serde_json::json!([]), "{result:#}");
    assert_eq!(result["resources"], serde_json::json!([]), "nothing is asked of any network");
    assert_eq!(result["hacked"], Value::Null, "no name became a script");
    Some(result)
}

fn page_of(manifests: &str, title: &str) -> String {
    let snapshot = input::parse("shop.yaml", manifests, None);
    let mut html = Vec::new();
    page::write(&Report::new(&snapshot, title.to_owned()), &mut html).expect("memory takes it");
    String::from_utf8(html).expect("it is UTF-8")
}

const SHOP: &str = concat!(
    include_str!("data/three-pods.yaml"),
    "---
{apiVersion: v1, kind: Pod, metadata: {name: alone, namespace: other, labels: {app: alone}}, spec: {containers: []}, status: {podIPs: [{ip: 10.244.1.5}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: alone, namespace: other}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: api}}}], ports: [{port: 5432}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: db}}}]}]
"
);

#[test]
fn search_click_a_cell_and_read_why() {
    let Some(result) = in_browser(
        "report",
        &page_of(SHOP, "a shop"),
        "await sleep(50); result.summary = text('summary');
         at(1, 2); result.allowed = text('detail');        // shop/api -> shop/db
         at(3, 2); result.denied = text('detail');         // shop/front -> shop/db
         at(4, 2); result.outside = text('detail');        // outside -> shop/db
         await find('db'); result.found = text('summary');
         at(0, 1); result.afterSearch = text('detail');    // of those shown: shop/api -> shop/db
         await find('P014'); result.findings = text('findings');
         await find('no such thing'); result.nothing = text('summary');
         await find('');
         document.getElementById('tab-graph').click(); result.graphShown = !document.getElementById('graph').hidden;
         document.querySelector('.node[data-name=\"shop/db[Pod]\"]').dispatchEvent(new MouseEvent('click', {bubbles: true}));
         result.lit = [...document.querySelectorAll('.node.lit')].map(n => n.dataset.name); result.about = text('detail');
         document.getElementById('theme').click(); result.theme = document.documentElement.dataset.theme;
         document.getElementById('theme').click(); result.back = document.documentElement.dataset.theme;",
    ) else {
        return;
    };
    let has = |key: &str, parts: &[&str]| {
        for part in parts {
            assert!(
                result[key].as_str().is_some_and(|text| text.contains(part)),
                "{key} has no {part}: {result:#}"
            );
        }
    };
    has("summary", &["4 workloads in 2 namespaces, 4 policies", "0 open, 1 in part, 11 denied"]);
    has(
        "allowed",
        &[
            "shop/api[Pod] → shop/db[Pod]",
            "Allowed in part",
            "5432/TCP",
            "shop/db ingress[0]",
            "shop.yaml:",
            "pods with app=api",
        ],
    );
    has(
        "denied",
        &[
            "shop/front[Pod] → shop/db[Pod]",
            "Denied",
            "Isolated by shop/all",
            "There is no rule",
            "No rule covers the other end",
        ],
    );
    has("outside", &["outside → shop/db[Pod]", "Denied"]);
    has("found", &["1 workloads match, 2 shown"]);
    has("afterSearch", &["shop/api[Pod] → shop/db[Pod]"]);
    has("findings", &["1 findings", "P014", "shop/api"]);
    has("nothing", &["0 workloads match, 0 shown"]);
    has("about", &["shop/db[Pod]", "Reached by (1)", "The outside does not reach it"]);
    assert_eq!(result["graphShown"], true);
    assert_eq!(result["lit"], serde_json::json!(["shop/api[Pod]", "shop/db[Pod]"]));
    assert_ne!(result["theme"], result["back"]);
}

#[test]
fn hostile_text_stays_text() {
    // What an API server refuses is shown as a finding, with the value that is refused.
    let manifests = format!(
        "{SHOP}---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: x, namespace: shop}}\nspec: \
         {{podSelector: {{matchLabels: {{app: \"<img src=x onerror=window.hacked=1>\"}}}}, \"</script><script>window.hacked=2</script>\": 1}}\n"
    );
    let title = "</title><script>window.hacked=3</script><img src=x onerror=window.hacked=4>";
    let Some(result) = in_browser(
        "hostile",
        &page_of(&manifests, title),
        "await sleep(50); document.getElementById('tab-findings').click(); result.findings = text('findings');
         result.images = document.images.length; result.title = document.title; await sleep(200);",
    ) else {
        return;
    };
    assert_eq!(result["images"], 0);
    assert!(result["title"].as_str().is_some_and(|text| text.contains(title)), "{result:#}");
    let findings = result["findings"].as_str().unwrap_or_default();
    assert!(
        findings.contains("<img src=x onerror=window.hacked=1>") || findings.contains("window.hacked=2"),
        "{findings}"
    );
}

#[test]
fn five_hundred_workloads_are_quick() {
    let mut manifests = String::new();
    for index in 0..500 {
        let namespace = index % 20;
        let _ = write!(
            manifests,
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: app-{index}, namespace: team-{namespace}}}\nspec:\n  template:\n    \
             metadata: {{labels: {{app: app-{index}, tier: t{}}}}}\n    spec: {{containers: []}}\n---\n\
             apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: p-{index}, namespace: team-{namespace}}}\nspec:\n  \
             podSelector: {{matchLabels: {{app: app-{index}}}}}\n  ingress: [{{from: [{{namespaceSelector: {{}}, podSelector: {{matchLabels: {{tier: t{}}}}}}}], ports: [{{port: {}}}]}}]\n---\n",
            index % 7,
            index % 5,
            80 + index % 9,
        );
    }
    let start = Instant::now();
    let html = page_of(&manifests, "large");
    eprintln!("500 workloads: {} KiB of HTML in {:?}", html.len() >> 10, start.elapsed());
    assert!(html.len() < 8 << 20);
    // The browser's own clock stands still while scripts run, so the whole visit is timed, with its start.
    let start = Instant::now();
    let Some(result) = in_browser(
        "large",
        &html,
        "await sleep(50); at(3, 4); result.detail = text('detail');
         await find('app-77'); result.summary = text('summary'); await find('');
         document.getElementById('fit').click(); await sleep(50); result.cell = Number(canvas.dataset.cell);",
    ) else {
        return;
    };
    let visit = start.elapsed();
    eprintln!("in the browser: start, load, click, two searches and fit in {visit:?}");
    assert!(result["detail"].as_str().is_some_and(|text| text.contains("team-0/app-")), "{result:#}");
    assert!(result["summary"].as_str().is_some_and(|text| text.contains("1 workloads match")), "{result:#}");
    assert!(result["cell"].as_f64().is_some_and(|cell| cell < 2.0), "all of it is seen at once: {result:#}");
    assert!(visit.as_secs() < 30, "{visit:?}");
}
