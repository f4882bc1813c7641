//! `coditect user import`: the people of another system, from a file of one JSON object a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::context::Context;
use super::failure::{Exit, Failure, Result};
use super::output::plain;
use super::progress::Progress;

/// People who are sent at once: enough for the server to store them together.
const AT_ONCE: usize = 16;

/// A longer line is no person.
const LINE_BYTES_MAX: u64 = 16 << 10;

/// So many lines that were refused are told one by one.
const TOLD_MAX: usize = 20;

/// What became of the people in the file.
#[derive(Default)]
struct Outcome {
    made: u64,
    known: u64,
    refused: u64,
    told: Vec<String>,
}

pub async fn run(context: &Context, file: &Path) -> Result<()> {
    let mut progress = Progress::items("Importing", None);
    let mut outcome = Outcome::default();
    {
        let mut answers =
            stream::iter(lines(file)?).map(|line| send(context, line)).buffered(AT_ONCE);
        while let Some(answer) = answers.next().await {
            let (number, answer) = answer?;
            outcome.note(number, answer)?;
            progress.reached(outcome.made + outcome.known + outcome.refused);
        }
    }
    drop(progress);
    outcome.tell(context)
}

/// Sends one line; what the server says of it.
async fn send(context: &Context, line: Result<(usize, String)>) -> Result<(usize, Result<Value>)> {
    let (number, text) = line?;
    let answer = match serde_json::from_str(&text) {
        Ok(person) => context.http.post(&["admin", "users"], Some(person)).await,
        Err(error) => Err(Failure::usage(error.to_string())),
    };
    Ok((number, answer))
}

impl Outcome {
    /// Counts what the server said of one line.
    ///
    /// # Errors
    /// When it would say the same of every other line.
    fn note(&mut self, line: usize, answer: Result<Value>) -> Result<()> {
        match answer {
            Ok(_) => self.made += 1,
            Err(failure) if failure.exit == Exit::Conflict => self.known += 1,
            Err(failure) if failure.exit == Exit::Usage => {
                self.refused += 1;
                if self.told.len() < TOLD_MAX {
                    self.told.push(format!("line {line}: {}", failure.text));
                }
            }
            Err(failure) => {
                let text = format!(
                    "line {line}: {}\n{} accounts were made; import the file again to go on.",
                    failure.text, self.made
                );
                return Err(Failure::new(failure.exit, text));
            }
        }
        Ok(())
    }

    fn tell(self, context: &Context) -> Result<()> {
        let Self { made, known, refused, told } = self;
        let answer = json!({"made": made, "known": known, "refused": refused});
        context.did(&answer, &format!("{made} accounts were made; {known} were there already."))?;
        if refused == 0 {
            return Ok(());
        }
        let more = refused.saturating_sub(told.len() as u64);
        let more = if more > 0 { format!("\n... and {more} more") } else { String::new() };
        let text = format!("{refused} lines were refused:\n{}{more}", told.join("\n"));
        Err(Failure::failed(text))
    }
}

/// The lines of a file that say something, with their numbers.
fn lines(file: &Path) -> Result<impl Iterator<Item = Result<(usize, String)>>> {
    let unreadable = |error: io::Error| {
        Failure::failed(format!("{} cannot be read: {error}", plain(&file.display().to_string())))
    };
    let mut reader: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::new(File::open(file).map_err(unreadable)?))
    };
    let mut number = 0;
    let file = file.display().to_string();
    let read = move || {
        let mut line = String::new();
        match reader.by_ref().take(LINE_BYTES_MAX).read_line(&mut line) {
            Ok(0) => return None,
            Ok(_) => number += 1,
            Err(error) => {
                return Some(Err(Failure::failed(format!("{file} cannot be read: {error}"))));
            }
        }
        if !line.ends_with('\n') && line.len() as u64 == LINE_BYTES_MAX {
            let text = format!("{file}, line {number}: longer than 16 KiB, so it is no person");
            return Some(Err(Failure::usage(text)));
        }
        Some(Ok((number, line)))
    };
    // What cannot be read is told once.
    let mut ended = false;
    Ok(std::iter::from_fn(read)
        .take_while(move |line| !std::mem::replace(&mut ended, line.is_err()))
        .filter(|line| line.as_ref().map_or(true, |(_, line)| !line.trim().is_empty())))
}
