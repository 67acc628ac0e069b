//! How much a rendering may make. A loop that doubles a text asks for a terabyte in forty turns.

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of text and lists that a rendering may make in all, kept or not. A prompt of a megabyte takes some megabytes.
pub const MAX_BYTES_MADE: usize = 64 << 20;
/// What an element of a list counts as.
const ELEMENT_BYTES: usize = 24;

#[derive(Debug, Default)]
struct BytesMade(AtomicUsize);

impl Object for BytesMade {}

/// Counts `bytes` more, before they are made.
pub fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    let made: Arc<BytesMade> = state.get_or_set_temp_object("bytes made", BytesMade::default);
    let before = made.0.fetch_add(bytes.min(MAX_BYTES_MADE + 1), Ordering::Relaxed);
    if before.saturating_add(bytes) <= MAX_BYTES_MADE {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOperation, format!("it makes more than {MAX_BYTES_MADE} bytes of text and lists")))
}

/// Counts a list of `len` elements.
pub fn charge_elements(state: &State, len: usize) -> Result<(), Error> {
    charge(state, len.saturating_mul(ELEMENT_BYTES))
}
