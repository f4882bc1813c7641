//! The pages inside the binary: admin page, API page, handbook, and the code they share.
//!
//! Every file is known when the server starts, under one exact path: there is no path to join, no
//! directory to leave, and nothing is looked up on disk while serving. (A debug build reads the
//! files from the source tree at each start; a release build carries them.)
//!
//! The pages need no network but this server: scripts, styles and pictures come from here, and
//! [`CONTENT_SECURITY_POLICY`] makes the browser hold them to that.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::OnceLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use poem::error::NotFoundError;
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

mod handbook;

/// What a page of ours may do: load from this server, talk to this server, be framed by nobody.
/// No inline script or style is allowed, so markup that slipped into a page could not act.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; font-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const PERMISSIONS_POLICY: &str = "accelerometer=(), camera=(), display-capture=(), \
    geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()";

/// Nothing here is for search engines; an appliance that is reachable need not be listed.
const ROBOTS: &[u8] = b"User-agent: *\nDisallow: /\n";

const METHOD_NOT_ALLOWED: &str = r#"{"type":"/handbook/api#method_not_allowed","title":"The method is not allowed here","status":405,"detail":"A page can only be read: use GET or HEAD.","code":"method_not_allowed"}"#;

#[derive(Embed)]
#[folder = "assets/admin"]
struct Admin;

#[derive(Embed)]
#[folder = "assets/docs"]
struct Docs;

#[derive(Embed)]
#[folder = "assets/handbook"]
struct Handbook;

#[derive(Embed)]
#[folder = "assets/vendor"]
struct Vendor;

/// The pages, each under its path.
///
/// `/` (to `/admin`), `/admin` and `/admin/...`, `/verify-email`, `/reset-password`,
/// `/accept-invitation` and `/confirm-identity` (the admin page again: mails link there), `/docs` and
/// `/docs/...`, `/openapi.json`, `/handbook` and `/handbook/<page>`, `/assets/vendor/...`,
/// `/favicon.svg`, `/robots.txt`. Anything else is left to the caller's own answer for what is not
/// found.
pub struct Pages {
    files: HashMap<String, File>,
    config_reference: fn() -> String,
    /// Written when somebody first reads it.
    handbook: OnceLock<HashMap<String, File>>,
}

impl Pages {
    /// The pages of the binary.
    ///
    /// `config_reference` gives Markdown: the reference of every setting, which only the
    /// configuration itself can tell. It is put into the handbook's page on configuration, under
    /// that page's title; a title of its own (`# ...` on its first line) is left out.
    pub fn new(config_reference: fn() -> String) -> Self {
        Self { files: files(), config_reference, handbook: OnceLock::new() }
    }

    fn file(&self, path: &str) -> Option<&File> {
        if let Some(file) = self.files.get(path) {
            return Some(file);
        }
        path.starts_with("/handbook").then(|| self.handbook().get(path)).flatten()
    }

    fn handbook(&self) -> &HashMap<String, File> {
        self.handbook.get_or_init(|| {
            handbook::pages(&handbook_text, &(self.config_reference)())
                .into_iter()
                .map(|page| (page.path, File::text(content_type("html"), page.html)))
                .collect()
        })
    }
}

impl Endpoint for Pages {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let path = request.uri().path();
        if let Some(file) = self.file(path) {
            return Ok(file.answer(&request));
        }
        match path {
            "/" | "/admin/" => Ok(redirect(&request, "/admin")),
            "/docs/" => Ok(redirect(&request, "/docs")),
            "/handbook/" => Ok(redirect(&request, "/handbook")),
            _ => Err(NotFoundError.into()),
        }
    }
}

/// Puts the headers that every answer to a browser should carry on `headers`, pages or not.
pub fn secure(headers: &mut HeaderMap) {
    let policy = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Links in mails carry tokens: the address of a page is nobody else's business.
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        // frame-ancestors says the same to newer browsers.
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS_POLICY),
    ];
    for (name, value) in policy {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Every path whose file is there as it is, with the file.
fn files() -> HashMap<String, File> {
    let mut files = HashMap::new();
    for name in Admin::iter() {
        let Some(file) = Admin::get(&name) else { continue };
        let paths: &[&str] = match &*name {
            "index.html" => &[
                "/admin",
                "/verify-email",
                "/reset-password",
                "/accept-invitation",
                "/confirm-identity",
            ],
            "favicon.svg" => &["/favicon.svg"],
            _ => &[&format!("/admin/{name}")],
        };
        for path in paths {
            files.insert((*path).to_owned(), File::embedded(&name, file.clone()));
        }
    }
    for name in Docs::iter() {
        let Some(file) = Docs::get(&name) else { continue };
        let path = match &*name {
            "index.html" => "/docs".to_owned(),
            "openapi.json" => "/openapi.json".to_owned(),
            _ => format!("/docs/{name}"),
        };
        files.insert(path, File::embedded(&name, file));
    }
    for name in Vendor::iter() {
        let Some(file) = Vendor::get(&name) else { continue };
        files.insert(format!("/assets/vendor/{name}"), File::embedded(&name, file));
    }
    for name in Handbook::iter().filter(|name| name.ends_with(".css")) {
        let Some(file) = Handbook::get(&name) else { continue };
        files.insert(format!("/handbook/{name}"), File::embedded(&name, file));
    }
    let robots = File::new(content_type("txt"), Cow::Borrowed(ROBOTS), &Sha256::digest(ROBOTS));
    files.insert("/robots.txt".to_owned(), robots);
    files
}

/// The text of one file of the handbook's folder.
fn handbook_text(name: &str) -> Option<String> {
    Handbook::get(name).map(|file| String::from_utf8_lossy(&file.data).into_owned())
}

/// The media type for a file name's ending. Files without one are licence texts.
fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}

