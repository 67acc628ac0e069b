//! The CPU: a twin for every WGSL kernel, plain loops over the same params, which define what is correct; and of those that
//! take all the time a fast version, which has the twin's bits.
//!
//! ```text
//!            linear.rs, gated_linear.rs              ragged_attention.rs, paged_attention.rs
//!   twin       naive.rs                                attend.rs
//!   fast       fast/matmul.rs ──► fast/tile.rs ◄── fast/attend_tiles.rs
//!   weights    fast/panels.rs, fast/unpack.rs        softmax.rs, exp.rs
//! ```
//!
//! Every output row is computed by itself, in an order of additions that does not depend on its batch mates, on the
//! block size or on how a prompt was cut into chunks. So the results are the same bit for bit whatever ran beside them.

mod embed_tokens;
mod gated_linear;
mod gather_rows;
mod linear;
mod merge_splits;
mod paged_attention;
mod ragged_attention;
mod rms_norm;
mod rope_store_kv;
mod sample;

mod attend;
mod calibrate;
pub mod dense_attention;
mod exp;
mod fast;
mod kv_head;
mod naive;
mod options;
mod query_rows;
mod row_sum;
mod softmax;

pub use fast::instruction_set::InstructionSet;
pub use fast::threads;
pub use options::CpuOptions;

use super::element_type::ElementType;
use super::kernel_set::KernelSet;
use super::memory_tracker::{Entry, MatrixSize, MemoryTracker, MemoryUse};
use super::params::*;
use super::{Backend, HeadTables, KvPool, StepSize};
use crate::core::wording::count_text;
use crate::error::{Error, Result};
use fast::instruction_set::Vectors;
use fast::panels::Panels;
use fast::query_tile::Call;
use ndarray::{ArrayView2, ArrayViewMut2};

/// Runs every kernel at once, in the calling thread or, with the `parallel` feature, on all cores.
#[derive(Debug)]
pub struct CpuBackend {
    tracker: MemoryTracker,
    kernels: KernelSet,
    vectors: Vectors,
}

impl CpuBackend {
    /// # Errors
    /// [`Error::InvalidOption`] if this CPU has not the instructions asked for.
    pub fn new(options: CpuOptions) -> Result<Self> {
        let vectors = options.instruction_set.vectors()?;
        Ok(Self { tracker: MemoryTracker::default(), kernels: options.kernels, vectors })
    }

    /// Which kernels run.
    pub fn kernel_set(&self) -> KernelSet {
        self.kernels
    }
}

impl Default for CpuBackend {
    fn default() -> Self {
        Self { tracker: MemoryTracker::default(), kernels: KernelSet::default(), vectors: Vectors::widest() }
    }
}

/// Words in host memory.
#[derive(Clone, Debug)]
pub struct CpuBuffer(
    Vec<u32>,
    #[expect(dead_code, reason = "it stands in the backend's book as long as the words are there")] Entry,
);

/// A weight matrix, packed.
#[derive(Clone, Debug)]
pub struct CpuMatrix {
    panels: Panels,
    /// In the backend's book.
    _entry: Entry,
}

/// Zeros. Memory that the system hands out zeroed costs nothing until it is used, and most of a KV pool is never.
fn zeros<T: bytemuck::Zeroable>(label: &str, len: usize) -> Result<Vec<T>> {
    bytemuck::try_zeroed_vec(len).map_err(|()| {
        let bytes = len.saturating_mul(size_of::<T>());
        Error::Device(format!("no memory for {label} ({bytes} bytes): lower the limits, num_kv_blocks first"))
    })
}

impl CpuBuffer {
    fn f32(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }

    fn f32_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }

    fn rows(&self, rows: u32, width: u32) -> ArrayView2<'_, f32> {
        let (rows, width) = (rows as usize, width as usize);
        ArrayView2::from_shape((rows, width), &self.f32()[..rows * width]).expect("the slice has rows * width elements")
    }

    fn rows_mut(&mut self, rows: u32, width: u32) -> ArrayViewMut2<'_, f32> {
        let (rows, width) = (rows as usize, width as usize);
        ArrayViewMut2::from_shape((rows, width), &mut self.f32_mut()[..rows * width])
            .expect("the slice has rows * width elements")
    }
}

