//! What is sent through a path, and what of it is measured.

mod denied;
mod established;
mod new_flows;
mod requests;
mod stream;

pub use denied::Denied;
pub use established::{Flow, Side};
pub use new_flows::NewFlows;
pub use requests::Requests;
pub use stream::Stream;

use crate::lab::{LabError, Netns};
use std::{fmt, io, net::IpAddr, time::Duration};

/// Something that can be done again and again between two pods. All of its figures are times: less is better.
pub trait Load: fmt::Debug {
    /// What each figure is called in the report.
    fn figures(&self) -> &'static [&'static str];

    /// Does it once, for a time that a visit can do it several times in, and gives a figure for each name.
    ///
    /// # Errors
    /// [`LabError::NotEstablished`] if what must arrive does not.
    fn burst(&self) -> Result<Vec<f64>, LabError>;
}

/// A pod's namespace with one of its addresses.
pub type End<'a> = (&'a Netns, IpAddr);

/// How long a datagram may hang in the kernel before it counts as lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// Calls `attempt` until it would not block any more, for as long as [`PATIENCE`] lasts.
fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let start = std::time::Instant::now();
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && start.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            result => return result,
        }
    }
}
