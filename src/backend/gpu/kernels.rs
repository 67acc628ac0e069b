//! The kernel table: for each kernel its WGSL text and the storage buffers it binds after its params.

/// A kernel, named as its WGSL file. Each [`Kernel::naive`] has the name of its twin, its test and its
/// [`Backend`](crate::backend::Backend) method, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the WGSL file of that name is the documentation")]
pub enum Kernel {
    EmbedTokens,
    RmsNorm,
    Linear,
    LinearInterleaved,
    LinearTiles,
    GatedLinear,
    GatedLinearInterleaved,
    GatedLinearTiles,
    RopeStoreKv,
    RaggedAttention,
    RaggedAttentionSubgroup,
    PagedAttention,
    PagedAttentionSubgroup,
    MergeSplits,
    GatherRows,
    Sample,
}

/// How kernels read vec4s, and pairs of them, in half as many words. They are below shaders/ and stand in for files without
/// `_u64`.
pub const U64_FILES: [(&str, &str); 2] = [
    ("shared/four_u64.wgsl", include_str!("../../../shaders/shared/four_u64.wgsl")),
    ("shared/pair_u64.wgsl", include_str!("../../../shaders/shared/pair_u64.wgsl")),
];
/// What they stand in for.
const WORDS: [&str; 2] =
    [include_str!("../../../shaders/shared/four.wgsl"), include_str!("../../../shaders/shared/pair.wgsl")];

/// The text of a kernel with 64-bit words in place of 32-bit ones for weights, x, q, K and V, if it has a choice.
pub fn with_u64_loads(wgsl: &str) -> String {
    WORDS.iter().zip(U64_FILES).fold(wgsl.to_string(), |wgsl, (words, (_, u64_loads))| wgsl.replace(words, u64_loads))
}

/// How a kernel uses a storage buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    ReadWrite,
}

/// x, the weight, the bias, the output, the weight's scales.
const LINEAR: [Access; 5] = {
    use Access::{Read, ReadWrite};
    [Read, Read, Read, ReadWrite, Read]
};

/// x, the weights of gate and of up, the output, the scales of either.
const GATED_LINEAR: [Access; 6] = {
    use Access::{Read, ReadWrite};
    [Read, Read, Read, ReadWrite, Read, Read]
};

/// The pools stand twice: as f32 and as halves. WGSL has no other way to read one buffer as two types; a third type that
/// suits both would cost f32 a load more for each vec4. So `PAGED_ATTENTION` binds all eight buffers that WebGPU promises: a
/// kernel that needs one more must first be compiled from one text for each type, as is done for words of 64 bits.
const RAGGED_ATTENTION: [Access; 7] = {
    use Access::{Read, ReadWrite};
    [Read, Read, Read, Read, ReadWrite, Read, Read]
};
/// And what is kept of splits.
const PAGED_ATTENTION: [Access; 8] = {
    use Access::{Read, ReadWrite};
    [Read, Read, Read, Read, ReadWrite, Read, Read, ReadWrite]
};

/// What the pipeline cache needs to know of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct KernelSource {
    /// The file's name without `.wgsl`.
    pub name: &'static str,
    /// The files that its text is made of, below shaders/, and the text of each: the kernel's own, then those of the
    /// functions it shares with others.
    pub files: &'static [(&'static str, &'static str)],
    /// Storage buffers at bindings 1, 2, …; binding 0 is the params.
    pub buffers: &'static [Access],
}

impl KernelSource {
    /// The whole text.
    pub fn wgsl(&self) -> String {
        composed(self.files)
    }
}

/// The text of a kernel that is made of these files, each with its name.
pub fn composed(files: &[(&str, &str)]) -> String {
    files.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("\n")
}

impl Kernel {
    /// Every kernel.
    pub const ALL: [Kernel; 16] = [
        Kernel::EmbedTokens,
        Kernel::RmsNorm,
        Kernel::Linear,
        Kernel::LinearInterleaved,
        Kernel::LinearTiles,
        Kernel::GatedLinear,
        Kernel::GatedLinearInterleaved,
        Kernel::GatedLinearTiles,
        Kernel::RopeStoreKv,
        Kernel::RaggedAttention,
        Kernel::RaggedAttentionSubgroup,
        Kernel::PagedAttention,
        Kernel::PagedAttentionSubgroup,
        Kernel::MergeSplits,
        Kernel::GatherRows,
        Kernel::Sample,
    ];

