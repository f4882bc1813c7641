//! The table as people read it: the documented file, the handbook's reference, the admin page.

use std::fmt::Write as _;

use serde::Serialize;

use super::settings::Setting;
use super::{Config, Loaded};

/// One setting as the admin page and `coditect config show` tell it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SettingInfo {
    /// `section.name`.
    pub key: &'static str,
    /// The environment variable.
    pub env: String,
    /// What it does.
    pub doc: String,
    /// What is allowed.
    pub allowed: String,
    /// The default in TOML; absent when there is none.
    pub default: Option<String>,
    /// The value in TOML; a secret shows as `(set)`; absent when there is none.
    pub value: Option<String>,
    /// Where the value came from: `default`, `file PATH`, `environment NAME` or `flag NAME`.
    pub source: String,
}

impl Loaded {
    /// Every setting with its value and where that came from, in the order of the file.
    pub fn describe(&self) -> Vec<SettingInfo> {
        let describe = |setting: &'static Setting| SettingInfo {
            key: setting.key,
            env: setting.env(),
            doc: setting.doc_line(),
            allowed: setting.allowed(),
            default: setting.default_toml(),
            value: match (setting.toml)(&self.config) {
                Some(_) if setting.secret => Some("(set)".to_owned()),
                value => value,
            },
            source: self
                .provenance
                .get(setting.key)
                .map_or_else(|| "default".to_owned(), ToString::to_string),
        };
        Config::SETTINGS.iter().map(describe).collect()
    }
}

impl Config {
    /// The documented settings file: every setting, switched off, with its default.
    pub fn default_file() -> String {
        let mut text = FILE_HEAD.to_owned();
        for setting in Config::SETTINGS.iter().filter(|setting| setting.section.is_empty()) {
            push_setting(&mut text, setting);
        }
        for (section, doc) in Config::SECTIONS {
            text.push('\n');
            push_comment(&mut text, doc);
            push_line(&mut text, &format!("[{section}]"));
            for setting in Config::SETTINGS.iter().filter(|setting| setting.section == *section) {
                push_setting(&mut text, setting);
            }
        }
        text
    }

    /// The handbook's reference of settings, in Markdown.
    pub fn reference_markdown() -> String {
        let mut text = REFERENCE_HEAD.to_owned();
        for setting in Config::SETTINGS.iter().filter(|setting| setting.section.is_empty()) {
            push_reference(&mut text, setting);
        }
        for (section, doc) in Config::SECTIONS {
            let doc: Vec<_> = doc.iter().map(|line| line.trim()).collect();
            push_line(&mut text, &format!("\n## {section}\n\n{}", doc.join(" ")));
            for setting in Config::SETTINGS.iter().filter(|setting| setting.section == *section) {
                push_reference(&mut text, setting);
            }
        }
        text
    }
}

const FILE_HEAD: &str = "\
# Settings of CODITECT. Every line that begins with `# name =` shows a default
# (or an example where there is none); take the `#` away to change it.
#
# Start with this file:  coditect serve --config coditect.toml
# What is in force:      coditect config show --config coditect.toml
#
# The environment wins over this file, and flags win over both. Relative paths
# are relative to the folder of this file.
";

const REFERENCE_HEAD: &str = "\
# Settings

Every setting has a default, so none is needed to start. A value comes from the first of these
that gives one: a flag of the command line, an environment variable, the settings file (the one
that `--config` or `CODITECT_CONFIG` names), the default. `coditect config show` prints every
value and where it came from; `coditect config init` prints a documented file to start from.

An unknown key in the file stops the start and says which name was probably meant. An unknown
`CODITECT_...` variable is only warned about, because container platforms set such names
themselves. A variable that is set to nothing counts as not set.

Every secret may come from a file of its own: end the variable's name with `_FILE`
(`CODITECT_ADMIN_PASSWORD_FILE=/run/secrets/password`), or the key's with `_file`
(`password_file = \"/run/secrets/password\"`). A line break at the end of the file is no part of
the secret.

Relative paths in the file are relative to its folder, all others to the working directory.
";

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn push_comment(text: &mut String, lines: &[&str]) {
    for line in lines {
        push_line(text, &format!("# {}", line.trim()));
    }
}

fn push_setting(text: &mut String, setting: &Setting) {
    text.push('\n');
    push_comment(text, setting.doc);
    if setting.rule.bounds.is_some() && !setting.secret {
        push_line(text, &format!("# Must be {}.", setting.allowed()));
    }
    push_line(text, &format!("# Environment: {}{}", setting.env(), file_form(setting)));
    match (setting.default_toml(), setting.example_toml()) {
        (Some(value), Some(example)) => {
            push_line(text, &format!("# Example: {example}"));
            push_line(text, &format!("# {} = {value}", setting.name));
        }
        (Some(value), None) => push_line(text, &format!("# {} = {value}", setting.name)),
        (None, Some(_)) if setting.secret => {
            push_line(text, &format!("# {0}_file = \"/run/secrets/{0}\"", setting.name));
        }
        (None, Some(example)) => push_line(text, &format!("# {} = {example}", setting.name)),
        (None, None) => {}
    }
}

fn file_form(setting: &Setting) -> String {
    if setting.secret { format!(" or {}_FILE", setting.env()) } else { String::new() }
}

fn push_reference(text: &mut String, setting: &Setting) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\n### `{}`\n\n{}\n\n", setting.key, setting.doc_line());
    let default = setting.default_toml().map_or("none".to_owned(), |value| format!("`{value}`"));
    let env = match file_form(setting) {
        form if form.is_empty() => format!("`{}`", setting.env()),
        _ => format!("`{0}` or `{0}_FILE`", setting.env()),
    };
    push_line(text, &format!("- Default: {default}"));
    push_line(text, &format!("- Must be: {}", setting.allowed()));
    push_line(text, &format!("- Environment: {env}"));
    if let Some(example) = setting.example_toml().filter(|_| !setting.secret) {
        push_line(text, &format!("- Example: `{example}`"));
    }
}
