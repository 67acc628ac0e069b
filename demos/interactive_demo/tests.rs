//! Scripts play as they did when their screens were looked at, and going back or changing the past is exact.

use super::Args;
use crate::app::{App, Next, View};
use crate::common::Outcome;
use crate::draw;
use crate::keys::{Command, KEYS, command_of_name};
use crate::plan::Plan;
use crate::script::play;
use cb_lab::backend::cpu::CpuBackend;
use cb_lab::observe::{Entry, Recording};
use clap::{CommandFactory, Parser};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use std::fs;
use std::path::Path;

const SMALL: (u16, u16) = (80, 24);

fn record(plan: &Plan) -> Outcome<Recording> {
    plan.record(CpuBackend::default())
}

fn app() -> App<'static> {
    App::new(Plan::new(&Args::parse_from(["interactive_demo"]).scenario), &record).unwrap()
}

/// The run without its times.
fn steps(recording: &Recording) -> Vec<Entry> {
    let mut entries = recording.entries().to_vec();
    for entry in &mut entries {
        match entry {
            Entry::Step(step) => (step.start_ms, step.ms) = (0.0, 0.0),
            Entry::Submitted(request) => request.at_ms = 0.0,
            Entry::Aborted(aborted) => aborted.at_ms = 0.0,
            Entry::Run(_) => {}
        }
    }
    entries
}

#[test]
fn scripts_show_the_screens_that_were_looked_at() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demos/interactive_demo/screens");
    for name in ["tour", "knobs", "add_and_abort"] {
        let script = fs::read_to_string(folder.join(name).with_extension("keys")).unwrap();
        let screens = play(&mut app(), &script, SMALL).unwrap();
        let expected = fs::read_to_string(folder.join(name).with_extension("txt")).unwrap_or_default();
        let command = "cargo run --release --example interactive_demo -- --script";
        let path = format!("demos/interactive_demo/screens/{name}");
        let hint = format!("if these are as they should be: {command} {path}.keys > {path}.txt");
        assert!(screens == expected, "{name}.keys shows\n{screens}\n{hint}");
    }
}

#[test]
fn forward_and_back_is_where_one_was() {
    let (mut there, mut back) = (app(), app());
    let once = play(&mut there, "right 6", SMALL).unwrap();
    assert_eq!(play(&mut back, "right 20\nleft 14", SMALL).unwrap(), once);
    assert_eq!(play(&mut back, "end\nright 2\nhome\nleft\nright 6", SMALL).unwrap(), once);
}

#[test]
fn a_knob_turned_there_and_back_is_the_same_run() {
    let (first, mut turned) = (app(), app());
    for name in ["+", "]", "-", "[", "]", "+", "[", "-"] {
        turned.do_command(command_of_name(name).unwrap());
    }
    assert_eq!(steps(&turned.recording), steps(&first.recording));
    turned.do_command(Command::Decrease);
    assert_ne!(steps(&turned.recording), steps(&first.recording));
    turned.do_command(Command::Reset);
    assert_eq!(steps(&turned.recording), steps(&first.recording));
}

/// What a key did is told beside the reason, not in its place.
#[test]
fn a_note_leaves_the_reason_where_it_is() {
    for (key, note, request) in [
        ("+", "max_tokens_per_step is 13 now", 2),
        ("a", "request 5 comes after step 9", 5),
        // Too long for the border: it has lines of its own.
        ("]\n]\n]\n- 7", "\nrequest refused: 16 prompt tokens", 2),
    ] {
        let screen = play(&mut app(), &format!("right 8\ndown 2\n{key}"), SMALL).unwrap();
        let (_, foot) = screen.split_once("\n why ").expect("there is always a reason");
        assert!(foot.contains(note) && foot.contains(&format!("\n request {request}  ")), "{key}: {screen}");
    }
}

/// Steps are wider, and what happened stands below the lanes.
#[test]
fn the_timeline_uses_a_large_screen() {
    let screen = play(&mut app(), "right 8\n4", (120, 40)).unwrap();
    assert!(screen.contains("━━━━━━━━") && screen.contains("what happened around this step"), "{screen}");
    let blank = screen.lines().collect::<Vec<_>>().chunk_by(|a, b| a.is_empty() && b.is_empty()).map(<[_]>::len).max();
    assert!(blank < Some(16), "{screen}");
}

