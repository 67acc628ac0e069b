//! The one table of a model's weights: what the decoder multiplies by, and which rows of which tensors of the checkpoint
//! it is. Checking a folder, planning its memory and loading it all go by this table.
//!
//! ```text
//! the decoder's qkv_proj   =   q_proj, k_proj and v_proj, one below the other
//! its gate_proj            =   gate_proj, or the upper half of gate_up_proj
//! its up_proj              =   up_proj, or the lower half of gate_up_proj
//! ```

use std::ops::Range;

use super::config::{ModelConfig, Projections};
use super::head_order::HeadOrder;
use super::layer_plan::{BlockNorms, HeadNorms, LayerPlan, Mlp};
use crate::core::wording::list_text;
use crate::error::{Error, Result};
use crate::files::WeightFiles;

/// Rows of a tensor of the checkpoint. A vector's rows are its elements.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorRows {
    /// The tensor's name.
    pub tensor: String,
    /// All rows that the tensor has.
    pub num_rows: usize,
    /// Those that are taken.
    pub rows: Range<usize>,
    /// Another order for the rows of each head among them.
    pub head_order: Option<HeadOrder>,
    /// What their values are multiplied by.
    pub factor: f32,
}

/// Where the values of a vector come from: so many rows, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSource(pub Vec<TensorRows>);

/// Where the rows of a matrix come from, in order. All parts but the last have a multiple of
/// [`UPLOAD_ROWS`](crate::backend::UPLOAD_ROWS).
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSource {
    /// Its rows.
    pub parts: Vec<TensorRows>,
    /// Its columns.
    pub cols: usize,
    /// Another order for the columns of each head. Without one they are as in all its tensors.
    pub col_order: Option<HeadOrder>,
    /// Tensors whose types decide its own: its own, and those of a matrix that one kernel call takes with it.
    pub typed_by: Vec<String>,
    /// What it is for.
    pub role: MatrixRole,
}

/// What a matrix is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatrixRole {
    /// It works on the residual stream, in a layer.
    Layer,
    /// It has a row for each token of the vocabulary: embeddings, or logits.
    Vocabulary,
}

/// A matrix `[out_features, in_features]` and perhaps a bias `[out_features]`.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct ProjectionSource {
    pub weight: MatrixSource,
    pub bias: Option<VectorSource>,
}

/// All weights of a decoder. [`super::weights::Weights`] says what they are.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct TensorTable {
    pub embed_tokens: MatrixSource,
    pub layers: Vec<LayerTensors>,
    pub norm: VectorSource,
    pub lm_head: Option<MatrixSource>,
}

/// The weights of one layer.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names are those of the checkpoint")]
pub struct LayerTensors {
    pub input_layernorm: VectorSource,
    pub qkv_proj: ProjectionSource,
    pub head_norms: Option<VectorSource>,
    pub o_proj: ProjectionSource,
    pub post_attention_layernorm: VectorSource,
    pub gate_proj: MatrixSource,
    pub up_proj: MatrixSource,
    pub down_proj: ProjectionSource,
}

impl TensorTable {
    /// The table of a model.
    pub fn new(model: &ModelConfig) -> Self {
        let &ModelConfig { hidden_size, vocab_size, .. } = model;
        let vocabulary =
            |name: &str| MatrixSource::new(vec![all_rows(name, vocab_size)], hidden_size, MatrixRole::Vocabulary);
        let layer = |(layer, plan)| {
            LayerNames { model, prefix: format!("{}layers.{layer}.", model.tensor_prefix) }.tensors(plan)
        };
        Self {
            embed_tokens: vocabulary(&format!("{}embed_tokens.weight", model.tensor_prefix)),
            layers: model.layers.iter().enumerate().map(layer).collect(),
            norm: VectorSource(vec![all_rows(&format!("{}norm.weight", model.tensor_prefix), hidden_size)]),
            lm_head: (!model.tie_word_embeddings).then(|| vocabulary("lm_head.weight")),
        }
    }

    /// All matrices.
    pub fn matrices(&self) -> impl Iterator<Item = &MatrixSource> {
        let of_layers = self.layers.iter().flat_map(LayerTensors::matrices);
        [&self.embed_tokens].into_iter().chain(of_layers).chain(&self.lm_head)
    }

    /// All vectors.
    pub fn vectors(&self) -> impl Iterator<Item = &VectorSource> {
        self.layers.iter().flat_map(LayerTensors::vectors).chain([&self.norm])
    }

