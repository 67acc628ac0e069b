//! Weights: every dtype, one file or shards, and every way in which a file can be wrong.

use std::collections::BTreeSet;
use std::fs;

use cb_lab::backend::Backend;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::backend::params::LinearParams;
use cb_lab::config::WeightDtype;
use cb_lab::files::{ModelFolder, WeightFiles};
use cb_lab::model::weights::Weights;
use cb_lab::model::{ModelConfig, TensorTable};
use half::{bf16, f16};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::{FIXTURES, assert_refused, fixture, fixture_path, folder_of};

/// A safetensors file.
fn safetensors_of(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, bytes)| (name.to_string(), TensorView::new(*dtype, shape.to_vec(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn open(folder: &ModelFolder) -> cb_lab::Result<WeightFiles> {
    pollster::block_on(WeightFiles::open(folder))
}

/// Opens a folder with nothing but this model.safetensors.
fn open_single(bytes: &[u8]) -> cb_lab::Result<WeightFiles> {
    let (_directory, folder) = folder_of(&[("model.safetensors", bytes)]);
    open(&folder)
}

/// A safetensors file with this header and `num_bytes` of data.
fn with_header(header: &str, num_bytes: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + num_bytes, 0);
    bytes
}

/// A tensor read in chunks of `chunk_elems`.
fn read(files: &WeightFiles, name: &str, chunk_elems: usize) -> Vec<f32> {
    let mut elems = Vec::new();
    let num_elems = files.tensor(name).unwrap().shape.iter().product();
    let mut chunks = files.chunks(name, 0..num_elems, chunk_elems).unwrap();
    while let Some((first_elem, chunk)) = pollster::block_on(chunks.next_chunk()).unwrap() {
        assert_eq!(first_elem, elems.len());
        assert!((1..=chunk_elems).contains(&chunk.len()));
        elems.extend_from_slice(chunk);
    }
    elems
}

/// A copy of a fixture that may be damaged.
fn copy_of(name: &str) -> (tempfile::TempDir, ModelFolder) {
    let directory = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture_path(name)).unwrap() {
        let entry = entry.unwrap();
        // Not fs::copy: it would copy a read-only mode, too.
        fs::write(directory.path().join(entry.file_name()), fs::read(entry.path()).unwrap()).unwrap();
    }
    let folder = ModelFolder::open(directory.path()).unwrap();
    (directory, folder)
}

#[test]
fn fixtures_have_the_tensors_the_forward_pass_reads_and_no_others() {
    for name in FIXTURES {
        let config = ModelConfig::open(&fixture(name)).unwrap();
        TensorTable::new(&config).check(&open(&fixture(name)).unwrap()).unwrap();

        let table = TensorTable::new(&config);
        let expected: BTreeSet<String> = table.tensors().into_iter().map(|(tensor, _)| tensor.to_owned()).collect();
        let mut on_disk = BTreeSet::new();
        for entry in fs::read_dir(fixture_path(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "safetensors") {
                let bytes = fs::read(path).unwrap();
                on_disk.extend(SafeTensors::deserialize(&bytes).unwrap().names().into_iter().map(str::to_owned));
            }
        }
        assert_eq!(on_disk, expected, "{name}");
    }
}

#[test]
fn every_dtype_at_every_chunk_size() {
    // Exact in all three: zero, a sign, the largest f16, the smallest f16 above zero, infinity.
    let values = [0.0, -1.5, 65504.0, 5.960_464_5e-8, f32::INFINITY];
    let as_bf16: Vec<u8> = values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
    let as_f16: Vec<u8> = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
    let as_f32: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    // Between two f32, nearer to the first.
    let doubles = values.map(|value| f64::from(value) * (1.0 + 1e-9));
    let as_f64: Vec<u8> = doubles.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (_directory, folder) = folder_of(&[(
        "model.safetensors",
        &safetensors_of(&[
            ("b", Dtype::BF16, &[5], &as_bf16),
            ("h", Dtype::F16, &[5, 1], &as_f16),
            ("f", Dtype::F32, &[1, 5], &as_f32),
            ("d", Dtype::F64, &[5], &as_f64),
            ("empty", Dtype::F32, &[0], &[]),
        ]),
    )]);
    let files = open(&folder).unwrap();
    for chunk_elems in [1, 2, 4, 5, 6, usize::MAX] {
        assert_eq!(read(&files, "f", chunk_elems), values);
        assert_eq!(read(&files, "d", chunk_elems), values);
        assert_eq!(read(&files, "h", chunk_elems), values);
        assert_eq!(read(&files, "b", chunk_elems), values.map(|value| bf16::from_f32(value).to_f32()));
        assert_eq!(read(&files, "empty", chunk_elems), [0.0; 0]);
    }
}

/// The halves of a fixture's Q and K, and a V of f32 that halves cannot hold: none is rounded in the matrix of all three.
#[test]
fn projections_of_several_types_are_joined_in_the_widest() {
    let (directory, folder) = copy_of("qwen3");
    let config = ModelConfig::open(&folder).unwrap();
    let path = directory.path().join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let [q, k, v] = ["q", "k", "v"].map(|name| format!("model.layers.1.self_attn.{name}_proj.weight"));
    assert_ne!(tensors.tensor(&q).unwrap().dtype(), Dtype::F32);
    let shape = [config.num_kv_heads * config.head_dim, config.hidden_size];
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| 1.0 + i as f32 * f32::EPSILON).collect();
    let as_bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let replaced = TensorView::new(Dtype::F32, shape.to_vec(), &as_bytes).unwrap();
    let tensors = tensors.tensors().into_iter().map(|(name, tensor)| {
        let tensor = if name == v { replaced.clone() } else { tensor };
        (name, tensor)
    });
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();

    let files = open(&folder).unwrap();
    let mut cpu = CpuBackend::default();
    assert_eq!(files.reading().percent(), 0);
    let weights =
        pollster::block_on(Weights::load(&mut cpu, &files, &TensorTable::new(&config), WeightDtype::Auto)).unwrap();
    assert_eq!(files.reading().percent(), 100, "all of them are read, in their own types");
    // A row of x that is 1 in one place picks a column.
    let (rows, cols, column) = (shape[0] * 2 + config.num_heads * config.head_dim, config.hidden_size, 5);
    let mut x = cpu.alloc("x", cols).unwrap();
    cpu.upload(&mut x, column, &[1.0f32.to_bits()]);
    let mut out = cpu.alloc("out", rows).unwrap();
    let p = LinearParams::of_shape(1, cols as u32, rows as u32);
    cpu.linear(p, &x, &weights.layers[1].qkv_proj.weight, None, &mut out);
    let joined = pollster::block_on(cpu.download(&out, rows)).unwrap().into_iter().map(f32::from_bits);

    let columns = [q, k, v].into_iter().flat_map(|name| {
        let elems = read(&files, &name, usize::MAX);
        elems.chunks_exact(cols).map(|row| row[column]).collect::<Vec<_>>()
    });
    assert!(joined.eq(columns));
}

