//! How mails leave the appliance.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use lettre::message::Mailbox;

use crate::config::{Config, MailTransport};
use crate::domain::ids::MailId;
use crate::domain::time::Timestamp;

use super::mime::{Attachment, Envelope};
use super::render::Rendered;

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The recipient's address is not one.
    #[error("the recipient's address cannot be mailed to: {0}")]
    Recipient(String),
    /// The message cannot be put together.
    #[error("the message cannot be put together: {0}")]
    Build(String),
    /// The mail folder does not take it.
    #[error("the mail folder {folder} does not take the message: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

/// How mails leave, and who is their sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transport {
    from: Mailbox,
    way: Way,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Way {
    Folder(PathBuf),
}

impl Transport {
    /// The transport that the settings name; `folder` is that of the data folder.
    pub fn from_config(config: &Config, folder: PathBuf) -> Self {
        match config.mail.transport {
            MailTransport::Folder => Self::folder(folder, config.mail.from.clone()),
        }
    }

    /// Each mail becomes a file `<time>-<mail id>.eml` in this folder, readable by its owner alone.
    pub fn folder(folder: impl Into<PathBuf>, from: Mailbox) -> Self {
        Self { from, way: Way::Folder(folder.into()) }
    }

    /// Sends a message, once for each mail id. When this returns, the message is safely out.
    /// Works with files: call it where blocking is allowed.
    ///
    /// `now` stands in the mail's `Date` field.
    ///
    /// # Errors
    /// When the message cannot be made, or the folder does not take it.
    pub fn send(
        &self,
        mail_id: MailId,
        to: &str,
        rendered: &Rendered,
        attachments: &[Attachment],
        now: Timestamp,
    ) -> Result<(), SendError> {
        let envelope = Envelope { mail_id, from: &self.from, to, date: now };
        let bytes = envelope.build(rendered, attachments)?;
        match &self.way {
            Way::Folder(folder) => write_once(folder, mail_id, &bytes)
                .map_err(|source| SendError::Folder { folder: folder.clone(), source }),
        }
    }

    /// Whether mails can leave just now, for the readiness check and `doctor`.
    ///
    /// # Errors
    /// When the folder can neither be found nor made.
    pub fn check(&self) -> Result<(), SendError> {
        match &self.way {
            Way::Folder(folder) => make_folder(folder)
                .map_err(|source| SendError::Folder { folder: folder.clone(), source }),
        }
    }
}

/// The name follows from the id alone, so that a second attempt finds what the first one wrote.
/// The time in it is the one that a time-ordered id carries: files sort in order of creation.
fn file_name(mail_id: MailId) -> String {
    let ms = mail_id.0.get_timestamp().map(|time| {
        let (seconds, nanoseconds) = time.to_unix();
        seconds as i64 * 1_000 + i64::from(nanoseconds / 1_000_000)
    });
    match ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
        Some(time) => format!("{}-{mail_id}.eml", time.strftime("%Y%m%dT%H%M%S%.3fZ")),
        None => format!("{mail_id}.eml"),
    }
}

/// Who reads the folder sees whole messages only, and after a power cut the message is there.
fn write_once(folder: &Path, mail_id: MailId, bytes: &[u8]) -> io::Result<()> {
    let target = folder.join(file_name(mail_id));
    if target.try_exists()? {
        return Ok(());
    }
    make_folder(folder)?;
    let unfinished = folder.join(format!(".{mail_id}.tmp"));
    let mut file = create_private(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, &target)?;
    sync_folder(folder)
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Mails carry links that open accounts: nobody but the owner reads them.
#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// A rename is durable once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
