//! Passkeys: one's own, and signing in with them.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::accounts::Tokens;
use super::auth::{Enrolling, From as Asking, Person, path_id};
use super::json::{Created, Json};
use super::second_factor::Password;
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::error::Error;
use crate::domain::passkey;
use crate::identity::passkeys::decoded;
use crate::services::Services;
use crate::services::passkeys::{Asked, NewPasskey, PasskeyAnswer};

/// The calls about passkeys.
pub struct Passkeys {
    /// The operations.
    pub services: Arc<Services>,
}

/// A passkey.
#[derive(Object, Serialize)]
pub struct Passkey {
    /// Identifies it.
    passkey_id: String,
    /// What its owner calls it.
    name: String,
    /// Whether copies are kept, as password managers do; else it lives in one device.
    synced: bool,
    /// When it was added.
    created_at: Time,
    /// When it last signed in.
    last_used_at: Option<Time>,
}

impl From<passkey::Passkey> for Passkey {
    fn from(passkey: passkey::Passkey) -> Self {
        Self {
            passkey_id: passkey.passkey_id.to_string(),
            name: passkey.name,
            synced: passkey.synced,
            created_at: passkey.created_at.into(),
            last_used_at: passkey.last_used_at.map(Time),
        }
    }
}

/// One's passkeys.
#[derive(Object, Serialize)]
pub struct PasskeyList {
    /// The oldest first, at most 20.
    items: Vec<Passkey>,
    /// The origin whose pages can use passkeys; null: none can, because `server.public_url` has no HTTPS or no
    /// name.
    origin: Option<String>,
}

/// A challenge for a browser.
#[derive(Object, Serialize)]
pub struct PasskeyCeremony {
    /// Goes with the browser's answer, once, within five minutes.
    ceremony_id: String,
    /// For `PublicKeyCredential.parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON`.
    options: Value,
}

impl From<Asked> for PasskeyCeremony {
    fn from(asked: Asked) -> Self {
        Self { ceremony_id: asked.ceremony_id, options: asked.options }
    }
}

/// What a browser answers to a request for a new passkey.
#[derive(Object, Deserialize)]
pub struct AttestationResponse {
    /// In base64url.
    #[oai(rename = "clientDataJSON", validator(max_length = 4096))]
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    /// In base64url.
    #[oai(rename = "attestationObject", validator(max_length = 16384))]
    #[serde(rename = "attestationObject")]
    attestation_object: String,
}

/// A new passkey, as `PublicKeyCredential.toJSON` writes it.
#[derive(Object, Deserialize)]
pub struct NewCredential {
    /// What its authenticator answered.
    response: AttestationResponse,
}

/// A new passkey and its name.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct PasskeyToAdd {
    /// From the beginning.
    #[oai(validator(max_length = 100))]
    ceremony_id: String,
    /// What you call it, 1 to 100 characters.
    #[oai(validator(min_length = 1, max_length = 100))]
    name: String,
    /// The browser's answer.
    credential: NewCredential,
}

/// A passkey that was added.
#[derive(Object, Serialize)]
pub struct PasskeyAdded {
    /// The passkey.
    passkey: Passkey,
    /// With an account's first second factor: ten codes that take its place once each. Told once.
    recovery_codes: Option<Vec<String>>,
}

/// What a browser answers to a request to sign in.
#[derive(Object, Deserialize)]
pub struct AssertionResponse {
    /// In base64url.
    #[oai(rename = "clientDataJSON", validator(max_length = 4096))]
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    /// In base64url.
    #[oai(rename = "authenticatorData", validator(max_length = 4096))]
    #[serde(rename = "authenticatorData")]
    authenticator_data: String,
    /// In base64url.
    #[oai(validator(max_length = 2048))]
    signature: String,
    /// In base64url.
    #[oai(rename = "userHandle", validator(max_length = 100))]
    #[serde(rename = "userHandle")]
    user_handle: String,
}

/// A signature by a passkey, as `PublicKeyCredential.toJSON` writes it.
#[derive(Object, Deserialize)]
pub struct SignedCredential {
    /// In base64url.
    #[oai(validator(max_length = 1400))]
    id: String,
    /// What its authenticator answered.
    response: AssertionResponse,
}

/// A sign-in with a passkey.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct PasskeySignIn {
    /// From the beginning.
    #[oai(validator(max_length = 100))]
    ceremony_id: String,
    /// The browser's answer.
    credential: SignedCredential,
}

