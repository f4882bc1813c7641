//! The running server's API over the local socket in its data folder.
//!
//! The socket is open to its owner alone: whoever can use it could read the database as well.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::runtime;
use crate::config::DataDir;
use crate::domain::error::{Error, Result};

/// How long a backup of a large database may take.
const ANSWER_TIME: Duration = Duration::from_hours(1);

/// What a problem says.
#[derive(Deserialize)]
struct Problem {
    detail: Option<String>,
}

/// Reads something from the running server; `None` when none runs on this data.
pub fn get(data: &DataDir, path: &str) -> Result<Option<Value>> {
    ask(data, reqwest::Method::GET, path, None)
}

/// Has the running server do something; `None` when none runs on this data.
pub fn post(data: &DataDir, path: &str, body: Option<&Value>) -> Result<Option<Value>> {
    ask(data, reqwest::Method::POST, path, body)
}

fn ask(
    data: &DataDir,
    method: reqwest::Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Option<Value>> {
    let socket = data.socket();
    if UnixStream::connect(&socket).is_err() {
        return Ok(None);
    }
    let client = reqwest::Client::builder()
        .no_proxy()
        .unix_socket(socket)
        .timeout(ANSWER_TIME)
        .build()
        .map_err(Error::internal)?;
    let request = client.request(method, format!("http://localhost{path}"));
    let request =
        body.map_or_else(|| request.try_clone(), |body| Some(request.try_clone()?.json(body)));
    let request = request.ok_or_else(|| Error::internal("the request cannot be built"))?;
    runtime()?.block_on(async {
        let broken =
            |_| Error::internal("the server ended the conversation; it may be stopping. Try again");
        let answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(broken)?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map(Some).map_err(Error::internal);
        }
        let told = serde_json::from_slice::<Problem>(&bytes).ok().and_then(|told| told.detail);
        Err(Error::internal(told.unwrap_or_else(|| format!("the server answered {status}"))))
    })
}
