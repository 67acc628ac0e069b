//! The innermost loop for few rows of x: weights go from memory into registers, are unpacked there, and gone. Nothing is
//! stored meanwhile, so that the next weights are on their way while these are multiplied.

use super::ahead::Ahead;
use super::forms::{ACROSS, Brain, Form, Half, Int4, Int8, Single};
use super::panels::{LANES, Panel};
use super::unpack::{Visit, visit};
use crate::backend::element_type::ElementType;
use pulp::Simd;

/// Sums of panels that are multiplied together.
pub struct Sums<'a> {
    /// `[panels, rows]`
    pub values: &'a mut [[f32; LANES]],
    pub num_rows: usize,
}

/// `sums[panel][first_row + row][lane] += Σ_k x[k][row] · panels[panel][k][lane]`, as [`super::tile::multiply_tile`].
#[inline(always)]
pub fn multiply_packed<S: Simd>(
    simd: S,
    x: &[f32],
    panels: &[Panel<'_>],
    sums: &mut Sums<'_>,
    (first_row, rows): (usize, usize),
    ahead: &mut Ahead<'_>,
) {
    match panels[0].elements {
        ElementType::F32 => multiply_rows::<S, Single>(simd, x, panels, sums, (first_row, rows), ahead),
        ElementType::F16 => multiply_rows::<S, Half>(simd, x, panels, sums, (first_row, rows), ahead),
        ElementType::Bf16 => multiply_rows::<S, Brain>(simd, x, panels, sums, (first_row, rows), ahead),
        ElementType::Int8 => multiply_rows::<S, Int8>(simd, x, panels, sums, (first_row, rows), ahead),
        ElementType::Int4 => multiply_rows::<S, Int4>(simd, x, panels, sums, (first_row, rows), ahead),
    }
}

/// A sum is a chain of additions, each of which waits for the one before. One row has too few of them to keep a core busy, so
/// there the sums of two panels are added up in turns.
#[inline(always)]
fn multiply_rows<S: Simd, F: Form>(
    simd: S,
    x: &[f32],
    panels: &[Panel<'_>],
    sums: &mut Sums<'_>,
    (first_row, rows): (usize, usize),
    ahead: &mut Ahead<'_>,
) {
    match rows {
        12 => multiply_panels::<S, F, 12, 1>(simd, x, panels, sums, first_row, ahead),
        8 => multiply_panels::<S, F, 8, 1>(simd, x, panels, sums, first_row, ahead),
        6 => multiply_panels::<S, F, 6, 1>(simd, x, panels, sums, first_row, ahead),
        4 => multiply_panels::<S, F, 4, 1>(simd, x, panels, sums, first_row, ahead),
        2 => multiply_panels::<S, F, 2, 1>(simd, x, panels, sums, first_row, ahead),
        _ => multiply_panels::<S, F, 1, 2>(simd, x, panels, sums, first_row, ahead),
    }
}

#[inline(always)]
fn multiply_panels<S: Simd, F: Form, const ROWS: usize, const PANELS: usize>(
    simd: S,
    x: &[f32],
    panels: &[Panel<'_>],
    sums: &mut Sums<'_>,
    first_row: usize,
    ahead: &mut Ahead<'_>,
) {
    let (together, alone) = panels.as_chunks::<PANELS>();
    for (i, panels) in together.iter().enumerate() {
        let first = i * PANELS * sums.num_rows + first_row;
        multiply::<S, F, ROWS, PANELS>(simd, x, panels, &mut sums.values[first..], sums.num_rows, ahead);
    }
    for (i, panel) in alone.iter().enumerate() {
        let first = (together.len() * PANELS + i) * sums.num_rows + first_row;
        multiply::<S, F, ROWS, 1>(simd, x, &[*panel], &mut sums.values[first..], sums.num_rows, ahead);
    }
}

#[inline(always)]
fn multiply<S: Simd, F: Form, const ROWS: usize, const PANELS: usize>(
    simd: S,
    x: &[f32],
    panels: &[Panel<'_>; PANELS],
    sums: &mut [[f32; LANES]],
    num_rows: usize,
    ahead: &mut Ahead<'_>,
) {
    let (x, _) = x[..ROWS * panels[0].cols].as_chunks::<ROWS>();
    let across = ACROSS / S::F32_LANES;
    for vector in 0..across {
        let mut tile = Tile { x, totals: [[[simd.splat_f32s(0.0); 2]; ROWS]; PANELS], ahead };
        for panel in 0..PANELS {
            for row in 0..ROWS {
                let (sums, _) = S::as_simd_f32s(&sums[panel * num_rows + row]);
                tile.totals[panel][row] = [sums[vector], sums[vector + across]];
            }
        }
        visit::<S, F, PANELS>(simd, panels, vector, &mut tile);
        for panel in 0..PANELS {
            for row in 0..ROWS {
                let (sums, _) = S::as_mut_simd_f32s(&mut sums[panel * num_rows + row]);
                [sums[vector], sums[vector + across]] = tile.totals[panel][row];
            }
        }
    }
}

struct Tile<'a, 'b, S: Simd, const ROWS: usize, const PANELS: usize> {
    /// `[columns]`
    x: &'a [[f32; ROWS]],
    totals: [[[S::f32s; 2]; ROWS]; PANELS],
    ahead: &'a mut Ahead<'b>,
}

impl<S: Simd, const ROWS: usize, const PANELS: usize> Visit<S> for Tile<'_, '_, S, ROWS, PANELS> {
    #[inline(always)]
    fn line(&mut self) {
        for _ in 0..PANELS {
            self.ahead.fetch();
        }
    }

    #[inline(always)]
    fn column(&mut self, simd: S, panel: usize, col: usize, left: S::f32s, right: S::f32s) {
        if let Some(x) = self.x.get(col) {
            for row in 0..ROWS {
                let x = simd.splat_f32s(x[row]);
                let totals = &mut self.totals[panel][row];
                totals[0] = simd.mul_add_f32s(x, left, totals[0]);
                totals[1] = simd.mul_add_f32s(x, right, totals[1]);
            }
        }
    }
}
