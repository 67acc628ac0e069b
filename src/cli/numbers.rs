//! Numbers as somebody types them. What the standard library says of one that is none ("invalid digit found in string") names
//! neither what was expected nor what is allowed.

use std::str::FromStr;

/// A count: a whole number from 1. A 0 goes through, as what is to be done instead differs.
///
/// # Errors
/// What is allowed.
pub fn count<T: FromStr>(text: &str) -> Result<T, String> {
    whole(text, "use a whole number from 1")
}

/// A whole number from 0.
///
/// # Errors
/// What is allowed.
pub fn from_zero<T: FromStr>(text: &str) -> Result<T, String> {
    whole(text, "use a whole number from 0")
}

/// A number that need not be whole. Whether it is in range is another question.
///
/// # Errors
/// What is allowed.
pub fn decimal<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "use a number, such as 0.7".into())
}

fn whole<T: FromStr>(text: &str, allowed: &str) -> Result<T, String> {
    let is_too_large = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().map_err(|_| {
        if is_too_large { format!("{allowed} that fits in {} bits", 8 * size_of::<T>()) } else { allowed.into() }
    })
}
