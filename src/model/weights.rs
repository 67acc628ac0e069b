//! The weights on a backend, read from the files a bounded piece at a time.

use super::head_order::HeadOrder;
use super::tensor_table::{
    LayerTensors, MatrixRole, MatrixSource, ProjectionSource, TensorRows, TensorTable, VectorSource,
};
use crate::backend::element_type::ElementType;
use crate::backend::memory_tracker::MatrixSize;
use crate::backend::{Backend, UPLOAD_ROWS};
use crate::config::WeightDtype;
use crate::error::Result;
use crate::files::WeightFiles;
use safetensors::tensor::Dtype;

/// Elements read from a file and handed to the backend at a time (4 MiB of f32).
const CHUNK_ELEMS: usize = 1 << 20;
/// Words handed to the backend before it is asked to let go of its staging memory.
const FLUSH_WORDS: usize = 16 << 20;

/// All weights of a decoder.
pub struct Weights<B: Backend> {
    /// `[vocab_size, hidden_size]`
    pub embed_tokens: B::Matrix,
    /// One per layer.
    pub layers: Vec<LayerWeights<B>>,
    /// `[hidden_size]`
    pub norm: B::Buffer,
    /// `[vocab_size, hidden_size]`; without one the embedding table serves.
    pub lm_head: Option<B::Matrix>,
}

/// The weights of one layer.
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct LayerWeights<B: Backend> {
    pub input_layernorm: B::Buffer,
    /// The rows of `q_proj`, `k_proj` and `v_proj`.
    pub qkv_proj: Projection<B>,
    /// `[2, head_dim]`: `q_norm` and `k_norm`.
    pub head_norms: Option<B::Buffer>,
    pub o_proj: Projection<B>,
    pub post_attention_layernorm: B::Buffer,
    pub gate_proj: B::Matrix,
    /// In the element type of `gate_proj`.
    pub up_proj: B::Matrix,
    pub down_proj: Projection<B>,
}

/// A matrix `[out_features, in_features]` and perhaps a bias `[out_features]`.
pub struct Projection<B: Backend> {
    /// Multiplied by.
    pub weight: B::Matrix,
    /// Added.
    pub bias: Option<B::Buffer>,
}

impl<B: Backend> Weights<B> {
    /// Reads all weights. The files were checked before ([`TensorTable::check`]).
    ///
    /// # Errors
    /// A file that cannot be read any more, or a device without memory.
    pub async fn load(
        backend: &mut B,
        files: &WeightFiles,
        table: &TensorTable,
        weight_dtype: WeightDtype,
    ) -> Result<Self> {
        let mut loader = Loader { backend, files, weight_dtype, words_since_flush: 0 };
        let embed_tokens = loader.matrix(&table.embed_tokens).await?;
        let mut layers = Vec::with_capacity(table.layers.len());
        for layer in &table.layers {
            layers.push(loader.layer(layer).await?);
        }
        let norm = loader.vector(&table.norm).await?;
        let lm_head = match &table.lm_head {
            Some(lm_head) => Some(loader.matrix(lm_head).await?),
            None => None,
        };
        loader.backend.flush().await?;
        Ok(Self { embed_tokens, layers, norm, lm_head })
    }
}

/// What [`Weights::load`] will take of a backend's memory.
///
/// # Errors
/// [`crate::Error::Device`] if a matrix is too wide for the backend.
pub fn weights_size<B: Backend>(
    backend: &B,
    files: &WeightFiles,
    table: &TensorTable,
    weight_dtype: WeightDtype,
) -> Result<MatrixSize> {
    let mut total = MatrixSize { bytes: 0, num_pieces: 0 };
    for matrix in table.matrices() {
        let size = matrix_size(backend, files, matrix, weight_dtype)?;
        total.bytes += size.bytes;
        total.num_pieces += size.num_pieces;
    }
    total.bytes += table.vectors().map(|vector| backend.buffer_bytes(vector.len())).sum::<u64>();
    Ok(total)
}

/// What one matrix takes.
///
/// # Errors
/// As [`weights_size`].
pub fn matrix_size<B: Backend>(
    backend: &B,
    files: &WeightFiles,
    matrix: &MatrixSource,
    weight_dtype: WeightDtype,
) -> Result<MatrixSize> {
    backend.matrix_size(matrix.num_rows(), matrix.cols, element_type(files, matrix, weight_dtype)?)
}

/// The element type of a matrix on the backend. [`WeightDtype::Auto`]: the narrowest that rounds no value of its tensors.
/// Embeddings and logits have 8 bits at least: a row of the table stands for a token alone, and nothing averages its errors.
fn element_type(files: &WeightFiles, matrix: &MatrixSource, weight_dtype: WeightDtype) -> Result<ElementType> {
    match (weight_dtype, matrix.role) {
        (WeightDtype::F32, _) => return Ok(ElementType::F32),
        (WeightDtype::F16, _) => return Ok(ElementType::F16),
        (WeightDtype::Bf16, _) => return Ok(ElementType::Bf16),
        (WeightDtype::Int8, _) | (WeightDtype::Int4, MatrixRole::Vocabulary) => return Ok(ElementType::Int8),
        (WeightDtype::Int4, MatrixRole::Layer) => return Ok(ElementType::Int4),
        (WeightDtype::Auto, _) => {}
    }
    let types: Vec<ElementType> = matrix.typed_by.iter().map(|name| stored_type(files, name)).collect::<Result<_>>()?;
    Ok(types.into_iter().reduce(ElementType::of_both).unwrap_or(ElementType::F32))
}

