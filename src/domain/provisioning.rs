//! What an organisation's directory says of its people and groups (SCIM 2.0, RFC 7643), and the tokens
//! that a directory presents.

use serde::{Deserialize, Serialize};

use super::error::{Code, Error, Result};
use super::ids::{OrgId, ProvisioningTokenId, UserId};
use super::plan::check_text;
use super::time::Timestamp;

/// The longest text that a directory may have kept of a person or a group, in characters.
pub const TEXT_CHARS_MAX: usize = 200;

/// What a directory presents; of its secret only the hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvisioningToken {
    /// Identifies the token.
    pub provisioning_token_id: ProvisioningTokenId,
    /// The organisation whose people it provisions, and no other.
    pub org_id: OrgId,
    /// What its owner calls it.
    pub name: String,
    /// How the secret begins, so that people tell it from others.
    pub prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// By whom; nobody has an account over the local socket.
    pub created_by: Option<UserId>,
    /// From when it opens nothing any more; none: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the hour.
    #[serde(default)]
    pub last_used_at: Option<Timestamp>,
}

impl ProvisioningToken {
    /// Whether it opens anything at `now`.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// A person's names as the directory has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryName {
    /// The whole name.
    pub formatted: Option<String>,
    /// The first one.
    pub given: Option<String>,
    /// The last one.
    pub family: Option<String>,
}

impl DirectoryName {
    /// What to call the person; none where the directory has no name.
    pub fn full(&self) -> Option<String> {
        let whole = self.formatted.clone();
        whole.or_else(|| match (&self.given, &self.family) {
            (Some(given), Some(family)) => Some(format!("{given} {family}")),
            (one, other) => one.clone().or_else(|| other.clone()),
        })
    }
}

/// What the directory has said of somebody. It stays when the person leaves, so that the directory finds
/// them again: whether they belong to the organisation is told by their membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryPerson {
    /// The organisation.
    pub org_id: OrgId,
    /// The person.
    pub user_id: UserId,
    /// The directory's own id for the person.
    pub external_id: Option<String>,
    /// The person's names.
    pub name: DirectoryName,
    /// What the directory shows people as.
    pub display_name: Option<String>,
    /// Whether the directory wants the person in the organisation.
    pub active: bool,
    /// Whether the account was made for it: then the directory says what the person is called.
    pub made_account: bool,
    /// When the directory first spoke of the person.
    pub created_at: Timestamp,
    /// When what it says last changed.
    pub changed_at: Timestamp,
}

impl DirectoryPerson {
    /// What the account's profile is to be called; none where the directory has no name.
    pub fn full_name(&self) -> Option<String> {
        self.name.full().or_else(|| self.display_name.clone())
    }

    /// Refuses texts that are too long or hold control characters.
    ///
    /// # Errors
    /// A field error that names the attribute.
    pub fn check(&self) -> Result<()> {
        let name = &self.name;
        for (field, text) in [
            ("externalId", &self.external_id),
            ("displayName", &self.display_name),
            ("name.formatted", &name.formatted),
            ("name.givenName", &name.given),
            ("name.familyName", &name.family),
        ] {
            if let Some(text) = text {
                check_text(field, text, 1, TEXT_CHARS_MAX)?;
            }
        }
        // Both names together make a profile's name.
        self.full_name().map_or(Ok(()), |full| check_text("name", &full, 1, TEXT_CHARS_MAX))
    }
}

/// What is to change of what a directory says of somebody; what is left out stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonChange {
    /// The address.
    pub user_name: Option<String>,
    /// The directory's own id.
    pub external_id: Option<Option<String>>,
    /// The whole name.
    pub formatted: Option<Option<String>>,
    /// The first name.
    pub given: Option<Option<String>>,
    /// The last name.
    pub family: Option<Option<String>>,
    /// What people are shown.
    pub display_name: Option<Option<String>>,
    /// Whether the person is to belong to the organisation.
    pub active: Option<bool>,
}

impl PersonChange {
    /// Changes what the directory has said.
    pub fn apply(&self, person: &mut DirectoryPerson) {
        let set = |to: &mut Option<String>, change: &Option<Option<String>>| {
            if let Some(text) = change {
                to.clone_from(text);
            }
        };
        set(&mut person.external_id, &self.external_id);
        set(&mut person.name.formatted, &self.formatted);
        set(&mut person.name.given, &self.given);
        set(&mut person.name.family, &self.family);
        set(&mut person.display_name, &self.display_name);
        person.active = self.active.unwrap_or(person.active);
    }
}

