//! The block pool against a naive one: two lists.

use cb_lab::BlockId;
use cb_lab::core::kv_cache::{BlockAllocator, BlockTable};
use proptest::prelude::*;

use crate::seeded;

#[derive(Clone, Debug)]
enum Operation {
    Allocate,
    Retain(usize),
    Release(usize),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        3 => Just(Operation::Allocate),
        1 => any::<usize>().prop_map(Operation::Retain),
        3 => any::<usize>().prop_map(Operation::Release),
    ];
    prop::collection::vec(operation, 1..80)
}

proptest! {
    #![proptest_config(seeded(3))]

    #[test]
    fn agrees_with_two_lists(num_blocks in 1..12_usize, operations in operations()) {
        let mut pool = BlockAllocator::new(num_blocks);
        let mut free: Vec<_> = (0..num_blocks as u32).map(BlockId).collect();
        let mut references: Vec<BlockId> = Vec::new(); // a block once per reference
        for operation in operations {
            match operation {
                Operation::Allocate => {
                    let expected = (!free.is_empty()).then(|| free.remove(0));
                    prop_assert_eq!(pool.allocate(), expected, "the block free for longest");
                    references.extend(expected);
                }
                Operation::Retain(nth) if !references.is_empty() => {
                    let block = references[nth % references.len()];
                    pool.retain(block);
                    references.push(block);
                }
                Operation::Release(nth) if !references.is_empty() => {
                    let block = references.swap_remove(nth % references.len());
                    pool.release(block);
                    free.extend((!references.contains(&block)).then_some(block));
                }
                _ => {}
            }
            prop_assert_eq!(pool.num_free(), free.len());
            prop_assert_eq!(pool.num_blocks(), num_blocks);
            for block in (0..num_blocks as u32).map(BlockId) {
                prop_assert_eq!(pool.ref_count(block) as usize, references.iter().filter(|b| **b == block).count());
            }
        }
    }
}

#[test]
fn a_table_takes_all_blocks_or_none_and_gives_them_back_last_first() {
    let mut pool = BlockAllocator::new(4);
    let mut table = BlockTable::new();
    assert!(table.grow(3, &mut pool));
    assert!(!table.grow(2, &mut pool), "one is left");
    assert_eq!((table.blocks(), pool.num_free()), ([0, 1, 2].map(BlockId).as_slice(), 1));
    assert_eq!([0, 3, 4, 11].map(|position| table.slot(position, 4)), [0, 3, 4, 11]);

    table.release(&mut pool);
    let order: Vec<_> = std::iter::from_fn(|| pool.allocate()).collect();
    assert_eq!(order, [3, 2, 1, 0].map(BlockId), "3 was free for longest, then the tail of the sequence");
}

#[test]
fn integrity_names_the_block_that_does_not_add_up() {
    let mut pool = BlockAllocator::new(2);
    let mut table = BlockTable::new();
    assert!(table.grow(1, &mut pool));
    assert_eq!(pool.check_integrity([&table]), Ok(()));
    assert_eq!(pool.check_integrity([]), Err("block 0 has 1 references and is in tables 0 times".into()));
    assert_eq!(pool.check_integrity([&table, &table]), Err("block 0 has 1 references and is in tables 2 times".into()));
}
