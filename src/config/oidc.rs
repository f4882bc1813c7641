//! Issuers of OpenID Connect that people may sign in through: a list, each with settings of its own.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use figment::value::{Dict, Value};

use super::secret::Secret;
use super::settings::{Rule, toml_text};
use super::values::SettingValue;
use crate::domain::email_domain::Domain;

/// More are somebody's mistake.
const PROVIDERS_MAX: usize = 50;
/// The longest text of a member, in characters.
const TEXT_CHARS_MAX: usize = 500;
/// A longer secret file is somebody's mistake.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Where Google publishes the keys of Firebase's ID tokens.
const FIREBASE_KEYS: &str =
    "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com";
/// Names that stand for something else in an address.
const RESERVED: [&str; 3] = ["org", "complete", "confirm"];

/// What is known of a service beforehand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Preset {
    /// Google.
    Google,
    /// Firebase Authentication, and Identity Platform, which is the same: ID tokens alone.
    Firebase,
}

/// An issuer that people may sign in through.
#[derive(Clone, Debug)]
pub struct OidcProvider {
    /// Its name in addresses: small letters, digits and dashes.
    pub name: String,
    /// What is known of it beforehand.
    pub preset: Option<Preset>,
    /// What the sign-in page calls it.
    pub label: String,
    /// Its `iss`, and where it is discovered.
    pub issuer: String,
    /// This server, as the issuer knows it.
    pub client_id: String,
    /// Further clients of the issuer whose ID tokens are exchanged.
    pub audiences: Vec<String>,
    /// Proves to the issuer that this server is the client; none: PKCE alone.
    pub client_secret: Option<Secret>,
    /// What is asked of the issuer.
    pub scopes: String,
    /// Where its keys are, where they are not discovered.
    pub jwks_url: Option<String>,
    /// Whether somebody without an account gets one.
    pub new_accounts: bool,
    /// The domains of the addresses that may sign in; none: any.
    pub email_domains: Vec<Domain>,
    /// Whether whoever it signs in needs no second factor here.
    pub trusts_mfa: bool,
    /// Whether every address that it tells is verified, whatever it says.
    pub trusts_email: bool,
}

impl OidcProvider {
    /// Whether people can be sent there; else their ID tokens are exchanged alone.
    pub fn redirects(&self) -> bool {
        self.preset != Some(Preset::Firebase)
    }
}

/// The issuers, and what is wrong with what was given.
#[derive(Clone, Debug, Default)]
pub struct OidcProviders {
    list: Vec<OidcProvider>,
    /// Each as a sentence.
    pub(super) problems: Vec<String>,
}

impl OidcProviders {
    /// The issuer of a name.
    pub fn named(&self, name: &str) -> Option<&OidcProvider> {
        self.list.iter().find(|provider| provider.name == name)
    }

    /// All of them, in the order of the settings.
    pub fn iter(&self) -> impl Iterator<Item = &OidcProvider> {
        self.list.iter()
    }
}

/// The file gives an array of tables, the environment the same as JSON. What is wrong is told by
/// [`super::Config::load`], provider by provider.
impl SettingValue for OidcProviders {
    fn read(value: &Value, _: &Rule) -> Option<Self> {
        let parsed;
        let items = match value {
            Value::Array(_, items) => items,
            Value::String(_, text) if text.trim().is_empty() => return Some(Self::default()),
            Value::String(_, text) => {
                parsed = serde_json::from_str::<Vec<Value>>(text).ok()?;
                &parsed
            }
            _ => return None,
        };
        if items.len() > PROVIDERS_MAX {
            return None;
        }
        let mut found = Self::default();
        for item in items {
            let mut members = Members::new(item.as_dict()?);
            let provider = members.provider();
            found.problems.extend(members.finish(&provider.name));
            if found.named(&provider.name).is_some() {
                found.problems.push(format!(
                    "oidc.providers: two are named {:?}; give each a name of its own.",
                    provider.name
                ));
            }
            found.list.push(provider);
        }
        Some(found)
    }

