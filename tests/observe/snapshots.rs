//! What is worked out from the log is what the engine had.

use super::Steps;
use super::recording::{recording, recording_with_batches};
use cb_lab::RequestId;
use cb_lab::core::ragged_mask::RaggedMask;
use cb_lab::core::request::FinishReason;
use cb_lab::observe::snapshots::{TokenKind, snapshots};
use cb_lab::observe::views::budget_use;

#[test]
fn the_token_table_and_its_mask_are_those_of_the_batch() {
    let (recording, batches) = recording_with_batches(Steps::OneByOne);
    let snapshots = snapshots(&recording);
    assert_eq!(snapshots.len(), batches.len());
    for (snapshot, batch) in snapshots.iter().zip(&batches) {
        let column = |of: fn(&_) -> usize| snapshot.tokens.iter().map(|token| of(token) as u32).collect::<Vec<_>>();
        assert_eq!(column(|token| token.position), batch.positions);
        assert_eq!(column(|token| token.slot), batch.slot_mapping);
        let mask = RaggedMask::new(batch);
        for (row, query) in snapshot.tokens.iter().enumerate() {
            for (column, key) in snapshot.tokens.iter().enumerate() {
                assert_eq!(query.attends_to(key), mask.attends(row, column), "row {row}, column {column}");
            }
        }
    }
}

#[test]
fn queues_are_told_apart() {
    let recording = recording();
    let queues: Vec<_> = snapshots(&recording)
        .into_iter()
        .map(|snapshot| {
            let ids = |ids: &[RequestId]| ids.iter().map(|id| id.0).collect::<Vec<_>>();
            let ended: Vec<_> = snapshot.ended.iter().map(|(id, why)| (id.0, *why)).collect();
            (ids(&snapshot.waiting), ids(&snapshot.running), ended)
        })
        .collect();
    let aborted = (2, FinishReason::Abort);
    assert_eq!(queues[0], (vec![], vec![0, 1, 2], vec![]));
    assert_eq!(queues[1], (vec![2], vec![0, 1], vec![]), "preempted");
    assert_eq!(queues[3], (vec![3], vec![0, 1], vec![aborted]), "3 came after step 3");
    assert_eq!(queues[5], (vec![1, 3], vec![0], vec![aborted]));
    assert_eq!(queues[7], (vec![], vec![1, 3], vec![aborted, (0, FinishReason::Length)]), "0 ended with step 7");
}

/// In step 8 request 1 computes 15 tokens for the second time, and its newest with them; request 3 its prompt.
#[test]
fn what_is_computed_again_is_told_apart_from_prompts() {
    let recording = recording();
    let snapshots = snapshots(&recording);
    let counts = [TokenKind::Decode, TokenKind::Prefill, TokenKind::Recomputed].map(|kind| snapshots[7].count(kind));
    assert_eq!(counts, [0, 2, 16]);
    for (snapshot, used) in snapshots.iter().zip(budget_use(&recording)) {
        assert_eq!(snapshot.count(TokenKind::Decode), used.decode);
        assert_eq!(snapshot.tokens.len(), used.decode + used.prefill);
    }
}

#[test]
fn a_block_has_an_owner_for_each_table_that_holds_it() {
    let recording = recording();
    let snapshots = snapshots(&recording);
    let owners = snapshots[0].owners(8);
    let held = |id: u64| owners.iter().filter(|owners| **owners == [RequestId(id)]).count();
    assert_eq!([held(0), held(1), held(2)], [3, 3, 1]);
    assert_eq!(owners.iter().filter(|owners| owners.is_empty()).count(), snapshots[0].step.free_blocks);
}
