//! That a lab goes away with its owner, however that ends.

use crate::{three_pods, wait};
use conformance::lab::{LabError, ownership};
use std::{io::BufRead, os::unix::process::CommandExt, sync::Arc, time::Duration};

/// What of a lab is left on this machine.
fn leftovers(id: &str) -> Vec<String> {
    let names = |dir: &str| -> Vec<std::path::PathBuf> {
        std::fs::read_dir(dir).map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default()
    };
    let all = [names("/run/netns"), names(ownership::STATE_DIR)].concat();
    all.iter().map(|p| p.display().to_string()).filter(|p| p.contains(id)).collect()
}

/// The links of the machine's own network namespace.
fn own_links() -> Vec<String> {
    let links = std::fs::read_dir("/sys/class/net").expect("links");
    links.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn nothing_is_left_after_a_drop_or_a_panic_not_even_processes() {
    let links = own_links();
    let (lab, [a, ..]) = three_pods("gone");
    let id = lab.id().to_owned();
    let mut sleeper = a.netns().command("sleep").arg("1000").spawn().expect("a process in the pod");
    assert!(leftovers(&id).len() > 5, "the lab is there");
    drop(lab);
    assert_eq!(leftovers(&id), Vec::<String>::new());
    assert_eq!(own_links(), links);
    assert!(wait(|| sleeper.try_wait().expect("its state").is_some()), "the process is gone");

    let id = Arc::new(std::sync::Mutex::new(String::new()));
    let outcome = std::thread::spawn({
        let id = id.clone();
        move || {
            let (lab, _) = three_pods("panic");
            lab.id().clone_into(&mut id.lock().expect("the id"));
            panic!("this panic is part of the test");
        }
    });
    assert!(outcome.join().is_err());
    let id = id.lock().expect("the id").clone();
    assert!(id.starts_with("pal-panic-"));
    assert_eq!(leftovers(&id), Vec::<String>::new());
}

/// Not a test of its own: the process that [`nothing_is_left_after_a_signal`] kills.
#[test]
#[ignore = "a part of another test"]
fn a_lab_that_waits_to_be_killed() {
    let (lab, _) = three_pods("killed");
    println!("lab {}", lab.id());
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn nothing_is_left_after_a_signal() {
    for signal in ["INT", "TERM", "KILL"] {
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--ignored", "--exact", "--nocapture", "leftovers::a_lab_that_waits_to_be_killed"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("a second process");
        let output = std::io::BufReader::new(child.stdout.take().expect("its output"));
        let id = output
            .lines()
            .find_map(|line| Some(line.ok()?.split_once("lab pal-")?.1.to_owned()))
            .expect("the id of its lab");
        assert!(leftovers(&id).len() > 5, "the lab is there");
        let sent = std::process::Command::new("kill")
            .args([&format!("-{signal}"), &child.id().to_string()])
            .status();
        assert!(sent.expect("kill").success());
        child.wait().expect("its end");
        assert!(wait(|| leftovers(&id).is_empty()), "after SIG{signal}: {:?}", leftovers(&id));
    }
}

#[test]
fn a_kept_lab_stays_until_it_is_removed() {
    let (lab, _) = three_pods("kept");
    let id = lab.keep().expect("kept");
    ownership::sweep().expect("a sweep");
    assert!(leftovers(&id).len() > 5);
    assert!(ownership::kept().expect("the kept ones").contains(&id));
    ownership::remove(&id).expect("removed");
    assert_eq!(leftovers(&id), Vec::<String>::new());
    assert!(matches!(ownership::remove("../../etc"), Err(LabError::Invalid(_))));
}

#[test]
fn a_lab_without_root_says_that_it_needs_root() {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "probes::a_closed_port_is_refused"]).uid(65_534).gid(65_534);
    let output = command.output().expect("this program as nobody");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("needs root"), "{said}");
}
