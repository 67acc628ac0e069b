//! `paged_attention`: batches of sequences with one query row each; and that `ragged_attention` agrees on them.

use crate::attention::{self, Attention};
use crate::harness::*;
use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::GpuOptions;
use cb_lab::backend::kernel_set::KernelSet;
use libtest_mimic::Trial;

/// Contexts around the lengths at which a sequence is split, and at which its splits become longer.
const LONG: [(usize, usize); 8] = [(0, 1), (510, 1), (511, 1), (512, 1), (1023, 1), (1100, 1), (4095, 1), (4096, 1)];
/// One sequence that is split, between two that are not, and one that is, just.
const SPLIT: [(usize, usize); 4] = [(70, 1), (1300, 1), (3, 1), (512, 1)];
/// Contexts around blocks of 16 and tiles of 64.
const DECODE: [(usize, usize); 10] =
    [(0, 1), (1, 1), (15, 1), (16, 1), (17, 1), (63, 1), (64, 1), (65, 1), (130, 1), (39, 1)];

pub fn cases() -> Cases {
    boxed(attentions())
}

/// The same for the faster version, whose heads are a multiple of 32 wide, up to 128. Where the device's subgroups are too
/// small for it, they are cases of the naive version.
pub fn lanes_cases() -> Cases {
    // 96: three vec4s of V a lane. 9 heads: two workgroups of five and four. 8: two full fours.
    let shape = |head_dim, group| Attention { head_dim, group, kernels: KernelSet::Fast, ..Attention::of(&DECODE) };
    let mut all = attention::for_lanes(attentions(), 128);
    all.extend([shape(32, 4), shape(96, 3), shape(96, 7), shape(128, 9), shape(64, 8)]);
    boxed(all)
}

fn attentions() -> Vec<Attention> {
    let decode = Attention::of(&DECODE);
    let windowed = Attention { window: Some(5), ..decode.clone() };
    // 128 wide: two slots a thread. 7 heads: the last workgroup of a group is full or not.
    let long = Attention { head_dim: 128, group: 7, ..Attention::of(&[(300, 1), (0, 1), (1027, 1)]) };
    let split = Attention::of(&LONG);
    let beside_prompts = Attention::of(&[(600, 1), (0, 5), (2000, 1), (30, 40), (9, 1)]);
    let grid = Attention { max_workgroups: Some(3), ..decode.clone() };
    let alone = Attention::of(&[(0, 1)]);
    let mut all = vec![decode, split, windowed, long, grid, alone, beside_prompts, attention::uneven(&DECODE)];
    all.extend(attention::halves(&DECODE));
    all.extend(attention::extremes(&DECODE));
    all.extend(attention::windows(&[(0, 1), (15, 1), (16, 1), (63, 1), (64, 1), (100, 1), (200, 1)]));
    all.extend(attention::block_sizes(&[1]));
    all.extend(attention::shapes(&DECODE));
    all.extend(splits());
    all
}

/// Splits of every kind.
fn splits() -> Vec<Attention> {
    let split = Attention::of(&SPLIT);
    let shape = |head_dim, group| Attention { head_dim, group, ..split.clone() };
    let windows = [511, 512, 513, 600, 1024].map(|window| Attention { window: Some(window), ..split.clone() });
    let moved = [(511, 1), (512, 1), (513, 1), (700, 1), (4500, 1)];
    let windowed = Attention { window: Some(600), ..Attention::of(&moved) };
    let blocks = [1, 8, 256].map(|block_size| Attention { block_size, head_dim: 32, ..split.clone() });
    let grid = Attention { max_workgroups: Some(3), ..split.clone() };
    let mut all = vec![windowed, grid, attention::uneven(&SPLIT)];
    all.extend(windows);
    all.extend(blocks);
    all.extend(
        [(8, 1), (24, 7), (64, 7), (64, 32), (80, 4), (96, 3), (128, 1), (128, 9), (256, 7)].map(|(h, g)| shape(h, g)),
    );
    all.extend(attention::halves(&SPLIT));
    all.extend(attention::extremes(&SPLIT));
    all
}

fn one_query(ragged_only: bool) -> Vec<Attention> {
    let case = |head_dim, group, window| Attention { ragged_only, head_dim, group, window, ..Attention::of(&DECODE) };
    let split = |window| Attention { ragged_only, window, ..Attention::of(&LONG) };
    vec![case(32, 1, None), case(80, 7, None), case(128, 4, Some(20)), split(None), split(Some(1030))]
}

/// On sequences with one query row the two kernels are the same function: the same bits on the CPU.
pub fn cpu_trials() -> Vec<Trial> {
    let same = || {
        for (paged, ragged) in one_query(false).iter().zip(&one_query(true)) {
            if paged.run(&mut Lab(CpuBackend::default()))?[0].words
                != ragged.run(&mut Lab(CpuBackend::default()))?[0].words
            {
                return Err(paged.name().into());
            }
        }
        Ok(())
    };
    let alone = || Ok(alone_or_not(&mut Lab(CpuBackend::default()), KernelSet::Fast)?);
    vec![
        Trial::test("paged_attention/ragged_attention is the same [cpu]", same),
        Trial::test("paged_attention/batch mates and blocks change no bit [cpu]", alone),
    ]
}

/// On a GPU, with either version.
pub fn mates_change_no_bit(gpu: &Gpu) -> Result<(), String> {
    for kernels in [KernelSet::Naive, KernelSet::Fast] {
        let options = GpuOptions { kernels, ..GpuOptions::default() };
        alone_or_not(&mut open(gpu, options).map_err(|failure| failure.to_string())?, kernels)?;
    }
    Ok(())
}

/// The row of a sequence that is split, and of one that is not, alone and beside others, in blocks of several sizes.
fn alone_or_not<B: Backend>(lab: &mut Lab<B>, kernels: KernelSet) -> Result<(), String> {
    for first in [(4096, 1), (300, 1)] {
        let mut expected: Option<Vec<u32>> = None;
        for beside in [&[][..], &[(5, 1)], &[(700, 1), (0, 9), (2000, 1), (1, 1)]] {
            for block_size in [16, 1, 256] {
                let seqs = [&[first], beside].concat();
                let case = Attention { block_size, head_dim: 64, kernels, ..Attention::of(&seqs) };
                let out = case.run(lab).map_err(|error| error.to_string())?.swap_remove(0);
                let row = &out.words[..case.group * case.kv_heads * case.head_dim];
                if *expected.get_or_insert_with(|| row.to_vec()) != row {
                    return Err(format!("{} with {kernels:?} kernels has other bits in its first row", case.name()));
                }
            }
        }
    }
    Ok(())
}

/// On a GPU: the same within the tolerance.
pub fn same_as_ragged(gpu: &Gpu) -> Result<(), String> {
    let mut lab = open(gpu, Default::default()).map_err(|failure| failure.to_string())?;
    for (paged, ragged) in one_query(false).iter().zip(&one_query(true)) {
        let out = paged.run(&mut lab).map_err(|error| error.to_string())?;
        let ragged_out = ragged.run(&mut lab).map_err(|error| error.to_string())?;
        compare(&out[0], &ragged_out[0], paged.tolerance())?;
    }
    Ok(())
}
