//! The GPU backend: WGSL kernels through wgpu. The only place that knows wgpu.
//!
//! A kernel call records a dispatch; [`Backend::submit`] submits all of them at once, with one buffer to be read back.

mod calibrate;
mod device;
mod dispatch;
mod kernels;
mod linear_variants;
mod mapped;
mod matrix;
mod options;
mod pipelines;
mod readback;
mod recorder;
mod row_order;
mod storage;
mod subgroups;
mod timer;
mod tuning;
mod variants;
mod variants_in_use;

pub use device::{AdapterReport, Adapters, Best};
pub use kernels::{Access, Kernel, KernelSource, StandIn, composed, with_shuffled_x, with_u64_loads};
pub use linear_variants::LinearShape;
pub use matrix::GpuMatrix;
pub use options::GpuOptions;
pub use pipelines::PARAMS_BYTES;
pub use subgroups::for_browsers;
pub use tuning::Tuning;
pub use variants::{Lanes, Variant};

use super::element_type::ElementType;
use super::kernel_set::KernelSet;
use super::memory_tracker::{MatrixSize, MemoryUse};
use super::params::*;
use super::{Backend, HeadTables, KernelTime, KvPool, StepSize};
use crate::error::{Error, Result};
use device::{Device, DeviceBuffer};
use matrix::Layout;
use pipelines::Pipelines;
pub use readback::Readback;
use recorder::Recorder;
use row_order::RowOrder;
use storage::{SMALLEST_BUFFER, storage_buffer, stored_bytes};
use tuning::Settings;
use variants::WORKGROUP_SIZE;

/// Runs the kernels on one device.
pub struct GpuBackend {
    device: Device,
    pipelines: Pipelines,
    recorder: Recorder,
    /// Bound where a linear has no bias and where heads have no norms.
    nothing: GpuBuffer,
    max_binding_bytes: u64,
    max_workgroup_bytes: u32,
    max_workgroups: u32,
    /// Of all matrices.
    num_pieces: usize,
    kernels: KernelSet,
    /// So many neighbouring threads are neighbouring lanes of one subgroup.
    lanes_in_order: u32,
    tuning: Tuning,
    deterministic: bool,
    /// What the kernels being recorded belong to.
    layer: Option<usize>,
}

/// Words on the device.
#[derive(Clone, Debug)]
pub struct GpuBuffer(DeviceBuffer);

impl GpuBackend {
    /// Opens a device on the adapter.
    ///
    /// # Errors
    /// [`Error::NoGpu`] if the driver refuses, [`Error::Device`] if the device fails at once.
    pub async fn new(adapter: &wgpu::Adapter, options: GpuOptions) -> Result<Self> {
        let tuning = options.tuning.resolved(adapter.get_info().device_type);
        let device = Device::open(adapter, Settings::of(tuning)).await?;
        let largest = device.limits.max_storage_buffer_binding_size.min(device.limits.max_buffer_size);
        let workgroup = device.limits.max_compute_workgroup_storage_size;
        let workgroups = device.limits.max_compute_workgroups_per_dimension;
        let lanes_in_order = match (options.kernels, options.lanes) {
            (KernelSet::Naive, _) => 1,
            (KernelSet::Fast, Some(lanes)) => lanes,
            (KernelSet::Fast, None) => subgroups::lanes_in_order(&device).await?,
        };
        let nothing = GpuBuffer(storage_buffer(&device, "nothing", SMALLEST_BUFFER)?);
        Ok(Self {
            recorder: Recorder::new(&device, options.time_kernels),
            pipelines: Pipelines::new(options.wgsl),
            nothing,
            max_binding_bytes: options.max_binding_bytes.map_or(largest, |bytes| bytes.min(largest)),
            max_workgroup_bytes: options.max_workgroup_bytes.map_or(workgroup, |bytes| bytes.min(workgroup)),
            max_workgroups: options.max_workgroups.map_or(workgroups, |count| count.min(workgroups)),
            num_pieces: 0,
            kernels: options.kernels,
            lanes_in_order,
            tuning,
            deterministic: options.deterministic,
            layer: None,
            device,
        })
    }

