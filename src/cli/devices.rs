//! `cb-lab devices`: which GPUs there are and what they support.

use super::shader_files;
use super::wording::{bytes_text, tell};
use crate::backend::gpu::{AdapterReport, Adapters, Best};
use crate::error::{Error, Result};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Options of `devices`.
#[derive(clap::Args)]
pub struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Also write the WGSL of each kernel variant, with its values filled in, into this folder
    #[arg(long, value_name = "DIR")]
    dump_shaders: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// [`Error::WriteOutput`] if the result cannot be written, [`Error::WriteFile`] if a shader cannot.
pub async fn run(args: &DevicesArgs) -> Result<ExitCode> {
    if let Some(dir) = &args.dump_shaders {
        let num_files = shader_files::write(dir)?;
        tell(format_args!("{num_files} shaders written to {}", dir.display()));
    }
    let adapters = Adapters::find().await;
    let reports = adapters.reports();
    let text = if args.json {
        serde_json::to_string_pretty(&reports).map_err(|error| Error::WriteOutput(error.into()))? + "\n"
    } else {
        table(&reports) + &choice(adapters.best())
    };
    std::io::stdout().write_all(text.as_bytes()).map_err(Error::WriteOutput)?;
    Ok(ExitCode::SUCCESS)
}

fn table(reports: &[AdapterReport]) -> String {
    let mut text = String::new();
    for (i, report) in reports.iter().enumerate() {
        let yes_or_no = |supported| if supported { "yes" } else { "no" };
        let (smallest, largest) = report.subgroup_size;
        text += &format!("{i}: {} ({} {}, {})\n", report.name, report.kind, report.api, report.driver);
        text += &format!("   largest binding      {}\n", bytes_text(report.max_binding_bytes));
        text += &format!("   workgroup memory     {}\n", bytes_text(report.max_workgroup_bytes.into()));
        text += &format!("   subgroups            {}, {smallest} to {largest} lanes\n", yes_or_no(report.subgroups));
        text += &format!("   f16 arithmetic       {}\n", yes_or_no(report.shader_f16));
        text += &format!("   timestamps           {}\n", yes_or_no(report.timestamps));
        let matrices = report.cooperative_matrices.join(", ");
        text += &format!("   cooperative matrices {}\n", if matrices.is_empty() { "no" } else { &matrices });
        if let Some(reason) = &report.unusable {
            text += &format!("   cannot be used       {reason}\n");
        }
    }
    text
}

/// What each `--backend` takes.
fn choice(best: Best) -> String {
    match (best.hardware, best.any) {
        (Some(i), _) => format!("--backend auto and --backend gpu take {i}.\n"),
        (None, Some(i)) => {
            format!("--backend gpu takes {i}; --backend auto takes the CPU, which is faster than a software driver.\n")
        }
        (None, None) => "No usable GPU: --backend auto takes the CPU.\n".into(),
    }
}
