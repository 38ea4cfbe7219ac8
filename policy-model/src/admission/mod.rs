//! From objects of the Kubernetes API to the types of this crate, with the checks that an API server makes.
//!
//! Sources: `networking.k8s.io/v1`, `core/v1`, `apps/v1`, `batch/v1`; for the checks, what an API server of Kubernetes
//! 1.37 refuses on a create. A NetworkPolicy is checked whole, since a policy that is half understood is a hole. Of
//! the other kinds only the fields that policy needs are checked.
//!
//! Every function reports all problems of its object, each with its field and value, and converts nothing if there is
//! one: a policy is enforced as it was written, or not at all.

mod at;
mod check;
mod cidr;
mod names;
mod objects;
mod pod;
mod policy;
mod problem;
mod selector;
#[cfg(test)]
mod tests;

pub use objects::{namespace, node, service};
pub use pod::{owner, pod, pod_template};
pub use policy::{policy, stored_policy};
pub use problem::{ObjectRef, Problem, Rejection};
