//! A Gantt chart: requests over steps.

use crate::svg::{LEFT, Point, Svg, TOP, fill, ink, limits, outline, step_width};
use cb_lab::RequestId;
use cb_lab::observe::Recording;
use cb_lab::observe::snapshots::{Snapshot, TokenKind, TokenRow};
use cb_lab::observe::views::{Cell, Lane, timeline};

const LANE: usize = 34;
/// Of what is computed, in a lane. Above it is room for a mark.
const CELL: usize = 20;

pub fn draw(recording: &Recording, snapshots: &[Snapshot]) -> String {
    let lanes = timeline(recording);
    let (width, height) = (snapshots.len() * step_width(snapshots.len()), lanes.len() * LANE);
    let mut svg = Svg::new("Who computes what in each step", &limits(recording), (width, height));
    for (nth, lane) in lanes.iter().enumerate() {
        let y = TOP + nth * LANE;
        let request = &lane.request;
        svg.rect("lane", (LEFT, y + 2), (width, LANE - 4));
        svg.text("bold e", (LEFT - 12, y + 16), &format!("request {}", request.id));
        let wish = format!("{} + {} tokens", request.prompt_len, request.max_new_tokens);
        svg.text("small muted e", (LEFT - 12, y + 29), &wish);
        draw_lane(&mut svg, lane, snapshots, y);
    }
    svg.step_axis(snapshots.len(), TOP + height);
    svg.legend(&[
        (|svg, at| computed(svg, RequestId(0), at, 22, 4), "so many prompt tokens"),
        (|svg, at| decodes(svg, RequestId(0), at, 22), "one token: a decode"),
        (|svg, at| computed_again(svg, RequestId(0), at, 22, 4), "computed again"),
        (|svg, at| waits(svg, at, 22), "waits"),
        (|svg, at| preempted(svg, at, 22), "preempted: loses its blocks"),
        (|svg, (x, y)| first_token(svg, (x, y + 4), 22), "first token"),
        (|svg, (x, y)| ended(svg, (x + 10, y)), "ended"),
    ]);
    svg.finish()
}

fn draw_lane(svg: &mut Svg, lane: &Lane, snapshots: &[Snapshot], y: usize) {
    let id = lane.request.id;
    let width = step_width(snapshots.len());
    let mut has_token = false;
    for (nth, (cell, snapshot)) in lane.cells.iter().zip(snapshots).enumerate() {
        let at = (LEFT + nth * width, y + 11);
        match *cell {
            Cell::NotYet | Cell::Finished => {}
            Cell::Waiting => waits(svg, at, width),
            Cell::Preempted => preempted(svg, at, width),
            Cell::Idle => svg.rect("faint", (at.0, at.1 + 9), (width, 2)),
            Cell::Decode => decodes(svg, id, at, width),
            Cell::Prefill(query_len) => {
                let is_again = |token: &TokenRow| token.id == id && token.kind == TokenKind::Recomputed;
                match snapshot.tokens.iter().any(is_again) {
                    true => computed_again(svg, id, at, width, query_len),
                    false => computed(svg, id, at, width, query_len),
                }
            }
        }
        let gets_token = snapshot.step.tokens.iter().any(|token| token.id == id);
        if gets_token && !has_token {
            first_token(svg, (at.0, y + 2), width);
        }
        has_token |= gets_token;
        if snapshot.step.finished.iter().any(|finished| finished.id == id) {
            ended(svg, (at.0 + width - 2, at.1));
        }
    }
}

fn computed(svg: &mut Svg, id: RequestId, (x, y): Point, width: usize, query_len: usize) {
    svg.round_rect(&fill(id), (x + 1, y), (width - 2, CELL));
    number(svg, &ink(id), (x, y), width, query_len);
}

fn computed_again(svg: &mut Svg, id: RequestId, (x, y): Point, width: usize, query_len: usize) {
    svg.round_rect(&outline(id), (x + 2, y + 1), (width - 4, CELL - 2));
    number(svg, "", (x, y), width, query_len);
}

/// If there is room for it.
fn number(svg: &mut Svg, class: &str, (x, y): Point, width: usize, number: usize) {
    let number = number.to_string();
    if number.len() * 8 < width {
        svg.text(&format!("bold m {class}"), (x + width / 2, y + 14), &number);
    }
}

fn decodes(svg: &mut Svg, id: RequestId, (x, y): Point, width: usize) {
    svg.round_rect(&fill(id), (x + 1, y + 6), (width - 2, 8));
}

fn waits(svg: &mut Svg, (x, y): Point, width: usize) {
    svg.round_rect("muted", (x + width / 2 - 2, y + 8), (4, 4));
}

fn preempted(svg: &mut Svg, (x, y): Point, width: usize) {
    let (left, right, top, bottom) = (x + width / 2 - 5, x + width / 2 + 5, y + 5, y + 15);
    svg.path("mark", &format!("M{left} {top}L{right} {bottom}M{left} {bottom}L{right} {top}"));
}

fn first_token(svg: &mut Svg, (x, y): Point, width: usize) {
    let middle = x + width / 2;
    svg.path("ink", &format!("M{} {}h10l-5 7z", middle - 5, y + 1));
}

fn ended(svg: &mut Svg, (x, y): Point) {
    svg.rect("ink", (x, y), (2, CELL));
}
