//! The weights on a backend, read from the files a bounded piece at a time.

use super::config::ModelConfig;
use super::expected_tensors::layer_tensor;
use super::safetensors::WeightFiles;
use crate::backend::{Backend, UPLOAD_ROWS};
use crate::error::Result;

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
    pub q_proj: Projection<B>,
    pub k_proj: Projection<B>,
    pub v_proj: Projection<B>,
    pub o_proj: Projection<B>,
    /// Norms of each head of Q and K.
    pub qk_norm: Option<(B::Buffer, B::Buffer)>,
    pub post_attention_layernorm: B::Buffer,
    pub gate_proj: Projection<B>,
    pub up_proj: Projection<B>,
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
    /// Reads all weights. The files were checked before ([`WeightFiles::check_all`]).
    ///
    /// # Errors
    /// A file that cannot be read any more, or a device without memory.
    pub async fn load(backend: &mut B, files: &WeightFiles, config: &ModelConfig) -> Result<Self> {
        let mut loader = Loader { backend, files, words_since_flush: 0 };
        let embed_tokens = loader.matrix("model.embed_tokens.weight").await?;
        let mut layers = Vec::with_capacity(config.num_layers);
        for layer in 0..config.num_layers {
            layers.push(loader.layer(layer, config).await?);
        }
        let norm = loader.vector("model.norm.weight")?;
        let lm_head = match config.tie_word_embeddings {
            true => None,
            false => Some(loader.matrix("lm_head.weight").await?),
        };
        loader.backend.flush().await?;
        Ok(Self { embed_tokens, layers, norm, lm_head })
    }
}

struct Loader<'a, B: Backend> {
    backend: &'a mut B,
    files: &'a WeightFiles,
    words_since_flush: usize,
}

impl<B: Backend> Loader<'_, B> {
    async fn layer(&mut self, layer: usize, config: &ModelConfig) -> Result<LayerWeights<B>> {
        let name = |rest: &str| layer_tensor(layer, rest);
        let qk_norm = match config.qk_norm {
            true => {
                Some((self.vector(&name("self_attn.q_norm.weight"))?, self.vector(&name("self_attn.k_norm.weight"))?))
            }
            false => None,
        };
        Ok(LayerWeights {
            input_layernorm: self.vector(&name("input_layernorm.weight"))?,
            q_proj: self.projection(&name("self_attn.q_proj"), config.qkv_bias).await?,
            k_proj: self.projection(&name("self_attn.k_proj"), config.qkv_bias).await?,
            v_proj: self.projection(&name("self_attn.v_proj"), config.qkv_bias).await?,
            o_proj: self.projection(&name("self_attn.o_proj"), config.o_bias).await?,
            qk_norm,
            post_attention_layernorm: self.vector(&name("post_attention_layernorm.weight"))?,
            gate_proj: self.projection(&name("mlp.gate_proj"), false).await?,
            up_proj: self.projection(&name("mlp.up_proj"), false).await?,
            down_proj: self.projection(&name("mlp.down_proj"), false).await?,
        })
    }

    async fn projection(&mut self, name: &str, has_bias: bool) -> Result<Projection<B>> {
        let weight = self.matrix(&format!("{name}.weight")).await?;
        let bias = if has_bias { Some(self.vector(&format!("{name}.bias"))?) } else { None };
        Ok(Projection { weight, bias })
    }

    async fn matrix(&mut self, name: &str) -> Result<B::Matrix> {
        let [rows, cols] = self.files.tensor(name)?.shape[..] else { unreachable!("check_all saw two dimensions") };
        let mut matrix = self.backend.alloc_matrix(name, rows, cols, self.files.element_type(name)?)?;
        let whole_rows = (CHUNK_ELEMS / cols).max(1).next_multiple_of(UPLOAD_ROWS) * cols;
        let mut chunks = self.files.chunks(name, whole_rows)?;
        while let Some((first_elem, values)) = chunks.next_chunk()? {
            self.backend.upload_rows(&mut matrix, first_elem / cols, values);
            self.words_since_flush += values.len();
            if self.words_since_flush > FLUSH_WORDS {
                self.backend.flush().await?;
                self.words_since_flush = 0;
            }
        }
        Ok(matrix)
    }

    fn vector(&mut self, name: &str) -> Result<B::Buffer> {
        let len = self.files.tensor(name)?.shape.iter().product();
        let mut buffer = self.backend.alloc(name, len)?;
        let mut chunks = self.files.chunks(name, CHUNK_ELEMS)?;
        while let Some((first_elem, values)) = chunks.next_chunk()? {
            self.backend.upload(&mut buffer, first_elem, bytemuck::cast_slice(values));
        }
        Ok(buffer)
    }
}
