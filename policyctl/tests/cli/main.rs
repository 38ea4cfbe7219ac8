//! The command line: what each verb says, and how it ends.

mod bad_input;
mod diff;
mod explain;
mod help;
mod input;
mod judging;
mod matrix;
mod odd_paths;
mod program;
mod support;
mod verbs;
