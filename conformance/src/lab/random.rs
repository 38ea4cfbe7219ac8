//! Random names and numbers, from the kernel's own source.

use super::LabError;
use std::{fs::File, io::Read};

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N], LabError> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut bytes))
        .map_err(LabError::io("/dev/urandom"))?;
    Ok(bytes)
}

/// `2 * N` random hexadecimal digits, in lower case.
pub(crate) fn hex<const N: usize>() -> Result<String, LabError> {
    Ok(bytes::<N>()?.iter().map(|b| format!("{b:02x}")).collect())
}

/// A unicast, locally administered MAC, as the kernel gives a new veth.
pub(crate) fn mac() -> Result<String, LabError> {
    let mut b = bytes::<6>()?;
    b[0] = b[0] & 0xfe | 2;
    Ok(b.map(|b| format!("{b:02x}")).join(":"))
}

/// A random (version 4) UUID, as the API server gives an object.
pub(crate) fn uuid() -> Result<String, LabError> {
    let h = hex::<16>()?;
    Ok(format!("{}-{}-4{}-a{}-{}", &h[..8], &h[8..12], &h[13..16], &h[17..20], &h[20..32]))
}
