//! The types of settings: how each is read, what it allows, how it is written in TOML.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use figment::value::Value;
use lettre::message::Mailbox;
use tracing_subscriber::EnvFilter;

use super::secret::Secret;
use super::settings::{Rule, toml_text};
use crate::domain::user::Email;

/// A type that a setting may have.
pub trait SettingValue: Sized {
    /// Whether the value must never be shown.
    const SECRET: bool = false;
    /// Whether the value is a path.
    const PATH: bool = false;

    /// Reads a value; `None` when it is not allowed.
    fn read(value: &Value, rule: &Rule) -> Option<Self>;

    /// What is allowed, as the end of "must be ...".
    fn allowed(rule: &Rule) -> String;

    /// The value in TOML; `None` when it is absent.
    fn toml(&self) -> Option<String>;

    /// The value of a setting that nobody gave and that has no default.
    fn absent() -> Option<Self> {
        None
    }
}

/// Reads a text as the environment would give it and writes it as TOML.
pub(super) fn text_to_toml<T: SettingValue>(text: &str, rule: &Rule) -> Option<String> {
    T::read(&Value::from(text), rule)?.toml()
}

impl<T: SettingValue> SettingValue for Option<T> {
    const SECRET: bool = T::SECRET;
    const PATH: bool = T::PATH;

    fn read(value: &Value, rule: &Rule) -> Option<Self> {
        T::read(value, rule).map(Some)
    }

    fn allowed(rule: &Rule) -> String {
        T::allowed(rule)
    }

