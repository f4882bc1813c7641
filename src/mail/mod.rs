//! E-mail: what is said ([`Message`]), how it reads ([`Rendered`]), how it leaves
//! ([`Transport`]). A message is stored as its fields and rendered when it is sent.
//!
//! To add one: a struct in `messages.rs`, a folder in `assets/mail/` with `subject.txt`,
//! `body.txt` and `body.html`, a sample in the tests.

mod messages;
mod mime;
mod render;
mod transport;

use lettre::message::Mailbox;

use crate::domain::ids::MailId;
use crate::domain::time::Timestamp;

pub use messages::{
    GraceStarted, LicenseDelivered, LicenseExpired, LicenseReinstated, LicenseRevoked,
    LicenseSuspended, Message, OrderReceived, PasswordChanged, PasswordReset, PaymentRecorded,
    SubscriptionEnded, TrialEnding, TrialStarted, UnreadableMessage, VerifyEmail,
};
pub use mime::{Attachment, Envelope};
pub use render::{Brand, Rendered};
pub use transport::{SendError, Transport};

/// Everything that sending a message takes, besides the message.
#[derive(Clone, Debug)]
pub struct Mailer {
    /// The sender of every mail.
    pub from: Mailbox,
    /// How mails speak of the product and its address.
    pub brand: Brand,
    /// How mails leave.
    pub transport: Transport,
}

impl Mailer {
    /// Renders a message and hands it to the transport. The same id is sent once, however often
    /// this is called. Works with files: call it where blocking is allowed.
    ///
    /// `date` stands in the mail's `Date` field.
    ///
    /// # Errors
    /// [`SendError::is_permanent`] tells whether another attempt can help.
    pub fn send(
        &self,
        mail_id: MailId,
        to: &str,
        message: &Message,
        date: Timestamp,
    ) -> Result<(), SendError> {
        let rendered = message.render(&self.brand)?;
        let envelope = Envelope { mail_id, from: &self.from, to, date };
        self.transport.send(&envelope, &rendered, &message.attachments())
    }
}

#[cfg(test)]
mod tests;