    fn allowed(_: &Rule) -> String {
        format!(
            "a list of at most {PROVIDERS_MAX} tables, each with `name` and `client_id`; in the environment as JSON"
        )
    }

    fn toml(&self) -> Option<String> {
        let items: Vec<String> = self.list.iter().map(shown).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

/// One provider as an inline table, without its secret.
fn shown(provider: &OidcProvider) -> String {
    let mut text = format!("{{ name = {}", toml_text(&provider.name));
    let mut member = |name: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = write!(text, ", {name} = {value}");
    };
    member("label", toml_text(&provider.label));
    member("issuer", toml_text(&provider.issuer));
    member("client_id", toml_text(&provider.client_id));
    if provider.client_secret.is_some() {
        member("client_secret", toml_text("(set)"));
    }
    text.push_str(" }");
    text
}

/// Reads the members of one table and remembers what is wrong.
struct Members<'a> {
    dict: &'a Dict,
    known: BTreeSet<&'static str>,
    problems: Vec<String>,
}

impl<'a> Members<'a> {
    fn new(dict: &'a Dict) -> Self {
        Self { dict, known: BTreeSet::new(), problems: Vec::new() }
    }

    fn provider(&mut self) -> OidcProvider {
        let name = self.text("name").unwrap_or_default();
        if !is_name(&name) {
            self.wrong(
                "name",
                "1 to 32 small letters, digits and dashes, which begin with a letter",
            );
        }
        if RESERVED.contains(&name.as_str()) {
            self.wrong("name", "another word: this one stands in addresses already");
        }
        let preset = self.preset();
        let project = self.text("project_id").unwrap_or_default();
        let firebase = preset == Some(Preset::Firebase);
        if firebase && !is_name(&project) {
            self.wrong("project_id", "the id of the Firebase project, such as my-app-1234");
        }
        let known_issuer = match preset {
            Some(Preset::Google) => Some("https://accounts.google.com".to_owned()),
            Some(Preset::Firebase) => Some(format!("https://securetoken.google.com/{project}")),
            None => None,
        };
        let issuer = self.text("issuer").or(known_issuer).unwrap_or_default();
        if !is_reachable(&issuer) {
            self.wrong("issuer", URL);
        }
        let jwks_url = self.text("jwks_url").or(firebase.then(|| FIREBASE_KEYS.to_owned()));
        if jwks_url.as_ref().is_some_and(|url| !is_reachable(url)) {
            self.wrong("jwks_url", URL);
        }
        // Firebase's tokens are for the project.
        let client_id = self.text("client_id").or(firebase.then_some(project)).unwrap_or_default();
        if client_id.is_empty() {
            self.wrong("client_id", "the id that the issuer gave to this server");
        }
        let known_label = match preset {
            Some(Preset::Google) => "Google".to_owned(),
            _ => name.clone(),
        };
        let scopes = self.text("scopes").unwrap_or_else(|| "openid email profile".to_owned());
        if !scopes.split(' ').any(|scope| scope == "openid") {
            self.wrong("scopes", "words separated by spaces, `openid` among them");
        }
        let email_domains = self.domains("email_domains");
        OidcProvider {
            label: self.text("label").unwrap_or(known_label),
            audiences: self.texts("audiences"),
            client_secret: self.secret(),
            new_accounts: self.flag("new_accounts", true),
            trusts_mfa: self.flag("trusts_mfa", false),
            trusts_email: self.flag("trusts_email", false),
            name,
            preset,
            issuer,
            client_id,
            scopes,
            jwks_url,
            email_domains,
        }
    }

