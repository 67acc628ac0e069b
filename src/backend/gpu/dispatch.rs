//! What every kernel call of the backend does: prepare a variant, find its grid, record it.

use super::device::DeviceBuffer;
use super::linear_variants::LinearShape;
use super::matrix::GpuMatrix;
use super::pipelines::PARAMS_BYTES;
use super::variants::{Lanes, Variant, WORKGROUP_SIZE};
use super::{GpuBackend, KernelParams};

impl GpuBackend {
    /// Bind groups keep their buffers alive, so they go when a buffer does. Nothing goes while stepping.
    pub(super) fn forget_what_is_gone(&mut self) {
        if self.device.tracker.take_struck_out() {
            self.pipelines.forget_bind_groups();
        }
    }

    /// Records one dispatch. `params` must match the kernel's, `buffers` its row of the kernel table.
    pub(super) fn record<P: KernelParams>(
        &mut self,
        variant: Variant,
        params: &P,
        buffers: &[&DeviceBuffer],
        grid: [u32; 3],
    ) {
        const { assert!(size_of::<P>() as u64 <= PARAMS_BYTES, "a kernel sees no more of its params than that") };
        if grid.contains(&0) {
            return;
        }
        self.pipelines.prepare(&self.device, &variant);
        let buffers = buffers.iter().map(|&buffer| wgpu::Buffer::clone(buffer)).collect();
        self.recorder.dispatch(variant, self.layer, bytemuck::bytes_of(params), buffers, grid);
    }

    /// The version of a linear follows from the rows; where it must not depend on them, all take that of many.
    pub(super) fn linear_shape(&self, num_rows: u32, weight: &GpuMatrix) -> LinearShape {
        LinearShape {
            num_rows: if self.deterministic { u32::MAX } else { num_rows },
            elements: weight.stored,
            order: weight.order,
            tuning: self.tuning,
        }
    }

    /// What the version of attention depends on.
    pub(super) fn lanes(&self) -> Lanes {
        Lanes { in_order: self.lanes_in_order, tuning: self.tuning }
    }

    /// One thread per vec4 of `len` words.
    pub(super) fn record_elementwise<P: KernelParams>(
        &mut self,
        variant: Variant,
        params: &P,
        len: u32,
        buffers: &[&DeviceBuffer],
    ) {
        let grid = self.grid((len / 4).div_ceil(WORKGROUP_SIZE), 1);
        self.record(variant, params, buffers, grid);
    }

    /// `count` workgroups over x and y, which hold 65,535 each; kernels take `y * num_workgroups.x + x`.
    pub(super) fn grid(&self, count: u32, z: u32) -> [u32; 3] {
        [count.min(self.max_workgroups), count.div_ceil(self.max_workgroups), z]
    }
}
