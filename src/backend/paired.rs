//! Two backends side by side: every kernel runs on both, and the first whose results differ is named.
//!
//! A kernel call runs on both backends and keeps a copy of what each wrote; [`Backend::read`] compares the copies in
//! order. Each backend goes on with its own results, so the first difference above the tolerance is the cause of the rest.

use super::element_type::ElementType;
use super::memory_tracker::{MatrixSize, MemoryUse};
use super::params::*;
use super::{Backend, HeadTables, KvPool, StepSize};
use crate::error::{Error, Result};

/// Runs `reference` and `subject`; results are those of the reference.
pub struct PairedBackend<A: Backend, B: Backend> {
    reference: A,
    subject: B,
    tolerance: f32,
    layer: Option<usize>,
    /// Rows of the batch, as `embed_tokens` was told.
    num_tokens: u32,
    /// Of the kernels called since the last submission; or the first failure inside a call, which cannot return it.
    checks: Result<Vec<Check<A, B>>>,
    /// Of the step that was read last.
    first_not_finite: Option<String>,
}

/// What both submitted, and what there is to compare once both have run.
pub struct PairedReadback<A: Backend, B: Backend> {
    reference: A::Readback,
    subject: B::Readback,
    checks: Result<Vec<Check<A, B>>>,
}

/// What a kernel wrote on either side.
struct Check<A: Backend, B: Backend> {
    kernel: &'static str,
    layer: Option<usize>,
    width: usize,
    len: usize,
    reference: A::Buffer,
    subject: B::Buffer,
}

impl<A: Backend, B: Backend> PairedBackend<A, B> {
    /// Values may differ by `tolerance · max(1, |reference|)`.
    pub fn new(reference: A, subject: B, tolerance: f32) -> Self {
        let (checks, first_not_finite) = (Ok(Vec::new()), None);
        Self { reference, subject, tolerance, layer: None, num_tokens: 0, checks, first_not_finite }
    }

    /// The backend that is compared with the reference.
    pub fn subject(&self) -> &B {
        &self.subject
    }

    /// Rows that the call did not write (each of the attention kernels leaves those of the other alone) hold what both
    /// sides wrote before, which was compared then.
    fn check(&mut self, kernel: &'static str, width: u32, rows: u32, out: &(A::Buffer, B::Buffer)) {
        let (width, len) = (width as usize, width as usize * rows as usize);
        let copies = self.reference.snapshot(&out.0, len).and_then(|a| Ok((a, self.subject.snapshot(&out.1, len)?)));
        let Ok(checks) = &mut self.checks else { return };
        match copies {
            Ok((reference, subject)) => {
                checks.push(Check { kernel, layer: self.layer, width, len, reference, subject });
            }
            Err(error) => self.checks = Err(error),
        }
    }

    async fn compare(&mut self, check: Check<A, B>) -> Result<()> {
        let reference = self.reference.download(&check.reference, check.len).await?;
        let subject = self.subject.download(&check.subject, check.len).await?;
        for (i, (a, b)) in reference.into_iter().zip(subject).enumerate() {
            let (a, b) = (f32::from_bits(a), f32::from_bits(b));
            let close = (a - b).abs() <= self.tolerance * a.abs().max(1.0) || a.to_bits() == b.to_bits();
            let layer = || check.layer.map_or("outside the layers".to_string(), |layer| format!("layer {layer}"));
            if !(a.is_finite() && b.is_finite()) {
                self.first_not_finite.get_or_insert_with(|| format!("{}, {}", check.kernel, layer()));
            }
            // Every NaN is the same.
            if !(close || a.is_nan() && b.is_nan()) {
                let layer = layer();
                return Err(Error::Diverged(format!(
                    "{} diverged, {layer}, row {}, column {}: {} has {a}, {} has {b}",
                    check.kernel,
                    i / check.width,
                    i % check.width,
                    self.reference.name(),
                    self.subject.name(),
                )));
            }
        }
        Ok(())
    }
}

impl<A: Backend, B: Backend> Backend for PairedBackend<A, B> {
    type Buffer = (A::Buffer, B::Buffer);
    type Matrix = (A::Matrix, B::Matrix);
    type Readback = PairedReadback<A, B>;

    fn name(&self) -> String {
        format!("{} checked against {}", self.subject.name(), self.reference.name())
    }

    fn max_buffer_words(&self) -> usize {
        self.reference.max_buffer_words().min(self.subject.max_buffer_words())
    }

    fn memory(&self) -> MemoryUse {
        self.reference.memory() + self.subject.memory()
    }