    /// Every tensor that is read, with its shape. One that several weights are parts of comes again.
    pub fn tensors(&self) -> Vec<(&str, Vec<usize>)> {
        let mut tensors = Vec::new();
        for matrix in self.matrices() {
            tensors.extend(
                matrix.parts.iter().map(|part| (part.tensor.as_str(), vec![part.num_rows, matrix.stored_cols()])),
            );
        }
        let of_vectors = self.vectors().flat_map(|vector| &vector.0);
        tensors.extend(of_vectors.map(|part| (part.tensor.as_str(), vec![part.num_rows])));
        tensors
    }

    /// Checks that every tensor is there and has its shape and a type that can be read. Call it before any device memory
    /// is taken.
    ///
    /// # Errors
    /// As [`WeightFiles::check`], for the first tensor that is wrong; it names others.
    pub fn check(&self, files: &WeightFiles) -> Result<()> {
        let check = |(name, shape): (_, Vec<usize>)| files.check(name, &shape).err().map(|error| (name, error));
        let mut wrong = self.tensors().into_iter().filter_map(check);
        let Some((first, error)) = wrong.next() else { return Ok(()) };
        let mut others: Vec<&str> = wrong.map(|(name, _)| name).filter(|name| *name != first).collect();
        others.dedup();
        Err(match (error, list_text(&others)) {
            (Error::InvalidTensor { path, tensor, reason }, Some(others)) => {
                Error::InvalidTensor { path, tensor, reason: format!("{reason}; wrong or missing, too: {others}") }
            }
            (error, _) => error,
        })
    }
}

impl LayerTensors {
    fn matrices(&self) -> impl Iterator<Item = &MatrixSource> {
        let Self { qkv_proj, o_proj, gate_proj, up_proj, down_proj, .. } = self;
        [&qkv_proj.weight, &o_proj.weight, gate_proj, up_proj, &down_proj.weight].into_iter()
    }

    fn vectors(&self) -> impl Iterator<Item = &VectorSource> {
        let norms = [&self.input_layernorm, &self.post_attention_layernorm].into_iter().chain(&self.head_norms);
        norms.chain(&self.qkv_proj.bias).chain(&self.o_proj.bias).chain(&self.down_proj.bias)
    }
}

/// The parts of one layer's weights.
struct LayerNames<'a> {
    model: &'a ModelConfig,
    /// `model.layers.3.`
    prefix: String,
}

