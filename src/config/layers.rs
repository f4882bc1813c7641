//! Loading: defaults, file, environment and flags are laid over one another, then
//! each setting is read and checked. Every problem is reported, not the first alone.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::Config;
use super::settings::Setting;
use super::suggest::nearest;
use super::values::SettingValue;

/// A settings file larger than this is somebody's mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// A secret's file larger than this is somebody's mistake.
const SECRET_BYTES_MAX: u64 = 64 << 10;
/// Names the settings file, as `--config` does.
const CONFIG_ENV: &str = "CODITECT_CONFIG";
/// Variables of other commands than `serve`: they set nothing here, and are no mistake.
const OTHER_ENV: [&str; 7] = [
    "CODITECT_SERVER",
    "CODITECT_API_KEY",
    "CODITECT_API_KEY_FILE",
    "CODITECT_CA_FILE",
    "CODITECT_LICENSE_KEY",
    "CODITECT_LICENSE_KEY_FILE",
    "CODITECT_HARDWARE_ID",
];
/// Under this name a secret's layer keeps the path of the file to read.
const FILE: &str = "file";

/// What the command line says; it wins over everything else.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<PathBuf>,
    /// `--data DIR`
    pub data: Option<PathBuf>,
    /// `--listen ADDR:PORT`
    pub listen: Option<String>,
}

/// Where a value came from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Built in.
    Default,
    /// The settings file at this path.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
    /// This flag of the command line.
    Flag(String),
    /// The secret's own file at this path, which `named_by` points to.
    SecretFile {
        /// The file that holds the secret.
        path: PathBuf,
        /// Where that path came from.
        named_by: Box<Source>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::SecretFile { path, named_by } => {
                write!(f, "file {} named by {named_by}", path.display())
            }
        }
    }
}

/// Settings, where each came from, and what is worth telling the operator.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// Key to source, for every key of [`Config::SETTINGS`].
    pub provenance: BTreeMap<&'static str, Source>,
    /// Sentences for the log: nothing that stops the server.
    pub warnings: Vec<String>,
}