    fn buffer_bytes(&self, len: usize) -> u64 {
        self.reference.buffer_bytes(len) + self.subject.buffer_bytes(len)
    }

    fn matrix_size(&self, rows: usize, cols: usize, elements: ElementType) -> Result<MatrixSize> {
        let reference = self.reference.matrix_size(rows, cols, elements)?;
        let subject = self.subject.matrix_size(rows, cols, elements)?;
        Ok(MatrixSize {
            bytes: reference.bytes + subject.bytes,
            num_pieces: reference.num_pieces.max(subject.num_pieces),
        })
    }

    fn own_bytes(&self, step: StepSize, num_pieces: usize) -> u64 {
        self.reference.own_bytes(step, num_pieces) + self.subject.own_bytes(step, num_pieces)
    }

    fn alloc(&mut self, label: &str, len: usize) -> Result<Self::Buffer> {
        Ok((self.reference.alloc(label, len)?, self.subject.alloc(label, len)?))
    }

    fn reserve(&mut self, step: StepSize) -> Result<()> {
        self.reference.reserve(step)?;
        self.subject.reserve(step)
    }

    fn upload(&mut self, buffer: &mut Self::Buffer, offset: usize, words: &[u32]) {
        self.reference.upload(&mut buffer.0, offset, words);
        self.subject.upload(&mut buffer.1, offset, words);
    }