impl LayerNames<'_> {
    fn tensors(&self, plan: &LayerPlan) -> LayerTensors {
        let &ModelConfig { hidden_size, num_heads, head_dim, stored_head_dim, qkv_bias, o_bias, .. } = self.model;
        let (BlockNorms::Before, Mlp::SiluGated) = (plan.norms, plan.mlp);
        let [gate_proj, up_proj] = self.gate_and_up();
        let head_norms = match plan.attention().head_norms {
            HeadNorms::None => None,
            HeadNorms::PerHead => {
                let factor = (stored_head_dim as f32 / head_dim as f32).sqrt();
                let norms = ["q_norm", "k_norm"].map(|name| {
                    let norm = all_rows(&self.name("self_attn", name, "weight"), stored_head_dim);
                    TensorRows { factor, ..norm.in_order(self.head_order()) }
                });
                Some(VectorSource(norms.into()))
            }
        };
        LayerTensors {
            input_layernorm: self.norm("input_layernorm"),
            qkv_proj: self.projection(|kind| self.qkv(kind), hidden_size, qkv_bias),
            head_norms,
            o_proj: self
                .projection(
                    |kind| vec![all_rows(&self.name("self_attn", "o_proj", kind), hidden_size)],
                    num_heads * head_dim,
                    o_bias,
                )
                .with_col_order(self.head_padding()),
            post_attention_layernorm: self.norm("post_attention_layernorm"),
            gate_proj,
            up_proj,
            down_proj: self.projection(
                |kind| vec![all_rows(&self.name("mlp", "down_proj", kind), hidden_size)],
                self.model.intermediate_size,
                false,
            ),
        }
    }

    fn name(&self, block: &str, name: &str, kind: &str) -> String {
        format!("{}{block}.{name}.{kind}", self.prefix)
    }

    fn norm(&self, name: &str) -> VectorSource {
        VectorSource(vec![all_rows(&format!("{}{name}.weight", self.prefix), self.model.hidden_size)])
    }

    /// A weight, and a bias of the same rows.
    fn projection(&self, parts: impl Fn(&str) -> Vec<TensorRows>, cols: usize, has_bias: bool) -> ProjectionSource {
        ProjectionSource {
            weight: MatrixSource::new(parts("weight"), cols, MatrixRole::Layer),
            bias: has_bias.then(|| VectorSource(parts("bias"))),
        }
    }

    /// The rows of Q, K and V. Where only the first values of a head turn, those of Q and K are reordered.
    fn qkv(&self, kind: &str) -> Vec<TensorRows> {
        let &ModelConfig { num_heads, num_kv_heads, stored_head_dim, .. } = self.model;
        let (q, kv) = (num_heads * stored_head_dim, num_kv_heads * stored_head_dim);
        let name = |projection| self.name("self_attn", projection, kind);
        let (order, padding) = (self.head_order(), self.head_padding());
        match self.model.projections {
            Projections::Separate => vec![
                all_rows(&name("q_proj"), q).in_order(order),
                all_rows(&name("k_proj"), kv).in_order(order),
                all_rows(&name("v_proj"), kv).in_order(padding),
            ],
            Projections::Fused => {
                let fused = all_rows(&name("qkv_proj"), q + 2 * kv);
                vec![fused.cut(0..q + kv).in_order(order), fused.cut(q + kv..q + 2 * kv).in_order(padding)]
            }
        }
    }

    fn gate_and_up(&self) -> [MatrixSource; 2] {
        let &ModelConfig { hidden_size, intermediate_size, .. } = self.model;
        let name = |projection| self.name("mlp", projection, "weight");
        let rows = match self.model.projections {
            Projections::Separate => ["gate_proj", "up_proj"].map(|half| all_rows(&name(half), intermediate_size)),
            Projections::Fused => {
                let fused = all_rows(&name("gate_up_proj"), 2 * intermediate_size);
                [fused.cut(0..intermediate_size), fused.cut(intermediate_size..2 * intermediate_size)]
            }
        };
        let typed_by = rows.each_ref().map(|half| half.tensor.clone());
        rows.map(|half| MatrixSource {
            typed_by: typed_by.to_vec(),
            ..MatrixSource::new(vec![half], hidden_size, MatrixRole::Layer)
        })
    }

    /// Of Q and K.
    fn head_order(&self) -> Option<HeadOrder> {
        HeadOrder::new(self.model.stored_head_dim, self.model.head_dim, self.model.rope.rotary_dim)
    }

    /// Of V, and of what is made of it.
    fn head_padding(&self) -> Option<HeadOrder> {
        HeadOrder::new(self.model.stored_head_dim, self.model.head_dim, 0)
    }
}

impl ProjectionSource {
    fn with_col_order(self, col_order: Option<HeadOrder>) -> Self {
        Self { weight: MatrixSource { col_order, ..self.weight }, ..self }
    }
}

impl MatrixSource {
    fn new(parts: Vec<TensorRows>, cols: usize, role: MatrixRole) -> Self {
        let typed_by = parts.iter().map(|part| part.tensor.clone()).collect();
        Self { parts, cols, col_order: None, typed_by, role }
    }

    /// Rows of all parts.
    pub fn num_rows(&self) -> usize {
        self.parts.iter().map(TensorRows::len).sum()
    }

    /// Columns of its tensors.
    pub fn stored_cols(&self) -> usize {
        self.col_order.map_or(self.cols, |order| self.cols / order.padded(order.stored()) * order.stored())
    }
}

impl VectorSource {
    /// Values of all parts.
    pub fn len(&self) -> usize {
        self.0.iter().map(TensorRows::len).sum()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn all_rows(tensor: &str, num_rows: usize) -> TensorRows {
    TensorRows { tensor: tensor.to_owned(), num_rows, rows: 0..num_rows, head_order: None, factor: 1.0 }
}

impl TensorRows {
    /// Rows that are made of them.
    fn len(&self) -> usize {
        self.head_order.map_or(self.rows.len(), |order| order.padded(self.rows.len()))
    }

    fn cut(&self, rows: Range<usize>) -> Self {
        Self { rows, ..self.clone() }
    }

    fn in_order(self, head_order: Option<HeadOrder>) -> Self {
        Self { head_order, ..self }
    }
}
