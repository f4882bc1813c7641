//! Why a command did not do what was asked, and the exit code that tells scripts.

use std::fmt::Write as _;

use serde_json::Value;

use super::output::plain;
use crate::domain::error::Error;

/// The exit codes that the manual page lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It failed, or was refused for a reason that none of the others names.
    Failed = 1,
    /// What was typed is not valid.
    Usage = 2,
    /// There is no such record.
    NotFound = 3,
    /// No credentials, bad ones, or those of somebody who may not do it.
    Denied = 4,
    /// The record does not allow it as it is now.
    Conflict = 5,
    /// No server answers, or it cannot take the request just now.
    Unavailable = 6,
    /// What was verified is not whole, or was altered.
    Altered = 7,
}

/// A command that did not do what was asked.
#[derive(Debug)]
pub struct Failure {
    /// For scripts.
    pub exit: Exit,
    /// For people: what happened, why, and what to do.
    pub text: String,
}

/// What comes of a command.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, text: text.into() }
    }

    /// Something that this computer refuses, such as a file.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(Exit::Failed, text)
    }

    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(Exit::Usage, text)
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, text)
    }

    /// What the server refused: its sentence, the fields that break rules, its code, and what may
    /// help.
    pub fn of_problem(status: u16, problem: &Value) -> Self {
        let exit = match status {
            400 | 413 => Exit::Usage,
            401 | 403 => Exit::Denied,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            408 | 429 | 502..=504 => Exit::Unavailable,
            _ => Exit::Failed,
        };
        let word = |name: &str| problem[name].as_str().map(plain).unwrap_or_default();
        let (code, detail) = (word("code"), word("detail"));
        let fields: Vec<String> = problem["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|error| {
                let word = |name: &str| error[name].as_str().map(plain).unwrap_or_default();
                format!("{}: {}", word("field"), word("message"))
            })
            .collect();
        let mut text = match (&*detail, &*code) {
            ("", "") => format!("the server answered {status} without a reason"),
            (detail, "") => detail.to_owned(),
            (detail, code) => format!("{detail} ({code})"),
        };
        // A single field is in the sentence already.
        if fields.len() > 1 || fields.first().is_some_and(|field| *field != detail) {
            for field in fields {
                let _ = write!(text, "\n  {field}");
            }
        }
        if let Some(hint) = hint(&code) {
            let _ = write!(text, "\n{hint}");
        }
        Self { exit, text }
    }
}

/// What the operator of a command line can do about a code, where the server cannot know.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "unauthenticated" => "`coditect api-key create` makes a new API key.",
        "rate_limited" | "overloaded" | "shutting_down" => "Try again in a moment.",
        _ => return None,
    })
}

/// What this process does itself: on the command line the cause is what helps.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::failed(crate::commands::cause(&error))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_status_has_an_exit_code() {
        for (status, exit) in [
            (400, Exit::Usage),
            (401, Exit::Denied),
            (403, Exit::Denied),
            (404, Exit::NotFound),
            (409, Exit::Conflict),
            (413, Exit::Usage),
            (415, Exit::Failed),
            (429, Exit::Unavailable),
            (500, Exit::Failed),
            (503, Exit::Unavailable),
        ] {
            assert_eq!(Failure::of_problem(status, &json!({})).exit, exit, "{status}");
        }
    }

    #[test]
    fn a_problem_is_told_with_its_code_and_every_field() {
        let one = json!({
            "code": "validation_failed", "detail": "seats: must be 1 or more",
            "errors": [{"field": "seats", "message": "must be 1 or more"}],
        });
        let text = Failure::of_problem(400, &one).text;
        assert_eq!(text, "seats: must be 1 or more (validation_failed)");
        let two = json!({
            "code": "validation_failed", "detail": "Two fields break rules.",
            "errors": [{"field": "a", "message": "is long"}, {"field": "b", "message": "is short"}],
        });
        let text = Failure::of_problem(400, &two).text;
        assert_eq!(
            text,
            "Two fields break rules. (validation_failed)\n  a: is long\n  b: is short"
        );
    }

    #[test]
    fn what_is_no_problem_document_is_told_by_its_status() {
        let text = Failure::of_problem(502, &Value::Null).text;
        assert_eq!(text, "the server answered 502 without a reason");
    }
}
