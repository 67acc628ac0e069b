//! A backend: about a dozen kernels, and memory to run them on. It sees the ragged table and never a request.

pub mod attention_metadata;
pub mod calibration;
pub mod cpu;
pub mod element_type;
pub mod gpu;
pub mod kernel_set;
pub mod memory_tracker;
pub mod paired;
pub mod params;
pub mod quantized;
pub mod splits;

use crate::config::KvDtype;
use crate::error::Result;
use element_type::ElementType;
use memory_tracker::{MatrixSize, MemoryUse};
use params::*;

/// Rows of a matrix are uploaded in multiples of this, since a backend may store so many together.
pub const UPLOAD_ROWS: usize = 8;

/// Runs the kernels. `CpuBackend` computes at once; `GpuBackend` records and submits in [`Backend::submit`].
///
/// All buffers hold 4-byte words, f32 or u32. Shapes are row major. A kernel's formula stands at its params.
/// Buffers are made at start-up; nothing is allocated while stepping once [`Backend::reserve`] has said how large a step is.
#[expect(async_fn_in_trait, reason = "the engine is generic over its backend and a browser has one thread")]
pub trait Backend {
    /// Words in the backend's memory.
    type Buffer;
    /// A weight matrix `[rows, cols]`, which the backend may split by rows over several bindings.
    type Matrix;
    /// Words that were submitted to be read back. Dropped unread, it gives back what it holds.
    type Readback;

    /// One line for people: which device this is.
    fn name(&self) -> String;
    /// The most words one buffer may have.
    fn max_buffer_words(&self) -> usize;

    /// What this backend holds of its memory, and has held at most.
    fn memory(&self) -> MemoryUse;
    /// Bytes that a buffer of `len` words takes in this backend's memory.
    fn buffer_bytes(&self, len: usize) -> u64;
    /// What a matrix takes in this backend's memory.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if not even a few rows of it can be bound.
    fn matrix_size(&self, rows: usize, cols: usize, elements: ElementType) -> Result<MatrixSize>;
    /// Bytes of the backend's own buffers once [`Backend::reserve`] has been told of such a step, where all matrices
    /// together have so many pieces.
    fn own_bytes(&self, step: StepSize, num_pieces: usize) -> u64;