/// What was computed up to the step is what it was; what comes after follows from it.
#[test]
fn adding_and_giving_up_do_not_change_the_past() {
    let first = app();
    for change in ["a", "x"] {
        let mut changed = app();
        play(&mut changed, &format!("right 5\n{change}"), SMALL).unwrap();
        assert_eq!(changed.step, 6);
        let before: Vec<_> = changed.recording.steps().take(6).map(|step| &step.rows).collect();
        assert_eq!(before, first.recording.steps().take(6).map(|step| &step.rows).collect::<Vec<_>>());
        assert_ne!(steps(&changed.recording), steps(&first.recording));
    }
}

/// A request comes early where all others have ended. From then on it is there, whatever its plan was.
#[test]
fn who_came_early_is_there() {
    let scenario = Args::parse_from(["interactive_demo", "--requests", "2", "--arrival-gap", "50"]).scenario;
    let mut app = App::new(Plan::new(&scenario), &record).unwrap();
    play(&mut app, "right 14\ndown\na", SMALL).unwrap();
    assert_eq!(app.plan.requests.iter().map(|request| request.arrives_after).collect::<Vec<_>>(), [0, 11, 15]);
    play(&mut app, "up\nx", SMALL).unwrap();
    let aborted = app.recording.entries().iter().any(|entry| matches!(entry, Entry::Aborted(gone) if gone.id.0 == 1));
    assert!(aborted, "{}", app.message);
}

#[test]
fn a_run_without_requests_can_be_walked_through_and_added_to() {
    let scenario = Args::parse_from(["interactive_demo", "--requests", "0"]).scenario;
    let mut app = App::new(Plan::new(&scenario), &record).unwrap();
    let all_keys: String =
        KEYS.iter().filter(|key| key.1 != Command::Quit).map(|key| format!("{}\n", key.0[0])).collect();
    play(&mut app, &all_keys, SMALL).unwrap();
    let mut app = App::new(Plan::new(&scenario), &record).unwrap();
    for view in View::ALL {
        app.do_command(Command::Show(view));
        play(&mut app, "", SMALL).unwrap();
    }
    app.do_command(Command::Show(View::Overview));
    app.do_command(Command::Add);
    assert_eq!(
        (app.num_steps(), app.step),
        (9, 1),
        "2 chunks of a prompt, of which the second brings a token, and 7 decodes"
    );
}

#[test]
fn the_list_of_keys_is_left_as_it_was_come_to() {
    for key in ["?", "h", "esc"] {
        let mut app = app();
        play(&mut app, "right 5\n3\n?", SMALL).unwrap();
        assert_eq!(app.view, View::Help);
        let before = (app.step, app.knob, app.selected);
        play(&mut app, "right\ndown\n]\n+\na\nx\nend", SMALL).unwrap();
        assert_eq!((app.step, app.knob, app.selected), before, "nothing happens behind the list");
        assert_eq!(app.plan.requests.len(), 5);
        assert_eq!(app.do_command(command_of_name(key).unwrap()), Next::GoOn);
        assert_eq!(app.view, View::Blocks, "after {key}");
        assert_eq!(app.do_command(Command::Leave), Next::Quit);
    }
}

#[test]
fn every_view_fits_every_screen() {
    for size in [(80, 24), (120, 40), (300, 100), (79, 24), (80, 23), (20, 5), (1, 1)] {
        let mut app = app();
        for step in [1, 9, 13, 28] {
            app.step = step;
            for view in View::ALL {
                app.do_command(Command::Show(view));
                let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
                terminal.draw(|frame| draw::draw(frame, &app)).unwrap();
            }
        }
    }
}

#[test]
fn a_script_that_is_wrong_is_told_where() {
    let refusal = |script| play(&mut app(), script, SMALL).unwrap_err().to_string();
    assert_eq!(refusal("right\n\nrigth"), "line 3: no key is called \"rigth\"");
    assert_eq!(refusal("right often"), "line 1: after the key comes how often, a number");
    assert_eq!(play(&mut app(), "q\nrigth", SMALL).unwrap(), "", "nothing is played after the end");
}

#[test]
fn the_help_names_every_key() {
    let help = Args::command().render_help().to_string();
    for name in KEYS.iter().flat_map(|(names, ..)| *names) {
        assert!(help.contains(name), "{name} is not in {help}");
        assert!(command_of_name(name).is_some());
    }
}
