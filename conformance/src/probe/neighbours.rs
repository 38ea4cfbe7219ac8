//! The kernel's table of neighbours, which all namespaces of a machine share.

use std::fs;

/// How often since the machine started a packet was lost because the table was full, IPv4 and IPv6 together.
///
/// Its size (`gc_thresh3`, 1,024 by default) can only be set for the whole machine, which a lab must not do. So a lab
/// looks whether it was hit. 0 if the kernel does not tell.
pub(crate) fn overflows() -> u64 {
    // `/proc/net` is that of the process's main thread, and only the machine's own namespace has these files.
    ["arp_cache", "ndisc_cache"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/net/stat/{table}")).ok())
        .map(|text| sum_of_column(&text, "table_fulls"))
        .sum()
}

/// The sum over the CPUs, one a line, of hexadecimal counters.
fn sum_of_column(text: &str, name: &str) -> u64 {
    let mut lines = text.lines();
    let column = lines.next().and_then(|head| head.split_whitespace().position(|c| c == name));
    let value = |line: &str| u64::from_str_radix(line.split_whitespace().nth(column?)?, 16).ok();
    lines.filter_map(value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_is_summed_over_all_cpus() {
        let text = "entries  allocs table_fulls\n00000001 000009f4 00000592\n00000001 00000ca6 0000000e\n";
        assert_eq!(sum_of_column(text, "table_fulls"), 0x5a0);
        assert_eq!(sum_of_column(text, "no_such_column"), 0);
    }
}
