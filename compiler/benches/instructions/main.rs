//! How many instructions compiling takes: from nothing, and for one event, as the cluster grows. Times on shared machines
//! move, these hardly do. They are counted by callgrind (valgrind), so it takes its time: some minutes with all sizes.
//!
//! `cargo bench -p compiler --bench instructions [-- --small]`; `--small` leaves out 100,000 pods and 10,000 policies. Lines
//! that begin with `budget:` are what `cargo bench-all` gathers: what, limit, measured, verdict, divided by `|`.

#[path = "../cluster/mod.rs"]
#[expect(dead_code, reason = "other benches change more of the cluster")]
mod cluster;
mod counted;
#[path = "../happening/mod.rs"]
#[expect(dead_code, reason = "other benches ask for a namespace of 10,000 pods")]
mod happening;
mod valgrind;

use cluster::Size;
use std::error::Error;

/// What an event may cost at the largest size over what it costs at the smallest.
const GROWTH: f64 = 1.3;

const SIZES: [Size; 3] = [Size::new(1_000, 100), Size::new(10_000, 1_000), Size::new(100_000, 10_000)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, number] = &arguments[..]
        && first == valgrind::COUNTED
    {
        return counted::run(SIZES.get(number.parse::<usize>()?).ok_or("there is no such size")?);
    }
    let sizes = if arguments.iter().any(|argument| argument == "--small") { &SIZES[..2] } else { &SIZES };
    let Some(all) = (0..sizes.len()).map(valgrind::count).collect::<Result<Option<Vec<_>>, _>>()? else {
        println!("valgrind is not installed: nothing is counted");
        return Ok(());
    };
    println!(
        "instructions, by callgrind (mean of {} of each event; growth over the size before)",
        counted::ROUNDS
    );
    println!("  {:<58} {:>8} {:>16} {:>8}", "", "pods", "instructions", "growth");
    let mut budgets = Vec::new();
    for (step, (name, first)) in all[0].iter().enumerate() {
        let mut before = None;
        for (size, counts) in sizes.iter().zip(&all) {
            let count = counts[step].1;
            let growth = before.map(|before| format!("x{:.2}", count as f64 / before as f64));
            let name = if before.is_none() { name } else { "" };
            println!("  {name:<58} {:>8} {count:>16} {:>8}", size.pods, growth.unwrap_or_default());
            before = Some(count.max(1));
        }
        if let (Some(size), Some(last), true) = (sizes.last(), before, name != counted::FROM_NOTHING) {
            let growth = last as f64 / (*first).max(1) as f64;
            budgets.push(format!(
                "budget: {name}, instructions: at {} pods over at {} | {GROWTH} | {growth:.2} | {}",
                size.pods,
                sizes[0].pods,
                if growth <= GROWTH { "met" } else { "not met" }
            ));
        }
    }
    println!();
    budgets.iter().for_each(|line| println!("{line}"));
    Ok(())
}
