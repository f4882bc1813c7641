//! What a licensed application calls: the licence key, or the session id, is the credential.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{self, Anybody, Person};
use super::json::{CreatedOrFound, Json};
use super::licenses::{License, LicenseStatus};
use super::wire::{Customer, Done, Seats, Time, decode_cursor, encode_cursor, unique_names};
use super::{Answer, Tag};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::SessionId;
use crate::domain::page::PageRequest;
use crate::domain::time::Timestamp;
use crate::seats::{Cursor, HEARTBEAT_INTERVAL_MS, SessionView};
use crate::services::Services;
use crate::services::customers::Owned;
use crate::services::documents::Validation;
use crate::services::licenses::ActivateInput;
use crate::services::seats::{AcquireInput, Beat, Seat, Sessions};

/// The calls of licensed applications.
pub struct SeatCalls {
    /// The operations.
    pub services: Arc<Services>,
}

/// Seconds between the heartbeats that are asked for.
const HEARTBEAT_INTERVAL_S: u32 = (HEARTBEAT_INTERVAL_MS / 1_000) as u32;

/// A machine to bind.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Activate {
    /// The credential.
    #[oai(validator(max_length = 128))]
    license_key: String,
    /// What the application knows the machine by; 1 to 256 characters.
    #[oai(validator(min_length = 1, max_length = 256))]
    hardware_id: String,
    /// For people.
    #[oai(validator(max_length = 128))]
    machine_name: Option<String>,
    /// For people.
    #[oai(validator(max_length = 128))]
    platform: Option<String>,
    /// The application's own notes: at most 16, names of 1 to 64 and values of at most 256 characters.
    #[oai(validator(max_properties = 16))]
    #[serde(default, deserialize_with = "unique_names")]
    metadata: Option<BTreeMap<String, String>>,
}

/// What an activation answers.
#[derive(Object, Serialize)]
pub struct Activated {
    /// Identifies the activation.
    activation_id: Uuid,
    /// The licence.
    license: License,
    /// The licence as a compact JWS (RS256), bound to the machine, for offline use.
    signed_license: String,
}

/// A key to look at.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// The credential. Whatever is given here is answered, never refused.
    license_key: String,
    /// Whether this machine is activated is told as well.
    #[oai(validator(min_length = 1, max_length = 256))]
    hardware_id: Option<String>,
    /// Comes back inside `signed`, so that an old answer cannot pose as a new one.
    #[oai(validator(min_length = 1, max_length = 128))]
    nonce: Option<String>,
}

/// Whether a licence may be used.
#[derive(Object, Serialize)]
pub struct Validity {
    /// Whether it may be used now.
    valid: bool,
    /// Why, or why not.
    code: String,
    /// The licence, where the key is one's.
    license: Option<License>,
    /// Whether the machine is activated, where one was given.
    activated: Option<bool>,
    /// The answer as a compact JWS (`EdDSA`), where a nonce was given.
    signed: Option<String>,
}

/// A request for a seat.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Acquire {
    /// The credential.
    #[oai(validator(max_length = 128))]
    license_key: String,
    /// What the application knows the machine by; 1 to 256 characters.
    #[oai(validator(min_length = 1, max_length = 256))]
    hardware_id: String,
    /// The application's own notes: at most 16, names of 1 to 64 and values of at most 256 characters.
    #[oai(validator(max_properties = 16))]
    #[serde(default, deserialize_with = "unique_names")]
    metadata: Option<BTreeMap<String, String>>,
    /// How long to wait in line when every seat is held; left out: not at all.
    #[oai(validator(minimum(value = "0"), maximum(value = "60")))]
    wait_seconds: Option<u32>,
}

/// A seat.
#[derive(Object, Serialize)]
pub struct Acquired {
    /// The credential for heartbeat and release.
    session_id: Uuid,
    /// Whose seat.
    license_id: Uuid,
    /// The machine that holds it.
    hardware_id: String,
    /// When it was granted.
    started_at: Time,
    /// When it lapses unless the holder is heard from.
    expires_at: Time,
    /// The same in seconds from now.
    expires_in: u32,
    /// How often to be heard from, in seconds.
    heartbeat_interval: u32,
    /// How full the licence is.
    seats: Seats,
    /// `active` or `grace`.
    status: LicenseStatus,
}

