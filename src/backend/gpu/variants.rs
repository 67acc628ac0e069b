//! Which `override` values a kernel is compiled with for given params: tile sizes that fit the device.

use super::kernels::Kernel;
use super::row_order::RowOrder;
use super::tuning::{Settings, Tuning};
use crate::backend::attention_metadata::query_tile_rows;
use crate::backend::element_type::ElementType;
use crate::backend::params::AttentionParams;
use crate::config::KvDtype;

/// Threads of a workgroup. 64 suits every vendor: two subgroups of NVIDIA and Apple, one or two of AMD, two to eight of Intel.
pub const WORKGROUP_SIZE: u32 = 64;
/// Threads of a workgroup of `sample`: as many as WebGPU promises.
const SAMPLE_WORKGROUP_SIZE: u32 = 256;
/// `const MAX_SLOTS` of the attention kernels: vec4 accumulators a thread has room for.
const MAX_SLOTS: u32 = 8;
/// `const MAX_HEADS` of `paged_attention.wgsl`.
const MAX_HEADS: u32 = 16;
/// Lanes of a team that owns rows of attention.
pub(super) const TEAMS: [u32; 3] = [8, 16, 32];

/// A kernel with its `override` values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The kernel.
    pub kernel: Kernel,
    /// `override` names and values.
    pub overrides: Vec<(&'static str, u32)>,
}

/// Lanes that hand values round.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// Neighbouring threads that are neighbouring lanes.
    pub in_order: u32,
    /// What the faster versions are tuned for: not `Auto`.
    pub tuning: Tuning,
}

impl Lanes {
    /// The smallest team of which no lane owns more vec4s of a head than it may, if there is one.
    fn of_team(self, head_dim: u32) -> Option<u32> {
        let most = Settings::of(self.tuning).team.columns;
        let fits = |lanes| head_dim.is_multiple_of(4 * lanes) && head_dim / (4 * lanes) <= most;
        TEAMS.into_iter().find(|&lanes| lanes <= self.in_order && fits(lanes))
    }
}

impl Variant {
    /// A kernel whose only override is the workgroup size.
    pub fn plain(kernel: Kernel) -> Self {
        Self { kernel, overrides: vec![("WORKGROUP_SIZE", WORKGROUP_SIZE)] }
    }

    /// By how the table is stored.
    pub fn embed_tokens(elements: ElementType, order: RowOrder) -> Self {
        Self {
            kernel: Kernel::EmbedTokens,
            overrides: vec![
                ("WORKGROUP_SIZE", WORKGROUP_SIZE),
                ("WEIGHT_TYPE", elements.code()),
                ("INTERLEAVE", order.interleave() as u32),
            ],
        }
    }

    /// Query rows by head_dim; as many tokens per tile as workgroup memory holds.
    pub fn ragged_attention(p: &AttentionParams, max_workgroup_bytes: u32, lanes: Lanes) -> Self {
        let query_rows = query_tile_rows(p.head_dim as usize) as u32;
        if let Some(of_team) = lanes.of_team(p.head_dim) {
            // 32 vec4s of sums a lane at most.
            let rows = if p.head_dim > 8 * of_team { 8 } else { Settings::of(lanes.tuning).team.rows };
            return Self::ragged_attention_subgroup(p, query_rows, rows, of_team);
        }
        let bytes = |kv_tile: u32| 4 * ((query_rows + kv_tile) * p.head_dim + query_rows * kv_tile + query_rows);
        let kv_tile = [32, 16, 8, 4].into_iter().find(|&kv_tile| bytes(kv_tile) <= max_workgroup_bytes).unwrap_or(2);
        Self {
            kernel: Kernel::RaggedAttention,
            overrides: vec![
                ("WORKGROUP_SIZE", WORKGROUP_SIZE),
                ("HEAD_DIM", p.head_dim),
                ("BLOCK_SIZE", p.block_size),
                ("GROUP", p.num_heads / p.num_kv_heads),
                ("QUERY_ROWS", query_rows),
                ("KV_TILE", kv_tile),
            ],
        }
    }

    fn ragged_attention_subgroup(p: &AttentionParams, query_rows: u32, rows: u32, lanes: u32) -> Self {
        Self {
            kernel: Kernel::RaggedAttentionSubgroup,
            overrides: vec![
                ("WORKGROUP_SIZE", WORKGROUP_SIZE),
                ("HEAD_DIM", p.head_dim),
                ("BLOCK_SIZE", p.block_size),
                ("GROUP", p.num_heads / p.num_kv_heads),
                ("QUERY_ROWS", query_rows),
                ("ROWS", rows),
                ("LANES", lanes),
            ],
        }
    }

