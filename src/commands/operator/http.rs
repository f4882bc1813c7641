//! Requests to a server, and what its answers mean.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode, Url};
use serde_json::Value;

use super::failure::{Exit, Failure, Result};
use super::progress::Progress;

/// How long the server may be silent: longer than it takes over most requests.
const SILENCE: Duration = Duration::from_mins(2);
/// How long it may be silent over what grows with the database.
const LONG_TIME: Duration = Duration::from_hours(1);
/// Answers that are larger are not read; one page of a list is far smaller.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// What an unknown path answers, in contrast to an unknown record.
const NO_SUCH_CALL: &str = "There is nothing at this address";

/// A server that can be asked.
pub struct Http {
    pub(super) client: Client,
    pub(super) base: Url,
    pub(super) key: Option<String>,
    pub(super) place: Place,
}

/// Where the server is.
pub enum Place {
    /// On this computer, with its data here.
    Local(PathBuf),
    /// At its address.
    Remote,
}

impl Http {
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value> {
        self.json(Method::GET, path, query, None).await
    }

    pub async fn post(&self, path: &[&str], body: Option<Value>) -> Result<Value> {
        self.json(Method::POST, path, &[], body).await
    }

    pub async fn put(&self, path: &[&str], body: Value) -> Result<Value> {
        self.json(Method::PUT, path, &[], Some(body)).await
    }

    pub async fn patch(&self, path: &[&str], body: Value) -> Result<Value> {
        self.json(Method::PATCH, path, &[], Some(body)).await
    }

    pub async fn delete(&self, path: &[&str]) -> Result<Value> {
        self.json(Method::DELETE, path, &[], None).await
    }

    /// A deletion that says what is meant.
    pub async fn delete_with(&self, path: &[&str], body: Value) -> Result<Value> {
        self.json(Method::DELETE, path, &[], Some(body)).await
    }

    /// An answer that is no JSON.
    pub async fn text(&self, path: &[&str], query: &[(&str, &str)]) -> Result<String> {
        let response = self.send(Method::GET, path, query, None).await?;
        let bytes = self.read(response).await?;
        String::from_utf8(bytes).map_err(|_| Failure::failed("the server's answer is no text"))
    }

    /// Writes an answer to a file as it comes, however large it is. `size` is what is expected.
    pub async fn download(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        size: Option<u64>,
        to: &mut impl Write,
    ) -> Result<u64> {
        let mut response = self.send(Method::GET, path, query, None).await?;
        let mut progress = Progress::bytes("Downloading", size);
        let mut bytes = 0;
        while let Some(chunk) = self.within(SILENCE, response.chunk()).await? {
            to.write_all(&chunk).map_err(|error| Failure::failed(error.to_string()))?;
            bytes += chunk.len() as u64;
            progress.reached(bytes);
        }
        Ok(bytes)
    }

    async fn json(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Value> {
        let response = self.send(method, path, query, body).await?;
        let bytes = self.read(response).await?;
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes).map_err(|_| self.not_coditect("its answer is no JSON"))
    }

    /// An answer that tells of success.
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<Value>,
    ) -> Result<Response> {
        let mut url = self.base.clone();
        // Names from the command line become one segment each, whatever is in them.
        url.path_segments_mut()
            .map_err(|()| Failure::usage("the address of the server cannot have a path"))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        let mut request = self.client.request(method, url).query(query);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = self.within(patience(path), request.send()).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.within(SILENCE, response.chunk()).await? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(self.not_coditect("its answer is too large"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Why the server refused.
    async fn refusal(&self, response: Response) -> Failure {
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location").and_then(|to| to.to_str().ok());
            return self
                .not_coditect(&format!("it leads on to {}", to.unwrap_or("another address")));
        }
        let problem = match self.read(response).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            Err(failure) => return failure,
        };
        let no_such_call = status == StatusCode::METHOD_NOT_ALLOWED
            || status == StatusCode::NOT_FOUND
                && problem["detail"].as_str().is_none_or(|detail| detail.starts_with(NO_SUCH_CALL));
        if !no_such_call {
            return Failure::of_problem(status.as_u16(), &problem);
        }
        if problem["code"].is_null() {
            return self.not_coditect(&format!("it answers {}", status.as_u16()));
        }
        Failure::failed(format!(
            "{} does not know this call: it is of another version than this program, which is {}. \
             Use the program of the server's version",
            self.name(),
            env!("CARGO_PKG_VERSION")
        ))
    }

    fn not_coditect(&self, why: &str) -> Failure {
        Failure::failed(format!("{} does not seem to be a CODITECT server: {why}", self.name()))
    }

    /// What comes within a time, or why it did not come.
    async fn within<T>(
        &self,
        patience: Duration,
        coming: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T> {
        let why = match tokio::time::timeout(patience, coming).await {
            Ok(Ok(came)) => return Ok(came),
            Ok(Err(error)) if error.is_connect() => {
                format!("{}. Does it run, and is the address right?", root_cause(&error))
            }
            Ok(Err(error)) => root_cause(&error),
            Err(_) => "it took too long to answer. What was asked may have been done; look before \
                       you repeat it"
                .to_owned(),
        };
        Err(Failure::new(Exit::Unavailable, format!("{}: {why}", self.name())))
    }

    fn name(&self) -> String {
        match &self.place {
            Place::Local(data) => format!("the server on {}", data.display()),
            Place::Remote => format!("the server at {}", self.base.as_str().trim_end_matches('/')),
        }
    }
}

fn patience(path: &[&str]) -> Duration {
    match path {
        ["admin", "backups" | "diagnostics"] | ["admin", "backups", _, "restore"] => LONG_TIME,
        _ => SILENCE,
    }
}

/// The innermost cause: the outer ones say only that sending failed.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