    /// The kernel whose formula, twin and test it shares: itself, unless it is a faster version of another.
    pub fn naive(self) -> Kernel {
        match self {
            Kernel::LinearInterleaved | Kernel::LinearTiles => Kernel::Linear,
            Kernel::RaggedAttentionSubgroup => Kernel::RaggedAttention,
            Kernel::GatedLinearInterleaved | Kernel::GatedLinearTiles => Kernel::GatedLinear,
            Kernel::PagedAttentionSubgroup => Kernel::PagedAttention,
            kernel => kernel,
        }
    }

    /// Its row of the table.
    pub fn source(self) -> KernelSource {
        use Access::{Read, ReadWrite};
        macro_rules! source {
            ($name:literal, $buffers:expr $(, $shared:literal)*) => {
                KernelSource {
                    name: $name,
                    files: &[
                        (concat!($name, ".wgsl"), include_str!(concat!("../../../shaders/", $name, ".wgsl")))
                        $(, (
                            concat!("shared/", $shared, ".wgsl"),
                            include_str!(concat!("../../../shaders/shared/", $shared, ".wgsl")),
                        ))*
                    ],
                    buffers: &$buffers,
                }
            };
        }
        match self {
            Kernel::EmbedTokens => source!("embed_tokens", [Read, Read, Read, ReadWrite, Read], "eight_weights"),
            Kernel::RmsNorm => source!("rms_norm", [Read, Read, ReadWrite]),
            Kernel::Linear => source!("linear", LINEAR, "eight_weights"),
            Kernel::LinearInterleaved => {
                source!(
                    "linear_interleaved",
                    LINEAR,
                    "few_rows",
                    "packet",
                    "weight_pairs",
                    "pair",
                    "four",
                    "eight_weights",
                    "four_terms"
                )
            }
            Kernel::LinearTiles => {
                source!(
                    "linear_tiles",
                    LINEAR,
                    "tile",
                    "packet",
                    "weight_pairs",
                    "pair",
                    "four",
                    "eight_weights",
                    "four_terms"
                )
            }
            Kernel::GatedLinear => {
                source!("gated_linear", GATED_LINEAR, "eight_weights", "silu")
            }
            Kernel::GatedLinearInterleaved => {
                source!(
                    "gated_linear_interleaved",
                    GATED_LINEAR,
                    "few_rows",
                    "packet",
                    "gate_and_up_pairs",
                    "pair",
                    "four",
                    "eight_weights",
                    "four_terms",
                    "silu"
                )
            }
            Kernel::GatedLinearTiles => {
                source!(
                    "gated_linear_tiles",
                    GATED_LINEAR,
                    "tile",
                    "packet",
                    "gate_and_up_pairs",
                    "pair",
                    "four",
                    "eight_weights",
                    "four_terms",
                    "silu"
                )
            }
            Kernel::RopeStoreKv => {
                source!("rope_store_kv", [Read, Read, Read, Read, ReadWrite, ReadWrite, ReadWrite])
            }
            Kernel::RaggedAttention => source!("ragged_attention", RAGGED_ATTENTION, "kv_elements", "four"),
            Kernel::RaggedAttentionSubgroup => {
                source!(
                    "ragged_attention_subgroup",
                    RAGGED_ATTENTION,
                    "attention_subgroup",
                    "kv_elements",
                    "four",
                    "four_terms"
                )
            }
            Kernel::PagedAttention => source!("paged_attention", PAGED_ATTENTION, "kv_elements", "four"),
            Kernel::PagedAttentionSubgroup => {
                source!(
                    "paged_attention_subgroup",
                    PAGED_ATTENTION,
                    "attention_subgroup",
                    "kv_elements",
                    "four",
                    "four_terms"
                )
            }
            Kernel::MergeSplits => source!("merge_splits", [Read, Read, ReadWrite]),
            Kernel::GatherRows => source!("gather_rows", [Read, Read, ReadWrite]),
            Kernel::Sample => source!("sample", [Read, Read, ReadWrite]),
        }
    }
}
