//! The pages inside the binary: they need nobody else, keep the policy they are served under, and
//! every link in them leads somewhere.

#![allow(
    clippy::case_sensitive_file_extension_comparisons,
    reason = "these are our own files, and all are named in small letters"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io::Read as _;
use std::path::Path;

use coditect::api::problem;
use coditect::domain::error::Code;
use coditect::web;
use figment::Figment;
use figment::providers::{Format, Toml};
use flate2::read::GzDecoder;
use poem::http::{HeaderName, Method, StatusCode, header};
use poem::{Endpoint, Request, Response};
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Stands for the reference that the configuration writes.
const REFERENCE: &str = "# Settings\n\nOf <b>all</b>.\n\n## server\n\n### `server.listen`\n\n\
    - Default: `127.0.0.1:8750`\n\n## log\n";

/// Other origins that may be named: XML namespaces are names and are never fetched, and the
/// handbook's examples speak to the server itself.
/// `example.com` is nobody's (RFC 2606): what an issuer of one's own stands for in the handbook.
const NAMES_ALLOWED: [&str; 3] =
    ["http://www.w3.org/", "http://127.0.0.1:8750", "https://login.example.com"];

/// What the browser loads before it shows a page, all files together as they travel.
const FIRST_BYTES_MAX: usize = 70_000;
/// The same with what is loaded later, for every screen of the page.
const PAGE_BYTES_MAX: usize = 180_000;

// ---- what is vendored -------------------------------------------------------------------------

#[derive(Deserialize)]
struct VendorList {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: String,
    license_file: String,
    integrity: String,
    file: Vec<VendoredFile>,
}

#[derive(Deserialize)]
struct VendoredFile {
    path: String,
    sha256: String,
}

#[test]
fn vendored_files_are_those_that_are_listed_byte_for_byte() {
    let folder = Path::new("assets/vendor");
    let list: VendorList =
        Figment::from(Toml::file(folder.join("VENDOR.toml"))).extract().expect("VENDOR.toml reads");
    let mut listed = BTreeSet::from(["assets/vendor/VENDOR.toml".to_owned()]);
    for package in &list.package {
        let name = &package.name;
        assert!(!package.version.is_empty() && package.integrity.starts_with("sha512-"), "{name}");
        assert!(["MIT", "Apache-2.0"].contains(&&*package.license), "{name}: {}", package.license);
        assert!(folder.join(&package.license_file).is_file(), "{name} has its licence with it");
        for file in &package.file {
            let bytes = fs::read(folder.join(&file.path)).expect("a listed file is there");
            assert_eq!(hex(&Sha256::digest(&bytes)), file.sha256, "{} was changed", file.path);
            listed.insert(format!("assets/vendor/{}", file.path));
        }
    }
    let present: BTreeSet<String> = files_below(folder).into_keys().collect();
    assert_eq!(present, listed, "the folder and the list differ");
}

// ---- what the files may contain ---------------------------------------------------------------

#[test]
fn no_asset_names_another_origin() {
    for (name, text) in own_and_vendored() {
        for scheme in ["http://", "https://", "ws://", "wss://"] {
            for (at, _) in text.match_indices(scheme) {
                let rest = &text[at..];
                let allowed = NAMES_ALLOWED.iter().any(|allowed| rest.starts_with(allowed));
                assert!(allowed, "{name}: {}", rest.chars().take(60).collect::<String>());
            }
        }
        for hidden in ["=\"//", "='//", "url(//", "from\"//", "from \"//"] {
            assert!(!text.contains(hidden), "{name} names another origin without its scheme");
        }
    }
}

#[tokio::test]
async fn no_page_has_inline_script_or_style() {
    for (path, text) in all_pages().await {
        for tag in tags(&text) {
            let name = tag.split([' ', '\n']).next().unwrap_or_default();
            assert_ne!(name, "style", "{path}: <{tag}>");
            assert!(name != "script" || tag.contains(" src=\"/"), "{path}: <{tag}>");
            for attribute in tag.split_whitespace().skip(1) {
                assert!(!attribute.starts_with("style="), "{path}: <{tag}>");
                assert!(!attribute.starts_with("on"), "{path}: <{tag}>");
            }
        }
        let empty = text.matches("></script>").count();
        assert_eq!(text.matches("<script").count(), empty, "{path}: a script has a body");
        assert!(!text.contains("javascript:"), "{path}");
    }
}