/// What the directory has said of a team: who belongs to it is the directory's to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryGroup {
    /// The directory's own id for the group.
    pub external_id: Option<String>,
    /// Since when it is the directory's.
    pub since: Timestamp,
    /// When what it says last changed.
    pub changed_at: Timestamp,
}

/// A step of changing a group; steps are taken in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupStep {
    /// Another name.
    Name(String),
    /// Another id of the directory's own.
    ExternalId(Option<String>),
    /// These belong to it, too.
    Add(Vec<UserId>),
    /// These do not any more.
    Remove(Vec<UserId>),
    /// These belong to it, and nobody else.
    Replace(Vec<UserId>),
}

impl GroupStep {
    /// How many people it names.
    pub fn people(&self) -> usize {
        match self {
            Self::Add(people) | Self::Remove(people) | Self::Replace(people) => people.len(),
            Self::Name(_) | Self::ExternalId(_) => 0,
        }
    }
}

/// An attribute by which directories look people and groups up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `id`.
    Id,
    /// `externalId`.
    ExternalId,
    /// `userName`.
    UserName,
    /// `displayName`.
    DisplayName,
    /// `emails.value`.
    Email,
    /// `active`.
    Active,
    /// `members.value`.
    Member,
}

/// That an attribute has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub attribute: Attribute,
    /// The value; true and false as words.
    pub value: String,
}

/// The most conditions of a filter.
const CONDITIONS_MAX: usize = 10;
/// The longest filter, in bytes.
const FILTER_BYTES_MAX: usize = 1_000;

/// Reads a filter (RFC 7644, section 3.4.2.2) as far as directories use it to look somebody up:
/// `attribute eq "value"`, joined by `and`. An empty one wants everything.
///
/// # Errors
/// `InvalidFilter`, which says what is understood.
pub fn parse_filter(text: &str) -> Result<Vec<Condition>> {
    if text.len() > FILTER_BYTES_MAX {
        let detail = format!("A filter may have at most {FILTER_BYTES_MAX} bytes.");
        return Err(Error::new(Code::InvalidFilter, detail));
    }
    let mut rest = text.trim();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (condition, after) = condition(rest).ok_or_else(not_understood)?;
        found.push(condition);
        rest = match after.trim_start() {
            "" => "",
            more => keyword(more, "and").filter(|it| !it.is_empty()).ok_or_else(not_understood)?,
        };
        if found.len() > CONDITIONS_MAX {
            let detail = format!("A filter may have at most {CONDITIONS_MAX} conditions.");
            return Err(Error::new(Code::InvalidFilter, detail));
        }
    }
    Ok(found)
}

/// One condition, and what stands behind it.
fn condition(text: &str) -> Option<(Condition, &str)> {
    let (path, rest) = text.split_at(text.find([' ', '['])?);
    let Some(inner) = rest.strip_prefix('[') else {
        let (value, rest) = literal(keyword(rest.trim_start(), "eq")?)?;
        return Some((Condition { attribute: attribute(path)?, value }, rest));
    };
    let (inner, after) = bracketed(inner)?;
    let (part, value) = condition_of_part(inner)?;
    let Some(after) = after.strip_prefix('.') else {
        // `members[value eq "..."]` is what `members.value eq "..."` is.
        let attribute = attribute(&format!("{path}.{part}"))?;
        return Some((Condition { attribute, value }, after));
    };
    // `emails[type eq "work"].value`: every person has one address.
    let (part, rest) = after.split_at(after.find(' ')?);
    let attribute = attribute(&format!("{path}.{part}"))?;
    let (value, rest) = literal(keyword(rest.trim_start(), "eq")?)?;
    Some((Condition { attribute, value }, rest))
}

/// What stands in brackets, which a quoted one does not close, and what stands behind them.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `part eq "value"` and nothing else.
fn condition_of_part(text: &str) -> Option<(&str, String)> {
    let (part, rest) = text.trim().split_once(' ')?;
    let (value, rest) = literal(keyword(rest.trim_start(), "eq")?)?;
    rest.trim().is_empty().then_some((part, value))
}

/// What stands behind a word, whatever its case.
fn keyword<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    let (first, rest) = text.split_once(' ')?;
    first.eq_ignore_ascii_case(word).then(|| rest.trim_start())
}

/// A text in quotes as JSON has it, or a word, and what stands behind it.
fn literal(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        let word = word.to_ascii_lowercase();
        return matches!(word.as_str(), "true" | "false").then_some((word, rest));
    };
    let mut value = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some((value, rest.as_str())),
            '\\' => match rest.next()? {
                c @ ('"' | '\\' | '/') => value.push(c),
                'u' => {
                    let digits = rest.as_str().get(..4)?;
                    value.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                    rest = rest.as_str().get(4..)?.chars();
                }
                _ => return None,
            },
            c => value.push(c),
        }
    }
}

