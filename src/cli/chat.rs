//! `cb-lab chat`: a conversation in the terminal. Ctrl-C stops an answer, and ends the program at the prompt.

use super::choose_backend::{BackendArgs, Chosen};
use super::engine_args::{LimitArgs, SamplingArgs, open_model};
use super::idle::options_text;
use super::loading;
use super::memory::peak_text;
use super::spelling::spelled;
use super::start::start;
use super::wording::{complain, tell};
use super::wrap::Wrap;
use crate::backend::Backend;
use crate::core::request::SamplingParams;
use crate::engine::loaded_folder::LoadedFolder;
use crate::engine::{DeviceEngine, Engine, Update};
use crate::error::{Error, Result};
use crate::ids::{RequestId, TokenId};
use crate::text::{ChatTemplate, Message};
use std::io::{BufRead, IsTerminal, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a program that Ctrl-C ended, by convention of shells.
const INTERRUPTED: i32 = 130;
/// What somebody who chats can do.
const HELP: &str = "Ctrl-C stops an answer; /reset begins anew; /help shows this; Ctrl-D or /exit ends.";
/// Tokens of an answer if nothing is said about it.
const DEFAULT_MAX_NEW_TOKENS: usize = 256;

/// Options of `chat`.
#[derive(clap::Args)]
#[command(allow_negative_numbers = true)]
pub struct ChatArgs {
    /// A Hugging Face model folder with a chat template; without one, the embedded model
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    #[command(flatten)]
    backend: BackendArgs,
    /// What the conversation begins with: how the model is to behave
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    limits: LimitArgs,
}

/// Runs the command until the input ends.
///
/// # Errors
/// Whatever keeps the engine from starting or going on.
pub async fn run(args: ChatArgs) -> Result<ExitCode> {
    args.backend.check()?;
    let params = args.sampling.params(DEFAULT_MAX_NEW_TOKENS);
    params.validate()?;
    if let Some(line) = options_text(&params) {
        tell(line);
    }
    let mut folder = LoadedFolder::open(&open_model(args.model.as_deref())?).await?;
    let no_template = || Error::ChatTemplate("this model has none, so it cannot chat: use cb-lab generate".into());
    let template = folder.chat_template.take().ok_or_else(no_template)?.map_err(Error::ChatTemplate)?;
    let started = start(&args.backend, &args.limits.options(), &folder, |line| tell(line)).await?;
    tell(HELP);
    let system = args.system.map(|content| Message::new("system", content));
    let config = started.config;
    let reading = folder.files.reading();
    match started.backend {
        Chosen::Gpu(backend) => {
            let engine = loading::shown(reading, Engine::new(*backend, folder, config)).await?;
            Chat::new(engine, template, system, params)?.run().await
        }
        Chosen::Cpu(backend) => {
            let engine = loading::shown(reading, Engine::new(backend, folder, config)).await?;
            Chat::new(engine, template, system, params)?.run().await
        }
    }
}

/// A conversation with a model.
struct Chat<B: Backend> {
    engine: DeviceEngine<B>,
    template: ChatTemplate,
    system: Option<Message>,
    params: SamplingParams,
    messages: Vec<Message>,
    interrupt: Interrupt,
}

impl<B: Backend> Chat<B> {
    fn new(
        engine: DeviceEngine<B>,
        template: ChatTemplate,
        system: Option<Message>,
        params: SamplingParams,
    ) -> Result<Self> {
        let messages = system.iter().cloned().collect();
        Ok(Self { engine, template, system, params, messages, interrupt: Interrupt::install()? })
    }

    async fn run(&mut self) -> Result<ExitCode> {
        let stdin = std::io::stdin();
        loop {
            if stdin.is_terminal() {
                print("> ")?;
            }
            let mut line = Vec::new();
            let unreadable = |source| Error::ReadFile { path: "stdin".into(), source };
            if stdin.lock().read_until(b'\n', &mut line).map_err(unreadable)? == 0 {
                return Ok(self.end());
            }
            let Ok(line) = str::from_utf8(&line) else {
                complain("this line is not UTF-8, and was passed over");
                continue;
            };
            match line.trim() {
                "" => (),
                "/exit" => return Ok(self.end()),
                "/reset" => self.messages = self.system.iter().cloned().collect(),
                "/help" => tell(HELP),
                text if is_command(text) => complain(format!("there is no command {text}. {HELP}")),
                text => self.turn(text).await?,
            }
        }
    }

    fn end(&self) -> ExitCode {
        tell(peak_text(&self.engine.runner().memory(), &self.engine.runner().planned_memory()));
        ExitCode::SUCCESS
    }

    /// One question and its answer. A question that cannot be answered is told and forgotten.
    async fn turn(&mut self, text: &str) -> Result<()> {
        self.messages.push(Message::new("user", text));
        let answer = match self.ask() {
            Ok(id) => self.answer(id).await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(Some(answer)) => self.messages.push(Message::new("assistant", answer)),
            Ok(None) => drop(self.messages.pop()),
            Err(error @ (Error::RequestRefused(_) | Error::ChatTemplate(_) | Error::Tokenizer(_))) => {
                complain(spelled(&error));
                self.messages.pop();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Submits the conversation. Its oldest turns are forgotten where it would leave no room for an answer; all of them
    /// stay if it is refused even so.
    fn ask(&mut self) -> Result<RequestId> {
        let (prompt, forgotten) = self.prompt()?;
        let id = self.engine.submit(prompt, self.params.clone())?;
        if !forgotten.is_empty() {
            tell("the beginning of the conversation no longer fits and is forgotten");
            self.messages.drain(forgotten);
        }
        Ok(id)
    }

    /// The conversation as tokens, and the oldest turns that are left out of it.
    fn prompt(&self) -> Result<(Vec<TokenId>, Range<usize>)> {
        let longest = self.engine.scheduler().config().longest_sequence();
        let room = longest.saturating_sub(self.params.max_new_tokens);
        let first_turn = usize::from(self.system.is_some());
        let mut forgotten = first_turn..first_turn;
        loop {
            let messages = [&self.messages[..forgotten.start], &self.messages[forgotten.end..]].concat();
            let prompt = self.engine.tokenizer().encode_rendered(&self.template.render(&messages, true)?)?;
            let only_the_question = forgotten.end + 1 == self.messages.len();
            if prompt.len() <= room || only_the_question {
                return Ok((prompt, forgotten));
            }
            // A question and its answer.
            forgotten.end += 2;
        }
    }

    /// Streams the answer to stdout until it ends or Ctrl-C stops it. `None` if it failed, which is told.
    async fn answer(&mut self, id: RequestId) -> Result<Option<String>> {
        self.interrupt.begin();
        let mut wrap = Wrap::for_stdout();
        while !self.interrupt.came() {
            for update in self.engine.step().await?.updates {
                match update {
                    Update::Token { text, .. } => print(&wrap.push(&text))?,
                    Update::Finished { rest, output } => {
                        self.interrupt.end();
                        print(&format!("{}{}\n", wrap.push(&rest), wrap.finish()))?;
                        return Ok(Some(output.text));
                    }
                    Update::Failed { reason, .. } => {
                        self.interrupt.end();
                        print(&format!("{}\n", wrap.finish()))?;
                        complain(reason);
                        return Ok(None);
                    }
                    Update::Preempted(_) => (),
                }
            }
        }
        self.interrupt.end();
        print(&format!("{} …\n", wrap.finish()))?;
        Ok(self.engine.abort(id)?.map(|output| output.text))
    }
}

/// Ctrl-C: noted while an answer is being generated, the end of the program otherwise.
struct Interrupt {
    answering: Arc<AtomicBool>,
    came: Arc<AtomicBool>,
}

impl Interrupt {
    fn install() -> Result<Self> {
        let interrupt = Self { answering: Arc::default(), came: Arc::default() };
        let (answering, came) = (Arc::clone(&interrupt.answering), Arc::clone(&interrupt.came));
        let handler = move || {
            if answering.load(Ordering::SeqCst) {
                came.store(true, Ordering::SeqCst);
            } else {
                std::process::exit(INTERRUPTED);
            }
        };
        ctrlc::set_handler(handler).map_err(|error| Error::WriteOutput(std::io::Error::other(error)))?;
        Ok(interrupt)
    }

    fn begin(&self) {
        self.came.store(false, Ordering::SeqCst);
        self.answering.store(true, Ordering::SeqCst);
    }

    fn came(&self) -> bool {
        self.came.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.answering.store(false, Ordering::SeqCst);
    }
}

/// A slash and one word. A path, or a sentence that begins with a slash, is for the model.
fn is_command(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphabetic()))
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(Error::WriteOutput)
}
