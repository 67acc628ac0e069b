//! Which version of `linear` and of `gated_linear` runs, and with which tile.

use super::kernels::Kernel;
use super::row_order::RowOrder;
use super::variants::{Variant, WORKGROUP_SIZE};
use crate::backend::element_type::ElementType;

/// What the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct LinearShape {
    /// Rows of x.
    pub num_rows: u32,
    /// How the weight is stored.
    pub elements: ElementType,
    /// In which order its rows lie.
    pub order: RowOrder,
    /// Threads of a workgroup of the fast versions: src/backend/gpu/tuning.rs says how many.
    pub threads: u32,
}

impl Variant {
    /// `x · weightᵀ`
    pub fn linear(shape: LinearShape) -> Self {
        Self::of_versions([Kernel::Linear, Kernel::LinearInterleaved, Kernel::LinearTiles], shape)
    }

    /// `silu(x · gateᵀ) · (x · upᵀ)`
    pub fn gated_linear(shape: LinearShape) -> Self {
        Self::of_versions([Kernel::GatedLinear, Kernel::GatedLinearInterleaved, Kernel::GatedLinearTiles], shape)
    }

    /// The naive one, that for few rows, that for many. A few rows get a small tile, so that no thread computes rows that
    /// are not there.
    fn of_versions([naive, few, many]: [Kernel; 3], shape: LinearShape) -> Self {
        let LinearShape { num_rows, elements, order, threads } = shape;
        let (kernel, threads, row_tile) = match (order, num_rows) {
            (RowOrder::OneByOne, 0..=1) => (naive, WORKGROUP_SIZE, 1),
            (RowOrder::OneByOne, 2..=4) => (naive, WORKGROUP_SIZE, 4),
            (RowOrder::OneByOne, _) => (naive, WORKGROUP_SIZE, 8),
            (RowOrder::Interleaved, 0..=1) => (few, threads, 1),
            (RowOrder::Interleaved, 2..=4) => (few, threads, 4),
            (RowOrder::Interleaved, 5..=8) => (many, threads, 8),
            (RowOrder::Interleaved, _) => (many, threads, 16),
        };
        Self {
            kernel,
            overrides: vec![("WORKGROUP_SIZE", threads), ("ROW_TILE", row_tile), ("WEIGHT_TYPE", elements.code())],
        }
    }

    /// Workgroups of a linear of so many columns and rows.
    pub(super) fn linear_grid(&self, num_out: u32, num_rows: u32) -> [u32; 3] {
        let override_of = |name| self.value(name).unwrap_or(1);
        let columns = columns_of_a_thread(self.kernel) * override_of("WORKGROUP_SIZE");
        [num_out.div_ceil(columns), num_rows.div_ceil(override_of("ROW_TILE")), 1]
    }
}

/// `const OUTPUTS` of a linear's WGSL.
fn columns_of_a_thread(kernel: Kernel) -> u32 {
    match kernel {
        Kernel::LinearTiles => 8,
        Kernel::GatedLinear | Kernel::GatedLinearInterleaved => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_own_as_many_columns_as_their_wgsl_says() {
        use Kernel::*;
        for kernel in [Linear, LinearInterleaved, LinearTiles, GatedLinear, GatedLinearInterleaved, GatedLinearTiles] {
            let constant = format!("\nconst OUTPUTS = {}u;", columns_of_a_thread(kernel));
            assert!(kernel.source().wgsl().contains(&constant), "{kernel:?} has no {constant:?}");
        }
    }
}