    /// A zeroed buffer of `len` words.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if it is larger than the device allows or memory has run out.
    fn alloc(&mut self, label: &str, len: usize) -> Result<Self::Buffer>;
    /// Makes room for all that a step of this size needs besides its buffers, so that nothing is made while stepping. To
    /// be called when all matrices are there.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    fn reserve(&mut self, step: StepSize) -> Result<()> {
        let _ = step;
        Ok(())
    }
    /// Overwrites words of a buffer from `offset` on, before any kernel of the next submission runs.
    fn upload(&mut self, buffer: &mut Self::Buffer, offset: usize, words: &[u32]);
    /// A zeroed matrix of elements of the given type, or of a wider one where the backend cannot do better.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    fn alloc_matrix(&mut self, label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<Self::Matrix>;
    /// Overwrites whole rows of a matrix from `first_row` on, a multiple of [`UPLOAD_ROWS`], and as many as a multiple of
    /// it unless they are the last; values are rounded to its element type.
    fn upload_rows(&mut self, matrix: &mut Self::Matrix, first_row: usize, values: &[f32]);
    /// Waits until uploads have reached the device and their staging memory is free again.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device was lost.
    async fn flush(&mut self) -> Result<()>;
    /// Submits all that was recorded, and the first `len` words of `buffer` to be read back. What is submitted later runs
    /// later.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device refused the work.
    fn submit(&mut self, buffer: &Self::Buffer, len: usize) -> Result<Self::Readback>;
    /// Waits until what was submitted has run, and reads the words. The only wait in a step.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device was lost or refused the work.
    async fn read(&mut self, readback: Self::Readback) -> Result<Vec<u32>>;
    /// Whether it computes one submission while the next is recorded. Then it pays to have two in flight; more never are.
    fn overlaps(&self) -> bool {
        false
    }
    /// [`Backend::submit`], then [`Backend::read`].
    ///
    /// # Errors
    /// As these.
    async fn download(&mut self, buffer: &Self::Buffer, len: usize) -> Result<Vec<u32>> {
        let readback = self.submit(buffer, len)?;
        self.read(readback).await
    }

    /// Whether each row of a batch must take one way through one variant of each kernel, whatever else is in the batch, so
    /// that its bits do not depend on that: then `ragged_attention` takes sequences with one query row, too.
    fn batch_invariant(&self) -> bool {
        false
    }
    /// Says which layer the following kernels belong to (`None`: outside the layers), for logs and traces.
    fn enter_layer(&mut self, layer: Option<usize>) {
        let _ = layer;
    }
    /// Where in the step that was read last something came out that is no number, if the backend looks.
    fn first_not_finite(&self) -> Option<String> {
        None
    }
    /// How long each kernel call of the last step took on the device, if the backend was told to time them and can.
    fn take_kernel_times(&mut self) -> Vec<KernelTime> {
        Vec::new()
    }
    /// A copy of the first `len` words as they are at this point of the recorded work. For debugging: it allocates.
    ///
    /// # Errors
    /// As [`Backend::alloc`].
    fn snapshot(&mut self, buffer: &Self::Buffer, len: usize) -> Result<Self::Buffer>;

    /// Rows of the embedding table: `out` is `[num_tokens, hidden_size]`, `sampled_tokens` what [`Backend::sample`] left.
    fn embed_tokens(
        &mut self,
        p: EmbedTokensParams,
        step: &Self::Buffer,
        sampled_tokens: &Self::Buffer,
        table: &Self::Matrix,
        out: &mut Self::Buffer,
    );
    /// Root-mean-square norm (Zhang and Sennrich 2019): `x` and `out` are `[num_rows, width]`, `weight` is `[width]`.
    fn rms_norm(&mut self, p: RmsNormParams, x: &Self::Buffer, weight: &Self::Buffer, out: &mut Self::Buffer);
    /// `x` is `[num_rows, in_features]`, `weight` `[out_features, in_features]`, `bias` `[out_features]`, `out` `[num_rows, out_features]`.
    /// The backend fills in `first_out`, `num_out` and `has_bias` itself.
    fn linear(
        &mut self,
        p: LinearParams,
        x: &Self::Buffer,
        weight: &Self::Matrix,
        bias: Option<&Self::Buffer>,
        out: &mut Self::Buffer,
    );
    /// The first half of a SwiGLU block (Shazeer 2020): `x` is `[num_rows, in_features]`, `gate` and `up` are both
    /// `[out_features, in_features]` of the same element type, `out` is `[num_rows, out_features]`. The backend fills in
    /// `first_out` and `num_out` itself.
    fn gated_linear(
        &mut self,
        p: GatedLinearParams,
        x: &Self::Buffer,
        gate: &Self::Matrix,
        up: &Self::Matrix,
        out: &mut Self::Buffer,
    );
    /// Rotary position embedding (Su et al. 2021) and, where heads are normed (Henry et al. 2020), that norm before it.
    /// `qkv` is `[num_tokens, num_heads + 2 num_kv_heads, head_dim]`, `q` `[num_tokens, num_heads, head_dim]`; K and V go
    /// to the pools, `[num_blocks, num_kv_heads, block_size, head_dim]`. The backend fills in `has_norms` itself.
    fn rope_store_kv(
        &mut self,
        p: RopeStoreKvParams,
        step: &Self::Buffer,
        tables: HeadTables<&Self::Buffer>,
        qkv: &Self::Buffer,
        q: &mut Self::Buffer,
        kv: KvPool<&mut Self::Buffer>,
    );
    /// Attention of sequences with several query rows. A work item is a pair (sequence, first packed row), where packed
    /// row `r` of a KV head is query `r / group`, head `r % group` of the group that shares it.
    fn ragged_attention(
        &mut self,
        p: AttentionParams,
        step: &Self::Buffer,
        q: &Self::Buffer,
        kv: KvPool<&Self::Buffer>,
        out: &mut Self::Buffer,
    );
    /// Attention of sequences with one query row (Kwon et al. 2023). A work item is (sequence, first token, end token): a
    /// sequence whose row goes to `out`, or, from item `num_whole` on, a split of one. What is kept of a split goes to
    /// `partials`, `[num_items - num_whole, num_heads, head_dim + 4]`: its sums, their maximum and total, and two zeros.
    fn paged_attention(
        &mut self,
        p: AttentionParams,
        step: &Self::Buffer,
        q: &Self::Buffer,
        kv: KvPool<&Self::Buffer>,
        out: &mut Self::Buffer,
        partials: &mut Self::Buffer,
    );
    /// The rows of split sequences, `[num_tokens, num_heads, head_dim]`, from what [`Backend::paged_attention`] left of
    /// their splits (Dao et al. 2023). A work item is (row, first split, end split).
    fn merge_splits(
        &mut self,
        p: MergeSplitsParams,
        step: &Self::Buffer,
        partials: &Self::Buffer,
        out: &mut Self::Buffer,
    );
    /// Rows whose logits are wanted: `out` is `[num_rows, width]`.
    fn gather_rows(&mut self, p: GatherRowsParams, step: &Self::Buffer, x: &Self::Buffer, out: &mut Self::Buffer);
    /// Chooses tokens: `x` is `[num_rows, width]`, `sampling_inputs` `[num_rows]`, `out` `[num_rows, 2]`: a u32 index and
    /// the f32 log-probability of that index.
    fn sample(&mut self, p: SampleParams, x: &Self::Buffer, sampling_inputs: &Self::Buffer, out: &mut Self::Buffer);
}

