//! One test binary, so that the crate is linked once: the stores, and the real `exp`.

mod conformance;