/// What the names of attributes of people and groups may begin with.
const SCHEMAS: [&str; 2] =
    ["urn:ietf:params:scim:schemas:core:2.0:user:", "urn:ietf:params:scim:schemas:core:2.0:group:"];

fn attribute(path: &str) -> Option<Attribute> {
    let path = path.to_ascii_lowercase();
    let path = SCHEMAS.iter().find_map(|schema| path.strip_prefix(schema)).unwrap_or(&path);
    Some(match path {
        "id" => Attribute::Id,
        "externalid" => Attribute::ExternalId,
        "username" => Attribute::UserName,
        "displayname" => Attribute::DisplayName,
        "emails" | "emails.value" => Attribute::Email,
        "active" => Attribute::Active,
        "members" | "members.value" => Attribute::Member,
        _ => return None,
    })
}

fn not_understood() -> Error {
    Error::new(
        Code::InvalidFilter,
        "This filter is not understood. What is: id, externalId, userName, displayName, emails.value, active or members.value, then eq and a value in quotes; several joined by and.",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is(attribute: Attribute, value: &str) -> Condition {
        Condition { attribute, value: value.to_owned() }
    }

    #[test]
    fn what_directories_ask_is_understood() {
        for (text, expected) in [
            ("", vec![]),
            (
                r#"userName eq "ann@loom.example""#,
                vec![is(Attribute::UserName, "ann@loom.example")],
            ),
            (r#"USERNAME Eq "a""#, vec![is(Attribute::UserName, "a")]),
            (
                r#"urn:ietf:params:scim:schemas:core:2.0:User:userName eq "a""#,
                vec![is(Attribute::UserName, "a")],
            ),
            (
                r#"externalId eq "x y" and active eq true"#,
                vec![is(Attribute::ExternalId, "x y"), is(Attribute::Active, "true")],
            ),
            (r#"emails[type eq "work"].value eq "a""#, vec![is(Attribute::Email, "a")]),
            (
                r#"id eq "7" and members[value eq "8"]"#,
                vec![is(Attribute::Id, "7"), is(Attribute::Member, "8")],
            ),
            (
                r#"id eq "7" and members eq "8""#,
                vec![is(Attribute::Id, "7"), is(Attribute::Member, "8")],
            ),
            (
                r#"displayName eq "a \"b\" and \\c ü""#,
                vec![is(Attribute::DisplayName, r#"a "b" and \c ü"#)],
            ),
        ] {
            assert_eq!(parse_filter(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_and_never_ignored() {
        for text in [
            "userName",
            "userName eq",
            "userName eq ann",
            r#"userName sw "a""#,
            r#"userName ne "a""#,
            r#"userName eq "a" or userName eq "b""#,
            r#"not (userName eq "a")"#,
            r#"(userName eq "a")"#,
            r#"userName eq "a" and"#,
            r#"userName eq "a" and "#,
            r#"userName eq "a""b""#,
            r#"userName eq "a"#,
            r#"title eq "a""#,
            r#"emails[type eq "work"] eq "a""#,
            r#"emails[type eq "work" eq "a""#,
            "userName pr",
            &format!("userName eq \"{}\"", "x".repeat(FILTER_BYTES_MAX)),
            &[r#"id eq "a""#; CONDITIONS_MAX + 1].join(" and "),
        ] {
            assert_eq!(parse_filter(text).unwrap_err().code, Code::InvalidFilter, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_value_is_read_as_it_was_quoted(value in "\\PC{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let read = parse_filter(&format!("externalId eq \"{quoted}\" and active eq false")).unwrap();
            prop_assert_eq!(read, vec![is(Attribute::ExternalId, &value), is(Attribute::Active, "false")]);
        }

        #[test]
        fn no_text_brings_the_reader_down(text in "[a-zA-Z.\\[\\]\"\\\\ ü0-9u]{0,60}|\\PC{0,60}") {
            let _ = parse_filter(&text);
        }
    }

    #[test]
    fn a_name_is_the_whole_one_or_its_parts() {
        let name = |formatted: Option<&str>, given: Option<&str>, family: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            DirectoryName {
                formatted: owned(formatted),
                given: owned(given),
                family: owned(family),
            }
        };
        assert_eq!(
            name(Some("Dr. Ann Weaver"), Some("Ann"), None).full().unwrap(),
            "Dr. Ann Weaver"
        );
        assert_eq!(name(None, Some("Ann"), Some("Weaver")).full().unwrap(), "Ann Weaver");
        assert_eq!(name(None, None, Some("Weaver")).full().unwrap(), "Weaver");
        assert_eq!(name(None, None, None).full(), None);
    }
}