impl Backend for CpuBackend {
    type Buffer = CpuBuffer;
    type Matrix = CpuMatrix;
    type Readback = Vec<u32>;

    fn name(&self) -> String {
        format!("CPU ({}, {})", count_text(threads::num_threads(), "thread"), self.vectors.name())
    }

    fn max_buffer_words(&self) -> usize {
        isize::MAX as usize / 4
    }

    fn alloc(&mut self, label: &str, len: usize) -> Result<CpuBuffer> {
        Ok(CpuBuffer(zeros(label, len)?, self.tracker.enter(self.buffer_bytes(len))))
    }

    fn memory(&self) -> MemoryUse {
        self.tracker.sum()
    }

    fn buffer_bytes(&self, len: usize) -> u64 {
        4 * len as u64
    }

    fn matrix_size(&self, rows: usize, cols: usize, elements: ElementType) -> Result<MatrixSize> {
        Ok(MatrixSize { bytes: Panels::num_bytes(rows, cols, elements) as u64, num_pieces: 1 })
    }

    fn own_bytes(&self, _: StepSize, _: usize) -> u64 {
        0
    }

    fn upload(&mut self, buffer: &mut CpuBuffer, offset: usize, words: &[u32]) {
        buffer.0[offset..offset + words.len()].copy_from_slice(words);
    }

