//! The KV cache as the host sees it: who owns which block. The keys and values themselves live in the backend.
//!
//! ```text
//! sequence of 6 tokens, block_size 4      pool of 8 blocks
//! position     0 1 2 3 │ 4 5 . .          block  0 1 2 3 4 5 6 7
//! block table        5 │ 2                       . . B . . A . .      A = logical block 0, B = logical block 1
//! slot of position 4 = 2 * 4 + 0
//! ```

use std::collections::VecDeque;

use crate::ids::BlockId;

/// The pool: which blocks are free, and how many tables refer to each of the others.
///
/// 1. [`allocate`](Self::allocate) hands out the block that has been free for longest, with one reference.
/// 2. [`retain`](Self::retain) adds a reference, when a second table takes the block in.
/// 3. [`release`](Self::release) drops one; with the last the block goes to the back of the free list.
#[derive(Clone, Debug)]
pub struct BlockAllocator {
    /// `[num_blocks]`
    ref_counts: Vec<u32>,
    /// Front: free for longest. Its capacity is `num_blocks` from the start, so it never grows.
    free: VecDeque<BlockId>,
}

impl BlockAllocator {
    /// A pool whose blocks are all free.
    pub fn new(num_blocks: usize) -> Self {
        Self { ref_counts: vec![0; num_blocks], free: (0..num_blocks as u32).map(BlockId).collect() }
    }

    /// Blocks in the pool.
    pub fn num_blocks(&self) -> usize {
        self.ref_counts.len()
    }

    /// Blocks nobody refers to.
    pub fn num_free(&self) -> usize {
        self.free.len()
    }

    /// Tables that refer to the block, counting a table twice that holds it twice.
    pub fn ref_count(&self, block: BlockId) -> u32 {
        self.ref_counts[block.0 as usize]
    }

    /// A block with one reference, or `None` when all are taken.
    pub fn allocate(&mut self) -> Option<BlockId> {
        let block = self.free.pop_front()?;
        debug_assert_eq!(self.ref_count(block), 0, "block {block} was free and referenced");
        self.ref_counts[block.0 as usize] = 1;
        Some(block)
    }

    /// Adds a reference to a block that has one already.
    ///
    /// # Panics
    /// If the block is free: its contents may be another sequence's by now.
    pub fn retain(&mut self, block: BlockId) {
        let count = &mut self.ref_counts[block.0 as usize];
        assert!(*count > 0, "block {block} is free and cannot be retained");
        *count += 1;
    }

    /// Drops a reference. The last one frees the block.
    ///
    /// # Panics
    /// If the block is free: handed out twice, it would mix two sequences.
    pub fn release(&mut self, block: BlockId) {
        let count = &mut self.ref_counts[block.0 as usize];
        assert!(*count > 0, "block {block} was released twice");
        *count -= 1;
        if *count == 0 {
            self.free.push_back(block);
        }
    }

    /// Checks that free + referenced = total, that no block is free twice, and that the reference count of every block
    /// is the number of its occurrences in `tables`: all the tables there are.
    ///
    /// # Errors
    /// A sentence that names the first block that does not add up.
    pub fn check_integrity<'a>(&self, tables: impl IntoIterator<Item = &'a BlockTable>) -> Result<(), String> {
        let mut occurrences = vec![0; self.num_blocks()];
        for &block in tables.into_iter().flat_map(BlockTable::blocks) {
            occurrences[block.0 as usize] += 1;
        }
        let mut is_free = vec![false; self.num_blocks()];
        for &block in &self.free {
            if std::mem::replace(&mut is_free[block.0 as usize], true) {
                return Err(format!("block {block} is in the free list twice"));
            }
        }
        for (block, (&count, &found)) in self.ref_counts.iter().zip(&occurrences).enumerate() {
            if count != found {
                return Err(format!("block {block} has {count} references and is in tables {found} times"));
            }
            if is_free[block] != (count == 0) {
                return Err(format!("block {block} has {count} references and is free: {}", is_free[block]));
            }
        }
        Ok(())
    }
}

/// The blocks of one sequence in logical order. It only grows while the sequence runs: a position keeps its slot.
#[derive(Debug, Default)]
pub struct BlockTable {
    blocks: Vec<BlockId>,
}

impl BlockTable {
    /// A table without blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The physical blocks in logical order.
    pub fn blocks(&self) -> &[BlockId] {
        &self.blocks
    }

    /// Blocks in the table.
    pub fn num_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Where the K and V of a position are.
    ///
    /// # Panics
    /// If the table does not reach as far as `position`.
    pub fn slot(&self, position: usize, block_size: usize) -> u32 {
        let block = self.blocks[position / block_size];
        block.0 * block_size as u32 + (position % block_size) as u32
    }

    /// Appends `num_blocks` blocks from the pool: all of them, or none when the pool has fewer.
    #[must_use]
    pub fn grow(&mut self, num_blocks: usize, allocator: &mut BlockAllocator) -> bool {
        if num_blocks > allocator.num_free() {
            return false;
        }
        self.blocks.extend((0..num_blocks).map_while(|_| allocator.allocate()));
        true
    }

    /// Gives all blocks back, last first: the head of a sequence is what another may share, so it is reused last. Returns
    /// them in logical order.
    pub fn release(&mut self, allocator: &mut BlockAllocator) -> Vec<BlockId> {
        self.blocks.iter().rev().for_each(|&block| allocator.release(block));
        std::mem::take(&mut self.blocks)
    }
}
