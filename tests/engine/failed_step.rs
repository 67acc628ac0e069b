//! A step that fails loses nothing: the next one computes the same again.

use crate::abort::{self, TIGHT, finished};
use crate::fixtures;
use crate::golden;
use crate::machines::{Machines, ensure};
use cb_lab::backend::cpu::{CpuBackend, CpuBuffer};
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::params::*;
use cb_lab::backend::{Backend, KvPool};
use cb_lab::core::request::SamplingParams;
use cb_lab::{Error, Result};
use libtest_mimic::{Failed, Trial};

pub fn trials(machines: &Machines) -> Vec<Trial> {
    machines.cpu("failed_step/nothing is lost", nothing_is_lost)
}

fn nothing_is_lost() -> Result<(), Failed> {
    let cases = fixtures::golden_cases("llama");
    let sampled =
        SamplingParams { temperature: 1.0, seed: 3, ignore_eos: true, max_new_tokens: 24, ..Default::default() };
    let run = |fails: fn(usize) -> bool| {
        let backend = Unreliable { num_downloads: 0, fails };
        let mut engine = fixtures::engine("llama", backend, &TIGHT);
        abort::submit_all(&mut engine, &cases)?;
        engine.submit(cases[4].prompt_token_ids.clone(), sampled.clone())?;
        let (mut outputs, mut num_failed) = (Vec::new(), 0);
        while !engine.is_idle() {
            match pollster::block_on(engine.step()) {
                Ok(report) => outputs.extend(report.updates.into_iter().filter_map(finished)),
                Err(Error::Device(message)) if message == "unplugged" => num_failed += 1,
                Err(error) => return Err(error.into()),
            }
            engine.scheduler().check_integrity()?;
        }
        abort::all_blocks_free(&engine)?;
        outputs.sort_by_key(|output| output.id);
        Ok::<_, Failed>((outputs, num_failed))
    };
    let (expected, _) = run(|_| false)?;
    // Every third, so that a step fails once, and most of them, so that it fails again and again.
    for fails in [(|n| n % 3 == 1) as fn(usize) -> bool, |n| n % 4 != 3] {
        let (outputs, num_failed) = run(fails)?;
        ensure!(num_failed > 20, "only {num_failed} steps failed");
        ensure!(outputs == expected, "other outputs after {num_failed} failed steps");
        golden::compare(&cases, &outputs[..cases.len()])?;
    }
    Ok(())
}

/// The CPU reference with a loose cable: some downloads fail, after the kernels have run.
struct Unreliable {
    num_downloads: usize,
    fails: fn(usize) -> bool,
}

type Buf = CpuBuffer;
type Mat = <CpuBackend as Backend>::Matrix;

macro_rules! on_the_cpu {
    ($($name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => {
        $(fn $name(&mut self, $($arg: $type),*) $(-> $out)? { CpuBackend.$name($($arg),*) })*
    };
}

impl Backend for Unreliable {
    type Buffer = Buf;
    type Matrix = Mat;

    fn name(&self) -> String {
        "unreliable".into()
    }

    fn max_buffer_words(&self) -> usize {
        CpuBackend.max_buffer_words()
    }

    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    async fn download(&mut self, buffer: &Buf, len: usize) -> Result<Vec<u32>> {
        self.num_downloads += 1;
        if (self.fails)(self.num_downloads) {
            return Err(Error::Device("unplugged".into()));
        }
        CpuBackend.download(buffer, len).await
    }

    on_the_cpu! {
        alloc(label: &str, len: usize) -> Result<Buf>;
        upload(buffer: &mut Buf, offset: usize, words: &[u32]);
        alloc_matrix(label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<Mat>;
        upload_rows(matrix: &mut Mat, first_row: usize, values: &[f32]);
        snapshot(buffer: &Buf, len: usize) -> Result<Buf>;
        embed_tokens(p: EmbedTokensParams, step: &Buf, table: &Mat, out: &mut Buf);
        rms_norm(p: RmsNormParams, x: &Buf, weight: &Buf, out: &mut Buf);
        linear(p: LinearParams, x: &Buf, weight: &Mat, bias: Option<&Buf>, out: &mut Buf);
        rope(p: RopeParams, step: &Buf, table: &Buf, x: &mut Buf);
        store_kv(p: StoreKvParams, step: &Buf, k: &Buf, v: &Buf, kv: KvPool<&mut Buf>);
        ragged_attention(p: AttentionParams, step: &Buf, q: &Buf, kv: KvPool<&Buf>, out: &mut Buf);
        paged_attention(p: AttentionParams, step: &Buf, q: &Buf, kv: KvPool<&Buf>, out: &mut Buf);
        silu_mul(p: SiluMulParams, gate: &Buf, up: &Buf, out: &mut Buf);
        residual_add(p: ResidualAddParams, y: &Buf, x: &mut Buf);
        gather_rows(p: GatherRowsParams, step: &Buf, x: &Buf, out: &mut Buf);
        argmax(p: ArgmaxParams, x: &Buf, out: &mut Buf);
    }
}
