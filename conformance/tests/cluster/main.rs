//! The real cluster itself: that it goes away however it ends, and what its options give. Needs root; builds what is missing.

mod endings;
mod names;
