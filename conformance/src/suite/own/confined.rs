//! What the kernel says that `policyd` may do in its container.

use super::{
    case::{Fault, wrong},
    ground::Ground,
};
use crate::cluster::ClusterNode;
use std::collections::BTreeMap;

/// `capability.h`: 1 << CAP_NET_ADMIN.
const NET_ADMIN: &str = "0000000000001000";
const NONE: &str = "0000000000000000";
/// Lines of `/proc/PID/status` (proc_pid_status(5)); a filter is mode 2 of seccomp.
const RIGHTS: [(&str, &str); 7] = [
    ("CapInh", NONE),
    ("CapPrm", NET_ADMIN),
    ("CapEff", NET_ADMIN),
    ("CapBnd", NET_ADMIN),
    ("CapAmb", NONE),
    ("NoNewPrivs", "1"),
    ("Seccomp", "2"),
];
/// The only folder of its node that it may write to, and the files that the kubelet makes for each pod and container.
const WRITABLE: [&str; 3] = ["/var/lib/palisade", "/etc/hosts", "/dev/termination-log"];
/// File systems that are the container's own, in memory or without files.
const OWN: [&str; 5] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue"];

pub(super) fn confined(ground: &mut Ground) -> Result<String, Fault> {
    ground.ensure_installed()?;
    for node in ground.cluster.nodes() {
        let too_much = too_much(&ask(node, "status")?, &ask(node, "mounts")?);
        if !too_much.is_empty() {
            return wrong(format!(
                "policyd on {} has more than it should: {}",
                node.name(),
                too_much.join(", ")
            ));
        }
    }
    Ok(format!(
        "on {} nodes: CAP_NET_ADMIN alone, also as a bound; no new privileges; a seccomp filter; of the node's folders only {} can be written",
        ground.cluster.nodes().len(),
        WRITABLE[0]
    ))
}

/// A file of `/proc` about the node's `policyd`.
fn ask(node: &ClusterNode, file: &str) -> Result<String, Fault> {
    Ok(node.exec(&["sh", "-c", &format!("cat /proc/$(pgrep -x policyd)/{file}")])?)
}

/// What differs from what the container should have.
fn too_much(status: &str, mounts: &str) -> Vec<String> {
    let has: BTreeMap<&str, &str> = status.lines().filter_map(|line| line.split_once(":\t")).collect();
    let rights = RIGHTS.into_iter().filter(|(name, right)| has.get(name) != Some(right));
    let rights = rights.map(|(name, right)| format!("{name} is {:?}, not {right}", has.get(name)));
    rights.chain(writable(mounts)).collect()
}

/// Folders of the host that a process with these mounts can write to.
fn writable(mounts: &str) -> impl Iterator<Item = String> + '_ {
    mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (path, kind, options) = (words.next()?, words.next()?, words.next()?);
        let is_writable = !options.split(',').any(|option| option == "ro");
        let is_hosts = !OWN.contains(&kind);
        (is_writable && is_hosts && !WRITABLE.contains(&path)).then(|| format!("{path} can be written"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tpolicyd\nCapInh:\t0000000000000000\nCapPrm:\t0000000000001000\nCapEff:\t0000000000001000\n\
        CapBnd:\t0000000000001000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
    const MOUNTS: &str = "overlay / overlay ro,relatime,lowerdir=/a 0 0\nproc /proc proc rw,nosuid 0 0\n\
        /dev/vda /var/lib/palisade ext4 rw,relatime 0 0\n/dev/vda /var/lib/cni ext4 ro,relatime 0 0\n\
        /dev/vda /etc/hosts ext4 rw,relatime 0 0\n";

    #[test]
    fn a_container_as_it_should_be_has_nothing_too_much() {
        assert_eq!(too_much(STATUS, MOUNTS), Vec::<String>::new());
    }

    #[test]
    fn each_right_too_much_is_named() {
        for (name, right) in RIGHTS {
            let status = STATUS.replace(&format!("{name}:\t{right}"), &format!("{name}:\t3"));
            assert_eq!(too_much(&status, MOUNTS), [format!("{name} is Some(\"3\"), not {right}")]);
        }
        let mounts = MOUNTS.replace("ext4 ro", "ext4 rw").replace("overlay ro", "overlay rw");
        assert_eq!(too_much(STATUS, &mounts), ["/ can be written", "/var/lib/cni can be written"]);
        assert_eq!(too_much("", "").len(), RIGHTS.len());
    }
}
