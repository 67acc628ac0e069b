//! `cb-lab devices --dump-shaders`: a file per kernel variant, each a WGSL module that stands alone. `--shaders`: kernels
//! from a folder.

use super::harness::{cb_lab, generate, generating, run, trials};
use cb_lab::backend::gpu::{Kernel, Variant};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use std::collections::BTreeSet;
use std::fs;

/// unpack2x16float: every backend of wgpu has it.
const CAPABILITIES: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;

const SUBGROUP_PREAMBLE: &str = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";

trials!(every_variant_is_a_valid_file, where_it_cannot_write, a_folder_that_is_none, no_gpu_runs_them);

fn every_variant_is_a_valid_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/folder");
    let dumped = run(cb_lab(&["devices", "--json", "--dump-shaders", path.to_str().unwrap()])).finished();
    serde_json::from_str::<serde_json::Value>(&dumped.stdout).expect("stdout is JSON still");

    let mut kernels = BTreeSet::new();
    let mut num_files = 0;
    for entry in fs::read_dir(&path).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let wgsl = fs::read_to_string(&path).unwrap();
        // naga does not know what browsers want before subgroup operations.
        assert_eq!(wgsl.starts_with(SUBGROUP_PREAMBLE), wgsl.contains("subgroupShuffle"), "{name}");
        let wgsl = wgsl.strip_prefix(SUBGROUP_PREAMBLE).unwrap_or(&wgsl).to_string();
        let module = naga::front::wgsl::parse_str(&wgsl).unwrap_or_else(|error| panic!("{name}: {error}"));
        let validated = validator(&wgsl).validate(&module);
        validated.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(module.overrides.is_empty(), "{name} has all its values");
        let (kernel, values) = name.strip_suffix(".wgsl").and_then(|name| name.split_once('-')).expect(name);
        for value in values.split('-') {
            let (key, value) = value.split_once('=').expect(name);
            assert!(wgsl.contains(&format!("const {key}: u32 = {value}u;")), "{name} has the values of its name");
        }
        kernels.insert(kernel.to_string());
        num_files += 1;
    }
    assert_eq!(kernels, Kernel::ALL.map(|kernel| kernel.source().name.to_string()).into());
    let labels: BTreeSet<String> = Variant::all_in_use().iter().map(Variant::label).collect();
    assert_eq!(num_files, labels.len());
    assert_eq!(dumped.stderr, format!("{num_files} shaders written to {}\n", path.display()));
}

/// For a device without optional features, or for one that has subgroups if the file uses them.
fn validator(wgsl: &str) -> Validator {
    if !wgsl.contains("subgroupShuffle") {
        return Validator::new(ValidationFlags::all(), CAPABILITIES);
    }
    let mut validator = Validator::new(ValidationFlags::all(), CAPABILITIES | Capabilities::SUBGROUP);
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    validator
}

fn where_it_cannot_write() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let refused = run(cb_lab(&["devices", "--dump-shaders", path])).failed(1).without_results();
    refused.complains(&["cannot write", path]);
}

fn a_folder_that_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    generate(&["hi", "--shaders", "no/such/folder"]).failed(1).complains(&["cannot read no/such/folder"]);
    generate(&["hi", "--shaders", path]).failed(1).complains(&[path, "no shader", "linear.wgsl"]);
    fs::write(dir.path().join("gather_rows.wgsl"), "struct Params {\n    width: number,\n}\n").unwrap();
    let refused = generate(&["hi", "--shaders", path]).failed(1).without_results();
    refused.complains(&["gather_rows.wgsl: line 2: ", "number"]);
}

fn no_gpu_runs_them() {
    let refused = generate(&["hi", "--shaders", "shaders"]).failed(2).without_results();
    refused.complains(&["--shaders is shaders", "only a GPU", "--backend gpu"]);
}

/// A file of the folder is what runs, and the command says so.
pub fn from_a_folder() -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = dir.path().to_str().ok_or("a plain path")?;
    let plain = run(generating("gpu", &["hi", "--max-new-tokens", "8"])).finished();
    let with = |wgsl: String| {
        fs::write(dir.path().join("rms_norm.wgsl"), wgsl).unwrap();
        run(generating("gpu", &["hi", "--max-new-tokens", "8", "--shaders", path])).finished()
    };
    let wgsl = Kernel::RmsNorm.source().wgsl();
    let same = with(wgsl.clone());
    let changed = with(wgsl.replace(" * inverse * weight[i]", " * inverse * 0.5"));
    let says = |run: &super::harness::Run, part: &str| match run.stderr.contains(part) {
        true => Ok(()),
        false => Err(format!("{:?} does not say {part:?}", run.stderr)),
    };
    says(&same, "1 shader file from ")?;
    says(&same, "; changed: none")?;
    says(&changed, "; changed: rms_norm.wgsl")?;
    if same.stdout != plain.stdout || changed.stdout == plain.stdout {
        return Err(format!("{:?}, the same file {:?}, another {:?}", plain.stdout, same.stdout, changed.stdout));
    }
    Ok(())
}
