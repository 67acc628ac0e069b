//! How far the weights are read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of weights that were read, of all: for whoever shows it meanwhile, in another thread.
#[derive(Clone, Debug)]
pub struct Reading {
    bytes: Arc<AtomicU64>,
    all_bytes: u64,
}

impl Reading {
    pub(super) fn of(all_bytes: u64) -> Self {
        Self { bytes: Arc::default(), all_bytes }
    }

    pub(super) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Begins again: some are read to be compared before all are loaded.
    pub fn restart(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// 0 to 100. Tensors that nobody reads count, too, so it may end below 100.
    pub fn percent(&self) -> u64 {
        let bytes = self.bytes.load(Ordering::Relaxed).min(self.all_bytes);
        bytes.saturating_mul(100).checked_div(self.all_bytes).unwrap_or(100)
    }
}
