//! The decoder: embedding, layers of attention and MLP, norm, logits. It reads like the papers (Touvron et al. 2023).

use super::config::ModelConfig;
use super::layer_plan::{AttentionPlan, BlockNorms, LayerPlan, Mixer, Mlp};
use super::memory_plan::MemoryPlan;
use super::rope_table::{RopeRows, RopeTable};
use super::weights::{LayerWeights, Projection, Weights};
use crate::backend::attention_metadata::{AttentionMetadata, AttentionShape, DecodeRows, PagedWork};
use crate::backend::params::*;
use crate::backend::{Backend, HeadTables, KvPool};
use crate::config::EngineConfig;
use crate::core::batch_builder::RaggedBatch;
use crate::error::Result;

/// A model ready to run: its weights, the KV pools, and room for the activations of one step.
pub struct Decoder<B: Backend> {
    model: ModelConfig,
    attention_shape: AttentionShape,
    block_size: u32,
    weights: Weights<B>,
    kv_pools: Vec<KvPool<B::Buffer>>,
    rope: RopeTable,
    rope_table: B::Buffer,
    rope_rows: RopeRows,
    metadata: AttentionMetadata,
    step: B::Buffer,
    activations: Activations<B::Buffer>,
}

/// What flows through a step. The first dimension of each is a row of the batch, but for the last three.
struct Activations<Buffer> {
    /// The residual stream, `[num_tokens, hidden_size]`.
    residual: Buffer,
    /// What a norm makes of it.
    normed: Buffer,
    /// Q, K and V as projected, `[num_tokens, (num_heads + 2 num_kv_heads) * head_dim]`; then the output of attention.
    qkv_or_attended: Buffer,
    /// Q as attention takes it.
    q: Buffer,
    /// Between the two linears of the MLP, `[num_tokens, intermediate_size]`.
    gated: Buffer,
    /// What is kept of the splits of decodes until they are merged, `[num_splits, num_heads, head_dim + 4]`.
    partials: Buffer,
    /// `[num_logit_rows, hidden_size]`
    last_rows: Buffer,
    /// `[num_logit_rows, vocab_size]`
    logits: Buffer,
}

/// The logits of a step on the backend: `[num_rows, vocab_size]`, in the order of the batch's `logit_indices`.
pub struct Logits<'a, Buffer> {
    /// Where they are.
    pub buffer: &'a Buffer,
    /// Sequences that sample in this step.
    pub num_rows: usize,
    /// Width of a row.
    pub vocab_size: usize,
}

impl<B: Backend> Decoder<B> {
    /// Allocates all that a step needs; nothing is allocated while stepping.
    ///
    /// # Errors
    /// [`crate::Error::Device`] if the device has not enough memory.
    pub async fn new(
        backend: &mut B,
        model: ModelConfig,
        config: &EngineConfig,
        plan: &MemoryPlan,
        weights: Weights<B>,
    ) -> Result<Self> {
        let mut kv_pools = Vec::with_capacity(plan.num_layers);
        for _ in 0..plan.num_layers {
            let k = backend.alloc("k_pool", plan.kv_pool)?;
            kv_pools.push(KvPool { k, v: backend.alloc("v_pool", plan.kv_pool)?, elements: config.kv_dtype });
        }
        let mut rope_table = backend.alloc("rope table", plan.rope_table)?;
        let rope = RopeTable::new(&model, config.max_model_len);
        backend.upload(&mut rope_table, 0, bytemuck::cast_slice(&rope.values()));

        let activations = Activations {
            residual: backend.alloc("residual", plan.hidden)?,
            normed: backend.alloc("normed", plan.hidden)?,
            qkv_or_attended: backend.alloc("qkv_or_attended", plan.qkv)?,
            q: backend.alloc("q", plan.q)?,
            gated: backend.alloc("gated", plan.intermediate)?,
            partials: backend.alloc("partials", plan.partials)?,
            last_rows: backend.alloc("last_rows", plan.last_rows)?,
            logits: backend.alloc("logits", plan.logits)?,
        };
        let step = backend.alloc("attention metadata", plan.metadata)?;
        backend.reserve(plan.step)?;
        backend.flush().await?;
        let block_size = config.block_size as u32;
        Ok(Self {
            attention_shape: model.attention_shape(),
            model,
            block_size,
            weights,
            kv_pools,
            rope,
            rope_table,
            rope_rows: RopeRows::default(),
            metadata: AttentionMetadata::default(),
            step,
            activations,
        })
    }

