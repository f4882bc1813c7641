//! Finding the server: on the local socket of a data folder, or at an address with a credential.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, Url, redirect};
use serde_json::json;

use super::failure::{Exit, Failure, Result};
use super::http::{Http, Place, root_cause};
use super::output::word;
use super::secret;
use crate::cli::Settings;
use crate::cli::operator::Via;
use crate::cli::server::SignIn;
use crate::config::{self, DataDir};

/// How long a connection may take to stand.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A file with a few certificate authorities is far smaller.
const CA_BYTES_MAX: u64 = 1 << 20;

impl Http {
    /// Finds the server that the flags and the environment mean.
    pub fn find(via: &Via, settings: &Settings) -> Result<Self> {
        if let Some(address) = elsewhere(via, settings) {
            let key = secret::api_key(
                via.api_key_file.as_deref(),
                environment("CODITECT_API_KEY"),
                environment("CODITECT_API_KEY_FILE").map(PathBuf::from).as_deref(),
            )?;
            return Self::at(&address, Some(key));
        }
        if via.api_key_file.is_some() {
            return Err(Failure::usage(
                "--api-key-file is for a server elsewhere: add --server URL, or leave it out",
            ));
        }
        Self::on(&DataDir::of(&crate::commands::load(settings.flags())?.config))
    }

    /// Signs in as a person with a password: what an API key may not do, and the computer's
    /// administrator, who is nobody's account, cannot.
    pub async fn sign_in(via: &Via, settings: &Settings, person: &SignIn) -> Result<Self> {
        let Some(email) = &person.email else {
            return Err(Failure::usage(
                "API keys belong to people: say whose with --email ADDRESS, and sign in with the password",
            ));
        };
        let address = match elsewhere(via, settings) {
            Some(address) => address,
            None => Self::find(via, settings)?.own_address().await?,
        };
        let password = secret::password(email, person.password_file.as_deref())?;
        let mut http = Self::at(&address, None)?;
        let body = json!({"email": email, "password": password});
        let tokens = http.post(&["auth", "login"], Some(body)).await?;
        http.key = Some(word(&tokens, "access_token").to_owned());
        Ok(http)
    }

    /// Ends what [`Http::sign_in`] began.
    pub async fn sign_out(&self) {
        // What was asked for is done; the sign-in ends by itself otherwise.
        let _ = self.post(&["auth", "logout"], None).await;
    }

    /// The server that runs on this data.
    pub fn on(data: &DataDir) -> Result<Self> {
        Self::on_or(data, "use --server URL with an API key")
    }

    /// The same; `else_do` is what is left to whoever may not open the folder.
    pub fn on_or(data: &DataDir, else_do: &str) -> Result<Self> {
        let socket = data.socket();
        // A try beforehand tells apart what the HTTP client cannot.
        UnixStream::connect(&socket)
            .map_err(|error| no_local_server(data.path(), &error, else_do))?;
        let client = build(builder(false).unix_socket(socket))?;
        let base =
            Url::parse("http://localhost").map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self { client, base, key: None, place: Place::Local(data.path().to_owned()) })
    }

    fn at(address: &str, key: Option<String>) -> Result<Self> {
        let bad = |why: &str| {
            Failure::usage(format!(
                "{address} is no address of a server: {why}. Write it as https://licensing.example.com"
            ))
        };
        let base = Url::parse(address).map_err(|error| bad(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") || !base.has_host() {
            return Err(bad("it has to begin with https:// or http://"));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err(bad("it must not hold credentials"));
        }
        let tls = base.scheme() == "https";
        let here = is_loopback(&base);
        if !tls && !here {
            eprintln!("coditect: credentials cross the network in the clear; use https://");
        }
        Ok(Self { client: client(tls, here)?, base, key, place: Place::Remote })
    }

    /// Where a local server listens, from here.
    pub async fn own_address(&self) -> Result<String> {
        let settings = self.get(&["admin", "settings"], &[]).await?;
        let listen = settings["items"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|setting| word(setting, "key") == "server.listen")
            .and_then(|setting| word(setting, "value").trim_matches('"').parse::<SocketAddr>().ok())
            .filter(|listen| listen.port() != 0);
        let Some(mut listen) = listen else {
            return Err(Failure::usage("say where the server listens, with --server URL"));
        };
        match listen.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        Ok(format!("http://{listen}"))
    }
}

