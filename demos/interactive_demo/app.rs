//! What the program knows and does, without a terminal: a plan, its recorded run, and what of it is looked at.

use crate::common::Outcome;
use crate::keys::Command;
use crate::knobs::Knob;
use crate::plan::{MAX_STEPS, Plan};
use cb_lab::RequestId;
use cb_lab::observe::Recording;

/// Records a plan.
pub type Runner<'a> = &'a dyn Fn(&Plan) -> Outcome<Recording>;

pub struct App<'a> {
    runner: Runner<'a>,
    first_plan: Plan,
    pub plan: Plan,
    pub recording: Recording,
    /// The step that is shown, from 1. 0 if there is none.
    pub step: usize,
    pub selected: RequestId,
    pub knob: Knob,
    pub view: View,
    /// Where the list of keys goes back to.
    view_before_help: View,
    /// First row of a table that is shown.
    pub scroll: usize,
    /// What came of the last key, if that is not to be seen otherwise.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Overview,
    Tokens,
    Blocks,
    Timeline,
    Happened,
    Help,
}

impl View {
    pub const ALL: [Self; 6] = [Self::Overview, Self::Tokens, Self::Blocks, Self::Timeline, Self::Happened, Self::Help];

    pub fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Tokens => "tokens",
            Self::Blocks => "blocks",
            Self::Timeline => "timeline",
            Self::Happened => "happened",
            Self::Help => "help",
        }
    }
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    GoOn,
    Quit,
}

impl<'a> App<'a> {
    pub fn new(plan: Plan, runner: Runner<'a>) -> Outcome<Self> {
        let recording = runner(&plan)?;
        let mut app = Self {
            runner,
            first_plan: plan.clone(),
            plan,
            step: recording.steps().count().min(1),
            recording,
            selected: RequestId(0),
            knob: Knob::MaxTokensPerStep,
            view: View::Overview,
            view_before_help: View::Overview,
            scroll: 0,
            message: String::new(),
        };
        app.plan.settle(&app.recording);
        Ok(app)
    }

    pub fn num_steps(&self) -> usize {
        self.recording.steps().count()
    }

    pub fn do_command(&mut self, command: Command) -> Next {
        self.message.clear();
        if self.view == View::Help && !command.works_in_help() {
            return Next::GoOn;
        }
        match command {
            Command::Forward => self.forward(),
            Command::Back => self.step = self.step.saturating_sub(1).max(self.num_steps().min(1)),
            Command::First => self.step = self.num_steps().min(1),
            Command::Last => self.step = self.num_steps(),
            Command::Up => self.select(self.selected.0.saturating_sub(1)),
            Command::Down => self.select(self.selected.0 + 1),
            Command::NextView => self.show(View::ALL[(self.view as usize + 1) % View::ALL.len()]),
            Command::Show(View::Help) | Command::Leave if self.view == View::Help => self.show(self.view_before_help),
            Command::Show(view) => self.show(view),
            Command::NextKnob => self.knob = Knob::ALL[(self.knob as usize + 1) % Knob::ALL.len()],
            Command::LastKnob => self.knob = Knob::ALL[(self.knob as usize + Knob::ALL.len() - 1) % Knob::ALL.len()],
            Command::Increase => self.turn(Knob::increase),
            Command::Decrease => self.turn(Knob::decrease),
            Command::Add => self.add(),
            Command::Abort => self.abort(),
            Command::Reset => {
                let plan = Plan { next: self.plan.next, ..self.first_plan.clone() };
                self.run(plan, "all as it was at first".into());
            }
            Command::ScrollDown => self.scroll += 5,
            Command::ScrollUp => self.scroll = self.scroll.saturating_sub(5),
            Command::Leave | Command::Quit => return Next::Quit,
        }
        Next::GoOn
    }

    fn forward(&mut self) {
        if self.step < self.num_steps() {
            self.step += 1;
        } else if self.num_steps() == MAX_STEPS {
            self.message = format!("a run is shown for {MAX_STEPS} steps");
        } else {
            self.message = "all requests have ended: a adds one".into();
        }
    }

    fn select(&mut self, id: u64) {
        self.selected = RequestId(id.min(self.plan.requests.len().saturating_sub(1) as u64));
    }

    fn show(&mut self, view: View) {
        if view == View::Help {
            self.view_before_help = self.view;
        }
        self.view = view;
        self.scroll = 0;
    }

    fn turn(&mut self, change: fn(Knob, &mut Plan)) {
        let mut plan = self.plan.clone();
        change(self.knob, &mut plan);
        if self.knob.changes_run() {
            let message = format!("{} is {} now", self.knob.name(), self.knob.value(&plan));
            self.run(plan, message);
        } else {
            self.plan = plan;
        }
    }

    fn add(&mut self) {
        let mut plan = self.plan.clone();
        let id = plan.add(self.step);
        let message = format!("request {id} comes after step {}", self.step);
        if self.run(plan, message) {
            self.select(id.0);
        }
    }

    fn abort(&mut self) {
        let (mut plan, id, step) = (self.plan.clone(), self.selected, self.step);
        match plan.requests.get_mut(id.0 as usize) {
            Some(request) if request.arrives_after < step && !self.has_ended(id) => request.aborted_after = Some(step),
            _ => {
                self.message = format!("request {id} cannot be given up: it has ended, or has not come yet");
                return;
            }
        }
        self.run(plan, format!("request {id} is given up after step {step}"));
    }

    /// Whether it ended in the shown step or before.
    fn has_ended(&self, id: RequestId) -> bool {
        let mut finished = self.recording.steps().take(self.step).flat_map(|step| &step.finished);
        let aborted_after = self.plan.requests[id.0 as usize].aborted_after;
        finished.any(|finished| finished.id == id) || aborted_after.is_some_and(|num_steps| num_steps < self.step)
    }

    /// Runs a changed plan and goes to the same step of it. If it cannot be run, all stays as it was.
    fn run(&mut self, plan: Plan, message: String) -> bool {
        match (self.runner)(&plan) {
            Ok(recording) => {
                self.plan = plan;
                self.plan.settle(&recording);
                self.recording = recording;
                self.step = self.step.clamp(self.num_steps().min(1), self.num_steps());
                self.select(self.selected.0);
                self.message = message;
                true
            }
            Err(error) => {
                self.message = error.to_string();
                false
            }
        }
    }
}
