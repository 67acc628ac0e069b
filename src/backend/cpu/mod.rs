//! The CPU reference: a twin for every WGSL kernel, the same loops over the same params. It defines what is correct.
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
mod dot;
mod kv_head;
mod matmul;

use super::element_type::ElementType;
use super::memory_tracker::{Entry, MatrixSize, MemoryTracker, MemoryUse};
use super::params::*;
use super::{Backend, HeadTables, KvPool, StepSize};
use crate::core::wording::count_text;
use crate::error::{Error, Result};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Slice};

/// Runs every kernel at once, in the calling thread or, with the `parallel` feature, on all cores.
#[derive(Debug, Default)]
pub struct CpuBackend {
    tracker: MemoryTracker,
}

/// Words in host memory.
#[derive(Clone, Debug)]
pub struct CpuBuffer(
    Vec<u32>,
    #[expect(dead_code, reason = "it stands in the backend's book as long as the words are there")] Entry,
);

/// A weight matrix. It computes with f32, so that is what it keeps, rounded to the type asked for.
#[derive(Clone, Debug)]
pub struct CpuMatrix {
    values: Array2<f32>,
    elements: ElementType,
    /// In the backend's book.
    _entry: Entry,
}

/// Whether the system gives so many words. Zeroed memory, which costs nothing until it is used, can only be had by a call
/// that aborts the process if there is none; so it is asked for twice.
fn check_memory(label: &str, words: usize) -> Result<()> {
    let mut trial = Vec::<u32>::new();
    let reserved = trial.try_reserve_exact(words);
    // Or the compiler removes an allocation that nobody uses.
    std::hint::black_box(&trial);
    reserved.map_err(|_| {
        let bytes = words.saturating_mul(4);
        Error::Device(format!("no memory for {label} ({bytes} bytes): lower the limits, num-kv-blocks first"))
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
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if cfg!(feature = "parallel") { threads } else { 1 };
        format!("CPU reference ({})", count_text(threads, "thread"))
    }

    fn max_buffer_words(&self) -> usize {
        isize::MAX as usize / 4
    }

    fn alloc(&mut self, label: &str, len: usize) -> Result<CpuBuffer> {
        check_memory(label, len)?;
        Ok(CpuBuffer(vec![0; len], self.tracker.enter(self.buffer_bytes(len))))
    }

    fn memory(&self) -> MemoryUse {
        self.tracker.sum()
    }

    fn buffer_bytes(&self, len: usize) -> u64 {
        4 * len as u64
    }

    fn matrix_size(&self, rows: usize, cols: usize, _: ElementType) -> Result<MatrixSize> {
        Ok(MatrixSize { bytes: self.buffer_bytes(rows.saturating_mul(cols)), num_pieces: 1 })
    }

    fn own_bytes(&self, _: StepSize, _: usize) -> u64 {
        0
    }

    fn upload(&mut self, buffer: &mut CpuBuffer, offset: usize, words: &[u32]) {
        buffer.0[offset..offset + words.len()].copy_from_slice(words);
    }

    fn alloc_matrix(&mut self, label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<CpuMatrix> {
        check_memory(label, rows.saturating_mul(cols))?;
        let entry = self.tracker.enter(self.matrix_size(rows, cols, elements)?.bytes);
        Ok(CpuMatrix { values: Array2::zeros((rows, cols)), elements, _entry: entry })
    }

    fn upload_rows(&mut self, matrix: &mut CpuMatrix, first_row: usize, values: &[f32]) {
        let cols = matrix.values.ncols();
        let values = Array2::from_shape_vec((values.len() / cols, cols), matrix.elements.rounded(values, cols));
        let values = values.expect("whole rows");
        let rows = Slice::from(first_row..first_row + values.nrows());
        matrix.values.slice_axis_mut(Axis(0), rows).assign(&values);
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
        let p = EmbedTokensParams { first_row: 0, num_rows: table.values.nrows() as u32, ..p };
        let out = out.rows_mut(p.num_tokens, p.hidden_size);
        embed_tokens::embed_tokens(&p, &step.0, &sampled_tokens.0, table.values.view(), out);
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
        let p =
            LinearParams { first_out: 0, num_out: weight.values.nrows() as u32, has_bias: bias.is_some() as u32, ..p };
        let x = x.rows(p.num_rows, p.in_features);
        linear::linear(&p, x, weight.values.view(), bias.map(CpuBuffer::f32), out.rows_mut(p.num_rows, p.out_features));
    }

    fn gated_linear(
        &mut self,
        p: GatedLinearParams,
        x: &CpuBuffer,
        gate: &CpuMatrix,
        up: &CpuMatrix,
        out: &mut CpuBuffer,
    ) {
        let p = GatedLinearParams { first_out: 0, num_out: gate.values.nrows() as u32, ..p };
        let x = x.rows(p.num_rows, p.in_features);
        let out = out.rows_mut(p.num_rows, p.out_features);
        gated_linear::gated_linear(&p, x, gate.values.view(), up.values.view(), out);
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
        ragged_attention::ragged_attention(&p, &step.0, q.f32(), kv.map(|pool| &pool.0[..]), out.f32_mut());
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
        let kv = kv.map(|pool| &pool.0[..]);
        paged_attention::paged_attention(&p, &step.0, q.f32(), kv, out.f32_mut(), partials.f32_mut());
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
        sample::sample(&p, x.rows(p.num_rows, p.width), sampling_inputs, &mut out.0);
    }
}