/// The address of the server that is meant; `None`: the one on the data folder.
pub fn elsewhere(via: &Via, settings: &Settings) -> Option<String> {
    // Whoever names a data folder means the server on it, whatever the environment says.
    let data_named = settings.name_a_server();
    via.server.clone().or_else(|| environment("CODITECT_SERVER").filter(|_| !data_named))
}

fn environment(name: &str) -> Option<String> {
    config::environment().find(|(n, value)| n == name && !value.is_empty()).map(|(_, value)| value)
}

/// What every connection has in common. Where there is no TLS no certificates are loaded: a
/// computer without any can still be asked over its socket.
fn builder(tls: bool) -> reqwest::ClientBuilder {
    let builder = Client::builder()
        .user_agent(concat!("coditect/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIME)
        // A key is for the server that was named, not for where that leads.
        .redirect(redirect::Policy::none());
    if tls { builder } else { builder.tls_certs_only([]) }
}

/// What asks a server elsewhere, or on this computer.
pub fn client(tls: bool, here: bool) -> Result<Client> {
    let mut client = builder(tls);
    if here {
        client = client.no_proxy();
    }
    if let Some(file) = environment("CODITECT_CA_FILE").filter(|_| tls) {
        client = client.tls_certs_merge(authorities(Path::new(&file))?);
    }
    build(client)
}

/// The certificate authorities in a PEM file, for a server that has its certificate from one's own.
fn authorities(file: &Path) -> Result<Vec<Certificate>> {
    let bad = |why: String| Failure::failed(format!("CODITECT_CA_FILE {}: {why}", file.display()));
    let pem = secret::read(file, CA_BYTES_MAX).map_err(|error| bad(error.to_string()))?;
    Certificate::from_pem_bundle(pem.as_bytes()).map_err(|error| bad(root_cause(&error)))
}

fn build(builder: reqwest::ClientBuilder) -> Result<Client> {
    builder.build().map_err(|error| Failure::failed(root_cause(&error)))
}

pub fn is_loopback(url: &Url) -> bool {
    match url.host_str() {
        Some("localhost") => true,
        Some(host) => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        None => false,
    }
}

fn no_local_server(data: &Path, error: &std::io::Error, else_do: &str) -> Failure {
    let folder = data.display();
    match error.kind() {
        // The socket of a server that was killed stays, and refuses.
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            let demo = Path::new("coditect-demo");
            let also = if data != demo && demo.join("admin.sock").exists() {
                "\nA demo server runs here: ask it with --data coditect-demo."
            } else {
                ""
            };
            Failure::new(
                Exit::Unavailable,
                format!(
                    "no server runs on {folder}. Is --data right? `coditect serve --data {folder}` \
                     starts one; --server URL asks one elsewhere.{also}"
                ),
            )
        }
        ErrorKind::PermissionDenied => Failure::new(
            Exit::Denied,
            format!(
                "{folder} belongs to another user. Run this as the user of the server, for instance \
                 with `sudo -u coditect`, or {else_do}"
            ),
        ),
        _ => Failure::new(Exit::Unavailable, format!("the server on {folder}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_a_server() {
        for address in ["licensing.example.com", "ftp://x", "https://", "https://me:secret@x", "/x"]
        {
            let Err(failure) = Http::at(address, None) else { panic!("{address}") };
            assert_eq!(failure.exit, Exit::Usage, "{address}");
        }
        for address in ["http://127.0.0.1:8750", "http://localhost/", "http://[::1]:8750/licensing"]
        {
            assert!(Http::at(address, None).is_ok(), "{address}");
            assert!(is_loopback(&Url::parse(address).unwrap()), "{address}");
        }
        assert!(!is_loopback(&Url::parse("http://192.0.2.1").unwrap()));
    }

    #[test]
    fn whoever_may_not_open_the_folder_is_told_what_is_left() {
        let denied = ErrorKind::PermissionDenied.into();
        let told = no_local_server(Path::new("data"), &denied, "use --server URL");
        assert_eq!(told.exit, Exit::Denied);
        assert!(told.text.starts_with("data belongs to another user"), "{}", told.text);
        assert!(told.text.ends_with(", or use --server URL"), "{}", told.text);
    }
}