    /// As many heads of a group per workgroup as its accumulators hold.
    pub fn paged_attention(p: &AttentionParams, lanes: Lanes) -> Self {
        let group = p.num_heads / p.num_kv_heads;
        let of_team = lanes.of_team(p.head_dim);
        let (kernel, heads) = if of_team.is_some() {
            // Workgroups that share a KV head get about as many heads each.
            let most = Settings::of(lanes.tuning).team.heads;
            (Kernel::PagedAttentionSubgroup, group.div_ceil(group.div_ceil(most)))
        } else {
            (Kernel::PagedAttention, group.min(MAX_HEADS).min(MAX_SLOTS * WORKGROUP_SIZE * 4 / p.head_dim))
        };
        let mut overrides = vec![
            ("WORKGROUP_SIZE", WORKGROUP_SIZE),
            ("HEAD_DIM", p.head_dim),
            ("BLOCK_SIZE", p.block_size),
            ("GROUP", group),
            ("HEADS", heads),
        ];
        overrides.extend(of_team.map(|lanes| ("LANES", lanes)));
        Self { kernel, overrides }
    }

    /// The same for K and V that are kept so.
    pub fn with_kv(mut self, elements: KvDtype) -> Self {
        self.overrides.push(("KV_TYPE", elements.code()));
        self
    }

    /// A row of logits is long, and has one workgroup.
    pub fn sample() -> Self {
        Self { kernel: Kernel::Sample, overrides: vec![("WORKGROUP_SIZE", SAMPLE_WORKGROUP_SIZE)] }
    }

    /// The kernel's WGSL with this variant's values in place of its overrides: a file that stands alone.
    pub fn final_wgsl(&self) -> String {
        let constant = |line: &str| {
            let Some((name, rest)) = line.strip_prefix("override ").and_then(|rest| rest.split_once(": u32 = ")) else {
                return format!("{line}\n");
            };
            let (default, comment) = rest.split_once(';').unwrap_or((rest, ""));
            let value = self.value(name).map_or(default.to_string(), |value| format!("{value}u"));
            format!("const {name}: u32 = {value};{comment}\n")
        };
        self.kernel.source().wgsl().lines().map(constant).collect()
    }

    /// The value of an override of this variant.
    pub fn value(&self, name: &str) -> Option<u32> {
        self.overrides.iter().find(|(other, _)| *other == name).map(|&(_, value)| value)
    }

    /// Whether 64-bit words pay, where loads go word by word. The naive versions stay plain. int4 loads a fourth of what f16
    /// does for as many weights, and taking long words apart costs more than they save.
    pub fn takes_u64_loads(&self) -> bool {
        let is_naive = self.kernel.naive() == self.kernel;
        !is_naive && self.value("WEIGHT_TYPE") != Some(ElementType::Int4.code())
    }

    /// `linear ROW_TILE=8 WORKGROUP_SIZE=64`, for file names and messages.
    pub fn label(&self) -> String {
        let overrides: String = self.overrides.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        format!("{}{overrides}", self.kernel.source().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By head_dim: lanes of a team and packed rows in a prefill, lanes and heads in a decode of a group of 7.
    #[test]
    fn teams_fit_their_registers() {
        let found = |lanes: Lanes, head_dim| {
            let p = AttentionParams {
                num_heads: 7,
                num_kv_heads: 1,
                head_dim,
                block_size: 16,
                ..bytemuck::Zeroable::zeroed()
            };
            let (ragged, paged) = (Variant::ragged_attention(&p, 16 << 10, lanes), Variant::paged_attention(&p, lanes));
            [ragged.value("LANES"), ragged.value("ROWS"), paged.value("LANES"), paged.value("HEADS")]
                .map(|v| v.unwrap_or(0))
        };
        let software = Lanes { in_order: 8, tuning: Tuning::Software };
        let widths = [32, 64, 96, 128];
        assert_eq!(
            widths.map(|width| found(software, width)),
            [[8, 16, 8, 7], [8, 16, 8, 7], [8, 8, 8, 7], [8, 8, 8, 7]]
        );
        let hardware = Lanes { in_order: 32, tuning: Tuning::Gpu };
        assert_eq!(
            widths.map(|width| found(hardware, width)),
            [[8, 8, 8, 4], [16, 8, 16, 4], [0, 0, 0, 7], [32, 8, 32, 4]]
        );
        // Naive where the subgroup has no such team.
        assert_eq!(found(Lanes { in_order: 16, ..hardware }, 128), [0, 0, 0, 7]);
    }

    #[test]
    fn attention_has_room_for_as_much_as_its_wgsl_says() {
        let has = |kernel: Kernel, name: &str, value: u32| {
            let constant = format!("\nconst {name} = {value}u;");
            assert!(kernel.source().wgsl().contains(&constant), "{kernel:?} has no {constant:?}");
        };
        has(Kernel::PagedAttention, "MAX_SLOTS", MAX_SLOTS);
        has(Kernel::PagedAttention, "MAX_HEADS", MAX_HEADS);
        // query_tile_rows keeps its accumulators within the same.
        has(Kernel::RaggedAttention, "MAX_SLOTS", MAX_SLOTS);
    }
}
