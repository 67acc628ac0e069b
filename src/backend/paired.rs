//! Both.
