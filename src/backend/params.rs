//! The parameters of every kernel: one `#[repr(C)]` struct per kernel, read by the WGSL kernel as a uniform and by its
//! CPU twin as a plain argument. A test compares each with the WGSL text by reflection.

use bytemuck::{Pod, Zeroable};

/// A kernel's parameters, with the names and offsets of its fields for the layout test.
pub trait KernelParams: Pod {
    /// Name and byte offset of each field, in order.
    const FIELDS: &'static [(&'static str, usize)];
}

/// Declares a params struct of 4-byte fields and lists its fields.
macro_rules! params {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
        pub struct $name { $($(#[$field_doc])* pub $field: $ty,)* }

        impl KernelParams for $name {
            const FIELDS: &'static [(&'static str, usize)] =
                &[$((stringify!($field), std::mem::offset_of!($name, $field)),)*];
        }
    };
}

params! {
    /// `out[row, :] = table[token_ids[row], :]`, or `table[sampled_tokens[token_ids[row]], :]`
    EmbedTokensParams {
        /// Rows of `out`.
        num_tokens: u32,
        /// Width of a row.
        hidden_size: u32,
        /// First vocabulary row held by the bound piece of the table.
        first_row: u32,
        /// Vocabulary rows held by the bound piece of the table.
        num_rows: u32,
        /// Where `token_ids` begins in the attention metadata.
        token_ids_offset: u32,
        /// 0: these are token ids. 1: rows of `sampled_tokens`, where `sample` left the token ids.
        from_sampled: u32,
    }
}
params! {
    /// `out[row, i] = x[row, i] * weight[i] / sqrt(mean(x[row, :]²) + eps)`
    RmsNormParams {
        /// Rows of `x`.
        num_rows: u32,
        /// Width of a row.
        width: u32,
        /// Added to the mean square.
        eps: f32,
    }
}
params! {
    /// `out[row, first_out + n] = Σ_k x[row, k] * weight[n, k] + bias[first_out + n]` for `n` in `0..num_out`; with
    /// `add_to_out` it is `+=`.
    LinearParams {
        /// Rows of `x`.
        num_rows: u32,
        /// Columns of `x` and of the weight.
        in_features: u32,
        /// Columns of `out`.
        out_features: u32,
        /// First output column computed by the bound piece of the weight.
        first_out: u32,
        /// Output columns computed by the bound piece of the weight.
        num_out: u32,
        /// 1 to add the bias, 0 not to read it.
        has_bias: u32,
        /// 1 to add to what `out` holds, as a block adds to the residual stream; 0 to overwrite it.
        add_to_out: u32,
    }
}

impl LinearParams {
    /// Overwrites `out`. What depends on the weight and the bias is the backend's to fill in.
    pub fn of_shape(num_rows: u32, in_features: u32, out_features: u32) -> Self {
        Self { num_rows, in_features, out_features, ..Zeroable::zeroed() }
    }

    /// The same, but adds to `out`.
    pub fn adding(self) -> Self {
        Self { add_to_out: 1, ..self }
    }
}

params! {
    /// `out[row, first_out + n] = silu(Σ_k x[row, k] * gate[n, k]) * Σ_k x[row, k] * up[n, k]` for `n` in `0..num_out`,
    /// with `silu(x) = x / (1 + exp(−x))`
    GatedLinearParams {
        /// Rows of `x`.
        num_rows: u32,
        /// Columns of `x` and of both weights.
        in_features: u32,
        /// Columns of `out`.
        out_features: u32,
        /// First output column computed by the bound pieces of the weights.
        first_out: u32,
        /// Output columns computed by the bound pieces of the weights.
        num_out: u32,
    }
}

impl GatedLinearParams {
    /// What depends on the weights is the backend's to fill in.
    pub fn of_shape(num_rows: u32, in_features: u32, out_features: u32) -> Self {
        Self { num_rows, in_features, out_features, first_out: 0, num_out: 0 }
    }
}