    /// Its shape.
    pub fn model(&self) -> &ModelConfig {
        &self.model
    }

    /// The KV pool of a layer: what the layer left behind of every token computed so far.
    pub fn kv_pool(&self, layer: usize) -> KvPool<&B::Buffer> {
        self.kv_pools[layer].as_ref()
    }

    /// The KV pool of a layer, for tests that poison it.
    pub fn kv_pool_mut(&mut self, layer: usize) -> KvPool<&mut B::Buffer> {
        self.kv_pools[layer].as_mut()
    }

    /// What attention read and wrote last, which is in the last layer: the queries after rope and what they attended to,
    /// both `[num_tokens, num_heads, head_dim]`. To look at.
    pub fn last_attention(&self) -> (&B::Buffer, &B::Buffer) {
        (&self.activations.q, &self.activations.qkv_or_attended)
    }

    /// Computes a batch: stores the K and V of its tokens and leaves the logits of its `logit_indices`.
    /// `sampled_tokens` are those of the step before, which the batch may refer to.
    pub fn forward(
        &mut self,
        backend: &mut B,
        batch: &RaggedBatch,
        sampled_tokens: &B::Buffer,
    ) -> Logits<'_, B::Buffer> {
        let decode = if backend.batch_invariant() { DecodeRows::Ragged } else { DecodeRows::Paged };
        self.metadata.pack(batch, &self.attention_shape, decode);
        self.rope_rows = self.rope.pack(batch, &mut self.metadata);
        backend.upload(&mut self.step, 0, &self.metadata.words);