#[test]
fn our_scripts_make_no_markup_from_text_and_no_code_from_data() {
    const FORBIDDEN: [&str; 7] = [
        "innerHTML",
        "eval(",
        "new Function",
        "document.write",
        " style=",
        "localStorage",
        "document.cookie",
    ];
    for (name, text) in own_and_vendored() {
        if name.ends_with(".js") && !name.starts_with("assets/vendor/") {
            for forbidden in FORBIDDEN {
                assert!(!text.contains(forbidden), "{name} uses {forbidden}");
            }
        }
    }
}

// ---- how they are served ----------------------------------------------------------------------

#[tokio::test]
async fn each_page_answers_with_its_type_and_the_policy() {
    for (path, content_type) in [
        ("/admin", "text/html; charset=utf-8"),
        ("/verify-email?token=x", "text/html; charset=utf-8"),
        ("/reset-password?token=x", "text/html; charset=utf-8"),
        ("/admin/app.js", "text/javascript; charset=utf-8"),
        ("/admin/base.css", "text/css; charset=utf-8"),
        ("/admin/views/overview.js", "text/javascript; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/handbook", "text/html; charset=utf-8"),
        ("/handbook/seats", "text/html; charset=utf-8"),
        ("/assets/vendor/preact.js", "text/javascript; charset=utf-8"),
        ("/assets/vendor/preact.LICENSE", "text/plain; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
        ("/robots.txt", "text/plain; charset=utf-8"),
    ] {
        let answer = get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(text_of(&answer, "content-type"), content_type, "{path}");
        assert_eq!(text_of(&answer, "cache-control"), "no-cache", "{path}");
        assert_eq!(text_of(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(text_of(&answer, "referrer-policy"), "no-referrer", "{path}");
        assert_eq!(text_of(&answer, "cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(text_of(&answer, "x-frame-options"), "DENY", "{path}");
        assert!(text_of(&answer, "permissions-policy").contains("camera=()"), "{path}");
        let policy = text_of(&answer, "content-security-policy");
        let begin = "default-src 'none'; script-src 'self'; style-src 'self';";
        assert!(policy.starts_with(begin), "{path}: {policy}");
        assert!(policy.ends_with("base-uri 'none'; frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
}

#[tokio::test]
async fn the_root_leads_to_the_admin_page() {
    for (from, to) in
        [("/", "/admin"), ("/admin/", "/admin"), ("/docs/", "/docs"), ("/handbook/", "/handbook")]
    {
        let answer = get(from).await;
        assert_eq!(answer.status(), StatusCode::FOUND, "{from}");
        assert_eq!(text_of(&answer, "location"), to, "{from}");
    }
}

#[tokio::test]
async fn a_copy_that_is_current_is_not_sent_again() {
    let tag = text_of(&get("/admin/app.js").await, "etag");
    let file = fs::read("assets/admin/app.js").expect("the file is there");
    assert_eq!(tag, format!("\"{}\"", hex(&Sha256::digest(file))));

    for known in [tag.clone(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let mut answer = send(Method::GET, "/admin/app.js", Some(&known)).await;
        assert_eq!(answer.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(text_of(&answer, "etag"), tag);
        assert!(body(&mut answer).await.is_empty());
    }
    let other = send(Method::GET, "/admin/app.js", Some("\"other\"")).await;
    assert_eq!(other.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_page_travels_compressed_to_whoever_reads_that() {
    for path in ["/admin", "/admin/app.js", "/admin/style.css", "/handbook/seats"] {
        let plain = body(&mut get(path).await).await;
        let mut packed = get_packed(path).await;
        assert_eq!(text_of(&packed, "content-encoding"), "gzip", "{path}");
        assert_eq!(text_of(&packed, "vary"), "Accept-Encoding", "{path}");
        let tag = text_of(&packed, "etag");
        assert_ne!(tag, text_of(&get(path).await, "etag"), "{path}: another representation");
        let bytes = body(&mut packed).await;
        assert!(bytes.len() < plain.len(), "{path}");
        let mut unpacked = Vec::new();
        GzDecoder::new(&*bytes).read_to_end(&mut unpacked).expect("it is gzip");
        assert_eq!(unpacked, plain, "{path}");
        let known = send(Method::GET, path, Some(&tag)).await;
        assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
    for refused in ["", "br", "gzip;q=0", "gzip; q=0.0, br", "gzipped"] {
        let answer = ask(Method::GET, "/admin", &[(header::ACCEPT_ENCODING, refused)]).await;
        assert!(answer.header(header::CONTENT_ENCODING).is_none(), "{refused}");
        assert_eq!(text_of(&answer, "vary"), "Accept-Encoding", "{refused}");
    }
    for taken in ["gzip", "br, GZIP", "deflate, gzip;q=0.5"] {
        let answer = ask(Method::GET, "/admin", &[(header::ACCEPT_ENCODING, taken)]).await;
        assert_eq!(text_of(&answer, "content-encoding"), "gzip", "{taken}");
    }
}

#[tokio::test]
async fn head_tells_the_length_and_sends_no_body() {
    let mut whole = get("/handbook/seats").await;
    let mut head = send(Method::HEAD, "/handbook/seats", None).await;
    assert_eq!(head.status(), StatusCode::OK);
    let length = body(&mut whole).await.len().to_string();
    assert_eq!(text_of(&head, "content-length"), length);
    assert!(body(&mut head).await.is_empty());
}

#[tokio::test]
async fn a_page_cannot_be_written_to() {
    let mut answer = send(Method::POST, "/admin", None).await;
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(text_of(&answer, "allow"), "GET, HEAD");
    assert_eq!(text_of(&answer, "content-type"), "application/problem+json");
    // Pages and the API say the same of the same.
    let (code, status, title) = problem::table(Code::MethodNotAllowed);
    let told: serde_json::Value = serde_json::from_slice(&body(&mut answer).await).unwrap();
    assert_eq!((&told["code"], &told["title"]), (&code.into(), &title.into()));
    assert_eq!(told["type"], format!("/handbook/api#{code}"));
    assert_eq!(told["status"], status.as_u16());
}

#[tokio::test]
async fn no_path_leads_out_of_the_assets() {
    for path in [
        "/admin/../Cargo.toml",
        "/admin/../../Cargo.toml",
        "/admin/%2e%2e/%2e%2e/Cargo.toml",
        "/admin/..%2f..%2fCargo.toml",
        "/admin/..%5c..%5cCargo.toml",
        "/admin//etc/passwd",
        "/assets/vendor/../mail",
        "/assets/vendor/%00",
        "/handbook/seats.md",
        "/handbook/page.html",
        "/admin/index.html",
        "/nothing",
    ] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

// ---- what belongs together --------------------------------------------------------------------

#[tokio::test]
async fn everything_a_page_loads_is_there_and_small() {
    for page in ["/admin", "/docs", "/handbook/seats"] {
        for (later, bytes_max) in [(false, FIRST_BYTES_MAX), (true, PAGE_BYTES_MAX)] {
            let mut seen = BTreeMap::new();
            let mut waiting = VecDeque::from([page.to_owned()]);
            while let Some(path) = waiting.pop_front() {
                if seen.contains_key(&path) {
                    continue;
                }
                let mut answer = get(&path).await;
                assert_eq!(answer.status(), StatusCode::OK, "{page} loads {path}");
                let is_image = text_of(&answer, "content-type").starts_with("image/");
                let bytes = body(&mut answer).await;
                if !is_image {
                    let text = String::from_utf8_lossy(&bytes);
                    waiting.extend(loaded_by(&path, &text, later));
                }
                let travels = text_of(&get_packed(&path).await, "content-length");
                seen.insert(path, travels.parse::<usize>().expect("a length is a number"));
            }
            let total: usize = seen.values().sum();
            assert!(total < bytes_max, "{page} loads {total} bytes, later: {later}: {seen:#?}");
        }
    }
}

#[tokio::test]
async fn every_link_to_the_handbook_leads_to_a_heading_that_exists() {
    let pages: BTreeMap<String, String> = all_pages().await.into_iter().collect();
    let scripts = own_and_vendored().into_iter().filter(|(name, _)| name.ends_with(".js"));
    let mut checked = 0;
    for (name, text) in pages.clone().into_iter().chain(scripts) {
        for href in after_each(&text, "href=\"") {
            let (path, fragment) = href.split_once('#').unwrap_or((href, ""));
            let path = if path.is_empty() { &*name } else { path };
            if !path.starts_with("/handbook") || path.ends_with(".css") {
                continue;
            }
            let page = pages.get(path).unwrap_or_else(|| panic!("{name}: there is no {path}"));
            let there = fragment.is_empty() || page.contains(&format!("id=\"{fragment}\""));
            assert!(there, "{name}: {path} has no heading {fragment}");
            checked += 1;
        }
    }
    assert!(checked > 100, "only {checked} links were found");
}

#[tokio::test]
async fn the_handbook_takes_the_settings_from_the_configuration() {
    let page = body(&mut get("/handbook/configuration").await).await;
    let page = String::from_utf8(page).expect("a page is UTF-8");
    assert!(page.contains("<h1 id=\"configuration\">"), "the page keeps its own title");
    assert!(!page.contains(">Settings</h1>"), "the reference's title is left out");
    assert!(page.contains("<h3 id=\"server-listen\"><code>server.listen</code></h3>"));
    assert!(page.contains("<a href=\"#server\">server</a>"), "its sections are listed");
    assert!(page.contains("&lt;b&gt;all&lt;/b&gt;"), "markup in it is text");
}

#[tokio::test]
async fn the_handbook_is_whole() {
    let files = files_below(Path::new("assets/handbook")).into_keys();
    let chapters = files.filter(|name| name.ends_with(".md")).count();
    let pages = all_pages().await.into_iter();
    let pages: Vec<_> = pages.filter(|(path, _)| path.starts_with("/handbook")).collect();
    assert_eq!(pages.len(), chapters);
    for (path, text) in pages {
        assert!(!text.contains("<!--") && !text.contains("{{"), "{path}: a mark was left over");
        assert_eq!(text.matches("<h1").count(), 1, "{path}: one title");
        // A chapter that is not in the reading order would be in no list, its own page's neither.
        assert_eq!(text.matches("aria-current=\"page\"").count(), 1, "{path}: marked in the list");
    }
}

#[tokio::test]
async fn every_error_code_is_explained_where_its_type_points() {
    let source = fs::read_to_string("src/domain/error.rs").expect("the source is there");
    let (_, rest) = source.split_once("pub enum Code {").expect("the codes are there");
    let (variants, _) = rest.split_once("\n}").expect("the enum ends");
    let page = body(&mut get("/handbook/api").await).await;
    let page = String::from_utf8(page).expect("a page is UTF-8");
    let mut codes = 0;
    for variant in variants.lines().filter_map(|line| line.trim().strip_suffix(',')) {
        let mut code = String::new();
        for character in variant.chars() {
            if character.is_uppercase() && !code.is_empty() {
                code.push('_');
            }
            code.extend(character.to_lowercase());
        }
        assert!(page.contains(&format!("id=\"{code}\"")), "the handbook does not explain {code}");
        codes += 1;
    }
    assert!(codes > 30, "only {codes} codes were found");
}

#[test]
fn every_test_that_the_checklist_names_is_there() {
    const OURS: [&str; 6] = ["tests/", "src/", "assets/", "packaging/", "Cargo.", ".deny.toml"];
    let page = fs::read_to_string("assets/handbook/asvs.md").expect("the page is there");
    let mut tests = 0;
    let mut missing = Vec::new();
    // Every second part stands between two back quotes.
    for named in page.split('`').skip(1).step_by(2) {
        let (path, test) =
            named.split_once("::").map_or((named, None), |(path, test)| (path, Some(test)));
        if !OURS.iter().any(|beginning| path.starts_with(beginning)) {
            continue;
        }
        let file = fs::read_to_string(path);
        let there =
            file.is_ok_and(|text| test.is_none_or(|name| text.contains(&format!("fn {name}("))));
        if !there {
            missing.push(named);
        }
        tests += usize::from(test.is_some());
    }
    assert!(missing.is_empty(), "the checklist names what is not there: {missing:#?}");
    assert!(tests > 200, "only {tests} tests were found");
}

// ---- helpers ----------------------------------------------------------------------------------

async fn get(path: &str) -> Response {
    send(Method::GET, path, None).await
}

async fn get_packed(path: &str) -> Response {
    ask(Method::GET, path, &[(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd")]).await
}

async fn send(method: Method, path: &str, if_none_match: Option<&str>) -> Response {
    let headers = if_none_match.map(|tag| (header::IF_NONE_MATCH, tag));
    ask(method, path, headers.as_slice()).await
}

async fn ask(method: Method, path: &str, headers: &[(HeaderName, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri_str(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    web::Pages::new(|| REFERENCE.to_owned()).get_response(request.finish()).await
}

async fn body(response: &mut Response) -> Vec<u8> {
    response.take_body().into_vec().await.expect("the body is in memory")
}

fn text_of(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).unwrap_or_else(|| panic!("the answer has no {name}"));
    value.to_str().expect("headers of ours are ASCII").to_owned()
}

/// Every HTML page by its path, as it is served.
async fn all_pages() -> Vec<(String, String)> {
    let chapters = files_below(Path::new("assets/handbook")).into_keys().filter_map(|name| {
        let chapter = name.strip_prefix("assets/handbook/")?.strip_suffix(".md")?;
        Some(if chapter == "index" {
            "/handbook".to_owned()
        } else {
            format!("/handbook/{chapter}")
        })
    });
    let paths = ["/admin", "/verify-email", "/reset-password", "/docs"].map(str::to_owned);
    let mut pages = Vec::new();
    for path in paths.into_iter().chain(chapters) {
        let mut answer = get(&path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let text = String::from_utf8(body(&mut answer).await).expect("a page is UTF-8");
        pages.push((path, text));
    }
    pages
}

/// The text of every asset but licences and the vendoring list.
fn own_and_vendored() -> Vec<(String, String)> {
    ["admin", "docs", "handbook", "vendor"]
        .iter()
        .flat_map(|folder| files_below(&Path::new("assets").join(folder)))
        .filter(|(name, _)| !name.ends_with(".LICENSE") && !name.ends_with("VENDOR.toml"))
        .map(|(name, bytes)| (name, String::from_utf8(bytes).expect("assets are text")))
        .collect()
}

fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder can be listed").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            let bytes = fs::read(&path).expect("the file can be read");
            files.insert(path.to_string_lossy().into_owned(), bytes);
        }
    }
    files
}

/// What stands between each `<` that opens a tag and its `>`.
fn tags(html: &str) -> Vec<&str> {
    let rests = html.split('<').skip(1);
    rests.filter_map(|rest| rest.split_once('>').map(|(tag, _)| tag)).collect()
}

/// What follows each `mark`, up to the next quotation mark.
fn after_each<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    text.split(mark).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The files that a page or a module makes the browser load; `later`: also those that a screen needs
/// when it is shown.
fn loaded_by(path: &str, text: &str, later: bool) -> Vec<String> {
    if path.ends_with(".js") {
        let mut imports = [after_each(text, "from \""), after_each(text, "from\"")].concat();
        if later {
            imports.extend(after_each(text, "import(\""));
        }
        let relative = imports.into_iter().filter(|name| name.starts_with('.'));
        return relative.map(|name| resolve(path, name)).collect();
    }
    let loading = |tag: &&str| tag.starts_with("link ") || tag.contains(" src=\"");
    let named = tags(text).into_iter().filter(loading);
    named
        .flat_map(|tag| [after_each(tag, " href=\""), after_each(tag, " src=\"")].concat())
        .map(str::to_owned)
        .collect()
}

/// A relative module specifier against the module that names it.
fn resolve(base: &str, specifier: &str) -> String {
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in specifier.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
