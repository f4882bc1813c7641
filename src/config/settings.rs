//! The table's shape: what is known of a setting, and the macro that writes the
//! structs and the table from one list.

use std::fmt::Write as _;

use super::Config;

/// What may be said of a setting besides its name, type and documentation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The default, written as in the environment; `None` when the setting may be absent.
    pub default: Option<&'static str>,
    /// What a value may look like, for the documented file.
    pub example: Option<&'static str>,
    /// The environment variable, where it is not the one that the key gives.
    pub env: Option<&'static str>,
    /// The least and the greatest number, or length of a text in characters.
    pub bounds: Option<(u32, u32)>,
}

/// A setting with a default.
pub(super) const fn standard(default: &'static str) -> Rule {
    Rule { default: Some(default), example: None, env: None, bounds: None }
}

/// A setting that may be absent; `example` is shown in its place.
pub(super) const fn optional(example: &'static str) -> Rule {
    Rule { default: None, example: Some(example), env: None, bounds: None }
}

impl Rule {
    pub(super) const fn env(mut self, name: &'static str) -> Self {
        self.env = Some(name);
        self
    }

    pub(super) const fn example(mut self, text: &'static str) -> Self {
        self.example = Some(text);
        self
    }

    pub(super) const fn within(mut self, least: u32, most: u32) -> Self {
        self.bounds = Some((least, most));
        self
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Setting {
    /// The section in the file; empty for settings that stand before the first section.
    pub section: &'static str,
    /// The name within the section.
    pub name: &'static str,
    /// `section.name`, or the name alone.
    pub key: &'static str,
    /// The documentation, as sentences.
    pub doc: &'static [&'static str],
    /// Default, bounds and the like.
    pub rule: Rule,
    /// Whether the value must never be shown. It may then come from a file.
    pub secret: bool,
    /// Whether the value is a path, relative to the file that gives it.
    pub path: bool,
    /// What is allowed, as the end of "must be ...".
    pub(super) allowed: fn(&Rule) -> String,
    /// The value in TOML; `None` when it is absent.
    pub(super) toml: fn(&Config) -> Option<String>,
    /// A text, as the environment would give it, in TOML.
    pub(super) text_to_toml: fn(&str, &Rule) -> Option<String>,
}

impl Setting {
    /// The environment variable: `CODITECT_SECTION_NAME`, or the shorter one of the table.
    pub fn env(&self) -> String {
        self.rule.env.map_or_else(|| self.long_env(), str::to_owned)
    }

    /// The name that the key gives, which is refused with a hint where there is a shorter one.
    pub(super) fn long_env(&self) -> String {
        let mut name = "CODITECT_".to_owned();
        name.extend(self.key.chars().map(|c| if c == '.' { '_' } else { c.to_ascii_uppercase() }));
        name
    }

    /// What is allowed, as the end of "must be ...".
    pub fn allowed(&self) -> String {
        (self.allowed)(&self.rule)
    }

    /// The default in TOML; `None` when the setting is absent by default.
    pub fn default_toml(&self) -> Option<String> {
        (self.text_to_toml)(self.rule.default?, &self.rule)
    }

    /// The example in TOML.
    pub(super) fn example_toml(&self) -> Option<String> {
        let example = self.rule.example?;
        if self.secret {
            return Some(toml_text(example));
        }
        (self.text_to_toml)(example, &self.rule)
    }

    /// The documentation as one line.
    pub fn doc_line(&self) -> String {
        self.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }
}

/// A text as a TOML basic string.
pub(super) fn toml_text(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Writes `Config`, a struct for each section, the table, and how a `Config` is read. Before each
/// section stands its name in the file.
macro_rules! settings {
    (
        root { $($(#[doc = $root_doc:literal])+ $root_name:ident: $root_type:ty = $root_rule:expr;)+ }
        $(
            $(#[doc = $section_doc:literal])+
            [$path:literal] $section:ident: $section_type:ident {
                $($(#[doc = $doc:literal])+ $name:ident: $type:ty = $rule:expr;)+
            }
        )+
    ) => {
        /// Every setting, read and checked.
        #[derive(Clone, Debug)]
        pub struct Config {
            $($(#[doc = $root_doc])+ pub $root_name: $root_type,)+
            $($(#[doc = $section_doc])+ pub $section: $section_type,)+
        }

        $(
            $(#[doc = $section_doc])+
            #[derive(Clone, Debug)]
            pub struct $section_type {
                $($(#[doc = $doc])+ pub $name: $type,)+
            }
        )+

        impl Config {
            /// The table: every setting, in the order of the file.
            pub const SETTINGS: &'static [Setting] = &[
                $(settings!(@row "", $root_name, stringify!($root_name), [$($root_doc),+],
                    $root_type, $root_rule, |config: &Config| &config.$root_name),)+
                $($(settings!(@row $path, $name,
                    concat!($path, ".", stringify!($name)), [$($doc),+],
                    $type, $rule, |config: &Config| &config.$section.$name),)+)+
            ];

            /// The sections and what each is about.
            pub(crate) const SECTIONS: &'static [(&'static str, &'static [&'static str])] = &[
                $(($path, &[$($section_doc),+]),)+
            ];

            /// Reads every setting. The order here is the order of the table.
            fn read(reader: &mut layers::Reader<'_>) -> Self {
                Self {
                    $($root_name: reader.next_setting(),)+
                    $($section: $section_type { $($name: reader.next_setting(),)+ },)+
                }
            }
        }
    };

    (@row $section:expr, $name:ident, $key:expr, [$($doc:literal),+], $type:ty, $rule:expr, $get:expr) => {
        Setting {
            section: $section,
            name: stringify!($name),
            key: $key,
            doc: &[$($doc),+],
            rule: $rule,
            secret: <$type as values::SettingValue>::SECRET,
            path: <$type as values::SettingValue>::PATH,
            allowed: <$type as values::SettingValue>::allowed,
            toml: |config| {
                let get: fn(&Config) -> &$type = $get;
                values::SettingValue::toml(get(config))
            },
            text_to_toml: values::text_to_toml::<$type>,
        }
    };
}

pub(super) use settings;
