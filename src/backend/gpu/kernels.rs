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
    LinearSplit,
    LinearTiles,
    GatedLinear,
    GatedLinearInterleaved,
    GatedLinearSplit,
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

/// A file below shaders/ that takes another's place on some devices.
#[derive(Clone, Copy, Debug)]
pub struct StandIn {
    /// Its name.
    pub name: &'static str,
    text: &'static str,
    /// Whose place it takes.
    pub stands_for: &'static str,
    usual: &'static str,
}

macro_rules! stand_in {
    ($name:literal, $usual:literal) => {
        StandIn {
            name: concat!("shared/", $name, ".wgsl"),
            text: include_str!(concat!("../../../shaders/shared/", $name, ".wgsl")),
            stands_for: concat!("shared/", $usual, ".wgsl"),
            usual: include_str!(concat!("../../../shaders/shared/", $usual, ".wgsl")),
        }
    };
}

/// How kernels read vec4s, and pairs of them, in half as many words.
const U64_LOADS: [StandIn; 2] = [stand_in!("four_u64", "four"), stand_in!("pair_u64", "pair")];
/// How lanes hand x round.
const SHUFFLED_X: StandIn = stand_in!("x_shuffled", "x_plain");

impl StandIn {
    /// All there are.
    pub const ALL: [Self; 3] = [U64_LOADS[0], U64_LOADS[1], SHUFFLED_X];

    /// Whether a file has the text of this one.
    pub fn is(&self, text: &str) -> bool {
        self.text == text
    }

    fn put_into(&self, wgsl: &str) -> String {
        wgsl.replace(self.usual, self.text)
    }
}

/// The text of a kernel with 64-bit words in place of 32-bit ones for weights, x, q, K and V, if it has a choice.
pub fn with_u64_loads(wgsl: &str) -> String {
    U64_LOADS.iter().fold(wgsl.to_string(), |wgsl, stand_in| stand_in.put_into(&wgsl))
}

/// The text of a kernel in which lanes hand x round, if it has a choice.
pub fn with_shuffled_x(wgsl: &str) -> String {
    SHUFFLED_X.put_into(wgsl)
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
    pub const ALL: [Kernel; 18] = [
        Kernel::EmbedTokens,
        Kernel::RmsNorm,
        Kernel::Linear,
        Kernel::LinearInterleaved,
        Kernel::LinearSplit,
        Kernel::LinearTiles,
        Kernel::GatedLinear,
        Kernel::GatedLinearInterleaved,
        Kernel::GatedLinearSplit,
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
            Kernel::LinearInterleaved | Kernel::LinearSplit | Kernel::LinearTiles => Kernel::Linear,
            Kernel::RaggedAttentionSubgroup => Kernel::RaggedAttention,
            Kernel::GatedLinearInterleaved | Kernel::GatedLinearSplit | Kernel::GatedLinearTiles => Kernel::GatedLinear,
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
                    "x_plain",
                    "packet",
                    "weight_pairs",
                    "pair",
                    "four",
                    "eight_weights",
                    "four_terms"
                )
            }
            Kernel::LinearSplit => {
                source!(
                    "linear_split",
                    LINEAR,
                    "slices",
                    "few_rows",
                    "x_plain",
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
                    "x_plain",
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
                    "x_plain",
                    "packet",
                    "gate_and_up_pairs",
                    "pair",
                    "four",
                    "eight_weights",
                    "four_terms",
                    "silu"
                )
            }
            Kernel::GatedLinearSplit => {
                source!(
                    "gated_linear_split",
                    GATED_LINEAR,
                    "slices",
                    "few_rows",
                    "x_plain",
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
                    "x_plain",
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
