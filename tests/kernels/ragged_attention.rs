//! `ragged_attention`, mostly beside `paged_attention` in one batch as in a real step: chunks of prompts with and without
//! a cached prefix, decode rows between them.

use crate::attention::{self, Attention};
use crate::harness::*;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::kernel_set::KernelSet;
use libtest_mimic::Trial;

/// Chunks and decode rows; no length is a multiple of a tile.
const MIXED: [(usize, usize); 8] = [(0, 5), (15, 1), (1, 3), (0, 1), (16, 17), (33, 2), (17, 1), (3, 37)];

pub fn cases() -> Cases {
    boxed(attentions())
}

/// The same for the faster version. Where the device's subgroups are too small for it, they are cases of the naive version.
pub fn lanes_cases() -> Cases {
    // 32: one vec4 of V a lane. 96: three, and heads that the naive version's cases have not.
    let shape = |head_dim, group| Attention { head_dim, group, kernels: KernelSet::Fast, ..Attention::of(&MIXED) };
    let mut all = attention::for_lanes(attentions(), 128);
    all.extend([shape(32, 4), shape(96, 3)]);
    boxed(all)
}

fn attentions() -> Vec<Attention> {
    let mixed = Attention::of(&MIXED);
    let windowed = Attention { window: Some(5), ..mixed.clone() };
    let chunks = Attention { block_size: 8, ..Attention::of(&[(0, 70), (131, 70), (64, 64), (63, 65)]) };
    let one_query =
        Attention { ragged_only: true, ..Attention::of(&[(0, 1), (1, 1), (15, 1), (16, 1), (40, 1), (130, 1)]) };
    let grid = Attention { max_workgroups: Some(3), ..mixed.clone() };
    let alone = Attention::of(&[(0, 2)]);
    let mut all = vec![mixed, windowed, chunks, one_query, grid, alone, attention::uneven(&MIXED)];
    all.extend(attention::halves(&MIXED));
    all.extend(attention::extremes(&MIXED));
    all.extend(attention::windows(&[(0, 40), (100, 1), (70, 33), (0, 2), (20, 90)]));
    all.extend(attention::block_sizes(&[1, 2, 19]));
    all.extend(attention::shapes(&MIXED));
    let narrow = |head_dim| Attention { max_workgroup_bytes: Some(16 << 10), head_dim, ..Attention::of(&MIXED) };
    all.extend([64, 80, 128, 256].map(narrow));
    all
}

/// On the CPU a sequence gets the same bits whether its prompt is computed at once or in chunks, in whatever batch and
/// blocks.
pub fn cpu_trials() -> Vec<Trial> {
    let chunked = |len: usize, context_lens: &[usize]| {
        let last_row = |context_len: usize, block_size: usize, beside: &[(usize, usize)]| {
            let seqs = [&[(context_len, len - context_len)], beside].concat();
            let case = Attention { block_size, head_dim: 24, ..Attention::of(&seqs) };
            let out = case.run(&mut Lab(CpuBackend::default())).map(|outputs| outputs[0].words.clone())?;
            // All rows of the first sequence.
            let width = case.group * case.kv_heads * case.head_dim;
            Ok::<_, cb_lab::Error>(out[..(len - context_len) * width].to_vec())
        };
        let whole = last_row(0, 16, &[])?;
        for &context_len in context_lens {
            let chunk = last_row(context_len, [1, 4, 16, 64][context_len % 4], &[(7, 1), (0, 9)][..context_len % 3])?;
            if whole[whole.len() - chunk.len()..] != chunk[..] {
                return Err(format!("a chunk after {context_len} tokens differs from the whole prompt").into());
            }
        }
        Ok(())
    };
    let every = move || chunked(50, &Vec::from_iter(1..50));
    // Rows whose sequence is split where they are alone in their chunk.
    let long = move || chunked(1100, &[300, 511, 512, 513, 1024, 1099]);
    vec![
        Trial::test("ragged_attention/chunked is unchunked [cpu]", every),
        Trial::test("ragged_attention/long chunked is unchunked [cpu]", long),
    ]
}