    /// Which kernels run. Where lanes cannot hand values round, those that want it are naive, whatever was asked for:
    /// attention, and on a software driver all.
    pub fn kernel_set(&self) -> KernelSet {
        if self.has_fast_linears() { KernelSet::Fast } else { KernelSet::Naive }
    }

    /// Takes the device away, as a driver that was reset does. For tests: every call from now on fails with
    /// [`Error::DeviceLost`].
    pub fn lose_device(&self) {
        self.device.device.destroy();
    }

    /// What the fast kernels are tuned for: not `Auto`.
    pub fn tuning(&self) -> Tuning {
        self.tuning
    }

    /// Whether the faster versions of the linears may run.
    fn has_fast_linears(&self) -> bool {
        self.kernels == KernelSet::Fast && (self.lanes_in_order >= 8 || !self.device.settings.shuffles_x)
    }

    /// How the rows of a matrix of so many columns lie in memory.
    fn row_order(&self, cols: usize) -> RowOrder {
        if self.has_fast_linears() { RowOrder::best(cols) } else { RowOrder::OneByOne }
    }
}

impl Backend for GpuBackend {
    type Buffer = GpuBuffer;
    type Matrix = GpuMatrix;
    type Readback = Readback;

    fn name(&self) -> String {
        let info = &self.device.info;
        format!("{} ({:?}, {} {})", info.name, info.backend, info.driver, info.driver_info)
    }

    fn max_buffer_words(&self) -> usize {
        (self.max_binding_bytes / 4) as usize
    }

    fn memory(&self) -> MemoryUse {
        let (num_bind_groups, num_pipelines) = self.pipelines.kept();
        MemoryUse { num_bind_groups, num_pipelines, ..self.device.tracker.sum() }
    }

    fn buffer_bytes(&self, len: usize) -> u64 {
        stored_bytes(4 * len as u64)
    }

    fn matrix_size(&self, rows: usize, cols: usize, elements: ElementType) -> Result<MatrixSize> {
        Ok(Layout::new([rows, cols], elements, self.row_order(cols), self.max_binding_bytes)?.size())
    }

    fn own_bytes(&self, step: StepSize, num_pieces: usize) -> u64 {
        let readback_bytes = 4 * step.num_download_words as u64;
        SMALLEST_BUFFER + self.recorder.bytes(num_dispatches(step, num_pieces), readback_bytes)
    }

    fn alloc(&mut self, label: &str, len: usize) -> Result<GpuBuffer> {
        self.forget_what_is_gone();
        let bytes = 4 * len as u64;
        if bytes > self.max_binding_bytes {
            return Err(Error::Device(format!(
                "{label} needs {bytes} bytes and this device binds at most {}",
                self.max_binding_bytes
            )));
        }
        Ok(GpuBuffer(storage_buffer(&self.device, label, bytes)?))
    }

    fn reserve(&mut self, step: StepSize) -> Result<()> {
        let num_dispatches = num_dispatches(step, self.num_pieces);
        let readback_bytes = 4 * step.num_download_words as u64;
        self.recorder.reserve(&self.device, &mut self.pipelines, num_dispatches, readback_bytes);
        self.device.check()
    }

    fn upload(&mut self, buffer: &mut GpuBuffer, offset: usize, words: &[u32]) {
        self.device.queue.write_buffer(&buffer.0, 4 * offset as u64, bytemuck::cast_slice(words));
    }