/// Settings that cannot be used: each problem with what was given, from where, and what is allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// One sentence or two for each problem.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("The settings cannot be used.")?;
        for problem in &self.problems {
            write!(f, "\n- {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// The variables of this process that are text.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

impl Config {
    /// Loads the settings: defaults, then the file, then the environment, then flags.
    ///
    /// The file is the one that `--config` or `CODITECT_CONFIG` names; without either there is
    /// none. A variable that is set to nothing counts as not set. Relative paths in the file are
    /// relative to its folder, others to the working directory.
    ///
    /// # Errors
    /// When the file cannot be read or has unknown keys, or when a value breaks its rule. All
    /// problems are told at once.
    pub fn load(
        flags: Flags,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Loaded, ConfigError> {
        let env: BTreeMap<String, String> =
            env.into_iter().filter(|(name, value)| is_ours(name) && !value.is_empty()).collect();
        let mut layers = Layers::of_defaults();
        if let Some(path) = flags.config.or_else(|| env.get(CONFIG_ENV).map(PathBuf::from)) {
            layers.add_file(&path);
        }
        layers.add_environment(&env);
        if let Some(data) = flags.data {
            layers.add(
                "data",
                Value::from(data.display().to_string()),
                Source::Flag("--data".into()),
            );
        }
        if let Some(listen) = flags.listen {
            layers.add("server.listen", Value::from(listen), Source::Flag("--listen".into()));
        }
        layers.read()
    }
}

/// One value and where it came from, as figment wants it.
struct Layer {
    data: Dict,
    source: Source,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.source {
            Source::Default | Source::SecretFile { .. } => Metadata::named("default"),
            Source::File(path) => Metadata::from("file", path.as_path()),
            Source::Environment(name) => Metadata::from("environment", name.as_str()),
            Source::Flag(name) => Metadata::from("flag", name.as_str()),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.data.clone()))
    }
}

/// The reverse of [`Layer::metadata`].
fn source_of(metadata: Option<&Metadata>) -> Source {
    let Some(metadata) = metadata else {
        return Source::Default;
    };
    match (&*metadata.name, &metadata.source) {
        ("file", Some(figment::Source::File(path))) => Source::File(path.clone()),
        ("environment", Some(figment::Source::Custom(name))) => Source::Environment(name.clone()),
        ("flag", Some(figment::Source::Custom(name))) => Source::Flag(name.clone()),
        _ => Source::Default,
    }
}

struct Layers {
    figment: Figment,
    problems: Vec<String>,
    warnings: Vec<String>,
}

impl Layers {
    fn of_defaults() -> Self {
        let mut layers =
            Self { figment: Figment::new(), problems: Vec::new(), warnings: Vec::new() };
        for setting in Config::SETTINGS {
            if let Some(text) = setting.rule.default {
                layers.add(setting.key, Value::from(text), Source::Default);
            }
        }
        layers
    }

    fn add(&mut self, key: &str, value: Value, source: Source) {
        if let Value::Dict(_, data) = figment::util::nest(key, value) {
            self.merge(Layer { data, source });
        }
    }

    fn merge(&mut self, layer: Layer) {
        self.figment = std::mem::take(&mut self.figment).merge(layer);
    }

    fn add_file(&mut self, path: &Path) {
        let text = match read_bounded(path, FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(why) => {
                return self.problems.push(format!("The settings file {} {why}", path.display()));
            }
        };
        let data: Dict = match Toml::from_str(&text) {
            Ok(data) => data,
            Err(why) => {
                let why = why.to_string();
                return self.problems.push(format!(
                    "The settings file {} is not valid TOML: {}",
                    path.display(),
                    why.trim_end()
                ));
            }
        };
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut values = Vec::new();
        flatten("", data, &mut values);
        let given: Vec<String> = values.iter().map(|(key, _)| key.clone()).collect();
        let mut holds_secret = false;
        for (key, value) in values {
            match find(&key) {
                Some((setting, as_file)) => {
                    if as_file && given.iter().any(|other| other == setting.key) {
                        self.problems.push(both(&key, setting.key, &format!("{}", path.display())));
                    }
                    holds_secret |= (setting.secret && !as_file) || has_secret(&value);
                    let value = if as_file || setting.path { beside(folder, value) } else { value };
                    let value = files_beside(folder, value);
                    self.add(setting.key, wrap(value, as_file), Source::File(path.to_owned()));
                }
                None => self.problems.push(unknown_key(&key, path)),
            }
        }
        if holds_secret && open_to_others(path) {
            self.warnings.push(format!(
                "The settings file {} holds a secret and everybody on this computer may read it. \
                 Take that right away (chmod 600), or keep the secret in a file of its own.",
                path.display()
            ));
        }
    }

    fn add_environment(&mut self, env: &BTreeMap<String, String>) {
        for setting in Config::SETTINGS {
            let name = setting.env();
            let name_of_file = format!("{name}_FILE");
            let value = env.get(&name);
            let file = env.get(&name_of_file).filter(|_| setting.secret);
            if value.is_some() && file.is_some() {
                self.problems.push(both(&name_of_file, &name, "the environment"));
            }
            if let Some(value) = value {
                self.add(setting.key, Value::from(value.as_str()), Source::Environment(name));
            } else if let Some(file) = file {
                let value = wrap(Value::from(file.as_str()), true);
                self.add(setting.key, value, Source::Environment(name_of_file));
            }
        }
        let known = environment_names();
        for name in env.keys().filter(|name| !known.contains(name)) {
            let hint = Config::SETTINGS
                .iter()
                .find(|setting| setting.long_env() == **name)
                .map(Setting::env)
                .or_else(|| nearest(name, known.iter().map(String::as_str)).map(str::to_owned));
            let hint = hint.map(|hint| format!(" Did you mean {hint}?")).unwrap_or_default();
            self.warnings.push(format!("The environment variable {name} sets nothing.{hint}"));
        }
    }

    fn read(self) -> Result<Loaded, ConfigError> {
        let mut reader = Reader {
            figment: &self.figment,
            settings: Config::SETTINGS.iter(),
            provenance: BTreeMap::new(),
            problems: self.problems,
        };
        let config = Config::read(&mut reader);
        if reader.problems.is_empty() {
            reader.problems = config.contradictions();
        }
        if !reader.problems.is_empty() {
            return Err(ConfigError { problems: reader.problems });
        }
        let mut warnings = self.warnings;
        warnings.extend(config.doubts());
        Ok(Loaded { provenance: reader.provenance, config, warnings })
    }
}

/// Reads the settings one after the other, in the order of the table.
pub(super) struct Reader<'a> {
    figment: &'a Figment,
    settings: std::slice::Iter<'static, Setting>,
    provenance: BTreeMap<&'static str, Source>,
    problems: Vec<String>,
}

