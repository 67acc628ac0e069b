//! How much memory a backend has taken: every buffer is entered when it is made, and struck out when the last handle to it
//! is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What a backend holds at a moment, and has held at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct MemoryUse {
    /// Bytes of all buffers that there are, those of matrices and the backend's own among them.
    pub bytes: u64,
    /// The most that `bytes` has been.
    pub peak_bytes: u64,
    /// Buffers that there are.
    pub num_buffers: usize,
    /// Sets of buffers that were bound together and are kept for the next time. None on the CPU.
    pub num_bind_groups: usize,
    /// Compiled kernels. None on the CPU.
    pub num_pipelines: usize,
}

/// What a matrix takes in a backend's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatrixSize {
    /// Bytes of all its pieces.
    pub bytes: u64,
    /// Bindings that it was split into.
    pub num_pieces: usize,
}

/// The book of one backend. Clones write into the same book.
#[derive(Clone, Debug, Default)]
pub struct MemoryTracker(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicU64,
    peak_bytes: AtomicU64,
    num_buffers: AtomicUsize,
    num_struck_out: AtomicUsize,
}

/// A buffer's line in the book; it is struck out when this is dropped.
#[derive(Debug)]
pub struct Entry {
    bytes: u64,
    tracker: MemoryTracker,
}

impl MemoryTracker {
    /// Enters a buffer.
    pub fn enter(&self, bytes: u64) -> Entry {
        let now = self.0.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.0.peak_bytes.fetch_max(now, Ordering::Relaxed);
        self.0.num_buffers.fetch_add(1, Ordering::Relaxed);
        Entry { bytes, tracker: self.clone() }
    }

    /// What stands in the book; nothing but buffers does.
    pub fn sum(&self) -> MemoryUse {
        MemoryUse {
            bytes: self.0.bytes.load(Ordering::Relaxed),
            peak_bytes: self.0.peak_bytes.load(Ordering::Relaxed),
            num_buffers: self.0.num_buffers.load(Ordering::Relaxed),
            ..MemoryUse::default()
        }
    }

    /// Counts the most anew, from what there is now.
    pub fn forget_peak(&self) {
        self.0.peak_bytes.store(self.0.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Whether a buffer was struck out since this was asked last.
    pub fn take_struck_out(&self) -> bool {
        self.0.num_struck_out.swap(0, Ordering::Relaxed) > 0
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let counts = &self.tracker.0;
        counts.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        counts.num_buffers.fetch_sub(1, Ordering::Relaxed);
        counts.num_struck_out.fetch_add(1, Ordering::Relaxed);
    }
}

/// A copy of a buffer is another buffer.
impl Clone for Entry {
    fn clone(&self) -> Self {
        self.tracker.enter(self.bytes)
    }
}

impl std::ops::Add for MemoryUse {
    type Output = Self;

    /// Of two backends that run side by side. Their peaks need not have come at the same time; at start-up they do.
    fn add(self, other: Self) -> Self {
        Self {
            bytes: self.bytes + other.bytes,
            peak_bytes: self.peak_bytes + other.peak_bytes,
            num_buffers: self.num_buffers + other.num_buffers,
            num_bind_groups: self.num_bind_groups + other.num_bind_groups,
            num_pipelines: self.num_pipelines + other.num_pipelines,
        }
    }
}
