//! The CPU twins.
