//! From fields to texts. Templates are embedded, and a name that a template misspells is an
//! error rather than a gap. HTML is escaped; the text part needs no escaping.

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, context};
use rust_embed::RustEmbed;

use crate::domain::time::Timestamp;

use super::messages::Message;
use super::transport::SendError;

/// A subject longer than this is cut: longer ones are not read.
const SUBJECT_CHARS_MAX: usize = 150;

#[derive(RustEmbed)]
#[folder = "assets/mail/"]
pub(super) struct Templates;

/// How mails speak of the product and its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Brand {
    /// What is licensed, as people call it.
    pub product_name: String,
    /// Where the pages for people are, without a slash at the end.
    pub public_url: String,
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

impl Message {
    /// Renders subject, text and HTML.
    ///
    /// # Errors
    /// [`SendError::Template`] when a template is at fault, which the tests rule out for every
    /// message.
    pub fn render(&self, brand: &Brand) -> Result<Rendered, SendError> {
        let fail = |why: Error| SendError::Template { message: self.name(), why: why.to_string() };
        let environment = environment();
        let context = context! {
            product_name => &brand.product_name,
            public_url => &brand.public_url,
            ..self.fields()
        };
        let render = |file: &str| {
            let path = format!("{}/{file}", self.name());
            let source = template(&path)?;
            environment.render_named_str(&path, &source, &context)
        };
        let subject = one_line(&render("subject.txt").map_err(fail)?, SUBJECT_CHARS_MAX);
        let text = render("body.txt").map_err(fail)?;
        let inner = render("body.html").map_err(fail)?;
        let layout = template("layout.html").map_err(fail)?;
        let html = environment
            .render_named_str(
                "layout.html",
                &layout,
                context! { subject => &subject, content => Value::from_safe_string(inner), ..context },
            )
            .map_err(fail)?;
        Ok(Rendered { subject, text, html })
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
    environment.add_filter("money", |minor: i64, currency: &str| money(minor, currency));
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

/// Currencies whose minor unit is not a hundredth (ISO 4217, minor unit exponents).
const EXPONENTS: [(&[&str], usize); 2] = [
    (
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND",
            "VUV", "XAF", "XOF", "XPF",
        ],
        0,
    ),
    (&["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
];

/// `EUR 1234.50`, from minor units.
pub(super) fn money(minor: i64, currency: &str) -> String {
    let digits = EXPONENTS
        .iter()
        .find(|(currencies, _)| currencies.contains(&currency))
        .map_or(2, |(_, digits)| *digits);
    let sign = if minor < 0 { "-" } else { "" };
    let padded = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    let point = if digits > 0 { "." } else { "" };
    format!("{currency} {sign}{whole}{point}{fraction}")
}

/// A text from elsewhere as part of one line: no line break can begin a line of its own.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(plain).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().take(chars_max).collect()
}
