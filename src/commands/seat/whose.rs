//! Which licence's seat: from flags and the environment.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::cli::{Settings, Whose};
use crate::client::{Builder, Seat};
use crate::commands::operator;

const SERVER: &str = "http://127.0.0.1:8750";
/// A longer file holds no licence key and no certificates.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The server that is asked: the one that was named, by its address or its data folder. A flag counts before the
/// environment.
pub(super) fn server(whose: &Whose, settings: &Settings) -> Result<String, Failure> {
    if let Some(server) = &whose.server {
        return Ok(server.clone());
    }
    let on_the_folder = || Ok(operator::address_of_running(settings)?);
    if settings.name_a_server() {
        return on_the_folder();
    }
    if let Some(server) = environment("CODITECT_SERVER") {
        return Ok(server);
    }
    let folder_named =
        ["CODITECT_DATA", "CODITECT_CONFIG"].into_iter().any(|it| path(it).is_some());
    if folder_named { on_the_folder() } else { Ok(SERVER.to_owned()) }
}

/// What is needed to take a seat.
pub(super) fn builder(whose: &Whose, server: String) -> Result<Builder, Failure> {
    let mut builder = Seat::builder(server, license_key(whose)?);
    if let Some(id) = whose.hardware_id.clone().or_else(|| environment("CODITECT_HARDWARE_ID")) {
        builder = builder.hardware_id(id);
    }
    let ca_file = whose.ca_file.clone().or_else(|| path("CODITECT_CA_FILE"));
    if let Some(file) = ca_file {
        builder = builder.root_certificates(read(&file, "The certificates")?);
    }
    Ok(builder)
}

fn license_key(whose: &Whose) -> Result<String, Failure> {
    if let Some(key) = &whose.key {
        return Ok(key.clone());
    }
    let file = match (&whose.key_file, environment("CODITECT_LICENSE_KEY")) {
        (Some(file), _) => file.clone(),
        (None, Some(key)) => return Ok(key),
        (None, None) => path("CODITECT_LICENSE_KEY_FILE").ok_or_else(|| {
            Failure::Own(
                "no licence key: give it in a file with --key-file, or in the environment as \
                 CODITECT_LICENSE_KEY"
                    .to_owned(),
            )
        })?,
    };
    let key = read(&file, "The licence key")?.trim().to_owned();
    if key.is_empty() || key.lines().count() > 1 {
        let file = file.display();
        return Err(Failure::Own(format!("the file {file} holds no licence key on its one line")));
    }
    Ok(key)
}

/// What is set to nothing is not set.
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn read(path: &Path, what: &str) -> Result<String, Failure> {
    let bad =
        |why: String| Failure::Own(format!("{what} in {} cannot be read: {why}", path.display()));
    let file = File::open(path).map_err(|error| bad(error.to_string()))?;
    let mut text = String::new();
    match file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(bytes) if bytes as u64 > FILE_BYTES_MAX => Err(bad("it is far too long".to_owned())),
        Ok(_) => Ok(text),
        Err(error) => Err(bad(error.to_string())),
    }
}