/// One kernel call takes both, so that their elements have one type, whatever the types of their tensors.
#[test]
fn the_tensors_of_gate_and_up_decide_the_type_of_both() {
    for name in FIXTURES {
        let table = TensorTable::new(&ModelConfig::open(&fixture(name)).unwrap());
        for layer in &table.layers {
            let tensors = [&layer.gate_proj, &layer.up_proj].map(|matrix| &matrix.parts[0].tensor);
            for matrix in [&layer.gate_proj, &layer.up_proj] {
                assert!(matrix.typed_by.iter().eq(tensors), "{name}: {matrix:?}");
            }
        }
    }
}

/// Fused Q, K and V: heads of 24 of which 18 values turn, the rows of Q and K in the kernel's order and those of V as
/// they are; and the two halves of a fused MLP.
#[test]
fn fused_projections_are_cut_and_put_in_order() {
    let folder = fixture("phi3");
    let config = ModelConfig::open(&folder).unwrap();
    let files = open(&folder).unwrap();
    let mut cpu = CpuBackend::default();
    let table = TensorTable::new(&config);
    let weights = pollster::block_on(Weights::load(&mut cpu, &files, &table, WeightDtype::Auto)).unwrap();
    // A row of x that is 1 in one place picks a column.
    let (cols, column) = (config.hidden_size, 7);
    let mut x = cpu.alloc("x", cols).unwrap();
    cpu.upload(&mut x, column, &[1.0f32.to_bits()]);
    let stored = |name: &str| {
        let elems = read(&files, &format!("model.layers.1.{name}.weight"), usize::MAX);
        elems.chunks_exact(cols).map(|row| row[column]).collect::<Vec<_>>()
    };

    let rows = (config.num_heads + 2 * config.num_kv_heads) * config.head_dim;
    let mut out = cpu.alloc("out", rows).unwrap();
    let p = LinearParams::of_shape(1, cols as u32, rows as u32);
    cpu.linear(p, &x, &weights.layers[1].qkv_proj.weight, None, &mut out);
    let qkv: Vec<f32> = pollster::block_on(cpu.download(&out, rows)).unwrap().into_iter().map(f32::from_bits).collect();
    let order: Vec<usize> = [0..9, 18..21, 9..18, 21..24].into_iter().flatten().collect();
    let stored_qkv = stored("self_attn.qkv_proj");
    for (head, (ours, stored)) in qkv.chunks_exact(24).zip(stored_qkv.chunks_exact(24)).enumerate() {
        let is_value = head >= config.num_heads + config.num_kv_heads;
        let expected: Vec<f32> = (0..24).map(|i| stored[if is_value { i } else { order[i] }]).collect();
        assert_eq!(ours, expected, "head {head}");
    }

    let rows = config.intermediate_size;
    let stored_halves = stored("mlp.gate_up_proj");
    let p = LinearParams::of_shape(1, cols as u32, rows as u32);
    for (half, stored) in
        [&weights.layers[1].gate_proj, &weights.layers[1].up_proj].into_iter().zip(stored_halves.chunks(rows))
    {
        cpu.linear(p, &x, half, None, &mut out);
        let ours = pollster::block_on(cpu.download(&out, rows)).unwrap().into_iter().map(f32::from_bits);
        assert!(ours.eq(stored.iter().copied()));
    }
}

