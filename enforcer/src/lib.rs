//! Palisade's node side: what the compiler decides, in the kernel.
//!
//! The way of one event, in the order of the modules: a [`source`] or the [`node`] tells of a change, `compiler` turns it
//! into a Delta, [`apply`] decides when it is committed and what becomes of it if it is refused, [`nft`] sends it.
#![deny(unsafe_code)]

pub mod apply;
pub mod cli;
pub mod fitness;
pub mod folder_watch;
#[expect(unsafe_code, reason = "the one room that talks to the kernel and to libnftnl")]
pub mod nft;
pub mod node;
pub mod observe;
pub mod report;
pub mod source;
pub mod state;