params! {
    /// Norms each head of Q and K, `y[i] = x[i] * norm[i] / sqrt(mean(x²) + eps)`, if the model does; turns it, `(a, b) =
    /// (y[i], y[i + head_dim/2])` becomes `(a·cos − b·sin, b·cos + a·sin)`; and puts K and V into their slot of the KV pool.
    RopeStoreKvParams {
        /// Rows of `qkv` and `q`.
        num_tokens: u32,
        /// Query heads in a row.
        num_heads: u32,
        /// KV heads in a row.
        num_kv_heads: u32,
        /// Width of a head.
        head_dim: u32,
        /// Tokens per KV block.
        block_size: u32,
        /// Where `positions` begins in the attention metadata.
        positions_offset: u32,
        /// Where `slot_mapping` begins in the attention metadata.
        slot_mapping_offset: u32,
        /// 1 to norm the heads of Q and K, 0 to leave them.
        has_norms: u32,
        /// Added to the mean square.
        eps: f32,
    }
}
params! {
    /// Causal attention through the block table; shared by `ragged_attention` and `paged_attention`.
    AttentionParams {
        /// Work items in this dispatch: query tiles (ragged), or sequences and splits of sequences (paged).
        num_items: u32,
        /// Paged: the first so many items are whole sequences, the others splits.
        num_whole: u32,
        /// Query heads.
        num_heads: u32,
        /// KV heads; `num_heads / num_kv_heads` query heads share one.
        num_kv_heads: u32,
        /// Width of a head.
        head_dim: u32,
        /// Tokens per KV block.
        block_size: u32,
        /// Ragged: a query sees this many tokens, itself included; `u32::MAX` sees all. (Paged: the items say it.)
        window: u32,
        /// Scores are multiplied by this: `1 / sqrt(head_dim)`.
        scale: f32,
        /// Where this dispatch's work items begin in the attention metadata.
        items_offset: u32,
        /// Where `cu_seqlens_q` begins in the attention metadata.
        cu_seqlens_q_offset: u32,
        /// Where `context_lens` begins in the attention metadata.
        context_lens_offset: u32,
        /// Where `block_table_offsets` begins in the attention metadata.
        block_table_offsets_offset: u32,
        /// Where `block_table` begins in the attention metadata.
        block_table_offset: u32,
    }
}
params! {
    /// `out[row, head, :] = Σ_i exp(maximum_i − m) sums_i[head, :] / Σ_i exp(maximum_i − m) total_i` over the row's splits
    /// `i`, where `m` is the largest maximum.
    MergeSplitsParams {
        /// Rows to be put together.
        num_items: u32,
        /// Query heads.
        num_heads: u32,
        /// Width of a head.
        head_dim: u32,
        /// Where the work items begin in the attention metadata.
        items_offset: u32,
    }
}
params! {
    /// `out[row, :] = x[logit_indices[row], :]`
    GatherRowsParams {
        /// Rows of `out`.
        num_rows: u32,
        /// Width of a row.
        width: u32,
        /// Where `logit_indices` begins in the attention metadata.
        indices_offset: u32,
    }
}
params! {
    /// `out[row] = (the token that sampling_inputs[row] asks for, its natural log-probability under softmax(x[row, :]))`
    ///
    /// A row without a softmax has NaN for it: one with a NaN or with +∞ anywhere, or with nothing but −∞.
    SampleParams {
        /// Rows of `x`.
        num_rows: u32,
        /// Width of a row.
        width: u32,
    }
}
params! {
    /// How `sample` chooses in one row: not in its uniform, but an element of a buffer.
    ///
    /// Temperature 0 takes the largest logit. Otherwise a token's weight is `exp((x − largest) / temperature)`, and top-k,
    /// then top-p, then min-p say which remain. Larger logits come first, of equal ones the lower index; NaN never comes.
    SamplingInput {
        /// 0, or what logits are divided by.
        temperature: f32,
        /// The first so many remain; all where it is not less than the width.
        top_k: u32,
        /// Of these the fewest whose weights are at least this part of all; 1 keeps all.
        top_p: f32,
        /// Of these the ones that weigh at least this, where the first weighs 1.
        min_p: f32,
        /// Which one it becomes, in 0..1: the first in order of index with more than this part of all weight up to it.
        random: f32,
    }
}

impl SamplingInput {
    /// Words of an element.
    pub const WORDS: usize = size_of::<Self>() / 4;
}
