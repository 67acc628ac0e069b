//! A recorded run as a trace for timeline viewers: the JSON format that Perfetto (ui.perfetto.dev) and Chrome open.
//!
//! ```text
//! engine     a bar per step; counters of tokens per step and of free blocks
//! requests   a line each: waiting with its reason, prompt chunks, decodes; preempted, first token, end as marks
//! device     a bar per kernel, where the run was recorded with kernel times
//! ```

use super::{Recording, Row, Step};
use crate::core::skipped::Skipped;
use crate::core::wording::count_text;
use crate::ids::RequestId;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The groups of lines, in the order in which viewers show them.
const ENGINE: u32 = 1;
const REQUESTS: u32 = 2;
const DEVICE: u32 = 3;

/// The run as one JSON object. Times are microseconds since the run began.
pub fn trace(recording: &Recording) -> Value {
    let mut events = vec![name(ENGINE, "engine"), name(REQUESTS, "requests"), name(DEVICE, "device")];
    for request in recording.requests() {
        let label = format!("request {}", request.id);
        events.push(
            json!({"ph": "M", "name": "thread_name", "pid": REQUESTS, "tid": request.id.0, "args": {"name": label}}),
        );
        let args = json!({"prompt_tokens": request.prompt_len, "max_new_tokens": request.max_new_tokens});
        events.push(mark("submitted", request.id, to_us(request.at_ms), args));
    }
    let mut started = BTreeSet::new();
    // A step that was begun before the one before it had ended is drawn from that end on: bars of a line must not overlap.
    let (mut last_end, mut device_end) = (0.0, 0.0);
    for (step, skipped) in recording.steps().zip(recording.skipped()) {
        let end = to_us(step.start_ms) + to_us(step.ms);
        let span = Span { begin: to_us(step.start_ms).max(last_end), end };
        last_end = end;
        engine_events(step, span, &mut events);
        request_events(step, &skipped, span, &mut started, &mut events);
        kernel_events(step, span, &mut device_end, &mut events);
    }
    json!({
        "displayTimeUnit": "ms",
        "otherData": {"model": recording.run.model, "backend": recording.run.backend},
        "traceEvents": events,
    })
}

/// When a step was computed, in microseconds since the run began.
#[derive(Clone, Copy)]
struct Span {
    begin: f64,
    end: f64,
}

fn engine_events(step: &Step, span: Span, events: &mut Vec<Value>) {
    let decodes = step.rows.iter().filter(|row| row.is_decode()).count();
    let tokens: usize = step.rows.iter().map(|row| row.query_len).sum();
    let args = json!({
        "decodes": decodes,
        "prompt_tokens": tokens - decodes,
        "no_further_request_admitted_because": step.admission_stop.to_string(),
    });
    events.push(bar(ENGINE, 0, &format!("step {}", step.step), span, args));
    let counts = [
        ("tokens in the step", json!({"decode": decodes, "prompt": tokens - decodes})),
        ("free blocks", json!({"blocks": step.free_blocks})),
    ];
    for (counter, args) in counts {
        events.push(json!({"ph": "C", "name": counter, "pid": ENGINE, "ts": span.begin, "args": args}));
    }
}

fn request_events(
    step: &Step,
    skipped: &[(RequestId, Skipped)],
    span: Span,
    started: &mut BTreeSet<RequestId>,
    events: &mut Vec<Value>,
) {
    let Span { begin, end } = span;
    for row in &step.rows {
        let Row { id, context_len, query_len, .. } = *row;
        let what = if row.is_decode() { "decode".into() } else { count_text(query_len, "prompt token") };
        events.push(bar(REQUESTS, id.0, &what, span, json!({"step": step.step, "context": context_len})));
    }
    for (id, why) in skipped {
        let args = json!({"step": step.step, "why": why.to_string()});
        events.push(bar(REQUESTS, id.0, "waits", span, args));
    }
    for preemption in &step.preempted {
        events.push(mark("preempted", preemption.victim, begin, json!({"for_request": preemption.needer})));
    }
    for &id in &step.outgrown {
        events.push(mark("outgrown", id, begin, json!({"why": "its K and V are others at this length"})));
    }
    for token in step.tokens.iter().filter(|token| started.insert(token.id)) {
        events.push(mark("first token", token.id, end, json!({"text": token.text})));
    }
    for finished in &step.finished {
        events.push(mark("ended", finished.id, end, json!({"reason": finished.reason.to_string()})));
    }
}

/// The device's clock is not the host's: the last kernel is drawn so that it ends when the step does, but none before the
/// kernels of the step before have ended. The host may see that late.
fn kernel_events(step: &Step, span: Span, device_end: &mut f64, events: &mut Vec<Value>) {
    let last = step.kernels.iter().map(|kernel| kernel.begin_us + kernel.us).fold(0.0, f64::max);
    let shift = (span.end - last).max(*device_end);
    *device_end = shift + last;
    for kernel in &step.kernels {
        let args = json!({"step": step.step, "layer": kernel.layer});
        let begin = shift + kernel.begin_us;
        events.push(bar(DEVICE, 0, &kernel.kernel, Span { begin, end: begin + kernel.us }, args));
    }
}

/// The log has whole microseconds; a product of floats may miss them by a hair.
fn to_us(ms: f64) -> f64 {
    (1e3 * ms).round()
}

fn name(group: u32, label: &str) -> Value {
    json!({"ph": "M", "name": "process_name", "pid": group, "args": {"name": label}})
}

fn bar(group: u32, line: u64, label: &str, Span { begin, end }: Span, args: Value) -> Value {
    json!({"ph": "X", "name": label, "pid": group, "tid": line, "ts": begin, "dur": end - begin, "args": args})
}

fn mark(label: &str, request: RequestId, at_us: f64, args: Value) -> Value {
    json!({"ph": "i", "s": "t", "name": label, "pid": REQUESTS, "tid": request.0, "ts": at_us, "args": args})
}
