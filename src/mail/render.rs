//! From fields to texts. Templates are embedded, and the vendor may put others in their place. A name that a template misspells is an
//! error rather than a gap. HTML is escaped; the text part needs no escaping.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;

use crate::config::Config;
use crate::domain::money;
use crate::domain::time::Timestamp;

use super::messages::Message;
use super::overrides::{Broken, FILES, LAYOUT, Logo, Overrides};
use super::samples::samples;

/// A subject longer than this is cut: longer ones are not read.
const SUBJECT_CHARS_MAX: usize = 150;
/// Under this name the HTML part shows the logo (RFC 2392).
pub const LOGO_ID: &str = "logo@mail";
/// Stands for the text of a message where the layout is tried out.
const MARK: &str = "the-text-of-the-message";

#[derive(RustEmbed)]
#[folder = "assets/mail/"]
pub(super) struct Templates;

/// A template is at fault; the tests rule that out for every message.
#[derive(Debug, thiserror::Error)]
#[error("the templates of the message {message} are at fault: {why}")]
pub struct RenderError {
    /// The message's name.
    pub message: &'static str,
    /// What the template engine says.
    pub why: String,
}

/// How the vendor is shown.
#[derive(Clone)]
pub struct Branding {
    /// What is licensed, as people call it.
    pub product_name: String,
    /// The colour of buttons, as `#rrggbb`.
    pub accent_color: String,
}

/// Turns messages into texts that speak of one product at one address.
pub struct Renderer {
    environment: Environment<'static>,
    branding: Branding,
    public_url: String,
    overrides: Overrides,
}

/// A message as it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain text part; lines end with `\n`.
    pub text: String,
    /// The HTML part, self-contained but for the logo.
    pub html: String,
    /// The image that the HTML part shows under [`LOGO_ID`].
    pub logo: Option<Arc<Logo>>,
}

impl Renderer {
    /// Our own texts; `product_name` is what is licensed, as people call it, and `public_url` where
    /// the pages for people are, without a slash at the end.
    pub fn new(product_name: impl Into<String>, public_url: impl Into<String>) -> Self {
        let accent_color = "#1f5fbf".to_owned();
        let branding = Branding { product_name: product_name.into(), accent_color };
        Self::branded(branding, public_url, Overrides::default())
    }

    /// The vendor's texts where there are any. Each is tried with a sample; those that fail are left
    /// out, and [`Renderer::broken`] names them.
    pub fn branded(
        branding: Branding,
        public_url: impl Into<String>,
        overrides: Overrides,
    ) -> Self {
        let public_url = public_url.into();
        let mut renderer = Self { environment: environment(), branding, public_url, overrides };
        for message in renderer.samples() {
            for file in FILES {
                renderer.try_out(&format!("{}/{file}", message.name()), &message);
            }
            renderer.try_out(LAYOUT, &message);
        }
        renderer
    }

    /// As the settings name it, with the vendor's texts in `folder`.
    pub fn from_config(config: &Config, public_url: impl Into<String>, folder: &Path) -> Self {
        let branding = Branding {
            product_name: config.mail.product_name.clone(),
            accent_color: config.mail.accent_color.as_str().to_owned(),
        };
        Self::branded(branding, public_url, Overrides::read(folder))
    }

    /// The vendor's files that cannot be used; ours stand in for them.
    pub fn broken(&self) -> &[Broken] {
        &self.overrides.broken
    }

    /// Whether the vendor has a logo.
    pub fn has_logo(&self) -> bool {
        self.overrides.logo.is_some()
    }

