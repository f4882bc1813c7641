//! From a rendered message to bytes (RFC 5322, RFC 2045). The same message gives the same bytes:
//! boundaries come from its id, the date from the caller.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{
    Attachment as AttachmentPart, Body, Mailbox, Message as Mime, MultiPart, MultiPartKind,
    SinglePart,
};

use super::render::{LOGO_ID, Rendered};
use super::transport::{Letter, SendError, message_id};

/// The longest line of a message in octets, its end not counted (RFC 5322, section 2.1.1).
const LINE_OCTETS_MAX: usize = 998;

/// A letter with its sender.
pub(super) struct Envelope<'a> {
    /// The sender.
    pub(super) from: &'a Mailbox,
    /// What goes to whom.
    pub(super) letter: &'a Letter<'a>,
    /// What texts beyond ASCII become.
    pub(super) encoding: TextEncoding,
}

/// How texts beyond ASCII are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TextEncoding {
    /// As they are, for files.
    EightBit,
    /// As quoted-printable or base64, which every mail server takes.
    Ascii,
}

/// A file that goes with a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is saved as.
    pub file_name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl Envelope<'_> {
    /// The message as it goes over the wire.
    ///
    /// # Errors
    /// [`SendError::Recipient`] when the address cannot be mailed to.
    pub(super) fn build(&self) -> Result<Vec<u8>, SendError> {
        let letter = self.letter;
        let to: Address =
            letter.to.parse().map_err(|why| SendError::Recipient(format!("{why}")))?;
        let since_epoch = Duration::from_millis(letter.date.0.max(0) as u64);
        // Automatic replies to an automatic mail help nobody (RFC 3834, section 5).
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        let parts = self.parts(letter.rendered, letter.attachments)?;
        let mime = Mime::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .date(UNIX_EPOCH + since_epoch)
            .message_id(Some(message_id(letter.mail_id, self.from)))
            .raw_header(automatic)
            .subject(letter.rendered.subject.clone())
            .multipart(parts)
            .map_err(|why| SendError::Build(why.to_string()))?;
        Ok(mime.formatted())
    }

    fn parts(
        &self,
        rendered: &Rendered,
        attachments: &[Attachment],
    ) -> Result<MultiPart, SendError> {
        let alternative = self
            .multipart(MultiPartKind::Alternative, "alternative")
            .singlepart(self.text_part(ContentType::TEXT_PLAIN, &rendered.text));
        let html = self.text_part(ContentType::TEXT_HTML, &rendered.html);
        let alternative = match &rendered.logo {
            None => alternative.singlepart(html),
            Some(logo) => {
                let name = logo.file_name.to_owned();
                let shown = AttachmentPart::new_inline_with_name(LOGO_ID.to_owned(), name);
                let logo = file_part(shown, logo.content_type, &logo.content)?;
                let related = self.multipart(MultiPartKind::Related, "related");
                alternative.multipart(related.singlepart(html).singlepart(logo))
            }
        };
        if attachments.is_empty() {
            return Ok(alternative);
        }
        let mut mixed = self.multipart(MultiPartKind::Mixed, "mixed").multipart(alternative);
        for attachment in attachments {
            let saved = AttachmentPart::new(attachment.file_name.to_owned());
            mixed =
                mixed.singlepart(file_part(saved, attachment.content_type, &attachment.content)?);
        }
        Ok(mixed)
    }

    /// The boundary holds the mail's id, which nothing in its content repeats.
    fn multipart(&self, kind: MultiPartKind, name: &str) -> MultiPart {
        let boundary = format!("{name}-{}", self.letter.mail_id);
        MultiPart::builder().kind(kind).boundary(boundary).build()
    }

    /// A text part whose lines stay whole where the standard lets them, so that a link can be found
    /// and followed in the raw message. Only a line beyond the limit brings quoted-printable, or a
    /// letter beyond ASCII where that is asked for.
    fn text_part(&self, content_type: ContentType, text: &str) -> SinglePart {
        let lines: Vec<&str> = text.lines().collect();
        let readable = text.is_ascii() || self.encoding == TextEncoding::EightBit;
        let plain = readable
            && !text.contains('\0')
            && lines.iter().all(|line| line.len() <= LINE_OCTETS_MAX);
        let body = if plain {
            let encoding = if text.is_ascii() {
                ContentTransferEncoding::SevenBit
            } else {
                ContentTransferEncoding::EightBit
            };
            let mut octets = lines.join("\r\n").into_bytes();
            octets.extend_from_slice(b"\r\n");
            Body::dangerous_pre_encoded(octets, encoding)
        } else {
            Body::new(text.to_owned())
        };
        SinglePart::builder().content_type(content_type).body(body)
    }
}

/// A file must arrive byte for byte; base64 is what no relay rewrites.
fn file_part(
    part: AttachmentPart,
    content_type: &str,
    content: &[u8],
) -> Result<SinglePart, SendError> {
    let content_type =
        ContentType::parse(content_type).map_err(|why| SendError::Build(why.to_string()))?;
    let body = Body::new_with_encoding(content.to_vec(), ContentTransferEncoding::Base64)
        .map_err(|_| SendError::Build("a file has no base64 form".to_owned()))?;
    Ok(part.body(body, content_type))
}
