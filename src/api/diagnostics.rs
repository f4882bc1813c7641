//! What is wrong with the appliance, for operators.

use std::sync::Arc;

use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;

use super::auth::Person;
use super::json::Json;
use super::{Answer, Tag};
use crate::services::Services;
use crate::services::doctor::check;

/// The calls that look for trouble.
pub struct Diagnostics {
    /// The operations.
    pub services: Arc<Services>,
}

/// How bad it is.
#[derive(Clone, Copy, Enum, Serialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// It works, and should be looked after.
    Warning,
    /// It does not work, or will not for long.
    Problem,
}

impl From<check::State> for State {
    fn from(state: check::State) -> Self {
        match state {
            check::State::Ok => Self::Ok,
            check::State::Warning => Self::Warning,
            check::State::Problem => Self::Problem,
        }
    }
}

/// One thing that was looked at.
#[derive(Object, Serialize)]
pub struct Check {
    /// What it is called.
    name: String,
    /// How it is.
    state: State,
    /// What was found.
    found: String,
    /// What to do; only when it is not as it should be.
    advice: Option<String>,
}

/// All that was looked at.
#[derive(Object, Serialize)]
pub struct Report {
    /// The worst of the checks.
    state: State,
    /// The program's version.
    version: String,
    /// The data directory.
    data: String,
    /// Always true here; `coditect doctor` works without a server too.
    server_running: bool,
    /// In the order in which to put things right.
    checks: Vec<Check>,
    /// The same as `coditect doctor` prints it: for a request for support. No secret is in it.
    text: String,
}

impl From<check::Report> for Report {
    fn from(report: check::Report) -> Self {
        let text = report.to_string();
        let checks = report.checks.into_iter().map(|check| Check {
            name: check.name,
            state: check.state.into(),
            found: check.found,
            advice: check.advice,
        });
        Self {
            state: report.state.into(),
            version: report.version,
            data: report.data,
            server_running: report.server_running,
            checks: checks.collect(),
            text,
        }
    }
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Diagnostics {
    /// Look for trouble
    ///
    /// The same checks as `coditect doctor` makes.
    #[oai(path = "/diagnostics", method = "get", operation_id = "diagnose")]
    async fn diagnose(&self, person: Person) -> Answer<Json<Report>> {
        Ok(Json(self.services.diagnose(&person.0).await?.into()))
    }
}
