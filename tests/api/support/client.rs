//! Who calls the server, and what every answer must be.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::ops::Deref;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use super::{items, members, text};

/// Somebody who has signed in.
pub struct Person {
    client: Client,
    /// The newest one.
    pub refresh_token: String,
    /// The account.
    pub user: Value,
}

impl Person {
    /// Whoever a sign-in answered about, calling with its access token.
    pub fn new(client: Client, tokens: &Value) -> Self {
        Self { client, refresh_token: text(&tokens["refresh_token"]), user: tokens["user"].clone() }
    }

    /// The same person, calling with an API key, which lasts while time passes.
    pub fn with_key(&self, key: &str) -> Self {
        let (refresh_token, user) = (self.refresh_token.clone(), self.user.clone());
        Self { client: self.client.with_bearer(key), refresh_token, user }
    }
}

impl Deref for Person {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Calls the server, with or without a bearer token.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    bearer: Option<String>,
    org: Option<String>,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .user_agent("coditect-tests/1")
            .build()
            .unwrap();
        Self { http, base: format!("http://{address}"), bearer: None, org: None }
    }

    /// The same caller with another token.
    pub fn with_bearer(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self.clone() }
    }

    /// The same caller for this organisation.
    pub fn in_org(&self, org_id: &Value) -> Self {
        Self { org: Some(text(org_id)), ..self.clone() }
    }

    /// The token that it calls with.
    pub fn bearer(&self) -> Option<String> {
        self.bearer.clone()
    }

    /// The organisation that it calls for, where it names one.
    pub fn org(&self) -> Option<&str> {
        self.org.as_deref()
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = match &self.bearer {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        match &self.org {
            Some(org_id) => request.header("coditect-organisation", org_id),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// A POST without a body.
    pub async fn post_nothing(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.with_body(Method::POST, path, &body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.with_body(Method::PATCH, path, &body).await
    }

    pub async fn with_body(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(self.request(method, path).json(body)).await
    }

    /// A POST of these bytes as JSON.
    pub async fn post_raw(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(
            self.request(Method::POST, path).header("content-type", "application/json").body(body),
        )
        .await
    }

    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let asked = format!("{} {}", request.method(), request.url().path());
        let response =
            self.http.execute(request).await.unwrap_or_else(|error| panic!("{asked}: {error:?}"));
        Answer::read(asked, response).await
    }
}

/// An answer that keeps what all answers promise: a request id, safe headers, and a problem in the
/// product's own form where it is none of the good ones.
pub struct Answer {
    asked: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// Null where the answer is no JSON.
    pub body: Value,
}

impl Answer {
    async fn read(asked: String, response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or_default();
        let answer = Self { asked, status, headers, text, body };
        answer.check_promises();
        answer
    }

    fn check_promises(&self) {
        let told = self.told();
        assert!(!self.header("x-request-id").is_empty(), "a request id: {told}");
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{told}");
        let policy = self.header("content-security-policy");
        assert!(
            policy.contains("default-src") && policy.contains("frame-ancestors 'none'"),
            "{told}"
        );
        assert!(!policy.contains("unsafe"), "{told}");
        // What is no redirect says whether it may be kept.
        assert!(self.status == 302 || !self.header("cache-control").is_empty(), "{told}");
        assert!(!matches!(self.status, 422 | 500..=502), "{told}");
        // Readiness is told in its own words by /health/ready.
        if self.status >= 400
            && !(self.status == 503 && self.header("content-type") == "application/json")
        {
            self.check_problem();
        }
    }

    fn check_problem(&self) {
        let told = self.told();
        if self.asked.contains("/scim/v2") {
            self.check_scim_error();
        } else {
            assert_eq!(self.header("content-type"), "application/problem+json", "{told}");
            assert_eq!(self.body["status"], self.status, "{told}");
            for member in ["type", "title", "detail", "code"] {
                assert!(
                    self.body[member].as_str().is_some_and(|text| !text.is_empty()),
                    "{member}: {told}"
                );
            }
            let code = self.code();
            assert!(
                code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
                "snake_case: {told}"
            );
        }
        let promised: &[&str] = match self.status {
            401 => &["www-authenticate"],
            405 => &["allow"],
            429 => &["retry-after", "ratelimit", "ratelimit-policy"],
            503 => &["retry-after"],
            _ => &[],
        };
        for name in promised {
            assert!(!self.header(name).is_empty(), "{name}: {told}");
        }
    }

    /// What a directory reads of an error (RFC 7644, section 3.12).
    fn check_scim_error(&self) {
        let told = self.told();
        assert_eq!(self.header("content-type"), "application/scim+json", "{told}");
        let schemas = &self.body["schemas"];
        assert_eq!(schemas[0], "urn:ietf:params:scim:api:messages:2.0:Error", "{told}");
        assert_eq!(self.body["status"], self.status.to_string(), "{told}");
        assert!(self.body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{told}");
    }

    /// A refusal in SCIM, with its `scimType`; what it says.
    #[track_caller]
    pub fn refused_in_scim(self, status: u16, scim_type: Option<&str>) -> String {
        let told = self.body["scimType"].as_str();
        assert_eq!((self.status, told), (status, scim_type), "{}", self.told());
        text(&self.body["detail"])
    }

    /// The answer for people who read why a test failed.
    fn told(&self) -> String {
        let mut told = format!("{} answered {}\n", self.asked, self.status);
        for (name, value) in &self.headers {
            let _ = writeln!(told, "{name}: {value:?}");
        }
        told + &self.text
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Seconds after which trying again makes sense.
    pub fn retry_after(&self) -> u32 {
        self.header("retry-after")
            .parse()
            .unwrap_or_else(|_| panic!("Retry-After: {}", self.told()))
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    /// The body of a good answer with this status.
    #[track_caller]
    pub fn ok(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.told());
        self.body
    }

    /// The items of a list.
    #[track_caller]
    pub fn list(self) -> Vec<Value> {
        let page = self.ok(200);
        assert_eq!(members(&page), ["items", "next_cursor"]);
        items(&page).to_vec()
    }

    /// The problem with this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.told());
        self.body
    }

    /// A refusal because of one field.
    #[track_caller]
    pub fn refused_field(self, field: &str) -> Value {
        assert_eq!((self.status, self.code()), (400, "validation_failed"), "{}", self.told());
        assert_eq!(self.body["errors"][0]["field"], field, "{}", self.told());
        assert!(self.body["errors"][0]["message"].is_string(), "{}", self.told());
        self.body
    }
}
