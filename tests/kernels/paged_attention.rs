//! `paged_attention`: batches of sequences with one query row each; and that `ragged_attention` agrees on them.

use crate::attention::{self, Attention};
use crate::harness::*;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::gpu::KernelSet;
use libtest_mimic::Trial;

/// Contexts around blocks of 16 and tiles of 64.
const DECODE: [(usize, usize); 10] =
    [(0, 1), (1, 1), (15, 1), (16, 1), (17, 1), (63, 1), (64, 1), (65, 1), (130, 1), (39, 1)];

pub fn cases() -> Cases {
    boxed(attentions())
}

/// The same for the faster version, whose heads are a multiple of 32 wide, up to 128. Where the device's subgroups are too
/// small for it, they are cases of the textbook's.
pub fn lanes_cases() -> Cases {
    // 96: three vec4s of V a lane. 9 heads: two workgroups of five and four. 8: two full fours.
    let shape = |head_dim, group| Attention { head_dim, group, kernels: KernelSet::Fast, ..Attention::of(&DECODE) };
    let mut all = attention::for_lanes(attentions(), 128);
    all.extend([shape(32, 4), shape(96, 3), shape(128, 9), shape(64, 8)]);
    boxed(all)
}

fn attentions() -> Vec<Attention> {
    let decode = Attention::of(&DECODE);
    let windowed = Attention { window: Some(5), ..decode.clone() };
    // 128 wide: two slots a thread. 7 heads: the last workgroup of a group is full or not.
    let long = Attention { head_dim: 128, group: 7, ..Attention::of(&[(300, 1), (0, 1), (1027, 1)]) };
    let grid = Attention { max_workgroups: Some(3), ..decode.clone() };
    let alone = Attention::of(&[(0, 1)]);
    let mut all = vec![decode, windowed, long, grid, alone, attention::uneven(&DECODE)];
    all.extend(attention::halves(&DECODE));
    all.extend(attention::extremes(&DECODE));
    all.extend(attention::windows(&[(0, 1), (15, 1), (16, 1), (63, 1), (64, 1), (100, 1), (200, 1)]));
    all.extend(attention::block_sizes(&[1]));
    all.extend(attention::shapes(&DECODE));
    all
}

fn one_query(ragged_only: bool) -> Vec<Attention> {
    let case = |head_dim, group, window| Attention { ragged_only, head_dim, group, window, ..Attention::of(&DECODE) };
    vec![case(32, 1, None), case(80, 7, None), case(128, 4, Some(20))]
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
    vec![Trial::test("paged_attention/ragged_attention is the same [cpu]", same)]
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
