//! What a Kubernetes NetworkPolicy means.
//!
//! This crate is the specification that the compiler and the kernel are held to: the objects that policy is about
//! ([`object`], [`policy`]), the state that they make up ([`cluster`]), the way into it from Kubernetes objects
//! ([`admission`]) and from text ([`manifest`]), the reference [`verdict`] with its full reason, and the same answer for
//! all packets at once, the [`reach`]. It does no I/O, holds no clock and knows no
//! async; a reader who wants to know what a rule means reads here.
#![forbid(unsafe_code)]

pub mod admission;
pub mod cluster;
pub mod field;
pub mod labels;
pub mod manifest;
pub mod object;
pub mod policy;
pub mod portset;
pub mod reach;
pub mod selector;
#[cfg(feature = "proptest")]
pub mod strategies;
pub mod verdict;
