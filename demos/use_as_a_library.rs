//! The library in ten lines: a model folder, a prompt, text as it comes. `cargo run --release --example use_as_a_library`

use std::io::Write;

use cb_lab::{CpuBackend, Engine, LimitOptions, LoadedFolder, SamplingParams, Update, default_model};

fn main() -> cb_lab::Result<()> {
    pollster::block_on(async {
        let folder = LoadedFolder::open(&default_model()).await?;
        let config = LimitOptions::default().resolve(&folder.config, usize::MAX)?;
        let mut engine = Engine::new(CpuBackend::default(), folder, config).await?;
        let prompt = engine.tokenizer().encode("Once upon a time")?;
        engine.submit(prompt, SamplingParams { max_new_tokens: 64, ..Default::default() })?;
        while !engine.is_idle() {
            for update in engine.step().await?.updates {
                match update {
                    Update::Token { text, .. } | Update::Finished { rest: text, .. } => {
                        print!("{text}");
                        let _ = std::io::stdout().flush();
                    }
                    Update::Failed { reason, .. } => eprintln!("{reason}"),
                    Update::Preempted(_) => {}
                }
            }
        }
        println!();
        Ok(())
    })
}
