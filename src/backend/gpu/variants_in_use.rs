//! The variants that models lead to: what can be checked, translated and written out without running any.

use super::kernels::Kernel;
use super::linear_variants::LinearShape;
use super::row_order::RowOrder;
use super::tuning::Tuning;
use super::variants::{Lanes, Variant};
use crate::backend::element_type::ElementType;
use crate::backend::params::AttentionParams;
use crate::config::KvDtype;
use bytemuck::Zeroable;
use std::collections::HashSet;

const NO_LANES: Lanes = Lanes { in_order: 1, tuning: Tuning::Software };
const ALL_LANES: [Lanes; 2] = [Lanes { in_order: 8, ..NO_LANES }, Lanes { in_order: 32, tuning: Tuning::Gpu }];

impl Variant {
    /// Every variant of the plain kernels and of `linear`, and of the attention kernels one for each head width, group,
    /// block size and tile that models use: what the translation tests and `cb-lab devices --dump-shaders` go through.
    pub fn all_in_use() -> Vec<Self> {
        use Kernel::*;
        let plain = [RmsNorm, MergeSplits, GatherRows];
        let mut variants: Vec<Self> = plain.into_iter().map(Self::plain).collect();
        let kv_types = [KvDtype::F32, KvDtype::F16];
        variants.extend(kv_types.map(|elements| Self::plain(RopeStoreKv).with_kv(elements)));
        variants.push(Self::sample());
        let orders = [RowOrder::OneByOne, RowOrder::Interleaved];
        for (elements, order) in ElementType::ALL.into_iter().flat_map(|elements| orders.map(|order| (elements, order)))
        {
            if elements != ElementType::Int4 {
                variants.push(Self::embed_tokens(elements, order));
            }
            for tuning in [Tuning::Gpu, Tuning::Software] {
                for num_rows in [1, 4, 8, u32::MAX] {
                    let shape = LinearShape { num_rows, elements, order, tuning };
                    variants.extend([Self::linear(shape), Self::gated_linear(shape)]);
                }
            }
        }
        let heads =
            [8, 16, 24, 32, 64, 80, 96, 128, 256].map(|head_dim| [1, 4, 7, 32].map(|group| (head_dim, group, 16)));
        let blocks = [1, 8, 256].map(|block_size| (64, 4, block_size));
        for (head_dim, num_heads, block_size) in heads.into_iter().flatten().chain(blocks) {
            let p = AttentionParams { num_heads, num_kv_heads: 1, head_dim, block_size, ..Zeroable::zeroed() };
            let ragged = [16 << 10, 32 << 10, 48 << 10].map(|bytes| Self::ragged_attention(&p, bytes, NO_LANES));
            let of_lanes = ALL_LANES
                .into_iter()
                .flat_map(|lanes| [Self::ragged_attention(&p, 16 << 10, lanes), Self::paged_attention(&p, lanes)]);
            for variant in ragged.into_iter().chain([Self::paged_attention(&p, NO_LANES)]).chain(of_lanes) {
                variants.extend(kv_types.map(|elements| variant.clone().with_kv(elements)));
            }
        }
        let mut seen = HashSet::new();
        variants.retain(|variant| seen.insert(variant.clone()));
        variants
    }
}
