//! Model folders that cannot work: exit code 1, and a message that names the file and what is wrong with it.

use super::harness::{generate, trials};
use super::model_copy::{ModelCopy, fixture};

trials!(no_folder, missing_files, all_files_at_once, what_this_engine_does_not_do, wrong_tensors, truncated_weights);

/// Asks for more memory than there is, so that a folder which is looked at too late would show as another error.
#[track_caller]
fn refuse(path: &str, parts: &[&str]) {
    let refused = generate(&["hi", "--model", path, "--num-kv-blocks", "16000000", "--block-size", "256"]);
    let refused = refused.failed(1).complains(parts).complains(&[path]).without_results();
    assert!(!refused.stderr.contains("running on"), "a device was opened first: {}", refused.stderr);
}

const A_MODEL_IS: &str = "a model is a folder with config.json, tokenizer.json and model.safetensors in it";

fn no_folder() {
    let empty = tempfile::tempdir().unwrap();
    let path = empty.path().to_str().unwrap();
    refuse(path, &["config.json: there is no such file", A_MODEL_IS]);
    let nothing = format!("{path}/nothing");
    let none = ["nothing: there is no such folder", "nothing is downloaded", A_MODEL_IS];
    refuse(&nothing, &none);
    // First of all: prompts and records wait.
    generate(&["--model", &nothing, "--prompts", "no/such/file"]).failed(1).complains(&none);
    generate(&["hi", "--model", &nothing, "--record", "no/such/folder/file"]).failed(1).complains(&none);
    refuse(fixture("llama").join("config.json").to_str().unwrap(), &[A_MODEL_IS]);
}

fn missing_files() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let model = ModelCopy::of("llama").remove(file);
        refuse(model.path(), &[&format!("{file}: there is no such file"), A_MODEL_IS]);
    }
    let shard = "model-00002-of-00003.safetensors";
    let of_three = format!("of the 3 files that it names, these are missing: {shard}");
    refuse(ModelCopy::of("mistral").remove(shard).path(), &["model.safetensors.index.json", &of_three]);
    let index = "model.safetensors.index.json";
    let says = [index, "it is missing, and says which of model-00001-of-00003.safetensors, model-00002", "get it from"];
    refuse(ModelCopy::of("mistral").remove(index).path(), &says);
}

fn all_files_at_once() {
    let model = ModelCopy::of("llama").edit_config(|config| config["hidden_act"] = "gelu".into());
    let model = model.remove("tokenizer.json").edit("model.safetensors", |contents| contents.truncate(1000));
    let says = [
        "config.json: hidden_act is \"gelu\"",
        "; and ",
        "model.safetensors: it is truncated",
        "tokenizer.json: there is no",
    ];
    refuse(model.path(), &says);
}

fn what_this_engine_does_not_do() {
    let model = ModelCopy::of("llama").edit_config(|config| config["architectures"][0] = "MambaForCausalLM".into());
    refuse(model.path(), &["config.json", "MambaForCausalLM", "supported are LlamaForCausalLM"]);
    let model = ModelCopy::of("llama3").edit_config(|config| config["rope_scaling"]["rope_type"] = "magic".into());
    refuse(model.path(), &["config.json", "rope_type is \"magic\"", "supported are default, linear, llama3 and yarn"]);
    let model = ModelCopy::of("llama").edit_config(|config| config["rope_parameters"]["rope_type"] = "dynamic".into());
    refuse(model.path(), &["config.json", "rope_type is \"dynamic\"", "supported are"]);
    let model = ModelCopy::of("llama").edit("config.json", |contents| contents.truncate(20));
    refuse(model.path(), &["config.json", "EOF"]);
    let model = ModelCopy::of("llama").edit("tokenizer.json", |contents| contents.truncate(20));
    refuse(model.path(), &["tokenizer.json"]);
}

fn wrong_tensors() {
    let name = "model.layers.1.mlp.up_proj.weight";
    let model = ModelCopy::of("llama").overwrite("model.safetensors", name, &name.replace('1', "9"));
    refuse(model.path(), &["model.safetensors", &format!("tensor {name}"), "missing"]);
    let model = ModelCopy::of("llama").edit_config(|config| config["intermediate_size"] = 52.into());
    let name = "model.layers.0.mlp.gate_proj.weight";
    refuse(model.path(), &["model.safetensors", &format!("tensor {name}"), "[48, 64]", "[52, 64]"]);
}

fn truncated_weights() {
    for len in [7, 1000, 20_000] {
        let model = ModelCopy::of("llama").edit("model.safetensors", |contents| contents.truncate(len));
        refuse(model.path(), &["model.safetensors", "truncated", &format!("it has {len} bytes")]);
    }
}
