//! What becomes of packets that are under way while the tables change: what is permitted before and after is not lost, and what
//! is denied before and after does not pass.

mod cleanup;
mod forbidden_flows;
mod ground;
mod out_of_memory;
mod replaced_programs;
mod turned_flows;
