//! How much a rendering may make and read, and for how long. A loop that doubles a text asks for a terabyte in forty turns,
//! and one that searches a long text a hundred thousand times takes minutes.

use minijinja::value::Object;
use minijinja::{Error, ErrorKind, State};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use web_time::Instant;

/// Bytes of text and lists that a rendering may make in all, kept or not. A prompt of a megabyte takes some megabytes.
pub const MAX_BYTES_MADE: usize = 64 << 20;
/// Bytes of text and lists that it may search and compare. A prompt of a megabyte takes some dozens of megabytes.
const MAX_BYTES_READ: usize = 1 << 30;
/// What the two above do not see, ends here.
const MAX_TIME: Duration = Duration::from_secs(5);
/// What an element of a list counts as.
const ELEMENT_BYTES: usize = 24;

#[derive(Debug)]
struct Spent {
    made: AtomicUsize,
    read: AtomicUsize,
    began: Instant,
}

impl Object for Spent {}

fn spent(state: &State) -> Arc<Spent> {
    let new = || Spent { made: AtomicUsize::new(0), read: AtomicUsize::new(0), began: Instant::now() };
    state.get_or_set_temp_object("spent", new)
}

fn add(total: &AtomicUsize, bytes: usize, most: usize) -> bool {
    let before = total.fetch_add(bytes.min(most + 1), Ordering::Relaxed);
    before.saturating_add(bytes) <= most
}

/// Counts `bytes` more, before they are made.
pub fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    if add(&spent(state).made, bytes, MAX_BYTES_MADE) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidOperation, format!("it makes more than {MAX_BYTES_MADE} bytes of text and lists")))
}

/// Counts a list of `len` elements.
pub fn charge_elements(state: &State, len: usize) -> Result<(), Error> {
    charge(state, len.saturating_mul(ELEMENT_BYTES))
}

/// Counts `bytes` more that are read, and looks at the clock.
pub fn read(state: &State, bytes: usize) -> Result<(), Error> {
    let spent = spent(state);
    if add(&spent.read, bytes, MAX_BYTES_READ) && spent.began.elapsed() < MAX_TIME {
        return Ok(());
    }
    Err(Error::from(ErrorKind::OutOfFuel))
}