#[test]
fn a_missing_tensor_is_named() {
    let (directory, folder) = copy_of("llama");
    let config = ModelConfig::open(&folder).unwrap();
    let path = directory.path().join("model.safetensors");
    let mut damaged = fs::read(&path).unwrap();
    let name = b"model.layers.1.mlp.up_proj.weight";
    let at = damaged.windows(name.len()).position(|window| window == name).expect("the fixture has this tensor");
    damaged[at + "model.layers.".len()] = b'9';
    fs::write(&path, damaged).unwrap();
    let files = open(&folder).unwrap();
    assert_refused(
        TensorTable::new(&config).check(&files),
        &["model.safetensors", "tensor model.layers.1.mlp.up_proj.weight", "missing"],
    );
    let mut narrow = config;
    narrow.hidden_size = 60;
    let says = ["model.embed_tokens.weight", "[352, 64]", "[352, 60]", "wrong or missing, too: ", " and 25 more"];
    assert_refused(TensorTable::new(&narrow).check(&files), &says);
}

#[test]
fn a_misshapen_tensor_is_named_with_both_shapes() {
    let (_directory, folder) = copy_of("llama");
    let mut config = ModelConfig::open(&folder).unwrap();
    config.intermediate_size += 4;
    let files = open(&folder).unwrap();
    assert_refused(
        TensorTable::new(&config).check(&files),
        &["model.safetensors", "tensor model.layers.0.mlp.gate_proj.weight", "[48, 64]", "[52, 64]"],
    );
}

