//! What `map`, `select` and the like give: in Jinja2 something to be gone through once. It counts as true even when nothing
//! is left in it, and it has no length, no elements by number and nothing to print.

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, Value};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// See above.
#[derive(Debug)]
pub struct Generator(Mutex<VecDeque<Value>>);

impl Generator {
    /// What was not taken yet.
    pub fn left(&self) -> MutexGuard<'_, VecDeque<Value>> {
        // A queue is whole after each of its calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Object for Generator {
    /// So that minijinja takes it for no list.
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let this = Arc::clone(self);
        Enumerator::Iter(Box::new(std::iter::from_fn(move || this.left().pop_front())))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        None
    }

    fn is_true(self: &Arc<Self>) -> bool {
        true
    }
}

/// Gives `elements` one after the other.
pub fn generator(elements: Vec<Value>) -> Value {
    Value::from_object(Generator(Mutex::new(elements.into())))
}

/// Whether a value is one.
pub fn is_generator(value: &Value) -> bool {
    value.downcast_object_ref::<Generator>().is_some()
}

/// For what a generator cannot do.
///
/// # Errors
/// If it is one.
pub fn refuse(value: &Value, what: &str) -> Result<(), Error> {
    if !is_generator(value) {
        return Ok(());
    }
    let what = format!("what a filter such as map, select, items or reverse gives {what}: put |list behind the filter");
    Err(Error::new(ErrorKind::InvalidOperation, what))
}