    /// Every message, and which of its texts are the vendor's.
    pub fn templates(&self) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
        Message::NAMES.iter().map(move |name| {
            let own = |file: &&str| self.overrides.texts.contains_key(&format!("{name}/{file}"));
            (*name, FILES.into_iter().filter(own).collect())
        })
    }

    /// A message with sample data, as its recipient would read it; none of an unknown name.
    pub fn sample(&self, name: &str) -> Option<Result<Rendered, RenderError>> {
        let sample = self.samples().into_iter().find(|message| message.name() == name)?;
        Some(self.render(&sample))
    }

    fn samples(&self) -> Vec<Message> {
        samples(&self.public_url, "Ada Park", "Team")
    }

    /// Leaves out a text of the vendor's that fails for a sample.
    fn try_out(&mut self, path: &str, message: &Message) {
        let Some(text) = self.overrides.texts.get(path) else { return };
        let context = context! {
            subject => "subject",
            content => Value::from_safe_string(MARK.to_owned()),
            ..self.context(message)
        };
        let why = match self.environment.render_named_str(path, text, context) {
            Err(why) => why.to_string(),
            Ok(made) if made.trim().is_empty() => "it makes an empty text".to_owned(),
            Ok(made) if path == LAYOUT && !made.contains(MARK) => {
                "it does not show {{ content }}".to_owned()
            }
            Ok(_) => return,
        };
        self.overrides.refuse(path, why);
    }

    /// Renders subject, text and HTML.
    ///
    /// # Errors
    /// When a template of ours is at fault.
    pub fn render(&self, message: &Message) -> Result<Rendered, RenderError> {
        self.try_render(message)
            .map_err(|why| RenderError { message: message.name(), why: why.to_string() })
    }

    fn context(&self, message: &Message) -> Value {
        context! {
            product_name => &self.branding.product_name,
            accent_color => &self.branding.accent_color,
            logo => self.overrides.logo.as_ref().map(|_| LOGO_ID),
            public_url => &self.public_url,
            ..message.fields()
        }
    }

    fn try_render(&self, message: &Message) -> Result<Rendered, Error> {
        let context = self.context(message);
        let of = |file: &str| format!("{}/{file}", message.name());
        // A name in it that looks encoded (RFC 2047) would be decoded where the mail is read.
        let subject = self.text(&of("subject.txt"), &context)?.replace("=?", "= ?");
        let subject = one_line(&subject, SUBJECT_CHARS_MAX);
        let text = self.text(&of("body.txt"), &context)?;
        let inner = Value::from_safe_string(self.text(&of("body.html"), &context)?);
        let around = context! { subject => &subject, content => inner, ..context };
        let html = self.text(LAYOUT, &around)?;
        let shown = html.contains(&format!("cid:{LOGO_ID}"));
        let logo = self.overrides.logo.clone().filter(|_| shown);
        Ok(Rendered { subject, text, html, logo })
    }

    /// The vendor's text, or ours where there is none or it fails for this message alone.
    fn text(&self, path: &str, context: &Value) -> Result<String, Error> {
        let own = self.overrides.texts.get(path);
        match own.map(|text| self.environment.render_named_str(path, text, context)) {
            Some(Ok(text)) => return Ok(text),
            Some(Err(error)) => {
                tracing::warn!(path, %error, "a mail template of the data folder failed; the built-in text was sent");
            }
            None => {}
        }
        self.environment.render_named_str(path, &template(path)?, context)
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Renderer({}, {})", self.branding.product_name, self.public_url)
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_keep_trailing_newline(true);
    environment.set_auto_escape_callback(|name| {
        if name.rsplit('.').next() == Some("html") { AutoEscape::Html } else { AutoEscape::None }
    });
    environment.add_filter("day", |ms: i64| format_time(ms, "%-d %B %Y"));
    environment.add_filter("time", |ms: i64| format_time(ms, "%-d %B %Y, %H:%M UTC"));
    environment.add_filter("money", |minor: i64, currency: &str| money::written(minor, currency));
    environment.add_filter("line", |text: &str| one_line(text, 200));
    environment
}

fn template(path: &str) -> Result<String, Error> {
    let broken = |why: &str| Error::new(ErrorKind::TemplateNotFound, format!("{path} {why}"));
    let file = Templates::get(path).ok_or_else(|| broken("is not embedded"))?;
    String::from_utf8(file.data.into_owned()).map_err(|_| broken("is not UTF-8"))
}

fn format_time(ms: i64, format: &str) -> Result<String, Error> {
    let refuse = |why: &str| Error::new(ErrorKind::InvalidOperation, format!("{ms} ms: {why}"));
    if Timestamp(ms) >= Timestamp::NEVER {
        return Err(refuse("a date without end must not be shown"));
    }
    let instant = jiff::Timestamp::from_millisecond(ms).map_err(|_| refuse("is no date"))?;
    Ok(instant.strftime(format).to_string())
}

/// A text from elsewhere as part of one line: no line break can begin a line of its own.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(chars_max).collect()
}