#[test]
fn a_dtype_that_is_not_supported_matters_only_where_the_tensor_is_used() {
    let bytes = safetensors_of(&[("ids", Dtype::I64, &[1], &[0; 8]), ("w", Dtype::F32, &[1], &[0; 4])]);
    let files = open_single(&bytes).unwrap();
    files.check("w", &[1]).unwrap();
    assert_refused(files.check("ids", &[1]), &["model.safetensors", "tensor ids", "I64", "BF16"]);
    assert_refused(files.chunks("ids", 0..1, 1), &["tensor ids", "I64"]);
}

#[test]
fn a_part_of_a_tensor_is_read_alone() {
    let bytes: Vec<u8> = [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let (_directory, folder) =
        folder_of(&[("model.safetensors", &safetensors_of(&[("w", Dtype::F32, &[2, 2], &bytes)]))]);
    let files = open(&folder).unwrap();
    let read = |elems| {
        let mut chunks = files.chunks("w", elems, 1)?;
        let mut elems = Vec::new();
        while let Some((first_elem, chunk)) = pollster::block_on(chunks.next_chunk())? {
            assert_eq!(first_elem, elems.len());
            elems.extend_from_slice(chunk);
        }
        cb_lab::Result::Ok(elems)
    };
    assert_eq!(read(2..4).unwrap(), [3.0, 4.0]);
    assert_eq!(read(1..2).unwrap(), [2.0]);
    assert_eq!(read(4..4).unwrap(), [0.0; 0]);
    assert_refused(read(3..5), &["model.safetensors", "tensor w", "4 elements", "3..5"]);
}

#[test]
fn a_truncated_file_is_named_with_both_sizes() {
    let whole = fixture("llama").read("model.safetensors").unwrap();
    let len = whole.len().to_string();
    let cut = (whole.len() - 1).to_string();
    let (_directory, folder) = folder_of(&[("model.safetensors", &whole[..whole.len() - 1])]);
    assert_refused(open(&folder), &["model.safetensors", "truncated", &len, &cut]);
    for len in [1, 7, 8, 100] {
        assert_refused(open_single(&whole[..len]), &["model.safetensors", "truncated", &format!("has {len} bytes")]);
    }
    let mut longer = whole;
    longer.push(0);
    assert_refused(open_single(&longer), &["model.safetensors", "too long", &len]);
}

#[test]
fn a_header_that_makes_no_sense_is_refused() {
    let open = |header: &str, num_bytes| open_single(&with_header(header, num_bytes));
    open(r#"{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}"#, 8).unwrap();
    let cases = [
        ("{", 0),
        ("[]", 0),
        (r#"{"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}"#, 4),
        (r#"{"w": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}}"#, 12),
        (r#"{"w": {"dtype": "F32", "shape": [4294967296, 4294967296, 4], "data_offsets": [0, 0]}}"#, 0),
        (r#"{"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}"#, 4),
        (r#"{"w": {"dtype": "F13", "shape": [1], "data_offsets": [0, 4]}}"#, 4),
    ];
    for (header, num_bytes) in cases {
        assert_refused(open(header, num_bytes), &["model.safetensors", "header is wrong"]);
    }
    // Nesting beyond what a stack holds, a name for each byte, and sizes whose sum overflows.
    let deep = format!(r#"{{"__metadata__": {}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_refused(open(&deep, 0), &["model.safetensors", "header is wrong"]);
    let huge = r#"{"w": {"dtype": "F32", "shape": [4611686018427387904], "data_offsets": [0, 18446744073709551615]}}"#;
    assert_refused(open(huge, 0), &["model.safetensors"]);
    let backwards = r#"{"w": {"dtype": "F32", "shape": [1], "data_offsets": [8, 4]}}"#;
    assert_refused(open(backwards, 8), &["model.safetensors", "header is wrong"]);
    assert_refused(open_single(&[0xff; 64]), &["model.safetensors", "header claims", "18446744073709551615"]);
    assert_refused(open_single(b"version https://git-lfs.github.com/spec/v1\noid"), &["Git LFS pointer"]);
    assert_refused(open_single(b"\n\n\n\n\n\n\n\n\n<!DOCTYPE html>"), &["model.safetensors", "web page"]);
    assert_refused(open_single(b""), &["model.safetensors", "it is empty"]);
    assert_refused(open_single(b"GGUF\x03\0\0\0\0\0"), &["model.safetensors", "GGUF"]);
    assert_refused(
        open(r#"{"a": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, "b": {"dtype": "F13"}}"#, 4),
        &["tensor b: "],
    );
}

#[test]
fn shards() {
    let tensor = |name| safetensors_of(&[(name, Dtype::F32, &[1], &1.5_f32.to_le_bytes())]);
    let open = |index: &str| {
        let (first, second) = (tensor("a"), tensor("b"));
        let files: [(&str, &[u8]); 3] =
            [("1.safetensors", &first), ("2.safetensors", &second), ("model.safetensors.index.json", index.as_bytes())];
        let (directory, folder) = folder_of(&files);
        open(&folder).map(|files| (directory, files))
    };
    let (_directory, files) = open(r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#).unwrap();
    assert_eq!((read(&files, "a", 1), read(&files, "b", 1)), (vec![1.5], vec![1.5]));
    assert_refused(files.tensor("c"), &["model.safetensors.index.json", "tensor c", "missing"]);

    assert_refused(open(r#"{"weight_map": {"b": "1.safetensors"}}"#), &["1.safetensors", "tensor b", "index.json"]);
    let missing =
        r#"{"weight_map": {"a": "1.safetensors", "b": "3.safetensors", "c": "4.safetensors", "d": "4.safetensors"}}"#;
    let says = ["index.json", "of the 3 files that it names, these are missing: 3.safetensors, 4.safetensors"];
    assert_refused(open(missing), &says);
    assert_refused(open(r#"{"weight_map": {"a": "../1.safetensors"}}"#), &["named without any folder"]);
    assert_refused(open(r#"{"weight_map": {"a": "/1.safetensors"}}"#), &["named without any folder"]);
    assert_refused(open(r#"{"weights": {}}"#), &["model.safetensors.index.json", "missing field `weight_map`"]);
}

#[test]
fn no_weights_at_all() {
    let refused = |names: &[&str], parts: &[&str]| {
        let files: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, &b""[..])).collect();
        let (_directory, folder) = folder_of(&files);
        assert_refused(open(&folder), parts);
    };
    refused(&["config.json"], &["cannot read", "model.safetensors", "there is no such file"]);
    let says = ["model.safetensors: it is missing", "weights in pytorch_model.bin", "get the model in safetensors"];
    refused(&["pytorch_model.bin", "config.json"], &says);
    refused(&["x.Q4_0.gguf"], &["x.Q4_0.gguf are of a form that is not read"]);
    refused(&["adapter_model.safetensors"], &["model.safetensors: it is missing", "adapter_model.safetensors under"]);
    let shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    let says =
        ["model.safetensors.index.json: it is missing", "of model-00001-of-00002.safetensors, model-00002", "get it"];
    refused(&shards, &says);
}

/// A shard tells what it has, whatever the index forgot.
#[test]
fn the_index_may_be_incomplete() {
    let both = [("a", Dtype::F32, &[1][..], &[0; 4][..]), ("b", Dtype::F32, &[1], &[0; 4])];
    let index = r#"{"weight_map": {"a": "1.safetensors"}}"#;
    let (_directory, folder) =
        folder_of(&[("1.safetensors", &safetensors_of(&both)), ("model.safetensors.index.json", index.as_bytes())]);
    let files = open(&folder).unwrap();
    assert_eq!(files.names().collect::<Vec<_>>(), ["a", "b"]);
    files.check("b", &[1]).unwrap();
}

#[test]
fn a_file_that_shrinks_after_it_was_opened_is_an_error() {
    let (directory, folder) = copy_of("llama");
    let files = open(&folder).unwrap();
    fs::write(directory.path().join("model.safetensors"), b"short").unwrap();
    let mut chunks = files.chunks("model.norm.weight", 0..8, 8).unwrap();
    assert_refused(pollster::block_on(chunks.next_chunk()), &["model.safetensors", "cannot read"]);
}