/// The most that a step does on a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepSize {
    /// Kernels called.
    pub num_kernel_calls: usize,
    /// Words read back.
    pub num_download_words: usize,
}

/// How long one kernel call took, by the device's clock.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: String,
    /// The layer it belonged to, if any.
    pub layer: Option<usize>,
    /// When it began, in microseconds since the first of its step.
    pub begin_us: f64,
    /// How long it took, in microseconds.
    pub us: f64,
}

/// What the heads of Q and K are turned and scaled by.
#[derive(Clone, Copy, Debug)]
pub struct HeadTables<Buffer> {
    /// `[max_model_len, head_dim]`: the cosines of a position, then its sines.
    pub rope: Buffer,
    /// `[2, head_dim]`: the weights of the norm of each head of Q, then of K. Most models have none.
    pub norms: Option<Buffer>,
}

/// The KV cache of one layer: K and V, each `[num_blocks, num_kv_heads, block_size, head_dim]`. Of halves two lie in a
/// word, the first in its low bits.
#[derive(Clone, Copy, Debug)]
pub struct KvPool<Buffer> {
    /// Keys, after rope.
    pub k: Buffer,
    /// Values.
    pub v: Buffer,
    /// What the elements are.
    pub elements: KvDtype,
}

impl<Buffer> KvPool<Buffer> {
    /// Both to read.
    pub fn as_ref(&self) -> KvPool<&Buffer> {
        KvPool { k: &self.k, v: &self.v, elements: self.elements }
    }

    /// Both to write.
    pub fn as_mut(&mut self) -> KvPool<&mut Buffer> {
        KvPool { k: &mut self.k, v: &mut self.v, elements: self.elements }
    }

    /// The same of both.
    pub fn map<T>(self, mut of: impl FnMut(Buffer) -> T) -> KvPool<T> {
        KvPool { k: of(self.k), v: of(self.v), elements: self.elements }
    }
}
