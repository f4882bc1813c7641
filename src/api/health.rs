//! Is it alive, is it ready, how does it do; and the public key set.

use std::sync::Arc;

use poem::http::StatusCode;
use poem::{IntoResponse, Response};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, Registry};
use poem_openapi::types::{Any, Type};
use poem_openapi::{ApiResponse, Object, OpenApi};
use serde::Serialize;

use super::json::Json;
use super::operator::Storage;
use super::{Answer, Tag};
use crate::services::Services;
use crate::signing::Purpose;
use crate::telemetry::Metrics;

/// The calls of machines that watch, and of those that verify.
pub struct Watch {
    /// The operations.
    pub services: Arc<Services>,
}

/// The process answers.
#[derive(Object, Serialize)]
pub struct Live {
    /// Always `alive`.
    status: String,
    /// The program's version.
    version: String,
}

/// What the server can do now.
#[derive(Object, Serialize)]
pub struct Ready {
    /// `ready`, or `degraded` when writes are refused: reads and heartbeats go on.
    status: String,
    /// Whether writes can be made durable.
    storage: Storage,
    /// `ready`, or `generating` at the first start: what needs the key waits for it.
    signing_key: String,
    /// Whether the first operator has yet to be made.
    setup_needed: bool,
}

/// 200 when the server can do all it is there for, 503 when it cannot.
pub struct Readiness(Ready);

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let ready = self.0.status == "ready";
        let mut response = Json(self.0).into_response();
        if !ready {
            response.set_status(StatusCode::SERVICE_UNAVAILABLE);
        }
        response
    }
}

impl ApiResponse for Readiness {
    fn meta() -> MetaResponses {
        let response = |status, description| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: "application/json",
                schema: Ready::schema_ref(),
            }],
            headers: vec![],
        };
        MetaResponses {
            responses: vec![response(200, "Ready."), response(503, "Not ready, and why.")],
        }
    }

    fn register(registry: &mut Registry) {
        Ready::register(registry);
    }
}

/// Metrics under their own media type: read as the older text format, some of them are errors.
pub struct Scrape(String);

impl IntoResponse for Scrape {
    fn into_response(self) -> Response {
        Response::builder().content_type(Metrics::CONTENT_TYPE).body(self.0)
    }
}

impl ApiResponse for Scrape {
    fn meta() -> MetaResponses {
        let response = MetaResponse {
            description: "Every metric.",
            status: Some(200),
            status_range: None,
            content: vec![MetaMediaType {
                content_type: Metrics::CONTENT_TYPE,
                schema: String::schema_ref(),
            }],
            headers: vec![],
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_: &mut Registry) {}
}

#[OpenApi(tag = "Tag::Health")]
impl Watch {
    /// Whether the process answers
    #[oai(path = "/health/live", method = "get", operation_id = "health_live")]
    async fn health_live(&self) -> Json<Live> {
        Json(Live { status: "alive".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() })
    }

    /// Whether it can do all it is there for
    #[oai(path = "/health/ready", method = "get", operation_id = "health_ready")]
    async fn health_ready(&self) -> Answer<Readiness> {
        let storage = Storage::of(self.services.storage_trouble());
        let status = if storage.is_writable() { "ready" } else { "degraded" };
        let signing_key = match self.services.keys.current(Purpose::License) {
            Some(_) => "ready",
            None => "generating",
        };
        Ok(Readiness(Ready {
            status: status.to_owned(),
            storage,
            signing_key: signing_key.to_owned(),
            setup_needed: self.services.needs_setup()?,
        }))
    }

    /// Metrics in the `OpenMetrics` text format
    #[oai(path = "/metrics", method = "get", operation_id = "metrics")]
    async fn metrics(&self) -> Answer<Scrape> {
        Ok(Scrape(self.services.render_metrics()?))
    }

    /// The public keys as a JSON Web Key Set (RFC 7517)
    #[oai(path = "/.well-known/jwks.json", method = "get", operation_id = "jwks")]
    async fn jwks(&self) -> Answer<Json<Any<serde_json::Value>>> {
        let text = self.services.keys.jwks();
        let keys = serde_json::from_str(&text).map_err(crate::domain::error::Error::internal)?;
        Ok(Json(Any(keys)))
    }
}
