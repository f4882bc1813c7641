//! E-mail: what is said ([`Message`]), how it reads ([`Renderer`]), how it leaves
//! ([`Transport`]). A message is stored as its fields and rendered when it is sent.
//!
//! To add one: a struct in `messages.rs`, a folder in `assets/mail/` with `subject.txt`,
//! `body.txt` and `body.html`, a sample in `samples.rs`.

pub mod messages;

mod mime;
mod overrides;
mod render;
mod samples;
pub mod sendgrid_events;
mod transport;

pub use messages::Message;
pub use mime::Attachment;
pub use overrides::{Broken, Logo, Overrides};
pub use render::{Branding, LOGO_ID, RenderError, Rendered, Renderer};
pub use transport::{Letter, SendError, Taken, Transport};

#[cfg(test)]
mod tests;
