//! Messages in the mail folder, read with a parser that knows nothing of how they were made.

use mail_parser::{Address, MessageParser, MimeHeaders};

/// A message as a mail reader shows it.
#[derive(Debug)]
pub struct Mail {
    pub to: String,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
    /// File names and contents.
    pub attachments: Vec<(String, String)>,
}

impl Mail {
    pub fn read(bytes: &[u8]) -> Self {
        let message = MessageParser::default().parse(bytes).expect("a well-formed message");
        let address = |list: Option<&Address<'_>>| {
            list.and_then(|list| list.first())
                .and_then(|one| one.address())
                .unwrap_or_default()
                .to_owned()
        };
        let attachments = message.attachments().map(|part| {
            let name = part.attachment_name().unwrap_or_default().to_owned();
            (name, String::from_utf8(part.contents().to_vec()).unwrap())
        });
        Self {
            to: address(message.to()),
            from: address(message.from()),
            subject: message.subject().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().into_owned(),
            html: message.body_html(0).unwrap_or_default().into_owned(),
            attachments: attachments.collect(),
        }
    }

    /// What follows `token=` in its link.
    pub fn token(&self) -> String {
        let (_, rest) = self.text.split_once("token=").expect("a link with a token");
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
    }
}
