//! CNI's folder missing, renamed, wiped; files that cannot be watched.

use super::host::{Host, default_deny, host_mac, ip, namespace, pod, put, result, temporary};
use std::{fs, process::Command, thread, time::Duration};

#[test]
fn a_folder_that_is_absent_renamed_removed_and_made_anew_is_followed() {
    namespace(3);
    let host = Host::start("folder", vec![pod("a", None), pod("b", None), default_deny()]);
    assert!(!host.cni("").exists());
    host.lease("c1", 2);
    host.result("c1", "a", 2, 1);
    host.eventually("the folder came", || host.owner(2) == "shop/a");

    let (results, aside) = (host.cni("results"), host.cni("aside"));
    fs::rename(&results, &aside).expect("renamed");
    host.eventually("the results are gone", || host.owner(2).is_empty());
    fs::rename(&aside, &results).expect("renamed back");
    host.eventually("they are back", || host.owner(2) == "shop/a");

    fs::remove_dir_all(host.cni("")).expect("removed");
    host.eventually("all is gone", || host.owner(2).is_empty());
    host.lease("c2", 3);
    host.result("c2", "b", 3, 2);
    host.eventually("a new folder", || host.owner(3) == "shop/b");
}

#[test]
fn files_wiped_under_living_pods_leave_them_to_their_status() {
    namespace(1);
    let host = Host::start("wiped", vec![pod("a", Some(2)), default_deny()]);
    host.lease("c1", 2);
    host.result("c1", "a", 2, 1);
    // Its interface is known: its link-local address is in the maps of the other family, and its port in the guard.
    host.eventually("attached", || host.owner(2) == "shop/a");
    fs::remove_dir_all(host.cni("")).expect("wiped");
    thread::sleep(Duration::from_millis(100));
    host.eventually("its status says where it is", || host.owner(2) == "shop/a");
    assert!(host.ingress(2).contains("Goto"), "isolated as before");
}

#[test]
fn a_half_written_file_is_read_once_it_is_whole() {
    use std::io::Write;
    namespace(2);
    let host = Host::start("half", vec![default_deny()]);
    host.lease("c1", 2);
    let text = result("c1", "a", 2, "veth1", &host_mac(1));
    put(&host.cni("results/.keep"), "");
    let mut file = fs::File::create(host.result_path("c1")).expect("a file");
    file.write_all(&text.as_bytes()[..40]).expect("half");
    // Everything is read anew meanwhile, by a new folder.
    fs::create_dir(host.cni("networks/other")).expect("a folder");
    host.lease("c2", 3);
    host.result("c2", "b", 3, 2);
    host.eventually("another's", || host.owner(3) == "shop/b");
    assert_eq!(host.owner(2), "");
    file.write_all(&text.as_bytes()[40..]).expect("the rest");
    drop(file);
    host.eventually("it is whole", || host.owner(2) == "shop/a");
}

/// Where the kernel gives no inotify instance any more, files are looked at instead. The limit is that of a user namespace,
/// so this test runs itself again in one.
#[test]
fn without_inotify_files_are_looked_at() {
    const INSIDE: &str = "PALISADE_WITHOUT_INOTIFY";
    if std::env::var_os(INSIDE).is_none() {
        let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "sh", "-c", script, "sh"]);
        command.arg(std::env::current_exe().expect("this test"));
        command
            .args(["--exact", "bad_days::without_inotify_files_are_looked_at", "--nocapture"])
            .env(INSIDE, "1");
        let output = command.output().expect("run this test again");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        assert!(text.contains("1 passed"), "{text}");
        return;
    }
    let refused =
        enforcer::folder_watch::FolderWatch::new(&temporary("none")).expect_err("no instance is given");
    assert_eq!(refused.raw_os_error(), Some(nix::errno::Errno::EMFILE as i32));
    namespace(1);
    let host = Host::start("inotify", vec![default_deny()]);
    host.lease("c1", 2);
    host.result("c1", "a", 2, 1);
    host.eventually("it is seen all the same", || host.owner(2) == "shop/a");
    fs::remove_file(host.lease_path(2)).expect("the lease");
    host.eventually("so is its end", || host.owner(2).is_empty());
    ip("link del veth1\n");
}
