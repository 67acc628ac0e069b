//! A part of a message's content, as a template sees it. It notes what the template does with it.

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a template did with the parts of a message: whether it read a text, and whether it went through what a part is made of.
#[derive(Debug, Default)]
pub(super) struct Notes([AtomicBool; 2]);

impl Notes {
    /// Whether the template took the texts out of the parts. If it went through what a part is made of, it printed them
    /// whole, brackets and all, which no model has seen.
    pub(super) fn are_of_a_reader(&self) -> bool {
        let [read, gone_through] = &self.0;
        read.load(Relaxed) && !gone_through.load(Relaxed)
    }
}

/// `{"type": "text", "text": …}`.
#[derive(Debug)]
pub(super) struct Part {
    fields: Value,
    notes: Arc<Notes>,
}

impl Part {
    /// A part with `fields`.
    pub(super) fn value(fields: Value, notes: &Arc<Notes>) -> Value {
        Value::from_object(Self { fields, notes: Arc::clone(notes) })
    }

    /// Bytes of its text. To count them is not to read it.
    pub(super) fn text_bytes(&self) -> usize {
        self.fields.get_attr("text").ok().and_then(|text| text.as_str().map(str::len)).unwrap_or(0)
    }
}

impl Object for Part {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        if key.as_str() == Some("text") {
            self.notes.0[0].store(true, Relaxed);
        }
        self.fields.as_object()?.get_value(key)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.notes.0[1].store(true, Relaxed);
        Enumerator::Values(self.fields.try_iter().into_iter().flatten().collect())
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        self.fields.len()
    }
}
