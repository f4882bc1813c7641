//! How mails leave the appliance.

mod folder;
mod sendgrid;
mod smtp;

use std::io;
use std::path::PathBuf;

use lettre::message::Mailbox;

use crate::config::{Config, MailTransport};
use crate::domain::ids::MailId;
use crate::domain::time::Timestamp;

use super::mime::{Attachment, Envelope, TextEncoding};
use super::render::{Rendered, one_line};
use sendgrid::Sendgrid;
use smtp::Smtp;

/// A longer answer is cut: it is kept with every attempt.
const ANSWER_CHARS_MAX: usize = 300;

/// A message on its way to one recipient.
pub struct Letter<'a> {
    /// Identifies the mail for good.
    pub mail_id: MailId,
    /// The recipient's address.
    pub to: &'a str,
    /// As it reads.
    pub rendered: &'a Rendered,
    /// The files that go with it.
    pub attachments: &'a [Attachment],
    /// For the mail's `Date` field.
    pub date: Timestamp,
}

/// What a transport answered when it took a mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// In its own words, as one line.
    pub answer: String,
    /// Its own name for the mail, where it gives one.
    pub provider_id: Option<String>,
}

/// Why a mail did not leave.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The recipient's address is not one.
    #[error("the recipient's address cannot be mailed to: {0}")]
    Recipient(String),
    /// The message cannot be put together.
    #[error("the message cannot be put together: {0}")]
    Build(String),
    /// This mail is refused for good.
    #[error("refused: {0}")]
    Refused(String),
    /// This mail is not taken just now.
    #[error("not taken: {0}")]
    Deferred(String),
    /// No mail can leave, this one as little as any other: the transport refuses us.
    #[error("{0}")]
    Transport(String),
    /// The transport cannot be reached or signed in to.
    #[error("{0}")]
    Unreachable(String),
    /// The mail folder does not take it.
    #[error("the mail folder {folder} does not take the message: {source}")]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
}

impl SendError {
    /// Whether trying again cannot help: it lies with the recipient or the message.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Self::Recipient(_) | Self::Build(_) | Self::Refused(_))
    }

    /// Whether it lies with the transport or its settings, and says nothing of this mail.
    pub fn is_of_transport(&self) -> bool {
        matches!(self, Self::Transport(_) | Self::Unreachable(_))
    }
}

/// How mails leave, and who is their sender.
#[derive(Debug)]
pub struct Transport {
    from: Mailbox,
    way: Way,
}

#[derive(Debug)]
enum Way {
    Folder(PathBuf),
    Smtp(Smtp),
    Sendgrid(Sendgrid),
}

impl Transport {
    /// The transport that the settings name; `folder` is that of the data folder.
    ///
    /// # Errors
    /// When the settings name one that cannot be made ready.
    pub fn from_config(config: &Config, folder: PathBuf) -> Result<Self, SendError> {
        let way = match config.mail.transport {
            MailTransport::Folder => Way::Folder(folder),
            MailTransport::Smtp => Way::Smtp(Smtp::new(&config.smtp)),
            MailTransport::Sendgrid => Way::Sendgrid(Sendgrid::new(&config.sendgrid)?),
        };
        Ok(Self { from: config.sender().clone(), way })
    }

    /// Each mail becomes a file `<time>-<mail id>.eml` in this folder, readable by its owner alone.
    pub fn folder(folder: impl Into<PathBuf>, from: Mailbox) -> Self {
        Self { from, way: Way::Folder(folder.into()) }
    }

    /// The word in the settings.
    pub fn name(&self) -> &'static str {
        match self.way {
            Way::Folder(_) => MailTransport::Folder.as_str(),
            Way::Smtp(_) => MailTransport::Smtp.as_str(),
            Way::Sendgrid(_) => MailTransport::Sendgrid.as_str(),
        }
    }

    /// Sends a message. When this returns, the message is safely out. The folder takes a mail id
    /// once; the others may be handed one twice, after a crash or a lost answer, and name it in the
    /// `Message-ID`, so that whoever receives both can tell.
    ///
    /// # Errors
    /// When the message cannot be made, or the transport does not take it in time.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<Taken, SendError> {
        match &self.way {
            Way::Folder(folder) => {
                let bytes = self.bytes(letter, TextEncoding::EightBit)?;
                let (target, mail_id) = (folder.clone(), letter.mail_id);
                blocking(folder, move || folder::write_once(&target, mail_id, &bytes)).await
            }
            Way::Smtp(smtp) => {
                // A server need not take anything but ASCII (RFC 6152).
                let bytes = self.bytes(letter, TextEncoding::Ascii)?;
                smtp.send(&self.from.email, letter.to, &bytes).await
            }
            Way::Sendgrid(sendgrid) => sendgrid.send(&self.from, letter).await,
        }
    }

    /// Whether mails can leave just now, for `doctor`; what was found, in a sentence or less.
    ///
    /// # Errors
    /// When the folder can neither be found nor made, or the service does not let us in.
    pub async fn check(&self) -> Result<String, SendError> {
        match &self.way {
            Way::Folder(folder) => {
                let target = folder.clone();
                let made = blocking(folder, move || folder::make_folder(&target)).await?;
                Ok(made.answer)
            }
            Way::Smtp(smtp) => smtp.check().await,
            Way::Sendgrid(sendgrid) => sendgrid.check().await,
        }
    }

    fn bytes(&self, letter: &Letter<'_>, encoding: TextEncoding) -> Result<Vec<u8>, SendError> {
        Envelope { from: &self.from, letter, encoding }.build()
    }
}

/// The name of a mail in its `Message-ID` field: the same for every attempt.
pub(super) fn message_id(mail_id: MailId, from: &Mailbox) -> String {
    format!("<{mail_id}@{}>", from.email.domain())
}

async fn blocking(
    folder: &std::path::Path,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<Taken, SendError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|source| SendError::Folder { folder: folder.to_owned(), source })?;
    Ok(Taken { answer: "written to the mail folder".to_owned(), provider_id: None })
}

/// What a server said, bounded and as one line.
fn told(answer: &str) -> String {
    one_line(answer, ANSWER_CHARS_MAX)
}
