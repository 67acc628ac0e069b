//! Calls into libraries that parse what a user gives. Some of them panic on input that nobody foresaw; a bad file must
//! not take the process down, so a panic becomes an error.
//!
//! The panic is still reported on stderr, since the hook that does it belongs to the whole program. Where panics abort,
//! as in a browser, they still do.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `call`; if it panics, `panicked` makes an error of the message.
///
/// What `call` borrows is only read, or is dropped after a panic: nobody sees it half changed.
///
/// # Errors
/// That of `call`, or that of its panic.
pub(super) fn catch_panic<T, E>(
    call: impl FnOnce() -> Result<T, E>,
    panicked: impl FnOnce(String) -> E,
) -> Result<T, E> {
    let outcome = catch_unwind(AssertUnwindSafe(call));
    outcome.unwrap_or_else(|payload| Err(panicked(format!("the library panicked: {}", message(&*payload)))))
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        let caught = |call: fn() -> Result<u32, String>| catch_panic(call, |message| message);
        assert_eq!(caught(|| Ok(3)), Ok(3));
        assert_eq!(caught(|| Err("no".into())), Err("no".into()));
        assert_eq!(caught(|| panic!("plain")), Err("the library panicked: plain".into()));
        assert_eq!(caught(|| panic!("{}", 1 + 1)), Err("the library panicked: 2".into()));
        let without = "the library panicked: without a message";
        assert_eq!(caught(|| std::panic::panic_any(3)), Err(without.into()));
    }
}
