//! The container runtime beside CNI's files, where `--cri-socket` asks for it.

use super::HostOptions;
use crate::{
    node::{facts::Facts, sandboxes::Sandboxes, watch},
    source::cri::{self, RuntimeSocket, State, Watched},
};
use std::io;
use tracing::warn;

/// The runtime of a `policyd run` that stays.
pub(super) struct Asked {
    socket: RuntimeSocket,
    pub(super) sandboxes: Sandboxes,
    pub(super) watched: Watched,
}

impl Asked {
    /// `None`: it is not to be asked.
    ///
    /// # Errors
    /// The kernel gives no file descriptors.
    pub(super) fn prepare(options: &HostOptions) -> io::Result<Option<Self>> {
        let prepare = |socket: &RuntimeSocket| {
            let sandboxes = Sandboxes::new()?;
            Ok(Self { socket: socket.clone(), sandboxes, watched: Watched::default() })
        };
        options.cri_socket.as_ref().map(prepare).transpose()
    }

    /// Asks from now on. Files have been read before this, so that only what they lack is asked for.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn follow(self, changed: impl Fn() + Send + 'static) -> io::Result<()> {
        cri::follow(self.socket, self.sandboxes, self.watched, changed)
    }
}

/// Asks once, if it is to be asked.
///
/// # Errors
/// The host cannot be read, or the kernel gives no file descriptors.
pub(super) fn look(options: &HostOptions) -> io::Result<Option<Watched>> {
    let Some(socket) = &options.cri_socket else { return Ok(None) };
    let files = watch::read_once(&options.cni_folders())?;
    let named = files.attachments.into_iter().map(|claim| claim.container).collect();
    Ok(Some(Watched::seen(cri::look_once(socket.clone(), &named)?)))
}

/// One reading of the host, with what the runtime says if it is to be asked.
///
/// # Errors
/// As [`look`].
pub(super) fn read_host(options: &HostOptions) -> io::Result<Facts> {
    let facts = watch::read_once(&options.cni_folders())?;
    let Some(seen) = look(options)? else { return Ok(facts) };
    match seen.state() {
        Some(State::Answers(_)) | None => {}
        Some(state) => {
            warn!(
                ?state,
                "the container runtime tells nothing: pods without a CNI result are known by their status"
            );
        }
    }
    Ok(Facts { sandboxes: seen.claims(), ..facts })
}
