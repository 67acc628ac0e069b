//! `cb-lab devices`, and what is done where there is no GPU.

use super::harness::{cb_lab, run, trials};
use cb_lab::backend::gpu::Adapters;
use serde_json::Value;
use std::process::Command;

trials!(a_table_and_json_of_the_same, without_a_gpu);

fn a_table_and_json_of_the_same() {
    let reports = pollster::block_on(Adapters::find()).reports();
    let json = run(cb_lab(&["devices", "--json"])).finished();
    assert_eq!(json.stderr, "");
    let listed: Vec<Value> = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(listed, serde_json::to_value(&reports).unwrap().as_array().unwrap().clone());

    let table = run(cb_lab(&["devices"])).finished().stdout;
    for (i, report) in reports.iter().enumerate() {
        assert!(table.contains(&format!("{i}: {} ({} {}", report.name, report.kind, report.api)), "{table}");
    }
    assert!(table.lines().last().unwrap().contains("--backend auto"), "and what is taken: {table}");
}

/// A process that finds no Vulkan driver.
fn blind(args: &[&str]) -> Command {
    let mut command = cb_lab(args);
    command.env_remove("VK_ICD_FILENAMES").env_remove("VK_ADD_DRIVER_FILES").env("VK_DRIVER_FILES", "/no/such/file");
    command
}

fn without_a_gpu() {
    // Other systems have other APIs that cannot be hidden.
    if !cfg!(target_os = "linux") {
        return;
    }
    let refused = run(blind(&["generate", "hi", "--backend", "gpu"])).failed(1).without_results();
    refused.complains(&["no GPU: found no adapter at all", "install a Vulkan", "or use --backend cpu"]);
    let auto = run(blind(&["generate", "hi", "--max-new-tokens", "1"])).finished();
    assert!(auto.stderr.contains("running on the CPU (") && auto.stderr.contains(": no GPU found"));
    assert_eq!(run(blind(&["devices", "--json"])).finished().stdout, "[]\n");
    let table = run(blind(&["devices"])).finished().stdout;
    assert_eq!(table, "No usable GPU: --backend auto takes the CPU.\n");
}