impl Reader<'_> {
    /// Reads the next setting. A value that is not allowed is noted as a problem and the default
    /// returned in its place, so that the remaining settings are checked as well.
    pub(super) fn next_setting<T: SettingValue>(&mut self) -> T {
        let setting = self
            .settings
            .next()
            .expect("one macro writes both the table and the calls, one for each row");
        let (value, source) = match self.find(setting) {
            Ok(found) => found,
            Err(problem) => {
                self.problems.push(problem);
                return fallback(setting);
            }
        };
        let read = value.as_ref().map(|value| T::read(value, &setting.rule));
        if let Some(None) = read {
            let given = value.map_or_else(String::new, |value| show_given(&value, setting.secret));
            self.problems.push(format!(
                "{} is {given} ({source}), but it must be {}.",
                setting.key,
                setting.allowed()
            ));
        }
        self.provenance.insert(setting.key, source);
        read.flatten().unwrap_or_else(|| fallback(setting))
    }

    /// The winning value and its source; a secret's file is read here, so that only the file that
    /// wins needs to exist.
    fn find(&self, setting: &Setting) -> Result<(Option<Value>, Source), String> {
        let Ok(value) = self.figment.find_value(setting.key) else {
            return Ok((None, Source::Default));
        };
        let path = value.as_dict().filter(|_| setting.secret).and_then(|dict| dict.get(FILE));
        let Some(path) = path else {
            let source = source_of(self.figment.get_metadata(value.tag()));
            return Ok((Some(value), source));
        };
        let named_by = source_of(self.figment.get_metadata(path.tag()));
        let path = path
            .as_str()
            .map(PathBuf::from)
            .ok_or_else(|| format!("{}_file must be a path ({named_by}).", setting.key))?;
        let text = read_bounded(&path, SECRET_BYTES_MAX).map_err(|why| {
            format!("{}: the secret's file {} ({named_by}) {why}", setting.key, path.display())
        })?;
        // Editors and `echo` end a file with a line break that is no part of the secret.
        let text = text.trim_end_matches(['\r', '\n']);
        let source = Source::SecretFile { path, named_by: Box::new(named_by) };
        Ok((Some(Value::from(text)), source))
    }
}

/// The default, which stands in where a value was refused.
fn fallback<T: SettingValue>(setting: &Setting) -> T {
    let default = setting.rule.default.map(Value::from);
    default
        .and_then(|value| T::read(&value, &setting.rule))
        .or_else(T::absent)
        .expect("a test reads every default of the table, and what has none may be absent")
}

fn show_given(value: &Value, secret: bool) -> String {
    match value {
        Value::String(_, text) if secret => {
            format!("a text of {} characters", text.chars().count())
        }
        _ if secret => "not a text".to_owned(),
        Value::String(_, text) => format!("{text:?}"),
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => match (number.to_i128(), number.to_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(number)) => number.to_string(),
            _ => "a number".to_owned(),
        },
        Value::Array(_, items) => {
            let items: Vec<_> = items.iter().map(|item| show_given(item, false)).collect();
            format!("[{}]", items.join(", "))
        }
        _ => "a section".to_owned(),
    }
}

/// Keys and values of a file; a section of an unknown name counts as one value.
fn flatten(prefix: &str, dict: Dict, into: &mut Vec<(String, Value)>) {
    for (name, value) in dict {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Dict(_, inner)
                if Config::SECTIONS.iter().any(|(section, _)| *section == key) =>
            {
                flatten(&key, inner, into);
            }
            value => into.push((key, value)),
        }
    }
}

