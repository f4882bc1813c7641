//! The calls over HTTP: keys, faults, idempotency, and the transcript.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use poem::http::{HeaderMap, StatusCode};
use poem::{Request, Response};
use serde_json::{Value, json};

use super::calls;
use super::error::StripeError;
use super::form::Params;
use super::shape::public;
use super::world::{World, nobody};

/// An answer is kept so long for its idempotency key.
const KEPT_SECONDS: i64 = 24 * 3_600;

/// What goes wrong on the way.
#[derive(Default)]
pub struct Faults {
    pub down: bool,
    /// So many requests get this status, and nothing is done.
    pub fail_next: (u32, u16),
    /// So many requests are done, and their answers lost.
    pub lose_next: u32,
    /// From the effect of a request to its answer.
    pub slow: Duration,
}

/// Stripe and the way to it.
pub struct Service {
    pub world: World,
    pub faults: Faults,
    secret_key: String,
    requests: u64,
    /// Answers by idempotency key.
    kept: HashMap<String, Kept>,
}

struct Kept {
    /// Method, path and parameters.
    request: String,
    at: i64,
    answer: Answer,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    body: String,
    /// Not what Stripe would have said, so that nobody checks it.
    is_fault: bool,
    is_replay: bool,
}

impl Answer {
    fn json(status: u16, body: &Value) -> Self {
        Self { status, body: body.to_string(), is_fault: false, is_replay: false }
    }

    fn error(error: &StripeError) -> Self {
        Self::json(error.status, &error.body())
    }

    /// As a proxy in between says it.
    fn of_a_proxy(status: u16) -> Self {
        let body = format!("<html><body><h1>{status}</h1></body></html>");
        Self { status, body, is_fault: true, is_replay: false }
    }
}

/// A request as it came.
struct Asked {
    method: String,
    path: String,
    query: String,
    form: String,
    headers: HeaderMap,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn idempotency_key(&self) -> Option<&str> {
        (self.method == "POST").then(|| self.header("idempotency-key")).flatten()
    }
}

impl Service {
    pub fn new(world: World, secret_key: &str) -> Self {
        Self {
            world,
            faults: Faults::default(),
            secret_key: secret_key.to_owned(),
            requests: 0,
            kept: HashMap::new(),
        }
    }

    fn handle(&mut self, asked: &Asked) -> Answer {
        self.requests += 1;
        self.world.read_clock();
        let answer = self.through_faults(asked);
        let answer = if self.faults.lose_next > 0 && !answer.is_fault {
            self.faults.lose_next -= 1;
            Answer::of_a_proxy(502)
        } else {
            answer
        };
        self.write_down(asked, &answer);
        answer
    }

    fn through_faults(&mut self, asked: &Asked) -> Answer {
        if self.faults.down {
            return Answer::of_a_proxy(503);
        }
        if let Err(error) = self.authenticate(asked) {
            return Answer::error(&error);
        }
        let Some(key) = asked.idempotency_key() else { return self.execute(asked) };
        if key.is_empty() || key.len() > 255 {
            let message = "Idempotency-Key must be 1 to 255 characters long.";
            return Answer::error(&StripeError::refused(message));
        }
        let request = format!("{} {}?{}", asked.path, asked.query, sorted(&asked.form));
        let kept = self.kept.get(key).filter(|kept| self.world.now - kept.at < KEPT_SECONDS);
        match kept {
            Some(kept) if kept.request == request => {
                Answer { is_replay: true, ..kept.answer.clone() }
            }
            Some(_) => Answer::error(&StripeError::new(
                400,
                "idempotency_error",
                &format!(
                    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '{key}' if you meant to execute a different request."
                ),
            )),
            None => {
                let answer = self.execute(asked);
                if answer.status < 300 || answer.status == 402 || answer.status >= 500 {
                    let kept = Kept { request, at: self.world.now, answer: answer.clone() };
                    self.kept.insert(key.to_owned(), kept);
                }
                answer
            }
        }
    }

    fn authenticate(&self, asked: &Asked) -> Result<(), StripeError> {
        let given = asked.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let message = match given {
            Some(key) if key == self.secret_key => return Ok(()),
            Some(key) => {
                let start: String = key.chars().take(8).collect();
                format!("Invalid API Key provided: {start}*****")
            }
            None => "You did not provide an API key.".to_owned(),
        };
        Err(StripeError::new(401, "invalid_request_error", &message))
    }

    fn execute(&mut self, asked: &Asked) -> Answer {
        if self.faults.fail_next.0 > 0 {
            self.faults.fail_next.0 -= 1;
            return Answer::error(&StripeError::fault(self.faults.fail_next.1));
        }
        let raw =
            if asked.method == "GET" || asked.form.is_empty() { &asked.query } else { &asked.form };
        let params = Params::parse(raw);
        let path: Vec<&str> = asked.path.trim_start_matches("/v1/").split('/').collect();
        self.world.cause = json!({
            "id": format!("req_{:06}", self.requests),
            "idempotency_key": asked.idempotency_key(),
        });
        let result = calls::answer(&mut self.world, &asked.method, &path, &params);
        self.world.cause = nobody();
        let result = result.and_then(|object| {
            let mut shown = public(&object);
            for path in params.texts("/expand") {
                self.world.expand(&mut shown, path)?;
            }
            Ok(shown)
        });
        match result {
            Ok(shown) => Answer::json(200, &shown),
            Err(error) => Answer::error(&error),
        }
    }

    fn write_down(&mut self, asked: &Asked, answer: &Answer) {
        let mut headers = json!({});
        for name in ["authorization", "content-type", "idempotency-key", "stripe-version"] {
            if let Some(value) = asked.header(name) {
                headers[name] = json!(value);
            }
        }
        let query = if asked.query.is_empty() { "" } else { "?" };
        let mut line = json!({
            "method": asked.method, "path": format!("{}{query}{}", asked.path, asked.query),
            "headers": headers, "form": asked.form, "status": answer.status,
        });
        line["body"] = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
        if answer.is_fault {
            line["fault"] = json!(true);
        }
        self.world.transcript.push(line);
    }
}

/// A form with its parameters in an order of their own, which the sender's does not change.
fn sorted(form: &str) -> String {
    let mut parts: Vec<&str> = form.split('&').collect();
    parts.sort_unstable();
    parts.join("&")
}

/// Answers one request.
pub async fn serve(service: Arc<Mutex<Service>>, mut request: Request) -> Response {
    let form = request.take_body().into_string().await.unwrap_or_default();
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        form,
        headers: request.headers().clone(),
    };
    let (answer, slow, number) = {
        let mut service = service.lock();
        let answer = service.handle(&asked);
        (answer, service.faults.slow, service.requests)
    };
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    let content_type = if answer.is_fault { "text/html" } else { "application/json" };
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap())
        .header("Content-Type", content_type)
        .header("Request-Id", format!("req_{number:06}"));
    if let Some(version) = asked.header("stripe-version") {
        response = response.header("Stripe-Version", version);
    }
    if let Some(key) = asked.idempotency_key() {
        response = response.header("Idempotency-Key", key);
    }
    if answer.is_replay {
        response = response.header("Idempotent-Replayed", "true");
    }
    response.body(answer.body)
}
