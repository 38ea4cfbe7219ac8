//! Reads what takes long, on a socket of its own, so that no event waits for it.

use super::input::Input;
use crate::nft::{Backend, Kernel, Wanted};
use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    sync::mpsc::{self, Sender},
    thread,
    time::Instant,
};

/// What to read.
#[derive(Debug)]
enum Order {
    Part(Wanted),
    /// The conntrack entries that have one of these addresses.
    Conntrack(BTreeSet<IpAddr>),
}

/// The thread that reads. It ends when this is dropped.
#[derive(Debug)]
pub struct Reader(Sender<Order>);

impl Reader {
    /// Reads with this kernel, and tells the loop.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut kernel: Kernel, inputs: Sender<Input>) -> io::Result<Self> {
        let (sender, orders) = mpsc::channel();
        let run = move || {
            for order in orders {
                let input = match order {
                    Order::Part(wanted) => Input::Part(Box::new(kernel.read_part(wanted))),
                    Order::Conntrack(addresses) => {
                        let begin = Instant::now();
                        let entries = kernel.tracked(&addresses);
                        Input::Conntrack { entries, took: begin.elapsed() }
                    }
                };
                if inputs.send(input).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("reader".into()).spawn(run)?;
        Ok(Self(sender))
    }

    /// Asks for a part of our tables; `false`: the thread has ended.
    pub(super) fn part(&self, wanted: Wanted) -> bool {
        self.0.send(Order::Part(wanted)).is_ok()
    }

    /// Asks for the conntrack entries of addresses; `false`: the thread has ended.
    pub(super) fn conntrack(&self, addresses: BTreeSet<IpAddr>) -> bool {
        self.0.send(Order::Conntrack(addresses)).is_ok()
    }
}
