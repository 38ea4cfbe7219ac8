//! The command line: what each verb says, and how it ends.

mod diff;
mod explain;
mod input;
mod judging;
mod matrix;
mod program;
mod support;
mod verbs;
