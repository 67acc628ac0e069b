//! How things stood while each step was computed: the log, played through.

use super::{Blocks, Entry, QueueHead, Step};
use crate::ids::{BlockId, RequestId};
use std::collections::{BTreeMap, BTreeSet};

/// Who holds which blocks, in logical order.
pub type BlockTables = BTreeMap<RequestId, Vec<BlockId>>;

/// How things stand at a place of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Who holds no blocks.
    pub waiting: BTreeSet<RequestId>,
    /// Who holds blocks, and which.
    pub tables: BlockTables,
    /// The first in the queue and why it waits.
    pub queue: Option<QueueHead>,
}

impl Standing {
    /// A step is computed: blocks have moved.
    pub fn begin(&mut self, step: &Step) {
        self.queue = step.queue.unwrap_or(self.queue);
        for freed in &step.freed {
            self.tables.remove(&freed.id);
            self.waiting.insert(freed.id);
        }
        for Blocks { id, blocks } in &step.taken {
            self.waiting.remove(id);
            self.tables.entry(*id).or_default().extend(blocks);
        }
    }

    /// A request has ended.
    pub fn end(&mut self, id: RequestId) {
        self.waiting.remove(&id);
        self.tables.remove(&id);
    }
}

/// Each step, and how things stood while it was computed.
pub(super) fn replay(entries: &[Entry]) -> impl Iterator<Item = (&Step, Standing)> {
    let mut now = Standing::default();
    entries.iter().filter_map(move |entry| {
        match entry {
            Entry::Run(_) => {}
            Entry::Submitted(request) => drop(now.waiting.insert(request.id)),
            Entry::Aborted(aborted) => now.end(aborted.id),
            Entry::Step(step) => {
                now.begin(step);
                let meanwhile = now.clone();
                step.finished.iter().for_each(|finished| now.end(finished.id));
                return Some((step, meanwhile));
            }
        }
        None
    })
}
