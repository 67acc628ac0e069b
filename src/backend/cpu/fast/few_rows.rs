//! The innermost loop for few rows of x: weights go from memory into registers, are unpacked there, and gone. Nothing is
//! stored meanwhile, so that the next weights are on their way while these are multiplied.

use super::ahead::Ahead;
use super::forms::{ACROSS, Brain, Form, Half, Int4, Int8, Single};
use super::panels::{LANES, Panel};
use super::unpack::{Visit, visit};
use crate::backend::element_type::ElementType;
use pulp::Simd;

/// `sums[row][lane] += Σ_k x[k][row] · panel[k][lane]`, as [`super::tile::multiply_tile`].
#[inline(always)]
pub fn multiply_packed<S: Simd>(
    simd: S,
    x: &[f32],
    panel: Panel<'_>,
    sums: &mut [[f32; LANES]],
    ahead: &mut Ahead<'_>,
) {
    match panel.elements {
        ElementType::F32 => multiply_rows::<S, Single>(simd, x, panel, sums, ahead),
        ElementType::F16 => multiply_rows::<S, Half>(simd, x, panel, sums, ahead),
        ElementType::Bf16 => multiply_rows::<S, Brain>(simd, x, panel, sums, ahead),
        ElementType::Int8 => multiply_rows::<S, Int8>(simd, x, panel, sums, ahead),
        ElementType::Int4 => multiply_rows::<S, Int4>(simd, x, panel, sums, ahead),
    }
}

#[inline(always)]
fn multiply_rows<S: Simd, F: Form>(
    simd: S,
    x: &[f32],
    panel: Panel<'_>,
    sums: &mut [[f32; LANES]],
    ahead: &mut Ahead<'_>,
) {
    match sums.len() {
        12 => multiply::<S, F, 12>(simd, x, panel, sums, ahead),
        8 => multiply::<S, F, 8>(simd, x, panel, sums, ahead),
        6 => multiply::<S, F, 6>(simd, x, panel, sums, ahead),
        4 => multiply::<S, F, 4>(simd, x, panel, sums, ahead),
        2 => multiply::<S, F, 2>(simd, x, panel, sums, ahead),
        _ => sums.chunks_exact_mut(1).for_each(|sums| multiply::<S, F, 1>(simd, x, panel, sums, ahead)),
    }
}

#[inline(always)]
fn multiply<S: Simd, F: Form, const ROWS: usize>(
    simd: S,
    x: &[f32],
    panel: Panel<'_>,
    sums: &mut [[f32; LANES]],
    ahead: &mut Ahead<'_>,
) {
    let (x, _) = x[..ROWS * panel.cols].as_chunks::<ROWS>();
    let across = ACROSS / S::F32_LANES;
    for vector in 0..across {
        let mut tile = Tile { x, totals: [[simd.splat_f32s(0.0); 2]; ROWS], ahead };
        for (totals, sums) in tile.totals.iter_mut().zip(&*sums) {
            let (sums, _) = S::as_simd_f32s(sums);
            *totals = [sums[vector], sums[vector + across]];
        }
        visit::<S, F>(simd, panel, vector, &mut tile);
        for (totals, sums) in tile.totals.iter().zip(&mut *sums) {
            let (sums, _) = S::as_mut_simd_f32s(sums);
            [sums[vector], sums[vector + across]] = *totals;
        }
    }
}

struct Tile<'a, 'b, S: Simd, const ROWS: usize> {
    /// `[columns]`
    x: &'a [[f32; ROWS]],
    totals: [[S::f32s; 2]; ROWS],
    ahead: &'a mut Ahead<'b>,
}

impl<S: Simd, const ROWS: usize> Visit<S> for Tile<'_, '_, S, ROWS> {
    #[inline(always)]
    fn line(&mut self, num_lines: usize) {
        for _ in 0..num_lines {
            self.ahead.read_line();
        }
    }

    #[inline(always)]
    fn column(&mut self, simd: S, col: usize, left: S::f32s, right: S::f32s) {
        if let Some(x) = self.x.get(col) {
            for row in 0..ROWS {
                let x = simd.splat_f32s(x[row]);
                self.totals[row][0] = simd.mul_add_f32s(x, left, self.totals[row][0]);
                self.totals[row][1] = simd.mul_add_f32s(x, right, self.totals[row][1]);
            }
        }
    }
}
