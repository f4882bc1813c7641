//! Calls to issuers: short, small, and only where they may lead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, RequestBuilder, Url, redirect};

const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// Discovery documents and key sets have a few kilobytes.
const BODY_BYTES_MAX: usize = 512 * 1024;

/// Whose word it is that an issuer may be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// The operator's: anywhere.
    Anywhere,
    /// A customer's: at public addresses and encrypted, so that this server is no way into its own network.
    PublicAlone,
}

/// Calls issuers. The clients are made when they are first used: the certificates that they trust take
/// time to read and memory to keep, and most servers never ask an issuer.
#[derive(Clone)]
pub struct Http {
    clients: Arc<Clients>,
    reach: Reach,
}

#[derive(Default)]
struct Clients {
    usual: OnceLock<Client>,
    /// For a stand-in on this computer: no certificates are loaded, and no proxy is asked.
    plain: OnceLock<Client>,
}

impl Http {
    /// Prepares the calls.
    pub fn new(reach: Reach) -> Self {
        Self { clients: Arc::default(), reach }
    }

    /// A GET.
    pub async fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let url = self.allowed(url)?;
        let request = self.client_for(&url)?.get(url).header("accept", "application/json");
        send(request).await.and_then(good)
    }

    /// A GET as whoever a token was given to.
    pub async fn get_as(&self, url: &str, token: &str) -> Result<Vec<u8>, String> {
        let url = self.allowed(url)?;
        let request = self.client_for(&url)?.get(url).bearer_auth(token);
        send(request.header("accept", "application/json")).await.and_then(good)
    }

    /// A POST of a form, with the client's name and secret in the header where they are given; the status
    /// and the answer.
    pub async fn post(
        &self,
        url: &str,
        form: &[(&str, &str)],
        basic: Option<(&str, &str)>,
    ) -> Result<(u16, Vec<u8>), String> {
        let url = self.allowed(url)?;
        let mut request = self.client_for(&url)?.post(url).form(form);
        if let Some((name, secret)) = basic {
            // RFC 6749, section 2.3.1: each is form-encoded first.
            request = request.basic_auth(form_encoded(name), Some(form_encoded(secret)));
        }
        send(request.header("accept", "application/json")).await
    }

    fn client_for(&self, url: &Url) -> Result<&Client, String> {
        let plain = url.scheme() == "http";
        let client = if plain { &self.clients.plain } else { &self.clients.usual };
        if let Some(made) = client.get() {
            return Ok(made);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("coditect/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        if plain {
            builder = builder.tls_certs_only([]).no_proxy();
        } else if self.reach == Reach::PublicAlone {
            // A proxy would resolve the name itself.
            builder = builder.no_proxy().dns_resolver(Arc::new(PublicAddresses));
        }
        let made = builder.build().map_err(|why| why.to_string())?;
        Ok(client.get_or_init(|| made))
    }

    /// The address, where it may be called.
    pub fn allowed(&self, text: &str) -> Result<Url, String> {
        let url = Url::parse(text).map_err(|_| "its address is none".to_owned())?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() || has_user(&url) {
            return Err("its address is not of the form https://host/path".to_owned());
        }
        if self.reach == Reach::PublicAlone {
            if url.scheme() != "https" {
                return Err("its address does not begin with https://".to_owned());
            }
            // What is written as an address is never resolved.
            let host = url.host_str().unwrap_or_default();
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            if bare.parse::<IpAddr>().is_ok_and(|address| !is_public(address)) {
                return Err(NOT_PUBLIC.to_owned());
            }
        }
        Ok(url)
    }
}

const NOT_PUBLIC: &str = "its name is not known, or its address is a private one, which this server does not call for an organisation (oidc.allow_private_issuers)";

fn has_user(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

async fn send(request: RequestBuilder) -> Result<(u16, Vec<u8>), String> {
    let mut answer = request.send().await.map_err(|error| cause(&error))?;
    let status = answer.status().as_u16();
    let mut body = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| cause(&error))? {
        if body.len() + part.len() > BODY_BYTES_MAX {
            return Err("its answer is too long".to_owned());
        }
        body.extend_from_slice(&part);
    }
    Ok((status, body))
}

fn good((status, body): (u16, Vec<u8>)) -> Result<Vec<u8>, String> {
    if status == 200 { Ok(body) } else { Err(format!("it answered {status}")) }
}

fn form_encoded(text: &str) -> String {
    let mut url = Url::parse("x:/").expect("a constant that is a URL");
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

/// Without the address, which may name what it must not.
fn cause(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    source.to_string()
}

/// Resolves names to public addresses alone. The connection is made to what is answered here, so that a
/// name cannot mean another address a moment later.
struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Whether there is such a name inside is nobody's business either.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let found = found.map_err(|_| NOT_PUBLIC)?;
            let public: Vec<SocketAddr> = found.filter(|found| is_public(found.ip())).collect();
            if public.is_empty() {
                return Err(NOT_PUBLIC.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet (the special ones: RFC 6890 and its registry).
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Carriers' own networks, protocol assignments, benchmarks.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // 2000::/3 is all that is given out; of it not what carries an IPv4 address, examples, or protocols.
    let global = segments[0] & 0xe000 == 0x2000;
    let special = match segments[0] {
        0x2001 => segments[1] < 0x0200 || segments[1] == 0x0db8,
        0x2002 => true,
        0x3fff => segments[1] < 0x1000,
        _ => false,
    };
    global && !special
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_only_this_server_reaches_is_not_public() {
        for inside in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "192.0.0.8",
            "192.0.2.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "fd12::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
        ] {
            assert!(!is_public(inside.parse().unwrap()), "{inside}");
        }
        for outside in ["8.8.8.8", "172.32.0.1", "100.63.0.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(is_public(outside.parse().unwrap()), "{outside}");
        }
    }

    #[test]
    fn an_organisations_issuer_is_called_encrypted_and_outside_alone() {
        let http = Http::new(Reach::PublicAlone);
        for refused in [
            "http://issuer.example",
            "https://127.0.0.1/x",
            "https://[::1]:8443/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://user:secret@issuer.example",
            "file:///etc/passwd",
            "https:///",
            "",
            "https://[::ffff:169.254.169.254]/latest",
        ] {
            assert!(http.allowed(refused).is_err(), "{refused}");
        }
        http.allowed("https://issuer.example/tenant").unwrap();
        let http = Http::new(Reach::Anywhere);
        http.allowed("http://127.0.0.1:8080/realms/a").unwrap();
        assert!(http.allowed("https://user@issuer.example").is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_resolved() {
        let resolved = PublicAddresses.resolve("localhost".parse().unwrap()).await;
        assert!(resolved.is_err());
    }
}