    fn alloc_matrix(&mut self, label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<CpuMatrix> {
        let (words, scales) = Panels::size(rows, cols, elements);
        let panels = Panels::new([rows, cols], elements, zeros(label, words)?, zeros(label, scales)?);
        let entry = self.tracker.enter(Panels::num_bytes(rows, cols, elements) as u64);
        Ok(CpuMatrix { panels, _entry: entry })
    }

    fn upload_rows(&mut self, matrix: &mut CpuMatrix, first_row: usize, values: &[f32]) {
        matrix.panels.upload(first_row, values);
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn submit(&mut self, buffer: &CpuBuffer, len: usize) -> Result<Vec<u32>> {
        Ok(buffer.0[..len].to_vec())
    }

    async fn read(&mut self, readback: Vec<u32>) -> Result<Vec<u32>> {
        Ok(readback)
    }

    fn snapshot(&mut self, buffer: &CpuBuffer, len: usize) -> Result<CpuBuffer> {
        Ok(CpuBuffer(buffer.0[..len].to_vec(), self.tracker.enter(self.buffer_bytes(len))))
    }

    fn embed_tokens(
        &mut self,
        p: EmbedTokensParams,
        step: &CpuBuffer,
        sampled_tokens: &CpuBuffer,
        table: &CpuMatrix,
        out: &mut CpuBuffer,
    ) {
        let p = EmbedTokensParams { first_row: 0, num_rows: table.panels.rows() as u32, ..p };
        let out = out.rows_mut(p.num_tokens, p.hidden_size);
        embed_tokens::embed_tokens(&p, &step.0, &sampled_tokens.0, &table.panels, out);
    }

    fn rms_norm(&mut self, p: RmsNormParams, x: &CpuBuffer, weight: &CpuBuffer, out: &mut CpuBuffer) {
        rms_norm::rms_norm(&p, x.rows(p.num_rows, p.width), weight.f32(), out.rows_mut(p.num_rows, p.width));
    }

    fn linear(
        &mut self,
        p: LinearParams,
        x: &CpuBuffer,
        weight: &CpuMatrix,
        bias: Option<&CpuBuffer>,
        out: &mut CpuBuffer,
    ) {
        let (x, bias) = (x.rows(p.num_rows, p.in_features), bias.map(CpuBuffer::f32));
        let out = out.rows_mut(p.num_rows, p.out_features);
        match self.kernels {
            KernelSet::Fast => linear::linear(self.vectors, &p, x, &weight.panels, bias, out),
            KernelSet::Naive => linear::naive_linear(&p, x, &weight.panels, bias, out),
        }
    }

    fn gated_linear(
        &mut self,
        p: GatedLinearParams,
        x: &CpuBuffer,
        gate: &CpuMatrix,
        up: &CpuMatrix,
        out: &mut CpuBuffer,
    ) {
        let x = x.rows(p.num_rows, p.in_features);
        let out = out.rows_mut(p.num_rows, p.out_features);
        match self.kernels {
            KernelSet::Fast => gated_linear::gated_linear(self.vectors, x, &gate.panels, &up.panels, out),
            KernelSet::Naive => gated_linear::naive_gated_linear(x, &gate.panels, &up.panels, out),
        }
    }

    fn rope_store_kv(
        &mut self,
        p: RopeStoreKvParams,
        step: &CpuBuffer,
        tables: HeadTables<&CpuBuffer>,
        qkv: &CpuBuffer,
        q: &mut CpuBuffer,
        kv: KvPool<&mut CpuBuffer>,
    ) {
        let p = RopeStoreKvParams { has_norms: tables.norms.is_some() as u32, ..p };
        let (table, norms) = (tables.rope.f32(), tables.norms.map(CpuBuffer::f32));
        let qkv = qkv.rows(p.num_tokens, (p.num_heads + 2 * p.num_kv_heads) * p.head_dim);
        let q = q.rows_mut(p.num_tokens, p.num_heads * p.head_dim);
        let kv = kv.map(|pool| &mut pool.0[..]);
        rope_store_kv::rope_store_kv(&p, &step.0, table, norms, qkv, q, kv);
    }

    fn ragged_attention(
        &mut self,
        p: AttentionParams,
        step: &CpuBuffer,
        q: &CpuBuffer,
        kv: KvPool<&CpuBuffer>,
        out: &mut CpuBuffer,
    ) {
        let (step, q, kv, out) = (&step.0[..], q.f32(), kv.map(|pool| &pool.0[..]), out.f32_mut());
        let call = Call { vectors: self.vectors, p: &p, step, q, kv };
        match self.kernels {
            KernelSet::Fast => ragged_attention::ragged_attention(&call, out),
            KernelSet::Naive => ragged_attention::naive_ragged_attention(&p, step, q, kv, out),
        }
    }

    fn paged_attention(
        &mut self,
        p: AttentionParams,
        step: &CpuBuffer,
        q: &CpuBuffer,
        kv: KvPool<&CpuBuffer>,
        out: &mut CpuBuffer,
        partials: &mut CpuBuffer,
    ) {
        let (step, q, kv) = (&step.0[..], q.f32(), kv.map(|pool| &pool.0[..]));
        let (out, partials) = (out.f32_mut(), partials.f32_mut());
        let call = Call { vectors: self.vectors, p: &p, step, q, kv };
        match self.kernels {
            KernelSet::Fast => paged_attention::paged_attention(&call, out, partials),
            KernelSet::Naive => paged_attention::naive_paged_attention(&p, step, q, kv, out, partials),
        }
    }

    fn merge_splits(&mut self, p: MergeSplitsParams, step: &CpuBuffer, partials: &CpuBuffer, out: &mut CpuBuffer) {
        merge_splits::merge_splits(&p, &step.0, partials.f32(), out.f32_mut());
    }

    fn gather_rows(&mut self, p: GatherRowsParams, step: &CpuBuffer, x: &CpuBuffer, out: &mut CpuBuffer) {
        let all_rows = (x.0.len() / p.width as usize) as u32;
        gather_rows::gather_rows(&p, &step.0, x.rows(all_rows, p.width), out.rows_mut(p.num_rows, p.width));
    }

    fn sample(&mut self, p: SampleParams, x: &CpuBuffer, sampling_inputs: &CpuBuffer, out: &mut CpuBuffer) {
        let sampling_inputs = bytemuck::cast_slice(&sampling_inputs.0[..p.num_rows as usize * SamplingInput::WORDS]);
        sample::sample(self.vectors, &p, x.rows(p.num_rows, p.width), sampling_inputs, &mut out.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    fn resident_bytes() -> usize {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        4096 * statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_that_nobody_used_is_not_touched() {
        let mut backend = CpuBackend::default();
        let before = resident_bytes();
        let buffers: Vec<_> = (0..40).map(|_| backend.alloc("pool", 4 << 20).unwrap()).collect();
        let taken = resident_bytes().saturating_sub(before);
        assert!(taken < 200 << 20, "{taken} bytes of {} are resident", backend.memory().bytes);
        assert!(buffers.iter().all(|buffer| buffer.0.iter().all(|&word| word == 0)));
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        let error = CpuBackend::default().alloc("pool", usize::MAX / 8).unwrap_err().to_string();
        assert!(error.contains("no memory for pool"), "{error}");
    }
}
