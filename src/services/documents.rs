//! Signed documents: the licence itself, and the answer to a validation.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Actor, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::LicenseId;
use crate::domain::license::{License, LicenseStatus};
use crate::domain::time::Timestamp;
use crate::signing::document::{LICENSE_TYP, VALIDATION_TYP};
use crate::signing::{LicenseClaims, Purpose, document, jws};

/// The longest nonce a client may send, in characters.
const NONCE_MAX: usize = 128;

/// What a validation answers.
pub struct Validation {
    /// Whether the licence may be used now.
    pub valid: bool,
    /// Why, or why not: `valid` or `grace`, or the code of what stands in the way.
    pub code: &'static str,
    /// The licence, where the key is one.
    pub license: Option<Arc<License>>,
    /// Whether the machine asked about is activated, where one was.
    pub activated: Option<bool>,
    /// A compact JWS over the answer, nonce included, where one was given.
    pub signed: Option<String>,
    /// When the answer was made.
    pub now: Timestamp,
}

impl Services {
    /// The licence as a compact JWS (RS256) that any JWT library verifies offline. Waits for the
    /// key where it is still being made.
    ///
    /// The document of a licence changes with its revision and with its status alone, so one that
    /// was signed is handed out again, and a signature is made off the async threads.
    pub async fn signed_license(
        &self,
        license: &License,
        hardware_id: Option<&str>,
    ) -> Result<String> {
        let key = self.keys.ready(Purpose::License).await;
        let now = self.clock.now().wall;
        let status = license.status_at(now);
        let cached = (
            license.license_id,
            license.revision,
            status,
            hardware_id.map(str::to_owned),
            key.kid().to_owned(),
        );
        if let Some(signed) = self.signed.get(&cached) {
            return Ok(signed);
        }
        let claims = self.claims(license, status, hardware_id, now);
        // One at a time: a signature takes milliseconds of a processor that heartbeats need too.
        let _turn = self.signing.lock().await;
        let signed = tokio::task::spawn_blocking(move || jws::sign(&key, LICENSE_TYP, &claims))
            .await
            .map_err(Error::internal)?
            .map_err(Error::internal)?;
        self.metrics.license_signed();
        self.signed.insert(cached, signed.clone());
        Ok(signed)
    }

    /// The licence as an armoured file for offline use.
    pub async fn license_file(&self, actor: &Actor, id: LicenseId) -> Result<String> {
        let license = self.license(actor, id)?;
        Ok(document::armour(&self.signed_license(&license, None).await?))
    }

    /// Says whether a licence may be used. Never an error for a bad key: the answer says why.
    pub async fn validate(
        &self,
        license_key: &str,
        hardware_id: Option<&str>,
        nonce: Option<&str>,
    ) -> Result<Validation> {
        if let Some(hardware_id) = hardware_id {
            super::licenses::check_hardware_id(hardware_id)?;
        }
        if nonce.is_some_and(|nonce| nonce.is_empty() || nonce.chars().count() > NONCE_MAX) {
            return Err(Error::invalid("nonce", "must be 1 to 128 characters long"));
        }
        let now = self.clock.now().wall;
        let license = match self.license_seen(license_key) {
            Ok(license) => Some(license),
            Err(error) if error.code == Code::LicenseNotFound => None,
            Err(error) => return Err(error),
        };
        let code = verdict(license.as_deref(), now);
        let activated = match (&license, hardware_id) {
            (Some(license), Some(hardware_id)) => Some(self.is_activated(license, hardware_id)?),
            _ => None,
        };
        let mut answer = Validation {
            valid: matches!(code, "valid" | "grace"),
            code,
            license,
            activated,
            signed: None,
            now,
        };
        if let Some(nonce) = nonce {
            answer.signed = Some(self.sign_answer(&answer, hardware_id, nonce).await?);
        }
        Ok(answer)
    }

    async fn sign_answer(
        &self,
        answer: &Validation,
        hardware_id: Option<&str>,
        nonce: &str,
    ) -> Result<String> {
        let key = self.keys.ready(Purpose::Validation).await;
        let mut claims = json!({
            "iss": self.issuer(),
            "iat": answer.now.unix_seconds(),
            "nonce": nonce,
            "valid": answer.valid,
            "code": answer.code,
        });
        let mut add = |name: &str, value: Value| claims[name] = value;
        if let Some(license) = &answer.license {
            add("sub", json!(license.license_id));
            add("status", json!(license.status_at(answer.now).as_str()));
            add("max_seats", json!(license.max_concurrent_seats));
            add("plan", json!(license.plan_name));
            add("expiry_date", json!(license.expiry_date.map(|date| date.to_string())));
        }
        if let Some(hardware_id) = hardware_id {
            add("hardware_id", json!(hardware_id));
            add("activated", json!(answer.activated));
        }
        self.metrics.signing.answers.inc();
        // Ed25519 takes 13 microseconds: less than handing it to another thread would.
        jws::sign(&key, VALIDATION_TYP, &claims).map_err(Error::internal)
    }

    fn is_activated(&self, license: &License, hardware_id: &str) -> Result<bool> {
        self.store.read(|tx| {
            let org = crate::store::org(tx, license.org_id);
            Ok(org.activation(license.license_id, hardware_id)?.is_some())
        })
    }

    fn claims(
        &self,
        license: &License,
        status: LicenseStatus,
        hardware_id: Option<&str>,
        now: Timestamp,
    ) -> LicenseClaims {
        // During grace the licence still works, so the document must not have ended.
        let end =
            license.grace_period_ends_at(now).or(license.expiry_date).unwrap_or(Timestamp::NEVER);
        LicenseClaims {
            iss: self.issuer().to_owned(),
            sub: license.license_id.to_string(),
            license_key: license.license_key.clone(),
            org: license.org_id.to_string(),
            plan: license.plan_name.clone(),
            features: license.features.clone(),
            max_seats: license.max_concurrent_seats,
            status: status.as_str().to_owned(),
            iat: now.unix_seconds(),
            nbf: license.issued_at.unix_seconds(),
            exp: end.unix_seconds(),
            jti: self.entropy.secret_id().to_string(),
            hardware_id: hardware_id.map(str::to_owned),
        }
    }
}

fn verdict(license: Option<&License>, now: Timestamp) -> &'static str {
    match license.map(|license| license.status_at(now)) {
        None => "license_not_found",
        Some(LicenseStatus::Active) => "valid",
        Some(LicenseStatus::Grace) => "grace",
        Some(LicenseStatus::Inactive) => "license_inactive",
        Some(LicenseStatus::Suspended) => "license_suspended",
        Some(LicenseStatus::Expired) => "license_expired",
        Some(LicenseStatus::Revoked) => "license_revoked",
    }
}
