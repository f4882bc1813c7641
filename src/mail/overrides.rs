//! The vendor's own texts and logo, from a folder beside the data. It is read when the server
//! starts. Whatever cannot be used is remembered with its reason, and ours stands in for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::messages::Message;

/// The texts of a message.
pub(super) const FILES: [&str; 3] = ["subject.txt", "body.txt", "body.html"];
/// What stands around every HTML text.
pub(super) const LAYOUT: &str = "layout.html";
/// The names that a logo may have, with what they are. Mail programs do not show SVG.
const LOGOS: [(&str, &str); 3] =
    [("logo.png", "image/png"), ("logo.jpg", "image/jpeg"), ("logo.gif", "image/gif")];
const TEXT_BYTES_MAX: u64 = 64 << 10;
/// It goes with every mail.
const LOGO_BYTES_MAX: u64 = 256 << 10;
/// More files than that are no folder of texts.
const ENTRIES_MAX: usize = 1_000;

/// The logo that goes with every mail.
#[derive(PartialEq, Eq)]
pub struct Logo {
    /// What it is saved as.
    pub file_name: &'static str,
    /// Its media type.
    pub content_type: &'static str,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A file of the folder that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Its path in the folder.
    pub file: String,
    /// Why it cannot be used.
    pub why: String,
}

/// What the folder holds.
#[derive(Default)]
pub struct Overrides {
    /// Texts by path, such as `verify_email/body.txt`.
    pub(super) texts: BTreeMap<String, String>,
    pub(super) logo: Option<Arc<Logo>>,
    pub(super) broken: Vec<Broken>,
}

impl Overrides {
    /// Reads a folder; one that is not there holds nothing.
    pub fn read(folder: &Path) -> Self {
        let mut read = Self::default();
        for entry in names(folder) {
            let path = folder.join(&entry);
            if entry == LAYOUT {
                read.add_text(folder, entry);
            } else if let Some((file_name, content_type)) = logo_named(&entry) {
                match bounded(&path, LOGO_BYTES_MAX) {
                    Ok(content) => {
                        read.logo = Some(Arc::new(Logo { file_name, content_type, content }));
                    }
                    Err(why) => read.refuse(&entry, why),
                }
            } else if !Message::NAMES.contains(&entry.as_str()) {
                read.refuse(&entry, "no message and no part of one has this name".to_owned());
            } else {
                for file in names(&path) {
                    let file_path = format!("{entry}/{file}");
                    if FILES.contains(&file.as_str()) {
                        read.add_text(folder, file_path);
                    } else {
                        read.refuse(&file_path, format!("a message has {}", FILES.join(", ")));
                    }
                }
            }
        }
        read
    }

    fn add_text(&mut self, folder: &Path, path: String) {
        let text = bounded(&folder.join(&path), TEXT_BYTES_MAX)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()));
        match text {
            Ok(text) => {
                self.texts.insert(path, text);
            }
            Err(why) => self.refuse(&path, why),
        }
    }

    /// Leaves a file out.
    pub(super) fn refuse(&mut self, path: &str, why: String) {
        self.texts.remove(path);
        self.broken.push(Broken { file: path.to_owned(), why });
    }
}

fn logo_named(name: &str) -> Option<(&'static str, &'static str)> {
    LOGOS.into_iter().find(|(file_name, _)| *file_name == name)
}

/// What a folder holds, in order; files that editors hide are left out.
fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names =
        entries.take(ENTRIES_MAX).filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        names.filter(|name| !name.starts_with('.') && !name.ends_with('~')).collect();
    names.sort();
    names
}

fn bounded(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let length = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if length > bytes_max {
        return Err(format!("it has {length} bytes, more than the {bytes_max} that are allowed"));
    }
    fs::read(path).map_err(|error| error.to_string())
}