    fn toml(&self) -> Option<String> {
        self.as_ref()?.toml()
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// The environment gives numbers as text, the file as numbers; both are read.
impl SettingValue for u32 {
    fn read(value: &Value, rule: &Rule) -> Option<Self> {
        let number = match value {
            Value::Num(_, number) => u32::try_from(number.to_i128()?).ok()?,
            Value::String(_, text) => text.trim().parse().ok()?,
            _ => return None,
        };
        let (least, most) = rule.bounds.unwrap_or((0, u32::MAX));
        (least..=most).contains(&number).then_some(number)
    }

    fn allowed(rule: &Rule) -> String {
        let (least, most) = rule.bounds.unwrap_or((0, u32::MAX));
        format!("a whole number from {least} to {most}")
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingValue for bool {
    fn read(value: &Value, _: &Rule) -> Option<Self> {
        match value {
            Value::Bool(_, value) => Some(*value),
            Value::String(_, text) => match text.trim() {
                "true" | "yes" | "on" | "1" => Some(true),
                "false" | "no" | "off" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    fn allowed(_: &Rule) -> String {
        "true or false".to_owned()
    }

    fn toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl SettingValue for String {
    fn read(value: &Value, rule: &Rule) -> Option<Self> {
        let text = value.as_str()?.trim();
        let (least, most) = rule.bounds.unwrap_or((0, 1_000));
        let fits = (least as usize..=most as usize).contains(&text.chars().count());
        (fits && !text.chars().any(char::is_control)).then(|| text.to_owned())
    }

    fn allowed(rule: &Rule) -> String {
        let (least, most) = rule.bounds.unwrap_or((0, 1_000));
        format!("one line of {least} to {most} characters")
    }

    fn toml(&self) -> Option<String> {
        Some(toml_text(self))
    }
}

impl SettingValue for Secret {
    const SECRET: bool = true;

    fn read(value: &Value, rule: &Rule) -> Option<Self> {
        let text = value.as_str()?;
        let (least, most) = secret_bounds(rule);
        let fits = (least as usize..=most as usize).contains(&text.chars().count());
        fits.then(|| Self::new(text))
    }

    fn allowed(rule: &Rule) -> String {
        let (least, most) = secret_bounds(rule);
        format!("a text of {least} to {most} characters")
    }

    fn toml(&self) -> Option<String> {
        Some("\"(set)\"".to_owned())
    }
}

fn secret_bounds(rule: &Rule) -> (u32, u32) {
    rule.bounds.unwrap_or((1, 4_096))
}

impl SettingValue for PathBuf {
    const PATH: bool = true;

    fn read(value: &Value, _: &Rule) -> Option<Self> {
        let text = value.as_str()?;
        (!text.is_empty() && !text.contains('\0')).then(|| Self::from(text))
    }

    fn allowed(_: &Rule) -> String {
        "a path".to_owned()
    }

    fn toml(&self) -> Option<String> {
        Some(toml_text(&self.display().to_string()))
    }
}

impl SettingValue for Email {
    fn read(value: &Value, _: &Rule) -> Option<Self> {
        Self::parse(value.as_str()?).ok()
    }

    fn allowed(_: &Rule) -> String {
        "an e-mail address, such as operator@example.com".to_owned()
    }

    fn toml(&self) -> Option<String> {
        Some(toml_text(self.as_str()))
    }
}

/// Types that are read from a text alone.
macro_rules! from_text {
    ($($type:ty: $allowed:expr, $show:expr;)+) => {$(
        impl SettingValue for $type {
            fn read(value: &Value, _: &Rule) -> Option<Self> {
                value.as_str()?.trim().parse().ok()
            }

            fn allowed(_: &Rule) -> String {
                $allowed.to_owned()
            }

            fn toml(&self) -> Option<String> {
                let show: fn(&Self) -> String = $show;
                Some(toml_text(&show(self)))
            }
        }
    )+};
}

from_text! {
    SocketAddr: "an address and a port, such as 127.0.0.1:8750 or [::1]:8750", ToString::to_string;
    HttpUrl: "http:// or https://, a host and perhaps a port, without a path, such as https://licensing.example.com", |url| url.0.clone();
    Mailbox: "a mailbox, such as licensing@example.com or Example Licensing <licensing@example.com>", show_mailbox;
    LogFilter: "error, warn, info, debug, trace or off, or such levels by part, as in info,coditect::store=debug", |filter| filter.0.clone();
    LogFormat: "human, json or auto", |format| format.as_str().to_owned();
    AfterMoneyBack: "keep or suspend", |after| after.as_str().to_owned();
    MailTransport: "folder, smtp or sendgrid", |transport| transport.as_str().to_owned();
    SmtpSecurity: "starttls, tls or none", |security| security.as_str().to_owned();
    WebhookKey: "a public key on the curve P-256 as SendGrid shows it, in base64, beginning with MFkw", |key| key.0.clone();
    Color: "a colour as # and six hexadecimal digits, such as #1f5fbf", |color| color.0.clone();
    KeyTemplate: "capital letters, digits and single dashes, at most 64 characters, with at least eight X and {year} for the year, such as CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX", |template| template.0.clone();
}

/// Lettre quotes every display name; people do not.
fn show_mailbox(mailbox: &Mailbox) -> String {
    match &mailbox.name {
        Some(name) if name.chars().all(|c| c.is_alphanumeric() || c == ' ') => {
            format!("{name} <{}>", mailbox.email)
        }
        _ => mailbox.to_string(),
    }
}

/// A value that breaks the rule of its type; `SettingValue::allowed` has the words for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotAllowed;

/// An origin: scheme, host and perhaps a port, without a slash at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpUrl(String);

impl HttpUrl {
    /// The address, without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HttpUrl {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(NotAllowed)?;
        // A path, a query and a user would not survive being put before `/verify-email?token=`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        let starts_well = host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[');
        if !starts_well || host.len() > 255 || !host.chars().all(plain) {
            return Err(NotAllowed);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Which log lines are written, in the notation of `tracing-subscriber`'s `EnvFilter`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogFilter {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        // A lone word that is no level would be taken for a target at `trace`: `inof` would
        // silence everything else without a word.
        let levels = ["error", "warn", "info", "debug", "trace", "off"];
        let known = |part: &str| {
            let part = part.trim();
            part.contains(['=', '[']) || levels.iter().any(|level| part.eq_ignore_ascii_case(level))
        };
        if !text.split(',').all(known) || EnvFilter::builder().parse(text).is_err() {
            return Err(NotAllowed);
        }
        Ok(Self(text.to_owned()))
    }
}

/// An enumeration written as words.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $variant_doc:literal])+ $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $name { $($(#[doc = $variant_doc])+ $variant,)+ }

        impl $name {
            /// The word in the settings.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl FromStr for $name {
            type Err = NotAllowed;

            fn from_str(text: &str) -> Result<Self, NotAllowed> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(NotAllowed) }
            }
        }
    };
}

words! {
    /// How log lines are written.
    LogFormat {
        /// For people.
        Human = "human",
        /// One object a line.
        Json = "json",
        /// [`LogFormat::Human`] on a terminal, otherwise [`LogFormat::Json`].
        Auto = "auto",
    }
}

words! {
    /// What a licence is after its money went back.
    AfterMoneyBack {
        /// As before.
        Keep = "keep",
        /// Suspended, until an operator reinstates it.
        Suspend = "suspend",
    }
}

words! {
    /// How mails leave.
    MailTransport {
        /// One `.eml` file per message in a folder.
        Folder = "folder",
        /// Through a mail server.
        Smtp = "smtp",
        /// Through SendGrid's v3 API.
        Sendgrid = "sendgrid",
    }
}

words! {
    /// How the connection to the mail server is encrypted.
    SmtpSecurity {
        /// Begins in clear and must become encrypted before anything is said (RFC 3207).
        Starttls = "starttls",
        /// Encrypted from its first byte on (RFC 8314).
        Tls = "tls",
        /// Not at all.
        None = "none",
    }
}

/// A public key on the curve P-256, as base64 of its DER form (RFC 5480).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookKey(String);

impl WebhookKey {
    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for WebhookKey {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        // What comes before the point is the same for every such key.
        let sound = text.starts_with("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE") && text.len() == 124;
        let decoded = STANDARD.decode(text).is_ok_and(|der| der.len() == 91);
        if sound && decoded { Ok(Self(text.to_owned())) } else { Err(NotAllowed) }
    }
}

/// A colour as `#rrggbb`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Color(String);

impl Color {
    /// The colour's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Color {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let digits = text.strip_prefix('#').ok_or(NotAllowed)?;
        let sound = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if sound { Ok(Self(text.to_owned())) } else { Err(NotAllowed) }
    }
}

/// What a licence key looks like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyTemplate(String);

impl KeyTemplate {
    /// The template's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads as its text.
impl std::ops::Deref for KeyTemplate {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Who makes keys knows the exact rule; what is caught here is what an operator may mistype.
impl FromStr for KeyTemplate {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let shape = text.replacen("{year}", "2026", 1);
        let sound = shape.split('-').all(|group| {
            let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
            !group.is_empty() && group.chars().all(plain)
        });
        let random = shape.matches('X').count();
        // Taken literally, `YYYY` would stand in every key, which nobody means.
        if !sound || random < 8 || text.len() > 64 || text.contains("YYYY") {
            return Err(NotAllowed);
        }
        Ok(Self(text.to_owned()))
    }
}

/// Networks of reverse proxies that are believed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proxies(Vec<IpRange>);

impl Proxies {
    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|range| range.contains(address))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SettingValue for Proxies {
    fn read(value: &Value, _: &Rule) -> Option<Self> {
        list_of_texts(value)?
            .into_iter()
            .map(|text| text.parse().ok())
            .collect::<Option<_>>()
            .map(Self)
    }

    fn allowed(_: &Rule) -> String {
        "a list of addresses or networks, such as 192.0.2.7 or 10.0.0.0/8".to_owned()
    }

    fn toml(&self) -> Option<String> {
        let items: Vec<_> = self.0.iter().map(|range| toml_text(&range.to_string())).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// Origins of web pages: scheme, name and port, as browsers write them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origins(Vec<HttpUrl>);

impl Origins {
    /// Whether `origin` is one of them.
    pub fn contains(&self, origin: &str) -> bool {
        self.0.iter().any(|known| known.as_str() == origin)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl SettingValue for Origins {
    fn read(value: &Value, _: &Rule) -> Option<Self> {
        let origin = |text: &str| text.to_lowercase().parse::<HttpUrl>().ok();
        list_of_texts(value)?.into_iter().map(origin).collect::<Option<_>>().map(Self)
    }

    fn allowed(_: &Rule) -> String {
        "a list of origins, such as https://shop.example.com or http://localhost:5173".to_owned()
    }

    fn toml(&self) -> Option<String> {
        let items: Vec<_> = self.0.iter().map(|origin| toml_text(origin.as_str())).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// What the environment gives as texts separated by commas, the file as an array.
fn list_of_texts(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(_, text) => {
            Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect())
        }
        Value::Array(_, items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// A network in CIDR notation (RFC 4632, RFC 4291); an address alone is a network of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpRange {
    network: IpAddr,
    prefix_bits: u8,
}

impl IpRange {
    /// Whether `address` lies within. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) is IPv4.
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.network, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let host_bits = 32 - u32::from(self.prefix_bits);
                let prefix = |a: u32| a.checked_shr(host_bits).unwrap_or(0);
                prefix(network.to_bits()) == prefix(address.to_bits())
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let host_bits = 128 - u32::from(self.prefix_bits);
                let prefix = |a: u128| a.checked_shr(host_bits).unwrap_or(0);
                prefix(network.to_bits()) == prefix(address.to_bits())
            }
            _ => false,
        }
    }
}

impl FromStr for IpRange {
    type Err = NotAllowed;

    fn from_str(text: &str) -> Result<Self, NotAllowed> {
        let (network, bits) = match text.split_once('/') {
            Some((network, bits)) => (network, Some(bits)),
            None => (text, None),
        };
        let network: IpAddr = network.parse().map_err(|_| NotAllowed)?;
        let most = if network.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match bits {
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= most).ok_or(NotAllowed)?,
            None => most,
        };
        Ok(Self { network, prefix_bits })
    }
}

impl std::fmt::Display for IpRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let most = if self.network.is_ipv4() { 32 } else { 128 };
        write!(f, "{}", self.network)?;
        if self.prefix_bits < most { write!(f, "/{}", self.prefix_bits) } else { Ok(()) }
    }
}
