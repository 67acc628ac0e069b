//! The weights on a backend, read from the files a bounded piece at a time.

use super::config::ModelConfig;
use super::expected_tensors::{EMBED_TOKENS, LAYERS, expected_tensors, layer_tensor};
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
    /// Reads all weights. The files were checked before ([`check_all`](super::expected_tensors::check_all)).
    ///
    /// # Errors
    /// A file that cannot be read any more, or a device without memory.
    pub async fn load(
        backend: &mut B,
        files: &WeightFiles,
        config: &ModelConfig,
        weight_dtype: WeightDtype,
    ) -> Result<Self> {
        let mut loader = Loader { backend, files, weight_dtype, words_since_flush: 0 };
        let embed_tokens = loader.matrix(EMBED_TOKENS).await?;
        let mut layers = Vec::with_capacity(config.num_layers);
        for layer in 0..config.num_layers {
            layers.push(loader.layer(layer, config).await?);
        }
        let norm = loader.vector("model.norm.weight").await?;
        let lm_head = match config.tie_word_embeddings {
            true => None,
            false => Some(loader.matrix("lm_head.weight").await?),
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
    config: &ModelConfig,
    weight_dtype: WeightDtype,
) -> Result<MatrixSize> {
    let mut total = MatrixSize { bytes: 0, num_pieces: 0 };
    for (name, shape) in expected_tensors(config) {
        let names = together(&name);
        if names[0] != name {
            continue;
        }
        let rows = names.iter().map(|name| Ok(files.tensor(name)?.shape[0])).sum::<Result<usize>>()?;
        match shape[1..] {
            [cols] => {
                let matrix = backend.matrix_size(rows, cols, element_type(files, &name, weight_dtype)?)?;
                total.bytes += matrix.bytes;
                total.num_pieces += matrix.num_pieces;
            }
            _ => total.bytes += backend.buffer_bytes(rows),
        }
    }
    Ok(total)
}

/// Tensors of a layer that are one on the backend, in the order of their rows.
const TOGETHER: [&[&str]; 2] = [&["q_proj", "k_proj", "v_proj"], &["q_norm", "k_norm"]];

/// Matrices of a layer that have one element type on the backend, since one kernel call takes them.
const OF_ONE_TYPE: [&[&str]; 2] = [TOGETHER[0], &["gate_proj", "up_proj"]];

/// All that a tensor is together with, by its name in the checkpoint; most are by themselves.
fn together(name: &str) -> Vec<String> {
    group_of(name, &TOGETHER)
}

fn group_of(name: &str, groups: &[&[&str]]) -> Vec<String> {
    let split = |member: &&str| name.split_once(&format!(".{member}."));
    for members in groups {
        if let Some((before, after)) = members.iter().find_map(split) {
            return members.iter().map(|member| format!("{before}.{member}.{after}")).collect();
        }
    }
    vec![name.to_owned()]
}

/// The element type of a matrix on the backend. [`WeightDtype::Auto`]: the narrowest that rounds no value of its group.
/// Embeddings and logits are not quantized: a row of the table stands for a token alone, and nothing averages its errors.
pub fn element_type(files: &WeightFiles, name: &str, weight_dtype: WeightDtype) -> Result<ElementType> {
    let is_of_a_layer = name.starts_with(LAYERS);
    match weight_dtype {
        WeightDtype::F32 => return Ok(ElementType::F32),
        WeightDtype::F16 => return Ok(ElementType::F16),
        WeightDtype::Bf16 => return Ok(ElementType::Bf16),
        WeightDtype::Int8 if is_of_a_layer => return Ok(ElementType::Int8),
        WeightDtype::Int4 if is_of_a_layer => return Ok(ElementType::Int4),
        WeightDtype::Auto | WeightDtype::Int8 | WeightDtype::Int4 => {}
    }
    let names = group_of(name, &OF_ONE_TYPE);
    let types: Vec<ElementType> = names.iter().map(|name| stored_type(files, name)).collect::<Result<_>>()?;
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
    async fn layer(&mut self, layer: usize, config: &ModelConfig) -> Result<LayerWeights<B>> {
        let name = |rest: &str| layer_tensor(layer, rest);
        let head_norms = match config.qk_norm {
            true => Some(self.vector(&name("self_attn.q_norm.weight")).await?),
            false => None,
        };
        Ok(LayerWeights {
            input_layernorm: self.vector(&name("input_layernorm.weight")).await?,
            qkv_proj: self.projection(&name("self_attn.q_proj"), config.qkv_bias).await?,
            head_norms,
            o_proj: self.projection(&name("self_attn.o_proj"), config.o_bias).await?,
            post_attention_layernorm: self.vector(&name("post_attention_layernorm.weight")).await?,
            gate_proj: self.matrix(&name("mlp.gate_proj.weight")).await?,
            up_proj: self.matrix(&name("mlp.up_proj.weight")).await?,
            down_proj: self.projection(&name("mlp.down_proj"), false).await?,
        })
    }

    /// A projection, and those of the same input that are one with it.
    async fn projection(&mut self, name: &str, has_bias: bool) -> Result<Projection<B>> {
        let weight = self.matrix(&format!("{name}.weight")).await?;
        let bias = if has_bias { Some(self.vector(&format!("{name}.bias")).await?) } else { None };
        Ok(Projection { weight, bias })
    }

    /// A matrix, with those that are one with it below. All but the last have a multiple of [`UPLOAD_ROWS`] rows.
    async fn matrix(&mut self, name: &str) -> Result<B::Matrix> {
        let names = together(name);
        let shapes: Vec<[usize; 2]> = names.iter().map(|name| self.shape(name)).collect::<Result<_>>()?;
        let (rows, cols) = (shapes.iter().map(|shape| shape[0]).sum(), shapes[0][1]);
        let elements = element_type(self.files, name, self.weight_dtype)?;
        let mut matrix = self.backend.alloc_matrix(&names.join(" and "), rows, cols, elements)?;
        let whole_rows = (CHUNK_ELEMS / cols).max(1).next_multiple_of(UPLOAD_ROWS) * cols;
        let mut first_row = 0;
        for (name, [rows, _]) in names.iter().zip(shapes) {
            let mut chunks = self.files.chunks(name, 0..rows * cols, whole_rows)?;
            while let Some((first_elem, values)) = chunks.next_chunk().await? {
                self.backend.upload_rows(&mut matrix, first_row + first_elem / cols, values);
                self.words_since_flush += values.len();
                if self.words_since_flush > FLUSH_WORDS {
                    self.backend.flush().await?;
                    self.words_since_flush = 0;
                }
            }
            first_row += rows;
        }
        Ok(matrix)
    }

    fn shape(&self, name: &str) -> Result<[usize; 2]> {
        let shape = &self.files.tensor(name)?.shape;
        Ok(shape[..].try_into().expect("check_all saw two dimensions"))
    }

    /// A vector, with those that are one with it behind.
    async fn vector(&mut self, name: &str) -> Result<B::Buffer> {
        let names = together(name);
        let mut values = Vec::new();
        for name in &names {
            let num_elems = self.files.tensor(name)?.shape[0];
            let mut chunks = self.files.chunks(name, 0..num_elems, CHUNK_ELEMS)?;
            while let Some((_, chunk)) = chunks.next_chunk().await? {
                values.extend_from_slice(chunk);
            }
        }
        let mut buffer = self.backend.alloc(&names.join(" and "), values.len())?;
        self.backend.upload(&mut buffer, 0, bytemuck::cast_slice(&values));
        Ok(buffer)
    }
}
