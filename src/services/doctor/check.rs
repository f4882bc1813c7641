//! What was looked at, what was found, and what to do about it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and should be looked after.
    Warning,
    /// It does not work, or will not for long.
    Problem,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What it is called, for programs.
    pub name: String,
    /// How it is.
    pub state: State,
    /// What was found, in a sentence or less.
    pub found: String,
    /// What to do; only when it is not as it should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Check {
    /// It is as it should be.
    pub fn ok(name: &str, found: impl Into<String>) -> Self {
        Self { name: name.to_owned(), state: State::Ok, found: found.into(), advice: None }
    }

    /// It is so; the advice is for what is not as it should be.
    pub fn new(
        name: &str,
        state: State,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let advice = (state != State::Ok).then(|| advice.into());
        Self { name: name.to_owned(), state, found: found.into(), advice }
    }

    /// It works, and should be looked after.
    pub fn warning(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, State::Warning, found, advice)
    }

    /// It does not work.
    pub fn problem(name: &str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::new(name, State::Problem, found, advice)
    }
}

/// All that was looked at.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The worst of the checks.
    pub state: State,
    /// The program's version.
    pub version: String,
    /// The data directory.
    pub data: String,
    /// Whether a server runs on it.
    pub server_running: bool,
    /// In the order in which to put things right.
    pub checks: Vec<Check>,
}

impl Report {
    /// A report of these checks.
    pub fn new(data: String, server_running: bool, checks: Vec<Check>) -> Self {
        let state = checks.iter().map(|check| check.state).max().unwrap_or(State::Ok);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { state, version, data, server_running, checks }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server =
            if self.server_running { "a server runs on it" } else { "no server runs on it" };
        writeln!(f, "CODITECT {}, data in {} ({server})\n", self.version, self.data)?;
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            writeln!(f, "  {:width$}  {:7}  {}", check.name, check.state, check.found)?;
            if let Some(advice) = &check.advice {
                writeln!(f, "  {:width$}  {:7}  -> {advice}", "", "")?;
            }
        }
        let count = |state| self.checks.iter().filter(|check| check.state == state).count();
        let (problems, warnings) = (count(State::Problem), count(State::Warning));
        match (problems, warnings) {
            (0, 0) => write!(f, "\nAll is well."),
            (0, _) => write!(f, "\nNothing is broken; to look after: {warnings}."),
            (_, 0) => write!(f, "\nBroken: {problems}."),
            _ => write!(f, "\nBroken: {problems}; to look after: {warnings}."),
        }
    }
}
