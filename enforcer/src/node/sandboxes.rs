//! What the container runtime's thread tells the host's, and what that tells it.

use super::cni::Attachment;
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::{
    collections::BTreeSet,
    io,
    os::fd::{AsFd, BorrowedFd},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;
use tracing::error;

/// Sandboxes by their ids.
pub type Ids = BTreeSet<Arc<str>>;

/// Held by both threads; neither waits for the other.
#[derive(Clone, Debug)]
pub struct Sandboxes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    claims: Mutex<Vec<Attachment>>,
    /// Readable when the claims are others.
    told: EventFd,
    named: watch::Sender<Ids>,
}

impl Sandboxes {
    /// Nothing is claimed, and no file names a sandbox.
    ///
    /// # Errors
    /// The kernel gives no more file descriptors.
    pub fn new() -> io::Result<Self> {
        let told = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self(Arc::new(Shared { claims: Mutex::default(), told, named: watch::Sender::default() })))
    }

    /// These are the runtime's claims now.
    pub fn tell(&self, claims: Vec<Attachment>) {
        let mut held = self.0.claims.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == claims {
            return;
        }
        *held = claims;
        drop(held);
        if let Err(error) = self.0.told.write(1) {
            error!(%error, "the host's thread is not told of sandboxes; it looks every ten seconds");
        }
    }

    /// Sandboxes that result files name, now and whenever they are others.
    #[must_use]
    pub fn named(&self) -> watch::Receiver<Ids> {
        self.0.named.subscribe()
    }

    /// The runtime's claims.
    pub(super) fn claims(&self) -> Vec<Attachment> {
        self.0.claims.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether they are others than when this was last asked.
    pub(super) fn have_changed(&self) -> bool {
        self.0.told.read().is_ok()
    }

    /// Files name these sandboxes.
    pub(super) fn set_named(&self, ids: Ids) {
        self.0.named.send_if_modified(|held| {
            let changed = *held != ids;
            if changed {
                *held = ids;
            }
            changed
        });
    }
}

/// Readable when the claims are others.
impl AsFd for Sandboxes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.told.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_hears_of_changes_alone() {
        let sandboxes = Sandboxes::new().unwrap();
        let mut named = sandboxes.named();
        let claim = Attachment::without_addresses();
        assert!(!sandboxes.have_changed());
        for _ in 0..2 {
            sandboxes.tell(vec![claim.clone()]);
        }
        assert!(sandboxes.have_changed(), "told");
        assert!(!sandboxes.have_changed(), "once");
        assert_eq!(sandboxes.claims(), std::slice::from_ref(&claim));
        sandboxes.tell(vec![claim]);
        assert!(!sandboxes.have_changed(), "the same again");

        assert!(!named.has_changed().unwrap());
        sandboxes.set_named(["c1".into()].into());
        assert!(named.has_changed().unwrap());
        assert_eq!(named.borrow_and_update().len(), 1);
        sandboxes.set_named(["c1".into()].into());
        assert!(!named.has_changed().unwrap(), "the same again");
    }
}
