//! The signed-in person's second factor, and an operator's help for one who has lost it.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};

use super::accounts::User;
use super::auth::{Enrolling, Person, path_id};
use super::json::Json;
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::services::Services;
use crate::services::second_factor::{Enrolment, Standing};

/// The calls about second factors.
pub struct SecondFactors {
    /// The operations.
    pub services: Arc<Services>,
}

/// How an account's second factor stands.
#[derive(Object, Serialize)]
pub struct SecondFactor {
    /// Since when a password alone does not sign in; null: it does.
    enabled_at: Option<Time>,
    /// Whether an authenticator app is set up, whose codes are taken.
    app: bool,
    /// How many recovery codes are left.
    recovery_codes_left: u32,
    /// Whether you need one, as an operator or for one of your organisations.
    required: bool,
}

impl From<Standing> for SecondFactor {
    fn from(standing: Standing) -> Self {
        Self {
            enabled_at: standing.enabled_at.map(Time),
            app: standing.app,
            recovery_codes_left: standing.recovery_codes_left as u32,
            required: standing.required,
        }
    }
}

/// The password, once more.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Password {
    /// The account's; empty where it has none: then the sign-in must be of the last ten minutes.
    #[oai(validator(max_length = 1024))]
    pub(super) password: String,
}

/// A code.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct TotpCode {
    /// The six digits that the authenticator app shows.
    #[oai(validator(max_length = 64))]
    totp: String,
}

/// The password and a code.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct BothFactors {
    /// The account's.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// The six digits that the authenticator app shows, or a recovery code.
    #[oai(validator(max_length = 64))]
    totp: String,
}

/// A secret for an authenticator app; told once.
#[derive(Object, Serialize)]
pub struct TotpSecret {
    /// In base32, for typing it in.
    secret: String,
    /// For an app on the same device.
    otpauth_uri: String,
    /// That as a QR code: an SVG image.
    qr_svg: String,
}

impl From<Enrolment> for TotpSecret {
    fn from(enrolment: Enrolment) -> Self {
        let Enrolment { secret, otpauth_uri, qr_svg } = enrolment;
        Self { secret, otpauth_uri, qr_svg }
    }
}

/// Recovery codes; told once.
#[derive(Object, Serialize)]
pub struct RecoveryCodes {
    /// Each takes the place of the app once.
    recovery_codes: Vec<String>,
}

#[OpenApi(prefix_path = "/api/v1")]
impl SecondFactors {
    /// How your second factor stands
    #[oai(
        path = "/users/me/totp",
        method = "get",
        operation_id = "get_second_factor",
        tag = "Tag::Accounts"
    )]
    async fn get_second_factor(&self, person: Enrolling) -> Answer<Json<SecondFactor>> {
        Ok(Json(self.services.second_factor(&person.0)?.into()))
    }

    /// Begin to set up a second factor
    ///
    /// Answers a secret for an authenticator app (TOTP, RFC 6238: SHA-1, six digits, 30 seconds). Nothing is
    /// asked for at sign-in before a code of it is confirmed, within an hour.
    #[oai(
        path = "/users/me/totp",
        method = "post",
        operation_id = "begin_totp",
        tag = "Tag::Accounts"
    )]
    async fn begin_totp(
        &self,
        person: Enrolling,
        body: Json<Password>,
    ) -> Answer<Json<TotpSecret>> {
        Ok(Json(self.services.begin_totp(&person.0, body.0.password).await?.into()))
    }

    /// Confirm a second factor
    ///
    /// With the first code of the app. From then on sign-in asks for one. Every other sign-in of the account
    /// ends. Answers ten recovery codes, for when the app is lost.
    #[oai(
        path = "/users/me/totp/confirm",
        method = "post",
        operation_id = "confirm_totp",
        tag = "Tag::Accounts"
    )]
    async fn confirm_totp(
        &self,
        person: Enrolling,
        body: Json<TotpCode>,
    ) -> Answer<Json<RecoveryCodes>> {
        let recovery_codes = self.services.confirm_totp(&person.0, &body.0.totp).await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }

    /// Remove your authenticator app
    ///
    /// Where there is no passkey either, the second factor is off: sign-in takes the password alone.
    #[oai(
        path = "/users/me/totp",
        method = "delete",
        operation_id = "disable_totp",
        tag = "Tag::Accounts"
    )]
    async fn disable_totp(&self, person: Person, body: Json<BothFactors>) -> Answer<Json<Done>> {
        let Json(BothFactors { password, totp }) = body;
        self.services.disable_totp(&person.0, password, &totp).await?;
        Ok(Json(Done::new("disabled")))
    }

    /// Make new recovery codes
    ///
    /// The old ones end.
    #[oai(
        path = "/users/me/totp/recovery-codes",
        method = "post",
        operation_id = "renew_recovery_codes",
        tag = "Tag::Accounts"
    )]
    async fn renew_recovery_codes(
        &self,
        person: Person,
        body: Json<BothFactors>,
    ) -> Answer<Json<RecoveryCodes>> {
        let Json(BothFactors { password, totp }) = body;
        let recovery_codes = self.services.renew_recovery_codes(&person.0, password, &totp).await?;
        Ok(Json(RecoveryCodes { recovery_codes }))
    }

    /// Switch a person's second factor off
    ///
    /// For somebody who has lost the device and the recovery codes; make sure that it is them. They are told by
    /// mail. Your own takes a code, and an API key switches off no operator's.
    #[oai(
        path = "/admin/users/:user_id/remove-second-factor",
        method = "post",
        operation_id = "admin_remove_second_factor",
        tag = "Tag::Operator"
    )]
    async fn admin_remove_second_factor(
        &self,
        person: Person,
        user_id: Path<String>,
    ) -> Answer<Json<User>> {
        let id = path_id(&user_id.0, "user")?;
        Ok(Json(self.services.remove_second_factor(&person.0, id).await?.into()))
    }
}
