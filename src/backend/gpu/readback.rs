//! What is read back of a submission. Who drops one unread gives its buffers back, too.

use super::device::DeviceBuffer;
use super::timer::Timer;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Submissions that may be in flight without a buffer being made.
pub(super) const MOST_IN_FLIGHT: usize = 2;

/// What one submission is read back with.
pub(super) struct Slot {
    /// Where its words are copied to.
    pub mappable: DeviceBuffer,
    /// Where kernels are timed, and can be.
    pub timer: Option<Timer>,
}

/// The slots in nobody's hands.
#[derive(Clone, Default)]
pub(super) struct Slots(Arc<Mutex<Vec<Slot>>>);

impl Slots {
    /// A thread that panics between two lines below leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One whose buffer has so many bytes.
    pub fn take(&self, bytes: u64) -> Option<Slot> {
        let mut slots = self.lock();
        let fits = slots.iter().position(|slot| slot.mappable.size() >= bytes)?;
        Some(slots.swap_remove(fits))
    }

    pub fn give_back(&self, slot: Slot) {
        let mut slots = self.lock();
        if slots.len() < MOST_IN_FLIGHT {
            slots.push(slot);
        }
    }

    /// Changes each that is in nobody's hands.
    pub fn for_each(&self, change: impl FnMut(&mut Slot)) {
        self.lock().iter_mut().for_each(change);
    }
}

/// The first words of a buffer as a submission leaves them.
pub struct Readback {
    slot: Option<Slot>,
    slots: Slots,
    pub(super) len: usize,
    pub(super) submission: wgpu::SubmissionIndex,
}

impl Readback {
    pub(super) fn new(slot: Slot, slots: &Slots, len: usize, submission: wgpu::SubmissionIndex) -> Self {
        Self { slot: Some(slot), slots: slots.clone(), len, submission }
    }

    /// The slot, to read. Whoever could give it back then: a buffer that could not be read is not used again.
    pub(super) fn into_slot(mut self) -> Option<Slot> {
        self.slot.take()
    }
}

impl Drop for Readback {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.slots.give_back(slot);
        }
    }
}