        backend.enter_layer(None);
        self.embed(backend, batch.num_tokens() as u32, sampled_tokens);
        for layer in 0..self.model.num_layers() {
            backend.enter_layer(Some(layer));
            let LayerPlan { mixer, mlp, norms: BlockNorms::Before } = self.model.layers[layer];
            match mixer {
                Mixer::Attention(plan) => self.attention_block(backend, layer, plan, batch.num_tokens() as u32),
            }
            match mlp {
                Mlp::SiluGated => self.mlp_block(backend, layer, batch.num_tokens() as u32),
            }
        }
        backend.enter_layer(None);
        self.head(backend, batch.logit_indices.len() as u32);
        Logits {
            buffer: &self.activations.logits,
            num_rows: batch.logit_indices.len(),
            vocab_size: self.model.vocab_size,
        }
    }

    fn embed(&mut self, backend: &mut B, num_tokens: u32, sampled_tokens: &B::Buffer) {
        let p = EmbedTokensParams {
            num_tokens,
            hidden_size: self.model.hidden_size as u32,
            first_row: 0,
            num_rows: self.model.vocab_size as u32,
            token_ids_offset: self.metadata.token_ids,
            from_sampled: self.metadata.from_sampled,
        };
        backend.embed_tokens(p, &self.step, sampled_tokens, &self.weights.embed_tokens, &mut self.activations.residual);
    }

    /// `residual += o_proj(attention(norm(residual)))`
    fn attention_block(&mut self, backend: &mut B, layer: usize, plan: AttentionPlan, num_tokens: u32) {
        let Self { model, weights, activations: a, step, metadata, .. } = self;
        let LayerWeights { input_layernorm, qkv_proj, head_norms, o_proj, .. } = &weights.layers[layer];
        let [num_heads, num_kv_heads, head_dim] =
            [model.num_heads, model.num_kv_heads, model.head_dim].map(|count| count as u32);
        let [hidden_size, q_width] = [model.hidden_size as u32, num_heads * head_dim];
        let eps = model.rms_norm_eps;
        let block_size = self.block_size;

        let norm = RmsNormParams { num_rows: num_tokens, width: hidden_size, eps };
        backend.rms_norm(norm, &a.residual, input_layernorm, &mut a.normed);
        let to_qkv = LinearParams::of_shape(num_tokens, hidden_size, q_width + 2 * num_kv_heads * head_dim);
        project(backend, qkv_proj, to_qkv, &a.normed, &mut a.qkv_or_attended);

        let turn = RopeStoreKvParams {
            num_tokens,
            num_heads,
            num_kv_heads,
            head_dim,
            block_size,
            positions_offset: self.rope_rows.of(plan.rope),
            slot_mapping_offset: metadata.slot_mapping,
            has_norms: 0,
            eps: model.head_norm_eps(),
        };
        let tables = HeadTables { rope: &self.rope_table, norms: head_norms.as_ref() };
        let kv = &mut self.kv_pools[layer];
        backend.rope_store_kv(turn, step, tables, &a.qkv_or_attended, &mut a.q, kv.as_mut());

        let window = plan.window_or_all();
        let PagedWork { items, num_items, num_whole, merges, num_merges, .. } = metadata.paged(window);
        let attention = |num_items, num_whole, items_offset| AttentionParams {
            num_items,
            num_whole,
            num_heads,
            num_kv_heads,
            head_dim,
            block_size,
            window,
            scale: plan.scale,
            items_offset,
            ..metadata.attention_params()
        };
        let attended = &mut a.qkv_or_attended;
        if metadata.num_ragged_items > 0 {
            let ragged = attention(metadata.num_ragged_items, 0, metadata.ragged_items);
            backend.ragged_attention(ragged, step, &a.q, kv.as_ref(), attended);
        }
        if num_items > 0 {
            let paged = attention(num_items, num_whole, items);
            backend.paged_attention(paged, step, &a.q, kv.as_ref(), attended, &mut a.partials);
        }
        if num_merges > 0 {
            let merge = MergeSplitsParams { num_items: num_merges, num_heads, head_dim, items_offset: merges };
            backend.merge_splits(merge, step, &a.partials, attended);
        }

        let added = LinearParams::of_shape(num_tokens, q_width, hidden_size).adding();
        project(backend, o_proj, added, attended, &mut a.residual);
    }

    /// `residual += down_proj(silu(gate_proj(x)) * up_proj(x))` with `x = norm(residual)`
    fn mlp_block(&mut self, backend: &mut B, layer: usize, num_tokens: u32) {
        let Self { model, weights, activations: a, .. } = self;
        let LayerWeights { post_attention_layernorm, gate_proj, up_proj, down_proj, .. } = &weights.layers[layer];
        let [hidden_size, intermediate_size] = [model.hidden_size as u32, model.intermediate_size as u32];

        let norm = RmsNormParams { num_rows: num_tokens, width: hidden_size, eps: model.rms_norm_eps };
        backend.rms_norm(norm, &a.residual, post_attention_layernorm, &mut a.normed);
        let gated = GatedLinearParams::of_shape(num_tokens, hidden_size, intermediate_size);
        backend.gated_linear(gated, &a.normed, gate_proj, up_proj, &mut a.gated);
        let added = LinearParams::of_shape(num_tokens, intermediate_size, hidden_size).adding();
        project(backend, down_proj, added, &a.gated, &mut a.residual);
    }

    /// Logits of the rows that sample. The norm works on each row alone, so only those rows are normed.
    fn head(&mut self, backend: &mut B, num_rows: u32) {
        let Self { model, weights, activations: a, step, metadata, .. } = self;
        let [hidden_size, vocab_size] = [model.hidden_size as u32, model.vocab_size as u32];
        let gather = GatherRowsParams { num_rows, width: hidden_size, indices_offset: metadata.logit_indices };
        backend.gather_rows(gather, step, &a.residual, &mut a.last_rows);
        let norm = RmsNormParams { num_rows, width: hidden_size, eps: model.rms_norm_eps };
        backend.rms_norm(norm, &a.last_rows, &weights.norm, &mut a.normed);
        let lm_head = weights.lm_head.as_ref().unwrap_or(&weights.embed_tokens);
        let p = LinearParams::of_shape(num_rows, hidden_size, vocab_size);
        backend.linear(p, &a.normed, lm_head, None, &mut a.logits);
    }
}

fn project<B: Backend>(
    backend: &mut B,
    projection: &Projection<B>,
    p: LinearParams,
    x: &B::Buffer,
    out: &mut B::Buffer,
) {
    backend.linear(p, x, &projection.weight, projection.bias.as_ref(), out);
}