    fn alloc_matrix(&mut self, label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<GpuMatrix> {
        self.forget_what_is_gone();
        let order = self.row_order(cols);
        let matrix = GpuMatrix::alloc(&self.device, label, [rows, cols], elements, order, self.max_binding_bytes)?;
        self.num_pieces += matrix.pieces.len();
        Ok(matrix)
    }

    fn upload_rows(&mut self, matrix: &mut GpuMatrix, first_row: usize, values: &[f32]) {
        matrix.upload(&self.device, first_row, values);
    }

    async fn flush(&mut self) -> Result<()> {
        let nothing = self.nothing.clone();
        self.download(&nothing, 0).await.map(|_| ())
    }

    fn submit(&mut self, buffer: &GpuBuffer, len: usize) -> Result<Readback> {
        self.recorder.submit(&self.device, &mut self.pipelines, &buffer.0, len)
    }

    async fn read(&mut self, readback: Readback) -> Result<Vec<u32>> {
        self.recorder.read(&self.device, readback).await
    }

    fn overlaps(&self) -> bool {
        true
    }

    fn batch_invariant(&self) -> bool {
        self.deterministic
    }

    fn enter_layer(&mut self, layer: Option<usize>) {
        self.layer = layer;
    }

    fn take_kernel_times(&mut self) -> Vec<KernelTime> {
        self.recorder.take_kernel_times()
    }

    fn snapshot(&mut self, buffer: &GpuBuffer, len: usize) -> Result<GpuBuffer> {
        let bytes = 4 * len as u64;
        let copy = storage_buffer(&self.device, "snapshot", bytes)?;
        self.recorder.copy(&buffer.0, &copy, bytes);
        Ok(GpuBuffer(copy))
    }

    fn embed_tokens(
        &mut self,
        p: EmbedTokensParams,
        step: &GpuBuffer,
        sampled_tokens: &GpuBuffer,
        table: &GpuMatrix,
        out: &mut GpuBuffer,
    ) {
        assert!(table.stored != ElementType::Int4, "tables have 8 bits at least");
        for piece in &table.pieces {
            let p = EmbedTokensParams { first_row: piece.first_row as u32, num_rows: piece.num_rows as u32, ..p };
            let variant = Variant::embed_tokens(table.stored, table.order);
            let len = p.num_tokens * p.hidden_size;
            let scales = piece.scales.as_ref().unwrap_or(&self.nothing.0).clone();
            let buffers = [&step.0, &sampled_tokens.0, &piece.buffer, &out.0, &scales];
            self.record_elementwise(variant, &p, len, &buffers);
        }
    }

    fn rms_norm(&mut self, p: RmsNormParams, x: &GpuBuffer, weight: &GpuBuffer, out: &mut GpuBuffer) {
        let grid = self.grid(p.num_rows, 1);
        self.record(Variant::plain(Kernel::RmsNorm), &p, &[&x.0, &weight.0, &out.0], grid);
    }

    fn linear(
        &mut self,
        p: LinearParams,
        x: &GpuBuffer,
        weight: &GpuMatrix,
        bias: Option<&GpuBuffer>,
        out: &mut GpuBuffer,
    ) {
        let has_bias = bias.is_some() as u32;
        let bias = bias.unwrap_or(&self.nothing).0.clone();
        for piece in &weight.pieces {
            let (first_out, num_out) = (piece.first_row as u32, piece.num_rows as u32);
            let p = LinearParams { first_out, num_out, has_bias, ..p };
            let variant = Variant::linear(self.linear_shape(p.num_rows, weight));
            let grid = variant.linear_grid(num_out, p.num_rows);
            let scales = piece.scales.as_ref().unwrap_or(&self.nothing.0).clone();
            self.record(variant, &p, &[&x.0, &piece.buffer, &bias, &out.0, &scales], grid);
        }
    }

    fn gated_linear(
        &mut self,
        p: GatedLinearParams,
        x: &GpuBuffer,
        gate: &GpuMatrix,
        up: &GpuMatrix,
        out: &mut GpuBuffer,
    ) {
        assert!(gate.is_split_like(up), "gate and up have the same shape and element type");
        for (gate_piece, up_piece) in gate.pieces.iter().zip(&up.pieces) {
            let (first_out, num_out) = (gate_piece.first_row as u32, gate_piece.num_rows as u32);
            let p = GatedLinearParams { first_out, num_out, ..p };
            let variant = Variant::gated_linear(self.linear_shape(p.num_rows, gate));
            let grid = variant.linear_grid(num_out, p.num_rows);
            let scales = [gate_piece, up_piece].map(|piece| piece.scales.as_ref().unwrap_or(&self.nothing.0).clone());
            let buffers = [&x.0, &gate_piece.buffer, &up_piece.buffer, &out.0, &scales[0], &scales[1]];
            self.record(variant, &p, &buffers, grid);
        }
    }

    fn rope_store_kv(
        &mut self,
        p: RopeStoreKvParams,
        step: &GpuBuffer,
        tables: HeadTables<&GpuBuffer>,
        qkv: &GpuBuffer,
        q: &mut GpuBuffer,
        kv: KvPool<&mut GpuBuffer>,
    ) {
        let p = RopeStoreKvParams { has_norms: tables.norms.is_some() as u32, ..p };
        let norms = tables.norms.unwrap_or(&self.nothing).0.clone();
        // A thread takes eight elements of a head, a workgroup whole heads.
        let heads_together = WORKGROUP_SIZE / (p.head_dim / 8);
        let num_heads = p.num_tokens * (p.num_heads + 2 * p.num_kv_heads);
        let grid = self.grid(num_heads.div_ceil(heads_together), 1);
        let buffers = [&step.0, &tables.rope.0, &norms, &qkv.0, &q.0, &kv.k.0, &kv.v.0];
        self.record(Variant::plain(Kernel::RopeStoreKv).with_kv(kv.elements), &p, &buffers, grid);
    }

    fn ragged_attention(
        &mut self,
        p: AttentionParams,
        step: &GpuBuffer,
        q: &GpuBuffer,
        kv: KvPool<&GpuBuffer>,
        out: &mut GpuBuffer,
    ) {
        let variant = Variant::ragged_attention(&p, self.max_workgroup_bytes, self.lanes()).with_kv(kv.elements);
        // A workgroup has an item, or each team of its lanes as many rows as it can hold.
        let per_workgroup =
            variant.value("ROWS").zip(variant.value("LANES")).map(|(rows, lanes)| WORKGROUP_SIZE / lanes * rows);
        let rows = p.num_items * variant.value("QUERY_ROWS").unwrap_or(1);
        let workgroups = per_workgroup.map_or(p.num_items, |per_workgroup| rows.div_ceil(per_workgroup));
        let grid = self.grid(workgroups, p.num_kv_heads);
        self.record(variant, &p, &[&step.0, &q.0, &kv.k.0, &kv.v.0, &out.0, &kv.k.0, &kv.v.0], grid);
    }

    fn paged_attention(
        &mut self,
        p: AttentionParams,
        step: &GpuBuffer,
        q: &GpuBuffer,
        kv: KvPool<&GpuBuffer>,
        out: &mut GpuBuffer,
        partials: &mut GpuBuffer,
    ) {
        let variant = Variant::paged_attention(&p, self.lanes()).with_kv(kv.elements);
        let parts = (p.num_heads / p.num_kv_heads).div_ceil(variant.value("HEADS").unwrap_or(1));
        let grid = self.grid(p.num_items, p.num_kv_heads * parts);
        let buffers = [&step.0, &q.0, &kv.k.0, &kv.v.0, &out.0, &kv.k.0, &kv.v.0, &partials.0];
        self.record(variant, &p, &buffers, grid);
    }

    fn merge_splits(&mut self, p: MergeSplitsParams, step: &GpuBuffer, partials: &GpuBuffer, out: &mut GpuBuffer) {
        let grid = self.grid(p.num_items, p.num_heads);
        self.record(Variant::plain(Kernel::MergeSplits), &p, &[&step.0, &partials.0, &out.0], grid);
    }

    fn gather_rows(&mut self, p: GatherRowsParams, step: &GpuBuffer, x: &GpuBuffer, out: &mut GpuBuffer) {
        self.record_elementwise(Variant::plain(Kernel::GatherRows), &p, p.num_rows * p.width, &[&step.0, &x.0, &out.0]);
    }

    fn sample(&mut self, p: SampleParams, x: &GpuBuffer, sampling_inputs: &GpuBuffer, out: &mut GpuBuffer) {
        let grid = self.grid(p.num_rows, 1);
        self.record(Variant::sample(), &p, &[&x.0, &sampling_inputs.0, &out.0], grid);
    }
}

/// Dispatches of a step: a split matrix takes one per piece, and the embedding table may serve at both ends of a model.
fn num_dispatches(step: StepSize, num_pieces: usize) -> usize {
    step.num_kernel_calls + 2 * num_pieces
}
