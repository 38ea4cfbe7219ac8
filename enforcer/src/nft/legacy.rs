//! Whether rules of the old iptables (`iptables-legacy`, which does not write nf_tables) speak of a name. They are only read:
//! their interface replaces a whole table, others' rules too, and `iptables-legacy-restore` does that.

use super::error::Error;
use nix::{
    errno::Errno,
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, socket},
};
use std::{fs, os::fd::AsRawFd};

/// `IPT_SO_GET_INFO` and `IP6T_SO_GET_INFO`, `IPT_SO_GET_ENTRIES` and `IP6T_SO_GET_ENTRIES`.
const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;
/// `XT_TABLE_MAXNAMELEN`.
const NAME: usize = 32;
/// `struct ipt_getinfo`: name, valid hooks, two times five offsets, number of entries, their size.
const INFO: usize = NAME + 4 + 20 + 20 + 4 + 4;
/// `struct ipt_get_entries`: name, size, padding, entries.
const ENTRIES: usize = NAME + 8;
const TABLE: &str = "filter";

/// Whether a rule or chain of the old iptables' table `filter` has one of these names in it, in either family.
///
/// # Errors
/// `CAP_NET_ADMIN` is missing, or the kernel refuses to tell.
pub fn speaks_of(names: &[&str]) -> Result<bool, Error> {
    let families = [
        (AddressFamily::Inet, libc::IPPROTO_IP, "/proc/net/ip_tables_names"),
        (AddressFamily::Inet6, libc::IPPROTO_IPV6, "/proc/net/ip6_tables_names"),
    ];
    for (family, level, tables) in families {
        // The kernel makes a table that is asked for, so only one that is there is.
        let is_there = fs::read_to_string(tables).is_ok_and(|text| text.lines().any(|line| line == TABLE));
        if !is_there {
            continue;
        }
        let failed = Error::system("read the rules of the old iptables");
        let entries = entries(family, level).map_err(failed)?;
        let has = |name: &&str| entries.windows(name.len()).any(|window| window == name.as_bytes());
        if names.iter().any(has) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn entries(family: AddressFamily, level: i32) -> Result<Vec<u8>, Errno> {
    // Any socket of the family will do; the kernel asks for CAP_NET_ADMIN.
    let socket = socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
    let mut info = vec![0; INFO];
    info[..TABLE.len()].copy_from_slice(TABLE.as_bytes());
    get(socket.as_raw_fd(), level, GET_INFO, &mut info)?;
    let size = info.last_chunk().map_or(0, |last| u32::from_ne_bytes(*last));
    let mut entries = vec![0; ENTRIES + size as usize];
    entries[..TABLE.len()].copy_from_slice(TABLE.as_bytes());
    entries[NAME..NAME + 4].copy_from_slice(&size.to_ne_bytes());
    // EAGAIN: somebody has changed the table meanwhile, and the caller asks again.
    get(socket.as_raw_fd(), level, GET_ENTRIES, &mut entries)?;
    Ok(entries)
}

fn get(socket: i32, level: i32, option: i32, value: &mut [u8]) -> Result<(), Errno> {
    let mut len = libc::socklen_t::try_from(value.len()).map_err(|_| Errno::EMSGSIZE)?;
    // SAFETY: the descriptor is open; the value is alive and `len` bytes long, and the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(socket, level, option, value.as_mut_ptr().cast(), std::ptr::from_mut(&mut len))
    };
    Errno::result(result).map(drop)
}
