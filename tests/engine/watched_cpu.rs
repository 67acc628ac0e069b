//! The CPU, watched: it counts what is asked of it, and its cable may be loose.

use cb_lab::backend::cpu::{CpuBackend, CpuBuffer};
use cb_lab::backend::element_type::ElementType;
use cb_lab::backend::memory_tracker::{MatrixSize, MemoryUse};
use cb_lab::backend::params::*;
use cb_lab::backend::{Backend, HeadTables, KvPool, StepSize};
use cb_lab::{Error, Result};
use std::cell::Cell;
use std::rc::Rc;

/// What a download says that fails.
pub const UNPLUGGED: &str = "unplugged";

/// Computes as the CPU backend does.
pub struct WatchedCpu {
    cpu: CpuBackend,
    pub seen: Seen,
    /// Whether the read of this number, from 1, fails after the kernels have run. Not the submission: of two in flight both
    /// are lost when the first fails, and a rule by submissions might never meet another first.
    fails: fn(usize) -> bool,
    num_reads: usize,
    is_lost_then: bool,
    overlaps: bool,
    in_flight: Rc<Cell<usize>>,
    pub most_in_flight: usize,
}

/// Words on their way back. Dropped, read or not, they are no longer in flight.
pub struct InFlight {
    words: Vec<u32>,
    count: Rc<Cell<usize>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.count.set(self.count.get() - 1);
    }
}

/// What was asked for so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    pub reserved: StepSize,
    /// Words of each buffer, matrix and snapshot made.
    pub made: Vec<usize>,
    pub num_uploads: usize,
    pub num_flushes: usize,
    pub num_kernel_calls: usize,
    /// Words of each download.
    pub downloads: Vec<usize>,
}

impl WatchedCpu {
    pub fn reliable() -> Self {
        Self::failing(|_| false)
    }

    /// The same, and an engine steps ahead on it.
    pub fn overlapping(self) -> Self {
        Self { overlaps: true, ..self }
    }

    /// The same, gone for good when a read fails.
    pub fn lost(self) -> Self {
        Self { is_lost_then: true, ..self }
    }

    pub fn failing(fails: fn(usize) -> bool) -> Self {
        Self {
            cpu: CpuBackend::default(),
            seen: Seen::default(),
            fails,
            is_lost_then: false,
            overlaps: false,
            num_reads: 0,
            in_flight: Rc::default(),
            most_in_flight: 0,
        }
    }
}

type Buf = CpuBuffer;
type Mat = <CpuBackend as Backend>::Matrix;

/// Methods that the CPU backend does, with what is counted.
macro_rules! on_the_cpu {
    ($($count:ident: $name:ident($($arg:ident: $type:ty),*) $(-> $out:ty)?;)*) => {
        $(fn $name(&mut self, $($arg: $type),*) $(-> $out)? {
            self.seen.$count += 1;
            self.cpu.$name($($arg),*)
        })*
    };
}

impl Backend for WatchedCpu {
    type Buffer = Buf;
    type Matrix = Mat;
    type Readback = InFlight;

    fn name(&self) -> String {
        "watched".into()
    }

    fn max_buffer_words(&self) -> usize {
        self.cpu.max_buffer_words()
    }

    fn memory(&self) -> MemoryUse {
        self.cpu.memory()
    }

    fn buffer_bytes(&self, len: usize) -> u64 {
        self.cpu.buffer_bytes(len)
    }

    fn matrix_size(&self, rows: usize, cols: usize, elements: ElementType) -> Result<MatrixSize> {
        self.cpu.matrix_size(rows, cols, elements)
    }

    fn own_bytes(&self, step: StepSize, num_pieces: usize) -> u64 {
        self.cpu.own_bytes(step, num_pieces)
    }

    fn alloc(&mut self, label: &str, len: usize) -> Result<Buf> {
        self.seen.made.push(len);
        self.cpu.alloc(label, len)
    }

    fn alloc_matrix(&mut self, label: &str, rows: usize, cols: usize, elements: ElementType) -> Result<Mat> {
        self.seen.made.push(self.cpu.matrix_size(rows, cols, elements)?.bytes as usize / 4);
        self.cpu.alloc_matrix(label, rows, cols, elements)
    }

    fn snapshot(&mut self, buffer: &Buf, len: usize) -> Result<Buf> {
        self.seen.made.push(len);
        self.cpu.snapshot(buffer, len)
    }

    fn reserve(&mut self, step: StepSize) -> Result<()> {
        self.seen.reserved = step;
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        self.seen.num_flushes += 1;
        Ok(())
    }

    fn submit(&mut self, buffer: &Buf, len: usize) -> Result<InFlight> {
        self.seen.downloads.push(len);
        self.in_flight.set(self.in_flight.get() + 1);
        self.most_in_flight = self.most_in_flight.max(self.in_flight.get());
        Ok(InFlight { words: self.cpu.submit(buffer, len)?, count: Rc::clone(&self.in_flight) })
    }

    async fn read(&mut self, mut readback: InFlight) -> Result<Vec<u32>> {
        self.num_reads += 1;
        match (self.fails)(self.num_reads) {
            true if self.is_lost_then => Err(Error::DeviceLost(UNPLUGGED.into())),
            true => Err(Error::Device(UNPLUGGED.into())),
            false => Ok(std::mem::take(&mut readback.words)),
        }
    }

    fn overlaps(&self) -> bool {
        self.overlaps
    }

    on_the_cpu! {
        num_uploads: upload(buffer: &mut Buf, offset: usize, words: &[u32]);
        num_uploads: upload_rows(matrix: &mut Mat, first_row: usize, values: &[f32]);
        num_kernel_calls: embed_tokens(p: EmbedTokensParams, step: &Buf, sampled_tokens: &Buf, table: &Mat, out: &mut Buf);
        num_kernel_calls: rms_norm(p: RmsNormParams, x: &Buf, weight: &Buf, out: &mut Buf);
        num_kernel_calls: linear(p: LinearParams, x: &Buf, weight: &Mat, bias: Option<&Buf>, out: &mut Buf);
        num_kernel_calls: gated_linear(p: GatedLinearParams, x: &Buf, gate: &Mat, up: &Mat, out: &mut Buf);
        num_kernel_calls: rope_store_kv(
            p: RopeStoreKvParams, step: &Buf, tables: HeadTables<&Buf>, qkv: &Buf, q: &mut Buf, kv: KvPool<&mut Buf>
        );
        num_kernel_calls: ragged_attention(p: AttentionParams, step: &Buf, q: &Buf, kv: KvPool<&Buf>, out: &mut Buf);
        num_kernel_calls: paged_attention(
            p: AttentionParams, step: &Buf, q: &Buf, kv: KvPool<&Buf>, out: &mut Buf, partials: &mut Buf
        );
        num_kernel_calls: merge_splits(p: MergeSplitsParams, step: &Buf, partials: &Buf, out: &mut Buf);
        num_kernel_calls: gather_rows(p: GatherRowsParams, step: &Buf, x: &Buf, out: &mut Buf);
        num_kernel_calls: sample(p: SampleParams, x: &Buf, sampling_inputs: &Buf, out: &mut Buf);
    }
}
