//! From fields to texts. Templates are embedded, and a name that a template misspells is an
//! error rather than a gap. HTML is escaped; the text part needs no escaping.

use std::fmt;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;

use crate::domain::money;
use crate::domain::time::Timestamp;

use super::messages::Message;

/// A subject longer than this is cut: longer ones are not read.
const SUBJECT_CHARS_MAX: usize = 150;

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

/// Turns messages into texts that speak of one product at one address.
pub struct Renderer {
    environment: Environment<'static>,
    product_name: String,
    public_url: String,
}

/// A message as it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain text part; lines end with `\n`.
    pub text: String,
    /// The HTML part, self-contained.
    pub html: String,
}

impl Renderer {
    /// `product_name` is what is licensed, as people call it; `public_url` is where the pages for
    /// people are, without a slash at the end.
    pub fn new(product_name: impl Into<String>, public_url: impl Into<String>) -> Self {
        Self {
            environment: environment(),
            product_name: product_name.into(),
            public_url: public_url.into(),
        }
    }

    /// Renders subject, text and HTML.
    ///
    /// # Errors
    /// When a template is at fault.
    pub fn render(&self, message: &Message) -> Result<Rendered, RenderError> {
        self.try_render(message)
            .map_err(|why| RenderError { message: message.name(), why: why.to_string() })
    }

    fn try_render(&self, message: &Message) -> Result<Rendered, Error> {
        let context = context! {
            product_name => &self.product_name,
            public_url => &self.public_url,
            ..message.fields()
        };
        let render = |file: &str| {
            let path = format!("{}/{file}", message.name());
            self.environment.render_named_str(&path, &template(&path)?, &context)
        };
        let subject = one_line(&render("subject.txt")?, SUBJECT_CHARS_MAX);
        let text = render("body.txt")?;
        let inner = Value::from_safe_string(render("body.html")?);
        let layout = "layout.html";
        let html = self.environment.render_named_str(
            layout,
            &template(layout)?,
            context! { subject => &subject, content => inner, ..context },
        )?;
        Ok(Rendered { subject, text, html })
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Renderer({}, {})", self.product_name, self.public_url)
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
