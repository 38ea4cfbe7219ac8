//! The host's links and addresses, kept up to date by the kernel's notifications.
//!
//! A notification says how one link is now, so a thousand of them a second cost no reading of all links. When the kernel
//! had to drop some, and now and then in any case, everything is read anew.

use super::rtnl::{Link, LinkAddress, Rtnl, messages, read_address, read_link};
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    os::fd::{AsFd, BorrowedFd},
};

/// Multicast groups of rtnetlink (`RTNLGRP_*`).
const GROUP_LINK: u32 = 1;
const GROUP_IPV4_ADDRESS: u32 = 5;
const GROUP_IPV6_ADDRESS: u32 = 9;
/// Room for some hundred notifications.
const BUFFER: usize = 1 << 20;

/// Links by index, and addresses by link, address and length of the prefix.
#[derive(Debug, Default)]
struct Table {
    links: BTreeMap<u32, Link>,
    addresses: BTreeSet<(u32, IpAddr, u8)>,
}

/// Follows links and addresses of the network namespace in which it was opened.
#[derive(Debug)]
pub(super) struct LinkWatch {
    socket: Socket,
    table: Table,
}

impl LinkWatch {
    /// Reads everything and listens from then on.
    ///
    /// # Errors
    /// The kernel gives no netlink socket or does not answer.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in [GROUP_LINK, GROUP_IPV4_ADDRESS, GROUP_IPV6_ADDRESS] {
            socket.add_membership(group)?;
        }
        // The kernel may give less; what does not fit is read anew.
        let _ = socket.set_rx_buf_sz(BUFFER as i32);
        socket.set_non_blocking(true)?;
        let mut watch = Self { socket, table: Table::default() };
        watch.read_all()?;
        Ok(watch)
    }

    /// Reads everything anew.
    ///
    /// # Errors
    /// The kernel does not answer.
    pub(super) fn read_all(&mut self) -> io::Result<()> {
        let mut rtnl = Rtnl::open()?;
        self.table.links = rtnl.links()?.into_iter().map(|link| (link.index, link)).collect();
        let addresses = rtnl.addresses()?.into_iter();
        self.table.addresses = addresses.map(|a| (a.link, a.address, a.prefix)).collect();
        Ok(())
    }

    /// Takes in what the kernel has told by now; `true` if there was anything.
    ///
    /// # Errors
    /// The socket is broken, or after lost notifications the kernel does not answer.
    pub(super) fn update(&mut self) -> io::Result<bool> {
        let mut changed = false;
        loop {
            match self.socket.recv_from_full() {
                Ok((datagram, _)) => {
                    for message in messages(&datagram) {
                        // One that cannot be read says at least that something is different.
                        match message.map(|message| message.payload) {
                            Ok(NetlinkPayload::InnerMessage(message)) => self.table.take(message),
                            Ok(_) => {}
                            Err(_) => self.read_all()?,
                        }
                    }
                }
                Err(e) if e.raw_os_error() == Some(Errno::ENOBUFS as i32) => self.read_all()?,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(changed),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
            changed = true;
        }
    }

    /// Every link, in the order of their indices.
    pub(super) fn links(&self) -> Vec<Link> {
        self.table.links.values().cloned().collect()
    }

    /// Every address.
    pub(super) fn addresses(&self) -> Vec<LinkAddress> {
        let addresses = self.table.addresses.iter();
        addresses.map(|&(link, address, prefix)| LinkAddress { link, address, prefix }).collect()
    }
}

/// Readable when something has changed.
impl AsFd for LinkWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Table {
    fn take(&mut self, message: RouteNetlinkMessage) {
        match message {
            // A bridge tells of its ports too, in messages of its own that say less: leaving it is no end of the link.
            RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)
                if link.header.interface_family == AddressFamily::Bridge => {}
            RouteNetlinkMessage::NewLink(link) => {
                let link = read_link(link);
                self.links.insert(link.index, link);
            }
            RouteNetlinkMessage::DelLink(link) => {
                let index = link.header.index;
                self.links.remove(&index);
                self.addresses.retain(|(of, ..)| *of != index);
            }
            RouteNetlinkMessage::NewAddress(address) => {
                let address = read_address(&address);
                self.addresses.extend(address.map(|a| (a.link, a.address, a.prefix)));
            }
            RouteNetlinkMessage::DelAddress(address) => {
                if let Some(a) = read_address(&address) {
                    self.addresses.remove(&(a.link, a.address, a.prefix));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        process::{Command, Stdio},
        thread,
        time::{Duration, Instant},
    };

    fn ip(lines: &str) {
        let mut child =
            Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().expect("run ip");
        child.stdin.take().expect("its input").write_all(lines.as_bytes()).expect("lines");
        assert!(child.wait().expect("ip ends").success(), "ip {lines:.200}");
    }

    /// What the kernel says when it is asked.
    fn asked() -> (Vec<Link>, Vec<LinkAddress>) {
        let mut rtnl = Rtnl::open().expect("rtnetlink");
        let (mut links, mut addresses) = (rtnl.links().expect("links"), rtnl.addresses().expect("addresses"));
        links.sort_by_key(|link| link.index);
        addresses.sort_by_key(|a| (a.link, a.address, a.prefix));
        (links, addresses)
    }

    /// In a network namespace of its own: what notifications make of the table is what the kernel says when asked.
    #[test]
    fn notifications_lead_to_what_the_kernel_says() {
        let namespace = || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("a network namespace; needs root");
            let mut watch = LinkWatch::open().expect("a watch");
            assert!(!watch.update().expect("nothing has changed"));
            // Some addresses are made a moment later.
            let same = |watch: &mut LinkWatch, after: &str| {
                let end = Instant::now() + Duration::from_secs(5);
                loop {
                    watch.update().expect(after);
                    let (seen, now) = ((watch.links(), watch.addresses()), asked());
                    if seen == now {
                        return;
                    }
                    assert!(Instant::now() < end, "{after}: {seen:?}\nis not {now:?}");
                    thread::sleep(Duration::from_millis(5));
                }
            };
            for line in [
                "link set lo up",
                "link add cni0 type bridge",
                "addr add 10.244.1.1/24 dev cni0",
                "addr add fd00::1/64 dev cni0 nodad",
                "link set cni0 up",
                "link add veth1 address 02:00:00:00:00:01 type veth peer name p1",
                "link set veth1 master cni0 up",
                "link set veth1 address 02:00:00:00:00:02",
                "link set veth1 nomaster",
                "link set veth1 master cni0",
                "link set veth1 down",
                "link set veth1 name veth2",
                "link set cni0 type bridge nf_call_iptables 1",
                "link add vx type vxlan id 1 dstport 4789 dev veth2",
                "addr del 10.244.1.1/24 dev cni0",
                "link del veth2",
                "link del cni0",
            ] {
                ip(line);
                same(&mut watch, line);
            }
            // More at once than the buffer holds.
            let batch: String =
                (0..4000).map(|n| format!("addr add 10.9.{}.{}/32 dev lo\n", n / 250, n % 250)).collect();
            ip(&batch);
            same(&mut watch, "a storm");
            assert!(watch.addresses().len() > 4000);
        };
        thread::spawn(namespace).join().expect("it is as the kernel says");
    }
}