    fn preset(&mut self) -> Option<Preset> {
        let text = self.text("preset")?;
        match text.as_str() {
            "google" => Some(Preset::Google),
            "firebase" | "identity_platform" => Some(Preset::Firebase),
            _ => {
                self.wrong("preset", "google, firebase or identity_platform, or left out");
                None
            }
        }
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        let value = self.dict.get(name)?;
        let text = value.as_str().map(str::trim).filter(|text| {
            text.chars().count() <= TEXT_CHARS_MAX && !text.chars().any(char::is_control)
        });
        if text.is_none() {
            self.wrong(name, "one line of text");
        }
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn texts(&mut self, name: &'static str) -> Vec<String> {
        self.known.insert(name);
        let Some(value) = self.dict.get(name) else { return Vec::new() };
        let items = value.as_array().map(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        items.flatten().unwrap_or_else(|| {
            self.wrong(name, "a list of texts");
            Vec::new()
        })
    }

    fn domains(&mut self, name: &'static str) -> Vec<Domain> {
        let texts = self.texts(name);
        let domains = texts.iter().map(|text| Domain::parse(text));
        domains.collect::<Result<_, _>>().unwrap_or_else(|_| {
            self.wrong(name, "a list of domains such as example.com");
            Vec::new()
        })
    }

    fn flag(&mut self, name: &'static str, default: bool) -> bool {
        self.known.insert(name);
        match self.dict.get(name) {
            None => default,
            Some(value) => value.to_bool().unwrap_or_else(|| {
                self.wrong(name, "true or false");
                default
            }),
        }
    }

    fn secret(&mut self) -> Option<Secret> {
        self.known.extend(["client_secret", "client_secret_file"]);
        let inline = self.dict.get("client_secret").map(|value| value.as_str().map(str::to_owned));
        let text = match (inline, self.text("client_secret_file")) {
            (Some(_), Some(_)) => {
                self.wrong("client_secret", "given here or in client_secret_file, not in both");
                return None;
            }
            (None, None) => return None,
            (Some(inline), None) => inline,
            (None, Some(path)) => {
                let small = fs::metadata(&path).is_ok_and(|file| file.len() <= SECRET_BYTES_MAX);
                let text = small.then(|| fs::read_to_string(&path).ok()).flatten();
                if text.is_none() {
                    self.wrong("client_secret_file", "a file of text that can be read");
                    return None;
                }
                text
            }
        };
        let text = text.as_deref().map(|text| text.trim_end_matches(['\r', '\n']));
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            self.wrong("client_secret", "a text");
            return None;
        };
        Some(Secret::new(text))
    }

    fn wrong(&mut self, member: &str, must_be: &str) {
        self.problems.push(format!("{member} must be {must_be}."));
    }

    /// What was wrong, with the provider that it is about.
    fn finish(mut self, name: &str) -> Vec<String> {
        for member in self.dict.keys().filter(|member| !self.known.contains(member.as_str())) {
            self.problems.push(format!("there is no setting {member}."));
        }
        let about = |problem: String| format!("oidc.providers, {name:?}: {problem}");
        self.problems.into_iter().map(about).collect()
    }
}

const URL: &str = "an https:// address without a query (http:// for this computer alone), as the issuer writes it";

fn is_name(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether an issuer may be reached there: encrypted, or on this computer.
fn is_reachable(text: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(text) else { return false };
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    plain && url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && here))
}

/// Local addresses that a sign-in may lead back to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LocalPaths(Vec<String>);

impl LocalPaths {
    /// Whether a path is one of them.
    pub fn contains(&self, path: &str) -> bool {
        self.0.iter().any(|known| known == path)
    }

    /// The first one: where whoever names none is led.
    pub fn first(&self) -> &str {
        self.0.first().map_or("/", String::as_str)
    }
}

impl SettingValue for LocalPaths {
    fn read(value: &Value, _: &Rule) -> Option<Self> {
        let texts: Vec<String> = match value {
            Value::String(_, text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Value::Array(_, items) => {
                items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
            _ => return None,
        };
        // Browsers read `//host` and `/\host` as another host.
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~".contains(c);
        let local = |text: &String| {
            text.starts_with('/') && !text.contains("//") && text.chars().all(plain)
        };
        (!texts.is_empty() && texts.iter().all(local)).then_some(Self(texts))
    }

    fn allowed(_: &Rule) -> String {
        "a list of paths on this server, such as /admin or /portal".to_owned()
    }

    fn toml(&self) -> Option<String> {
        let items: Vec<_> = self.0.iter().map(|path| toml_text(path)).collect();
        Some(format!("[{}]", items.join(", ")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
