//! Which version of `linear` and of `gated_linear` runs, and with which tile.

use super::kernels::Kernel;
use super::row_order::RowOrder;
use super::tuning::{Settings, Tuning};
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
    /// What the fast versions are tuned for: not `Auto`.
    pub tuning: Tuning,
}

/// The kernels that compute the same.
struct Versions {
    naive: Kernel,
    /// For few rows, where a thread adds up a whole column.
    interleaved: Kernel,
    /// For few rows, where threads share the sum of a column.
    split: Kernel,
    /// For many rows.
    tiles: Kernel,
}

const LINEAR: Versions = Versions {
    naive: Kernel::Linear,
    interleaved: Kernel::LinearInterleaved,
    split: Kernel::LinearSplit,
    tiles: Kernel::LinearTiles,
};
const GATED_LINEAR: Versions = Versions {
    naive: Kernel::GatedLinear,
    interleaved: Kernel::GatedLinearInterleaved,
    split: Kernel::GatedLinearSplit,
    tiles: Kernel::GatedLinearTiles,
};
/// Threads that share the sums of a workgroup. 8 rows of them take 16 KiB of its memory: what every device has, and no more.
const SPLIT_THREADS: u32 = 128;

impl Variant {
    /// `x · weightᵀ`
    pub fn linear(shape: LinearShape) -> Self {
        Self::of_versions(&LINEAR, shape)
    }

    /// `silu(x · gateᵀ) · (x · upᵀ)`
    pub fn gated_linear(shape: LinearShape) -> Self {
        Self::of_versions(&GATED_LINEAR, shape)
    }

    /// A few rows get a small tile, so that no thread computes rows that are not there.
    fn of_versions(versions: &Versions, shape: LinearShape) -> Self {
        let LinearShape { num_rows, elements, order, tuning } = shape;
        let settings = Settings::of(tuning);
        let row_tile = match num_rows {
            0..=1 => 1,
            2..=4 => 4,
            5..=8 => 8,
            _ => settings.tile_rows,
        };
        let (kernel, threads, row_tile) = match order {
            RowOrder::OneByOne => (versions.naive, WORKGROUP_SIZE, row_tile.min(8)),
            RowOrder::Interleaved if num_rows <= settings.most_split_rows => (versions.split, SPLIT_THREADS, row_tile),
            RowOrder::Interleaved if num_rows <= 4 => (versions.interleaved, settings.linear_threads, row_tile),
            RowOrder::Interleaved => (versions.tiles, settings.linear_threads, row_tile),
        };
        Self {
            kernel,
            overrides: vec![("WORKGROUP_SIZE", threads), ("ROW_TILE", row_tile), ("WEIGHT_TYPE", elements.code())],
        }
    }

    /// Workgroups of a linear of so many columns and rows.
    pub(super) fn linear_grid(&self, num_out: u32, num_rows: u32) -> [u32; 3] {
        let override_of = |name| self.value(name).unwrap_or(1);
        let of_a_workgroup = matches!(self.kernel, Kernel::LinearSplit | Kernel::GatedLinearSplit);
        let columns = outputs(self.kernel) * if of_a_workgroup { 1 } else { override_of("WORKGROUP_SIZE") };
        [num_out.div_ceil(columns), num_rows.div_ceil(override_of("ROW_TILE")), 1]
    }
}

/// `const OUTPUTS` of a linear's WGSL: columns of a thread, or of a workgroup whose threads share them.
fn outputs(kernel: Kernel) -> u32 {
    match kernel {
        Kernel::LinearSplit => 16,
        Kernel::LinearTiles | Kernel::GatedLinearSplit => 8,
        Kernel::GatedLinear | Kernel::GatedLinearInterleaved => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_columns_as_the_wgsl_says() {
        use Kernel::*;
        for kernel in Kernel::ALL.into_iter().filter(|kernel| matches!(kernel.naive(), Linear | GatedLinear)) {
            let constant = format!("\nconst OUTPUTS = {}u;", outputs(kernel));
            assert!(kernel.source().wgsl().contains(&constant), "{kernel:?} has no {constant:?}");
        }
    }
}
