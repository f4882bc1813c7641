//! The local socket by which the command line talks to a running server.
//!
//! It stands in the data directory, open to its owner alone: whoever can use it could
//! read the database as well. One line of JSON asks, one line answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use crate::app::DataDir;
use crate::domain::error::{Error, Result};
use crate::services::Services;

/// The longest line either side reads.
const LINE_MAX: u64 = 64 * 1024;
/// Pause after a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a backup of a large database may take.
const ANSWER_TIME: Duration = Duration::from_hours(1);

/// What can be asked of a running server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// A fresh set-up link.
    SetupLink,
    /// A backup to this absolute path.
    Backup {
        /// The file to write; it must not exist.
        file: PathBuf,
    },
    /// A new licence signing key.
    RotateKey,
    /// What is wrong with the server and its data, as far as it can see: a list of checks in JSON.
    Health,
}

/// What the server answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// It was done; this is what came of it.
    Done(String),
    /// It was not done, and why.
    Failed(String),
}

/// Answers until told to stop. Without a socket the server still serves; the log says so.
pub async fn serve(services: Arc<Services>, data: DataDir, mut stop: watch::Receiver<bool>) {
    let path = data.socket();
    // The database's lock is held, so a socket that stands there is left from a crash.
    let _ = std::fs::remove_file(&path);
    let listener = match UnixListener::bind(&path) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no local socket: `coditect backup` and the like need the server stopped");
            return;
        }
    };
    if let Err(error) = std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)) {
        tracing::warn!(%error, "the local socket could not be closed to others, so it is not served");
        return;
    }
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        if let Ok((stream, _)) = accepted {
            let (services, data) = (Arc::clone(&services), data.clone());
            tokio::spawn(async move {
                if let Err(error) = converse(&services, &data, stream).await {
                    tracing::debug!(%error, "a local conversation broke off");
                }
            });
        } else {
            // Without a file descriptor to spare every attempt fails at once.
            tokio::time::sleep(PAUSE).await;
        }
    }
    let _ = std::fs::remove_file(&path);
}

async fn converse(
    services: &Arc<Services>,
    data: &DataDir,
    stream: UnixStream,
) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    AsyncBufReader::new(read.take(LINE_MAX)).read_line(&mut line).await?;
    let told = match serde_json::from_str(&line) {
        Ok(ask) => answer(services, data, ask)
            .await
            .map_or_else(|e| Told::Failed(super::cause(&e).to_owned()), Told::Done),
        Err(error) => Told::Failed(format!("not understood: {error}")),
    };
    let mut text = serde_json::to_string(&told)?;
    text.push('\n');
    write.write_all(text.as_bytes()).await
}

async fn answer(services: &Arc<Services>, data: &DataDir, ask: Ask) -> Result<String> {
    match ask {
        Ask::SetupLink => services.setup_link().await,
        Ask::Backup { file } => {
            let info = services.backup(&file).await?;
            Ok(format!("{} bytes", info.bytes))
        }
        Ask::RotateKey => Ok(services.rotate_license_key_locally().await?.kid),
        Ask::Health => {
            // It reads the disk and opens every key: not for a thread that serves requests.
            let (services, data) = (Arc::clone(services), data.clone());
            let look = move || super::doctor::with_server(&services, &data);
            tokio::task::spawn_blocking(look).await.map_err(Error::internal)?
        }
    }
}

/// Asks the running server; `None` when none runs on this data.
pub fn ask(data: &DataDir, ask: &Ask) -> Result<Option<String>> {
    let Some(stream) = connect(&data.socket()) else { return Ok(None) };
    stream.set_read_timeout(Some(ANSWER_TIME)).map_err(Error::internal)?;
    let mut text = serde_json::to_string(ask).map_err(Error::internal)?;
    text.push('\n');
    (&stream).write_all(text.as_bytes()).map_err(Error::internal)?;
    let mut line = String::new();
    let mut reader = BufReader::new(std::io::Read::take(&stream, LINE_MAX));
    reader.read_line(&mut line).map_err(Error::internal)?;
    if line.is_empty() {
        return Err(Error::internal(
            "the server ended the conversation; it may be stopping. Try again",
        ));
    }
    match serde_json::from_str(&line).map_err(Error::internal)? {
        Told::Done(text) => Ok(Some(text)),
        Told::Failed(why) => Err(Error::internal(why)),
    }
}

fn connect(socket: &Path) -> Option<BlockingStream> {
    BlockingStream::connect(socket).ok()
}