impl From<Seat> for Acquired {
    fn from(seat: Seat) -> Self {
        Self {
            session_id: seat.session_id.0,
            license_id: seat.license_id.0,
            hardware_id: seat.hardware_id,
            started_at: seat.started_at.into(),
            expires_at: seat.expires_at.into(),
            expires_in: seconds(seat.remaining_ms),
            heartbeat_interval: HEARTBEAT_INTERVAL_S,
            seats: seat.seats.into(),
            status: seat.status.into(),
        }
    }
}

/// A seat's credential.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// From the answer to acquire.
    session_id: Uuid,
}

/// What a heartbeat answers.
#[derive(Object, Serialize)]
pub struct Alive {
    /// Always `alive`.
    status: String,
    /// Seconds until the seat lapses unless the holder is heard from again.
    expires_in: u32,
    /// The same as a point in time.
    expires_at: Time,
    /// `active` or `grace`.
    license_status: LicenseStatus,
}

impl From<Beat> for Alive {
    fn from(beat: Beat) -> Self {
        Self {
            status: "alive".to_owned(),
            expires_in: seconds(beat.remaining_ms),
            expires_at: beat.expires_at.into(),
            license_status: beat.status.into(),
        }
    }
}

/// Who holds a seat.
#[derive(Object, Serialize)]
pub struct Holder {
    /// The seat's session.
    session_id: Uuid,
    /// Whose seat.
    license_id: Uuid,
    /// The machine.
    hardware_id: String,
    /// The application's own notes.
    metadata: Option<BTreeMap<String, String>>,
    /// When it was granted.
    started_at: Time,
    /// When the holder was last heard from.
    last_heartbeat_at: Time,
    /// When it lapses unless the holder is heard from.
    expires_at: Time,
    /// The licence's key, where operators list the seats of all licences.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    license_key: Option<String>,
    /// Whose licence it is, in the same place.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    customer: Option<Customer>,
}

/// A page of holders.
#[derive(Object, Serialize)]
pub struct SessionList {
    /// The holders of this page.
    items: Vec<Holder>,
    /// Give it as `cursor` for the next page; null when this is the last.
    next_cursor: Option<String>,
}

impl From<Sessions> for SessionList {
    fn from(sessions: Sessions) -> Self {
        let next_cursor = sessions.next.map(|cursor| {
            let mut bytes = cursor.serial.to_be_bytes().to_vec();
            bytes.extend(cursor.slot.to_be_bytes());
            encode_cursor(&bytes)
        });
        let now = sessions.now;
        let items = sessions.items.into_iter().map(|(view, owned)| holder(view, owned, now));
        Self { items: items.collect(), next_cursor }
    }
}

/// Who holds a seat, as of a time.
pub fn holder(view: SessionView, owned: Option<Owned<String>>, now: Timestamp) -> Holder {
    let (license_key, customer) = owned.unzip();
    Holder {
        session_id: view.session_id.0,
        license_id: view.license_id.0,
        hardware_id: view.hardware_id.into(),
        metadata: view.metadata.and_then(|text| serde_json::from_str(&text).ok()),
        started_at: view.started_at.into(),
        last_heartbeat_at: view.last_heartbeat_at.into(),
        expires_at: (now + view.expires_in_ms as i64).into(),
        license_key,
        customer: customer.flatten().map(Customer::from),
    }
}

/// The engine's cursor from the wire's.
///
/// # Errors
/// `InvalidCursor`.
pub fn session_cursor(cursor: Option<&str>) -> Result<Option<Cursor>> {
    let Some(bytes) = cursor.map(decode_cursor).transpose()? else { return Ok(None) };
    let bad = || {
        Error::new(
            Code::InvalidCursor,
            "Give `cursor` as `next_cursor` of the page before, unchanged.",
        )
    };
    let (serial, slot) = bytes.split_first_chunk::<8>().ok_or_else(bad)?;
    let slot = slot.try_into().map_err(|_| bad())?;
    Ok(Some(Cursor { serial: u64::from_be_bytes(*serial), slot: u32::from_be_bytes(slot) }))
}

/// Milliseconds as the whole seconds a client may count on.
fn seconds(ms: u64) -> u32 {
    (ms / 1_000) as u32
}

