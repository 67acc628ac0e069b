//! The block tables by what plans and events say of them, and by nothing else.

use std::collections::BTreeMap;

use cb_lab::core::scheduler::Scheduler;
use cb_lab::core::step_plan::{BlockChange, Event};
use cb_lab::{BlockId, RequestId};

/// Block tables that follow changes one by one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mirror {
    tables: BTreeMap<RequestId, Vec<BlockId>>,
}

impl Mirror {
    pub fn follow<'a>(&mut self, changes: impl IntoIterator<Item = &'a BlockChange>) {
        for change in changes {
            match *change {
                BlockChange::Taken { id, block } => self.tables.entry(id).or_default().push(block),
                BlockChange::Released { id, block } => {
                    let table = self.tables.get_mut(&id).unwrap_or_else(|| panic!("{id} holds nothing"));
                    assert_eq!(table.remove(0), block, "request {id} releases its blocks in logical order");
                    if table.is_empty() {
                        self.tables.remove(&id);
                    }
                }
            }
        }
    }

    /// Who ends or has outgrown its K and V releases all.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Finished { id, .. } | Event::Outgrown { id } => self.forget(*id),
            Event::Preempted { .. } | Event::Token { .. } => {}
        }
    }

    pub fn forget(&mut self, id: RequestId) {
        self.tables.remove(&id);
    }

    pub fn check(&self, scheduler: &Scheduler) {
        let tables = scheduler.running().map(|sequence| (sequence.id(), sequence.block_table().blocks().to_vec()));
        assert_eq!(self.tables, tables.collect(), "plans and events say who holds which blocks");
    }
}