/// One file as it is answered: the same bytes until the next start.
struct File {
    body: Cow<'static, [u8]>,
    content_type: &'static str,
    /// The SHA-256 of the body, quoted: a strong validator (RFC 9110, section 8.8.3).
    etag: HeaderValue,
    /// The same for the compressed body, which is another representation.
    etag_packed: HeaderValue,
    /// The body compressed, made when it is first asked for; `None` when that saves nothing.
    packed: OnceLock<Option<Vec<u8>>>,
}

impl File {
    fn new(content_type: &'static str, body: Cow<'static, [u8]>, sha256: &[u8]) -> Self {
        let hex = sha256.iter().fold(String::with_capacity(66), |mut hex, byte| {
            hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            hex
        });
        let quoted = |text: String| {
            HeaderValue::from_str(&format!("\"{text}\""))
                .expect("hexadecimal digits in quotes are a header value")
        };
        let (etag, etag_packed) = (quoted(hex.clone()), quoted(hex + "-gzip"));
        Self { body, content_type, etag, etag_packed, packed: OnceLock::new() }
    }

    fn embedded(name: &str, file: EmbeddedFile) -> Self {
        Self::new(content_type(name), file.data, &file.metadata.sha256_hash())
    }

    fn text(content_type: &'static str, text: String) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        Self::new(content_type, Cow::Owned(text.into_bytes()), &digest)
    }

    /// The answer to a request for this file.
    fn answer(&self, request: &Request) -> Response {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return method_not_allowed();
        }
        let mut response = Response::default();
        let headers = response.headers_mut();
        secure(headers);
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        // A copy may be kept but is asked about each time, so an upgrade shows at once.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(tag) = self.known_to(request) {
            headers.insert(header::ETAG, tag.clone());
            response.set_status(StatusCode::NOT_MODIFIED);
            return response;
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let packed = self.packed_for(request);
        let (tag, length) = match packed {
            Some(packed) => (&self.etag_packed, packed.len()),
            None => (&self.etag, self.body.len()),
        };
        headers.insert(header::ETAG, tag.clone());
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        if packed.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if request.method() == Method::GET {
            match (packed, &self.body) {
                (Some(packed), _) => response.set_body(packed.to_vec()),
                (None, Cow::Borrowed(bytes)) => response.set_body(*bytes),
                (None, Cow::Owned(bytes)) => response.set_body(bytes.clone()),
            }
        }
        response
    }

    /// The compressed body, for a client that reads it. What is served here holds no secret, so that its
    /// compressed size tells nothing.
    fn packed_for(&self, request: &Request) -> Option<&[u8]> {
        if !takes_gzip(request.headers()) {
            return None;
        }
        self.packed.get_or_init(|| gzip(&self.body)).as_deref()
    }

    /// Which of our two validators the client's copy has (RFC 9110, section 13.1.2: weak comparison).
    fn known_to(&self, request: &Request) -> Option<&HeaderValue> {
        let known = request.headers().get_all(header::IF_NONE_MATCH);
        let mut tags =
            known.iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        tags.find_map(|tag| {
            let tag = tag.trim();
            let bare = tag.strip_prefix("W/").unwrap_or(tag).as_bytes();
            if tag == "*" {
                return Some(&self.etag);
            }
            [&self.etag, &self.etag_packed].into_iter().find(|own| own.as_bytes() == bare)
        })
    }
}

/// Whether `Accept-Encoding` names gzip and does not refuse it (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING);
    let mut codings =
        values.iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    codings.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight != Some(0.0)
    })
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 2), Compression::best());
    encoder.write_all(body).ok()?;
    encoder.finish().ok().filter(|packed| packed.len() < body.len())
}

/// Sends the browser to a page's one address.
fn redirect(request: &Request, to: &'static str) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return method_not_allowed();
    }
    let mut response = Response::builder().status(StatusCode::FOUND).finish();
    secure(response.headers_mut());
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(to));
    response
}

fn method_not_allowed() -> Response {
    let mut response = Response::builder()
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .header(header::ALLOW, "GET, HEAD")
        .header(header::CACHE_CONTROL, "no-store")
        .content_type("application/problem+json")
        .body(METHOD_NOT_ALLOWED);
    secure(response.headers_mut());
    response
}