#[OpenApi(prefix_path = "/api/v1")]
impl SeatCalls {
    /// Activate a machine
    ///
    /// 201 when the machine was bound just now, 200 when it was already. With the access token of a
    /// member of the licence's organisation it is noted as that person's machine.
    #[oai(
        path = "/licenses/activate",
        method = "post",
        operation_id = "activate",
        tag = "Tag::Seats"
    )]
    async fn activate(
        &self,
        who: Anybody,
        from: auth::From,
        body: Json<Activate>,
    ) -> Answer<CreatedOrFound<Activated>> {
        let Json(body) = body;
        let who = who.0.map(|actor| actor.user_id);
        let activated = self
            .services
            .activate(
                &from.0,
                who,
                ActivateInput {
                    license_key: body.license_key,
                    hardware_id: body.hardware_id,
                    machine_name: body.machine_name,
                    platform: body.platform,
                    metadata: body.metadata.unwrap_or_default(),
                },
            )
            .await?;
        let hardware_id = &activated.activation.hardware_id;
        let signed_license =
            self.services.signed_license(&activated.license, Some(hardware_id)).await?;
        let body = Activated {
            activation_id: activated.activation.activation_id.0,
            license: License::of(&self.services, activated.license),
            signed_license,
        };
        Ok(CreatedOrFound { created: activated.fresh, body })
    }

    /// Validate a licence
    ///
    /// Never an error for a bad key: `code` says why.
    #[oai(
        path = "/licenses/validate",
        method = "post",
        operation_id = "validate",
        tag = "Tag::Seats"
    )]
    async fn validate(&self, body: Json<Validate>) -> Answer<Json<Validity>> {
        let Json(Validate { license_key, hardware_id, nonce }) = body;
        let answer =
            self.services.validate(&license_key, hardware_id.as_deref(), nonce.as_deref()).await?;
        let Validation { valid, code, license, activated, signed, .. } = answer;
        let license =
            license.map(|license| License::of(&self.services, Arc::unwrap_or_clone(license)));
        Ok(Json(Validity { valid, code: code.to_owned(), license, activated, signed }))
    }

    /// Take a seat
    ///
    /// 201 with a new seat, or 200 with the one that this hardware id holds already. 409
    /// `no_seats_available` when every seat is held, with the time until the first can lapse.
    #[oai(
        path = "/licenses/acquire",
        method = "post",
        operation_id = "acquire",
        tag = "Tag::Seats"
    )]
    async fn acquire(&self, body: Json<Acquire>) -> Answer<CreatedOrFound<Acquired>> {
        let Json(body) = body;
        let seat = self
            .services
            .acquire(AcquireInput {
                license_key: body.license_key,
                hardware_id: body.hardware_id,
                metadata: body.metadata.unwrap_or_default(),
                wait_seconds: body.wait_seconds.unwrap_or(0),
            })
            .await?;
        Ok(CreatedOrFound { created: seat.fresh, body: seat.into() })
    }

    /// Keep a seat
    #[oai(
        path = "/licenses/heartbeat",
        method = "post",
        operation_id = "heartbeat",
        tag = "Tag::Seats"
    )]
    async fn heartbeat(&self, body: Json<Session>) -> Answer<Json<Alive>> {
        Ok(Json(self.services.heartbeat(SessionId(body.0.session_id))?.into()))
    }

    /// Keep a seat
    #[oai(
        path = "/licenses/heartbeat",
        method = "put",
        operation_id = "heartbeat_put",
        tag = "Tag::Seats"
    )]
    async fn heartbeat_put(&self, body: Json<Session>) -> Answer<Json<Alive>> {
        self.heartbeat(body).await
    }

    /// Give a seat back
    #[oai(
        path = "/licenses/release",
        method = "post",
        operation_id = "release",
        tag = "Tag::Seats"
    )]
    async fn release(&self, body: Json<Session>) -> Answer<Json<Done>> {
        self.services.release(SessionId(body.0.session_id)).await?;
        Ok(Json(Done::new("released")))
    }

    /// Give a seat back
    #[oai(
        path = "/licenses/release",
        method = "delete",
        operation_id = "release_delete",
        tag = "Tag::Seats"
    )]
    async fn release_delete(&self, body: Json<Session>) -> Answer<Json<Done>> {
        self.release(body).await
    }

    /// Who holds seats, over all licences
    #[oai(
        path = "/admin/sessions",
        method = "get",
        operation_id = "admin_list_sessions",
        tag = "Tag::Operator"
    )]
    async fn admin_list_sessions(
        &self,
        person: Person,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<SessionList>> {
        let limit = PageRequest::new(limit.0, None)?.limit;
        let after = session_cursor(cursor.0.as_deref())?;
        Ok(Json(self.services.all_sessions(&person.0, after, limit)?.into()))
    }
}