    fn alloc_matrix(&mut self, label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<Self::Matrix> {
        let reference = self.reference.alloc_matrix(label, rows, cols, elements)?;
        Ok((reference, self.subject.alloc_matrix(label, rows, cols, elements)?))
    }

    fn upload_rows(&mut self, matrix: &mut Self::Matrix, first_row: usize, values: &[f32]) {
        self.reference.upload_rows(&mut matrix.0, first_row, values);
        self.subject.upload_rows(&mut matrix.1, first_row, values);
    }

    async fn flush(&mut self) -> Result<()> {
        self.reference.flush().await?;
        self.subject.flush().await
    }

    fn submit(&mut self, buffer: &Self::Buffer, len: usize) -> Result<Self::Readback> {
        // Taken first: what fails or is dropped here must not be compared in a later step.
        let checks = std::mem::replace(&mut self.checks, Ok(Vec::new()));
        let reference = self.reference.submit(&buffer.0, len)?;
        Ok(PairedReadback { reference, subject: self.subject.submit(&buffer.1, len)?, checks })
    }

    async fn read(&mut self, readback: Self::Readback) -> Result<Vec<u32>> {
        let words = self.reference.read(readback.reference).await?;
        self.subject.read(readback.subject).await?;
        self.first_not_finite = None;
        for check in readback.checks? {
            self.compare(check).await?;
        }
        Ok(words)
    }

    fn batch_invariant(&self) -> bool {
        self.subject.batch_invariant()
    }

    fn enter_layer(&mut self, layer: Option<usize>) {
        self.layer = layer;
    }

    fn first_not_finite(&self) -> Option<String> {
        self.first_not_finite.clone()
    }

    fn snapshot(&mut self, buffer: &Self::Buffer, len: usize) -> Result<Self::Buffer> {
        Ok((self.reference.snapshot(&buffer.0, len)?, self.subject.snapshot(&buffer.1, len)?))
    }

    fn embed_tokens(
        &mut self,
        p: EmbedTokensParams,
        step: &Self::Buffer,
        sampled_tokens: &Self::Buffer,
        table: &Self::Matrix,
        out: &mut Self::Buffer,
    ) {
        self.reference.embed_tokens(p, &step.0, &sampled_tokens.0, &table.0, &mut out.0);
        self.subject.embed_tokens(p, &step.1, &sampled_tokens.1, &table.1, &mut out.1);
        self.num_tokens = p.num_tokens;
        self.check("embed_tokens", p.hidden_size, p.num_tokens, out);
    }

    fn rms_norm(&mut self, p: RmsNormParams, x: &Self::Buffer, weight: &Self::Buffer, out: &mut Self::Buffer) {
        self.reference.rms_norm(p, &x.0, &weight.0, &mut out.0);
        self.subject.rms_norm(p, &x.1, &weight.1, &mut out.1);
        self.check("rms_norm", p.width, p.num_rows, out);
    }

    fn linear(
        &mut self,
        p: LinearParams,
        x: &Self::Buffer,
        weight: &Self::Matrix,
        bias: Option<&Self::Buffer>,
        out: &mut Self::Buffer,
    ) {
        self.reference.linear(p, &x.0, &weight.0, bias.map(|bias| &bias.0), &mut out.0);
        self.subject.linear(p, &x.1, &weight.1, bias.map(|bias| &bias.1), &mut out.1);
        self.check("linear", p.out_features, p.num_rows, out);
    }

    fn gated_linear(
        &mut self,
        p: GatedLinearParams,
        x: &Self::Buffer,
        gate: &Self::Matrix,
        up: &Self::Matrix,
        out: &mut Self::Buffer,
    ) {
        self.reference.gated_linear(p, &x.0, &gate.0, &up.0, &mut out.0);
        self.subject.gated_linear(p, &x.1, &gate.1, &up.1, &mut out.1);
        self.check("gated_linear", p.out_features, p.num_rows, out);
    }

    /// K and V are compared by what attention makes of them: the pools are too large to copy after every layer.
    fn rope_store_kv(
        &mut self,
        p: RopeStoreKvParams,
        step: &Self::Buffer,
        tables: HeadTables<&Self::Buffer>,
        qkv: &Self::Buffer,
        q: &mut Self::Buffer,
        kv: KvPool<&mut Self::Buffer>,
    ) {
        let KvPool { k, v, elements } = kv;
        let HeadTables { rope, norms } = tables;
        let first = HeadTables { rope: &rope.0, norms: norms.map(|norms| &norms.0) };
        self.reference.rope_store_kv(
            p,
            &step.0,
            first,
            &qkv.0,
            &mut q.0,
            KvPool { k: &mut k.0, v: &mut v.0, elements },
        );
        let second = HeadTables { rope: &rope.1, norms: norms.map(|norms| &norms.1) };
        self.subject.rope_store_kv(p, &step.1, second, &qkv.1, &mut q.1, KvPool { k: &mut k.1, v: &mut v.1, elements });
        self.check("rope_store_kv", p.num_heads * p.head_dim, p.num_tokens, q);
    }

    fn ragged_attention(
        &mut self,
        p: AttentionParams,
        step: &Self::Buffer,
        q: &Self::Buffer,
        kv: KvPool<&Self::Buffer>,
        out: &mut Self::Buffer,
    ) {
        self.reference.ragged_attention(p, &step.0, &q.0, kv.map(|both| &both.0), &mut out.0);
        self.subject.ragged_attention(p, &step.1, &q.1, kv.map(|both| &both.1), &mut out.1);
        self.check("ragged_attention", p.num_heads * p.head_dim, self.num_tokens, out);
    }

    /// Splits are compared by what `merge_splits` makes of them: their sums are as large as they are many.
    fn paged_attention(
        &mut self,
        p: AttentionParams,
        step: &Self::Buffer,
        q: &Self::Buffer,
        kv: KvPool<&Self::Buffer>,
        out: &mut Self::Buffer,
        partials: &mut Self::Buffer,
    ) {
        self.reference.paged_attention(p, &step.0, &q.0, kv.map(|both| &both.0), &mut out.0, &mut partials.0);
        self.subject.paged_attention(p, &step.1, &q.1, kv.map(|both| &both.1), &mut out.1, &mut partials.1);
        self.check("paged_attention", p.num_heads * p.head_dim, self.num_tokens, out);
    }

    fn merge_splits(
        &mut self,
        p: MergeSplitsParams,
        step: &Self::Buffer,
        partials: &Self::Buffer,
        out: &mut Self::Buffer,
    ) {
        self.reference.merge_splits(p, &step.0, &partials.0, &mut out.0);
        self.subject.merge_splits(p, &step.1, &partials.1, &mut out.1);
        self.check("merge_splits", p.num_heads * p.head_dim, self.num_tokens, out);
    }

    fn gather_rows(&mut self, p: GatherRowsParams, step: &Self::Buffer, x: &Self::Buffer, out: &mut Self::Buffer) {
        self.reference.gather_rows(p, &step.0, &x.0, &mut out.0);
        self.subject.gather_rows(p, &step.1, &x.1, &mut out.1);
        self.check("gather_rows", p.width, p.num_rows, out);
    }

    /// An index read as an f32 is a number near 0, so this compares log-probabilities: with equal ones the indices are a
    /// tie that rounding decides. (A draw that falls on the edge between two tokens may be reported, too.)
    fn sample(&mut self, p: SampleParams, x: &Self::Buffer, sampling_inputs: &Self::Buffer, out: &mut Self::Buffer) {
        self.reference.sample(p, &x.0, &sampling_inputs.0, &mut out.0);
        self.subject.sample(p, &x.1, &sampling_inputs.1, &mut out.1);
        self.check("sample", 2, p.num_rows, out);
    }
}