#[OpenApi(prefix_path = "/api/v1")]
impl Passkeys {
    /// Your passkeys
    #[oai(
        path = "/users/me/passkeys",
        method = "get",
        operation_id = "list_passkeys",
        tag = "Tag::Accounts"
    )]
    async fn list_passkeys(&self, person: Enrolling) -> Answer<Json<PasskeyList>> {
        let items = self.services.passkeys(&person.0)?.into_iter().map(Passkey::from).collect();
        let origin = self.services.passkey_origin().map(str::to_owned);
        Ok(Json(PasskeyList { items, origin }))
    }

    /// Begin to add a passkey
    ///
    /// Answers what a browser needs to make one. A passkey signs in by itself: it is the device and what
    /// unlocks it.
    #[oai(
        path = "/users/me/passkeys/begin",
        method = "post",
        operation_id = "begin_passkey",
        tag = "Tag::Accounts"
    )]
    async fn begin_passkey(
        &self,
        person: Enrolling,
        body: Json<Password>,
    ) -> Answer<Json<PasskeyCeremony>> {
        Ok(Json(self.services.begin_passkey(&person.0, body.0.password).await?.into()))
    }

    /// Add a passkey
    ///
    /// With the browser's answer, within five minutes. From the first second factor on, a password alone does
    /// not sign in, every other sign-in ends, and ten recovery codes are answered.
    #[oai(
        path = "/users/me/passkeys",
        method = "post",
        operation_id = "add_passkey",
        tag = "Tag::Accounts"
    )]
    async fn add_passkey(
        &self,
        person: Enrolling,
        body: Json<PasskeyToAdd>,
    ) -> Answer<Created<PasskeyAdded>> {
        let Json(PasskeyToAdd { ceremony_id, name, credential }) = body;
        let read = |text: &str| decoded(text).ok_or_else(not_base64);
        let new = NewPasskey {
            ceremony_id,
            name,
            client_data: read(&credential.response.client_data)?,
            attestation: read(&credential.response.attestation_object)?,
        };
        let (passkey, recovery_codes) = self.services.add_passkey(&person.0, new).await?;
        Ok(Created(PasskeyAdded { passkey: passkey.into(), recovery_codes }))
    }

    /// Remove a passkey
    ///
    /// With the last second factor, sign-in takes the password alone again.
    #[oai(
        path = "/users/me/passkeys/:passkey_id",
        method = "delete",
        operation_id = "remove_passkey",
        tag = "Tag::Accounts"
    )]
    async fn remove_passkey(
        &self,
        person: Person,
        passkey_id: Path<String>,
        body: Json<Password>,
    ) -> Answer<Json<Done>> {
        let id = path_id(&passkey_id.0, "passkey")?;
        self.services.remove_passkey(&person.0, id, body.0.password).await?;
        Ok(Json(Done::new("removed")))
    }

    /// Begin to sign in with a passkey
    ///
    /// Answers a challenge for the browser. It names nobody: the person chooses among the passkeys for this
    /// server.
    #[oai(
        path = "/auth/passkey/begin",
        method = "post",
        operation_id = "begin_passkey_sign_in",
        tag = "Tag::Accounts"
    )]
    async fn begin_passkey_sign_in(&self, from: Asking) -> Answer<Json<PasskeyCeremony>> {
        Ok(Json(self.services.begin_passkey_sign_in(&from.0)?.into()))
    }

    /// Sign in with a passkey
    ///
    /// Takes the place of the password and of the code. 401 `invalid_credentials` whatever is wrong with it.
    #[oai(
        path = "/auth/passkey",
        method = "post",
        operation_id = "passkey_sign_in",
        tag = "Tag::Accounts"
    )]
    async fn passkey_sign_in(
        &self,
        from: Asking,
        body: Json<PasskeySignIn>,
    ) -> Answer<Json<Tokens>> {
        let Json(PasskeySignIn { ceremony_id, credential }) = body;
        let read = |text: &str| decoded(text).ok_or_else(not_base64);
        let response = credential.response;
        let answer = PasskeyAnswer {
            ceremony_id,
            credential_id: read(&credential.id)?,
            user_handle: read(&response.user_handle)?,
            client_data: read(&response.client_data)?,
            authenticator_data: read(&response.authenticator_data)?,
            signature: read(&response.signature)?,
        };
        Ok(Json(self.services.passkey_sign_in(&from.0, answer).await?.into()))
    }
}

fn not_base64() -> Error {
    Error::invalid("credential", "its parts are written in base64url, without padding")
}
