//! `cb-lab devices --dump-shaders`: a file per kernel variant, each a WGSL module that stands alone. `--shaders`: kernels
//! from a folder.

use super::harness::{Run, cb_lab, generate, generating, run, trials};
use cb_lab::backend::gpu::{Kernel, Variant};
use naga::valid::{Capabilities, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// unpack2x16float: every backend of wgpu has it.
const CAPABILITIES: Capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32;

const SUBGROUP_PREAMBLE: &str = "enable subgroups;\ndiagnostic(off, subgroup_uniformity);\n";

trials!(
    every_variant_is_a_valid_file,
    where_it_cannot_write,
    a_folder_that_is_none,
    files_that_are_no_shaders,
    faults_are_told_with_their_file,
    the_repositorys_own_folder,
    the_cpu_runs_none,
);

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

/// `generate` with kernels of a folder, which are read before a device is chosen.
fn with_shaders(dir: &Path) -> Run {
    let dir = dir.to_str().expect("a temporary folder has a plain name");
    run(generating("auto", &["hi", "--max-new-tokens", "1", "--shaders", dir]))
}

fn a_folder_that_is_none() {
    let dir = tempfile::tempdir().unwrap();
    with_shaders(Path::new("no/such/folder")).failed(1).complains(&["cannot read no/such/folder"]);
    with_shaders(dir.path()).failed(1).complains(&[dir.path().to_str().unwrap(), "no shader", "linear.wgsl"]);
    with_shaders(Path::new("src")).failed(1).complains(&["src: it holds no shader"]);
}

fn files_that_are_no_shaders() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    let linear = Kernel::Linear.source();
    // The only file of the folder, and one among others.
    write("liner.wgsl", linear.files[0].1);
    with_shaders(dir.path()).failed(1).complains(&["liner.wgsl (is it linear.wgsl?)"]).without_results();
    write("linear.wgsl", linear.files[0].1);
    fs::create_dir(dir.path().join("shared")).unwrap();
    for (name, meant) in
        [("shared/tiles.wgsl", " (is it shared/tile.wgsl?)"), ("tile.wgls", " (is it shared/tile.wgsl?)")]
    {
        write(name, "");
        let all = format!("liner.wgsl (is it linear.wgsl?), {name}{meant}; rename it");
        with_shaders(dir.path()).failed(1).complains(&[&all]);
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    fs::remove_file(dir.path().join("liner.wgsl")).unwrap();
    write(".linear.wgsl.swp", "");
    write("linear.wgsl~", "");
    fs::create_dir(dir.path().join("shard")).unwrap();
    with_shaders(dir.path()).failed(1).complains(&["such a name: shard/; "]);
}

fn faults_are_told_with_their_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("shared")).unwrap();
    let check = |name: &str, wgsl: String, parts: &[&str]| {
        fs::write(dir.path().join(name), wgsl).unwrap();
        let refused = with_shaders(dir.path()).failed(1).without_results();
        fs::remove_file(dir.path().join(name)).unwrap();
        let path = dir.path().join(name);
        for part in parts {
            let part = part.replace("FILE", path.to_str().unwrap());
            assert!(refused.stderr.contains(&part), "{:?} does not say {part:?}", refused.stderr);
        }
    };
    let text = "struct Params {\n    width: number,\n}\n";
    let excerpt = "gather_rows.wgsl:2:12\n  2 │     width: number,\n    │            ^^^^^^ unknown identifier";
    check("gather_rows.wgsl", text.into(), &["error: FILE: line 2: ", "`number`", excerpt]);

    let own = Kernel::RmsNorm.source().wgsl();
    let line = own.lines().position(|line| line.contains("@binding(2)")).unwrap() + 1;
    check("rms_norm.wgsl", own.replace("fn main(", "fn mian("), &["error: FILE: it has no entry point `main`", "mian"]);
    let says = [&format!("error: FILE: line {line}: `weight` is at @group(0) @binding(9)"), "@binding(3)"];
    check("rms_norm.wgsl", own.replace("@binding(2)", "@binding(9)"), &says);
    let says =
        [&format!("error: FILE: line {line}: `weight` at @binding(2) is var<uniform>"), "var<storage, read> there"];
    let uniform = "@binding(2) var<uniform> weight: array<vec4<f32>, 4>";
    let uniform = own.replace("@binding(2) var<storage, read> weight: array<vec4<f32>>", uniform);
    check("rms_norm.wgsl", uniform, &says);

    // In a file that is appended to others: its own name and lines.
    let silu = "\nfn silu(x: f32) -> f32 {\n    return y;\n}\n";
    check(
        "shared/silu.wgsl",
        silu.into(),
        &["error: FILE: line 3: ", "  shared/silu.wgsl:3:12\n  3 │     return y;\n"],
    );
    // A word of 64 bits is told to be the program's own.
    check("shared/four_u64.wgsl", "".into(), &["shared/four_u64.wgsl has changed", "change shared/four.wgsl"]);
}

/// All of its files are known, and none differs.
fn the_repositorys_own_folder() {
    let found = cb_lab::cli::custom_shaders::read(Path::new("shaders"));
    let found = found.unwrap_or_else(|error| panic!("{error}"));
    assert!(found.kernels.is_empty() && found.line.ends_with("changed: none"), "{}", found.line);
}

/// It is told before anything is looked at: a model, the folder.
fn the_cpu_runs_none() {
    let refused = generate(&["hi", "--shaders", "shaders"]).failed(2).without_results();
    refused.complains(&["--shaders is shaders", "only a GPU", "--backend gpu"]);
    let refused = generate(&["hi", "--model", "no/such/model", "--shaders", "no/such/folder"]).failed(2);
    refused.complains(&["--shaders is no/such/folder: only a GPU"]);
    let refused = generate(&["hi", "--model", "no/such/model", "--tuning", "gpu"]).failed(2);
    refused.complains(&["--tuning is gpu: only kernels of a GPU"]);
    for command in [&["chat"][..], &["bench", "calibrate"], &["bench", "model", "--model", "no/such/model"]] {
        let refused = run(cb_lab(&[command, &["--backend", "cpu", "--shaders", "x"]].concat())).failed(2);
        refused.complains(&["--shaders is x: only a GPU"]);
    }
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
