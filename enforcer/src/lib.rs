//! Palisade's node side: what the compiler decides, in the kernel.
#![deny(unsafe_code)]

pub mod folder_watch;
#[expect(unsafe_code, reason = "the one room that talks to the kernel and to libnftnl")]
pub mod nft;
pub mod node;