/// The setting of a key in the file, and whether the key names the file of a secret.
fn find(key: &str) -> Option<(&'static Setting, bool)> {
    let exact = |key: &str| Config::SETTINGS.iter().find(|setting| setting.key == key);
    if let Some(setting) = exact(key) {
        return Some((setting, false));
    }
    exact(key.strip_suffix("_file")?)
        .filter(|setting| setting.secret)
        .map(|setting| (setting, true))
}

fn wrap(value: Value, as_file: bool) -> Value {
    if as_file { Value::from(Dict::from([(FILE.to_owned(), value)])) } else { value }
}

/// A relative path is meant relative to the folder of the file that gives it.
fn beside(folder: &Path, value: Value) -> Value {
    match value.as_str() {
        Some(path) => Value::from(folder.join(path).display().to_string()),
        None => value,
    }
}

/// The same within a list of tables, for each member that names a file.
fn files_beside(folder: &Path, value: Value) -> Value {
    match value {
        Value::Array(tag, items) => {
            let items = items.into_iter().map(|item| files_beside(folder, item)).collect();
            Value::Array(tag, items)
        }
        Value::Dict(tag, members) => {
            let member = |(name, value): (String, Value)| {
                let value = if name.ends_with("_file") { beside(folder, value) } else { value };
                (name, value)
            };
            Value::Dict(tag, members.into_iter().map(member).collect())
        }
        value => value,
    }
}

/// Whether a table of a list holds a secret itself.
fn has_secret(value: &Value) -> bool {
    match value {
        Value::Array(_, items) => items.iter().any(has_secret),
        Value::Dict(_, members) => members.keys().any(|name| name.ends_with("_secret")),
        _ => false,
    }
}

fn both(file_name: &str, name: &str, place: &str) -> String {
    format!("{name} and {file_name} are both given in {place}. Keep one of them.")
}

fn unknown_key(key: &str, path: &Path) -> String {
    let names: Vec<String> = Config::SETTINGS
        .iter()
        .flat_map(|setting| {
            let of_file = setting.secret.then(|| format!("{}_file", setting.key));
            std::iter::once(setting.key.to_owned()).chain(of_file)
        })
        .collect();
    let sections = Config::SECTIONS.iter().map(|(section, _)| *section);
    let hint = if Config::SECTIONS.iter().any(|(section, _)| *section == key) {
        format!(" It is a section: write [{key}] and its settings below.")
    } else {
        nearest(key, names.iter().map(String::as_str).chain(sections))
            .map(|hint| format!(" Did you mean {hint}?"))
            .unwrap_or_default()
    };
    format!("There is no setting {key} (file {}).{hint}", path.display())
}

/// Every variable that means something.
fn environment_names() -> Vec<String> {
    let mut names: Vec<String> =
        [CONFIG_ENV].into_iter().chain(OTHER_ENV).map(str::to_owned).collect();
    for setting in Config::SETTINGS {
        names.push(setting.env());
        if setting.secret {
            names.push(format!("{}_FILE", setting.env()));
        }
    }
    names
}

/// Whether a variable is looked at: every `CODITECT_...`, and the names that a service gave its own.
fn is_ours(name: &str) -> bool {
    let plain = name.strip_suffix("_FILE").unwrap_or(name);
    let named = |setting: &Setting| setting.rule.env.is_some_and(|env| env == plain);
    name.starts_with("CODITECT_") || Config::SETTINGS.iter().any(named)
}

/// A file's text, or the end of a sentence that says why not.
fn read_bounded(path: &Path, bytes_max: u64) -> Result<String, String> {
    let length = fs::metadata(path).map_err(|why| format!("cannot be read: {why}."))?.len();
    if length > bytes_max {
        return Err(format!("has {length} bytes, more than the {bytes_max} that are allowed."));
    }
    fs::read_to_string(path).map_err(|why| format!("cannot be read: {why}."))
}

#[cfg(unix)]
fn open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> bool {
    false
}