/// The type a tensor's elements are stored in.
fn stored_type(files: &WeightFiles, name: &str) -> Result<ElementType> {
    Ok(match files.tensor(name)?.dtype {
        Dtype::F16 => ElementType::F16,
        Dtype::BF16 => ElementType::Bf16,
        _ => ElementType::F32,
    })
}

struct Loader<'a, B: Backend> {
    backend: &'a mut B,
    files: &'a WeightFiles,
    weight_dtype: WeightDtype,
    words_since_flush: usize,
}

impl<B: Backend> Loader<'_, B> {
    async fn layer(&mut self, tensors: &LayerTensors) -> Result<LayerWeights<B>> {
        Ok(LayerWeights {
            input_layernorm: self.vector(&tensors.input_layernorm).await?,
            qkv_proj: self.projection(&tensors.qkv_proj).await?,
            head_norms: self.optional_vector(&tensors.head_norms).await?,
            o_proj: self.projection(&tensors.o_proj).await?,
            post_attention_layernorm: self.vector(&tensors.post_attention_layernorm).await?,
            gate_proj: self.matrix(&tensors.gate_proj).await?,
            up_proj: self.matrix(&tensors.up_proj).await?,
            down_proj: self.projection(&tensors.down_proj).await?,
        })
    }

    async fn projection(&mut self, source: &ProjectionSource) -> Result<Projection<B>> {
        let weight = self.matrix(&source.weight).await?;
        Ok(Projection { weight, bias: self.optional_vector(&source.bias).await? })
    }

    async fn matrix(&mut self, source: &MatrixSource) -> Result<B::Matrix> {
        let cols = source.cols;
        let label = label(&source.parts);
        let elements = element_type(self.files, source, self.weight_dtype)?;
        let mut matrix = self.backend.alloc_matrix(&label, source.num_rows(), cols, elements)?;
        let stored_cols = source.stored_cols();
        let (mut next_row, mut by_row, mut by_col) = (0, Vec::new(), Vec::new());
        for part in &source.parts {
            // Rows of whole heads, where those are reordered.
            let together = part.head_order.map_or(UPLOAD_ROWS, HeadOrder::stored);
            let chunk_rows = (CHUNK_ELEMS / cols).max(1).next_multiple_of(together);
            let elems = part.rows.start * stored_cols..part.rows.end * stored_cols;
            let mut chunks = self.files.chunks(&part.tensor, elems, chunk_rows * stored_cols)?;
            while let Some((_, values)) = chunks.next_chunk().await? {
                let values = ordered(part.head_order, values, stored_cols, &mut by_row);
                let values = ordered(source.col_order, values, 1, &mut by_col);
                self.backend.upload_rows(&mut matrix, next_row, values);
                next_row += values.len() / cols;
                self.words_since_flush += values.len();
                if self.words_since_flush > FLUSH_WORDS {
                    self.backend.flush().await?;
                    self.words_since_flush = 0;
                }
            }
        }
        Ok(matrix)
    }

    async fn optional_vector(&mut self, source: &Option<VectorSource>) -> Result<Option<B::Buffer>> {
        match source {
            Some(source) => Ok(Some(self.vector(source).await?)),
            None => Ok(None),
        }
    }

    async fn vector(&mut self, source: &VectorSource) -> Result<B::Buffer> {
        let mut values: Vec<f32> = Vec::with_capacity(source.len());
        let (mut stored, mut scratch) = (Vec::new(), Vec::new());
        for part in &source.0 {
            stored.clear();
            let mut chunks = self.files.chunks(&part.tensor, part.rows.clone(), CHUNK_ELEMS)?;
            while let Some((_, chunk)) = chunks.next_chunk().await? {
                stored.extend_from_slice(chunk);
            }
            let ordered = ordered(part.head_order, &stored, 1, &mut scratch);
            values.extend(ordered.iter().map(|value| value * part.factor));
        }
        let mut buffer = self.backend.alloc(&label(&source.0), values.len())?;
        self.backend.upload(&mut buffer, 0, bytemuck::cast_slice(&values));
        Ok(buffer)
    }
}

/// The rows as they are, or in order, in `scratch`.
fn ordered<'a>(order: Option<HeadOrder>, rows: &'a [f32], row_len: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    let Some(order) = order else { return rows };
    order.apply(rows, row_len, scratch);
    scratch
}

/// `a.weight and b.weight`
fn label(parts: &[TensorRows]) -> String {
    let mut names: Vec<&str> = parts.iter().map(|part| part.tensor.as_str()).collect();
    names.dedup();
    names.join(" and ")
}
