//! Issuers that nobody here wrote, in processes of their own, and a browser that goes there and back.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{PUBLIC_URL, TestApp, text};

/// An issuer, ended with the test.
pub struct Peer {
    process: Child,
    /// Read no further, but open: some say more later.
    _told: BufReader<ChildStdout>,
    /// Its `iss`.
    pub issuer: String,
    control: String,
    http: reqwest::Client,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

impl Peer {
    fn run(command: &mut Command) -> (Child, BufReader<ChildStdout>, Vec<String>) {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut told = BufReader::new(process.stdout.take().unwrap());
        told.read_line(&mut line).unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        assert_eq!(words.first().map(String::as_str), Some("ready"), "run `tests/all.sh tools`");
        (process, told, words)
    }

    fn node(args: &[&str]) -> Self {
        let browser = root().join("tests/browser");
        let there = browser.join("node_modules/oauth2-mock-server").exists();
        assert!(there, "there is no oauth2-mock-server: run `tests/all.sh tools`");
        let (process, told, words) =
            Self::run(Command::new("node").arg(browser.join("oidc.js")).args(args));
        let (issuer, control) = (words[1].clone(), words[2].clone());
        Self { process, _told: told, issuer, control, http: http() }
    }

    /// oauth2-mock-server, which signs what it is told to.
    pub fn mock() -> Self {
        Self::node(&["mock"])
    }

    /// oidc-provider, which is certified, for the clients of these providers' names.
    pub fn certified(names: &[&str]) -> Self {
        let uris: Vec<String> = names.iter().map(|name| redirect_uri(name)).collect();
        let args: Vec<&str> =
            std::iter::once("provider").chain(uris.iter().map(String::as_str)).collect();
        Self::node(&args)
    }

    /// oidc-provider-mock, written in another language.
    pub fn python() -> Self {
        let program = root().join(".venv/bin/python");
        assert!(program.exists(), "there is no .venv: run `tests/all.sh tools`");
        let (process, told, words) =
            Self::run(Command::new(program).arg(root().join("tests/python/oidc_mock.py")));
        let issuer = format!("http://127.0.0.1:{}", words[1]);
        Self { process, _told: told, issuer, control: String::new(), http: http() }
    }

    pub async fn tell(&self, what: Value) -> Value {
        let answer = self.http.post(&self.control).json(&what).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// An ID token of the mock; null takes a claim away.
    pub async fn token(&self, claims: Value) -> String {
        self.token_made(claims, "").await
    }

    /// The same, made in a wrong way.
    pub async fn token_made(&self, claims: Value, how: &str) -> String {
        text(&self.tell(json!({"do": "token", "claims": claims, "how": how})).await["token"])
    }

    /// What the mock's next tokens of the code flow say.
    pub async fn says(&self, claims: Value) {
        self.tell(json!({"do": "next", "claims": claims})).await;
    }

    /// How often its keys were asked for.
    pub async fn keys_asked(&self) -> u64 {
        self.tell(json!({"do": "asked"})).await["keys"].as_u64().unwrap()
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

/// Where the issuer sends browsers back.
pub fn redirect_uri(provider: &str) -> String {
    format!("{PUBLIC_URL}/api/v1/auth/oidc/{provider}/callback")
}

/// A browser: keeps cookies by origin, and reaches the server by its public address.
pub struct Browser {
    http: reqwest::Client,
    server: String,
    /// By origin, then by name.
    pub cookies: BTreeMap<String, BTreeMap<String, String>>,
}

/// Where a browser ended.
#[derive(Debug)]
pub struct Seen {
    pub status: u16,
    /// The address it was sent on to; empty where it was not.
    pub location: String,
    pub set_cookie: String,
    pub body: String,
}

fn origin(url: &str) -> String {
    reqwest::Url::parse(url).unwrap().origin().ascii_serialization()
}

impl Browser {
    pub fn new(app: &TestApp) -> Self {
        let server = format!("http://{}", app.address);
        Self { http: http(), server, cookies: BTreeMap::new() }
    }

    pub async fn ask(&mut self, method: Method, url: &str, form: &[(&str, &str)]) -> Seen {
        let (home, real) = (origin(url), url.replacen(PUBLIC_URL, &self.server, 1));
        let mut request = self.http.request(method.clone(), real);
        if method == Method::POST {
            request = request.form(form);
        }
        if let Some(jar) = self.cookies.get(&home) {
            let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header("cookie", pairs.join("; "));
        }
        let answer = request.send().await.unwrap();
        let mut set = String::new();
        for value in answer.headers().get_all("set-cookie") {
            set = value.to_str().unwrap().to_owned();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            let jar = self.cookies.entry(home.clone()).or_default();
            if value.is_empty() {
                jar.remove(name);
            } else {
                jar.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = answer.headers().get("location").map(|it| it.to_str().unwrap().to_owned());
        let base = reqwest::Url::parse(url).unwrap();
        let location = location.map(|to| base.join(&to).unwrap().to_string()).unwrap_or_default();
        let status = answer.status().as_u16();
        Seen { status, location, set_cookie: set, body: answer.text().await.unwrap() }
    }

    pub async fn get(&mut self, url: &str) -> Seen {
        self.ask(Method::GET, url, &[]).await
    }

    /// Begins a sign-in; the issuer's address.
    pub async fn start(&mut self, provider: &str) -> String {
        let seen = self.get(&format!("{PUBLIC_URL}/api/v1/auth/oidc/{provider}/start")).await;
        assert_eq!(seen.status, 302, "{seen:?}");
        seen.location
    }

    /// Goes on from an address until the server leads to its page; what follows `#` there, or the page at
    /// which the way ended.
    pub async fn follow(&mut self, mut url: String) -> Result<String, (String, Seen)> {
        for _ in 0..20 {
            if let Some(page) = url.strip_prefix(&format!("{PUBLIC_URL}/admin")) {
                return Ok(page.trim_start_matches('#').to_owned());
            }
            let seen = self.get(&url).await;
            if seen.location.is_empty() {
                return Err((url, seen));
            }
            url = seen.location;
        }
        panic!("it goes round in circles at {url}");
    }

    /// The same up to where the issuer leads back: the address of the return, not yet followed.
    pub async fn way_back(&mut self, mut url: String) -> String {
        for _ in 0..20 {
            if url.starts_with(PUBLIC_URL) {
                return url;
            }
            let seen = self.get(&url).await;
            assert!(!seen.location.is_empty(), "{url}: {seen:?}");
            url = seen.location;
        }
        panic!("it goes round in circles at {url}");
    }

    /// Signs in and agrees at oidc-provider's pages, as whom it says; what follows `#` at the end.
    pub async fn agree(&mut self, url: String, whom: &str) -> String {
        let mut ended = self.follow(url).await;
        for prompt in ["login", "consent"] {
            let (at, seen) = match ended {
                Ok(fragment) => return fragment,
                Err(ended) => ended,
            };
            assert!(seen.body.contains("prompt"), "{at}: {seen:?}");
            let form = [("prompt", prompt), ("login", whom), ("password", "any")];
            let seen = self.ask(Method::POST, &at, &form).await;
            assert!(!seen.location.is_empty(), "{at}: {seen:?}");
            ended = self.follow(seen.location).await;
        }
        ended.unwrap()
    }

    /// The cookie that the server gave.
    pub fn cookie(&self) -> String {
        let jar = self.cookies.get(PUBLIC_URL).cloned().unwrap_or_default();
        let pairs: Vec<_> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }
}
