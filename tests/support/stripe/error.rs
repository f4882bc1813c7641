//! Errors in Stripe's form.

use serde_json::{Map, Value, json};

pub type Result<T> = std::result::Result<T, StripeError>;

#[derive(Clone, Debug)]
pub struct StripeError {
    pub status: u16,
    /// `type`, and `code`, `param`, `decline_code` where there is one.
    members: Vec<(&'static str, String)>,
    message: String,
}

impl StripeError {
    pub fn new(status: u16, kind: &str, message: &str) -> Self {
        Self { status, members: vec![("type", kind.to_owned())], message: message.to_owned() }
    }

    /// A request that cannot be done as it is: 400.
    pub fn invalid(code: &str, param: &str, message: &str) -> Self {
        Self::new(400, "invalid_request_error", message).with("code", code).with("param", param)
    }

    /// A request that does not fit the state of things: 400 without a code.
    pub fn refused(message: &str) -> Self {
        Self::new(400, "invalid_request_error", message)
    }

    /// What is named by the path is not there: 404.
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::missing(kind, "id", id).status(404)
    }

    /// What is named by a parameter is not there: 400.
    pub fn missing(kind: &str, param: &str, id: &str) -> Self {
        Self::invalid("resource_missing", param, &format!("No such {kind}: '{id}'"))
    }

    pub fn declined() -> Self {
        Self::new(402, "card_error", "Your card was declined.")
            .with("code", "card_declined")
            .with("decline_code", "generic_decline")
    }

    /// What is answered with this status for no reason of the request's.
    pub fn fault(status: u16) -> Self {
        match status {
            429 => Self::new(429, "invalid_request_error", "Too many requests.")
                .with("code", "rate_limit"),
            400..500 => Self::new(status, "invalid_request_error", "You cannot do that."),
            _ => Self::new(status, "api_error", "An unknown error occurred."),
        }
    }

    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.members.push((name, value.to_owned()));
        self
    }

    pub fn body(&self) -> Value {
        let mut error = Map::new();
        for (name, value) in &self.members {
            error.insert((*name).to_owned(), json!(value));
        }
        error.insert("message".to_owned(), json!(self.message));
        json!({ "error": error })
    }
}
