//! What SendGrid reports of the mails that it took: its signed event webhook.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::render::one_line;
use crate::domain::ids::MailId;
use crate::domain::mail::DeliveryKind;
use crate::domain::time::{SECOND_MS, Timestamp};

/// How far from now a signed report may have been made: one that was overheard is of no use later.
const TOLERANCE_MS: i64 = 300 * SECOND_MS;
/// A longer reason is cut.
const DETAIL_CHARS_MAX: usize = 300;
/// SendGrid gives ids of at most 100 characters.
const ID_CHARS_MAX: usize = 100;

/// What happened to one mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Which mail, as we named it.
    pub mail_id: MailId,
    /// SendGrid's name for the event: the same whenever it is reported again.
    pub event_id: String,
    /// What happened.
    pub kind: DeliveryKind,
    /// Why, in the words of the recipient's server or SendGrid's own.
    pub detail: String,
    /// When.
    pub at: Timestamp,
    /// SendGrid's name for the mail.
    pub provider_id: Option<String>,
}

/// Whether a report was signed with the private half of `key` not long ago. What is signed is the
/// timestamp as it stands in its header, then the body byte for byte (ECDSA on P-256 with SHA-256,
/// the signature and the key as DER in base64).
pub fn is_genuine(
    key: &str,
    timestamp: &str,
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> bool {
    let made = timestamp.parse::<i64>().ok().and_then(|seconds| seconds.checked_mul(SECOND_MS));
    let recent = made.is_some_and(|made| now.0.abs_diff(made) <= TOLERANCE_MS as u64);
    let (Ok(key), Ok(signature)) = (STANDARD.decode(key), STANDARD.decode(signature)) else {
        return false;
    };
    let signed = [timestamp.as_bytes(), body].concat();
    recent
        && UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed, &signature).is_ok()
}

/// One event as SendGrid writes it; more members are let be.
#[derive(Deserialize)]
struct Event {
    event: String,
    mail_id: String,
    sg_event_id: String,
    sg_message_id: Option<String>,
    timestamp: i64,
    reason: Option<String>,
    response: Option<String>,
}

/// The reports in a body that say something of one of our mails; none when it is no list. Other
/// people's mails and kinds of events that tell nothing of delivery are left out.
pub fn reports(body: &[u8]) -> Vec<Report> {
    let events: Vec<Value> = serde_json::from_slice(body).unwrap_or_default();
    events.into_iter().filter_map(|event| report(serde_json::from_value(event).ok()?)).collect()
}

fn report(event: Event) -> Option<Report> {
    let kind = match event.event.as_str() {
        "delivered" => DeliveryKind::Delivered,
        // Also of type `blocked`: SendGrid does not try again.
        "bounce" => DeliveryKind::Bounced,
        "dropped" => DeliveryKind::Dropped,
        "spamreport" => DeliveryKind::Spam,
        _ => return None,
    };
    let detail = event.reason.or(event.response).unwrap_or_default();
    Some(Report {
        mail_id: event.mail_id.parse().ok()?,
        event_id: one_line(&event.sg_event_id, ID_CHARS_MAX),
        kind,
        detail: one_line(&detail, DETAIL_CHARS_MAX),
        at: Timestamp(event.timestamp.checked_mul(SECOND_MS)?),
        provider_id: event.sg_message_id.map(|id| one_line(&id, ID_CHARS_MAX)),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    // The example that SendGrid publishes with its libraries.
    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";
    const SIGNATURE: &str = "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0=";
    const TIMESTAMP: &str = "1588788367";
    const BODY: &[u8] =
        br#"{"category":"example_payload","event":"test_event","message_id":"message_id"}"#;
    const NOW: Timestamp = Timestamp(1_588_788_367_000);

    #[test]
    fn sendgrids_own_example_is_genuine_byte_for_byte_and_for_five_minutes() {
        let genuine = |body: &[u8], ms| is_genuine(KEY, TIMESTAMP, SIGNATURE, body, NOW + ms);
        assert!(genuine(BODY, 0) && genuine(BODY, 300_000) && genuine(BODY, -300_000));
        assert!(!genuine(BODY, 300_001) && !genuine(BODY, -300_001));
        assert!(!genuine(&[BODY, b"\r\n"].concat(), 0));
        assert!(!is_genuine(KEY, "1588788368", SIGNATURE, BODY, NOW));
        assert!(!is_genuine(KEY, TIMESTAMP, &SIGNATURE.replace("MEUC", "MEUB"), BODY, NOW));
        assert!(
            !is_genuine(KEY, TIMESTAMP, "", BODY, NOW)
                && !is_genuine("", TIMESTAMP, SIGNATURE, BODY, NOW)
        );
    }

    #[test]
    fn only_what_tells_of_our_mails_is_read() {
        let ours = "0190aaaa-0000-7000-8000-000000000001";
        let body = serde_json::json!([
            {"event": "processed", "mail_id": ours, "sg_event_id": "1", "timestamp": 1},
            {"event": "bounce", "type": "blocked", "mail_id": ours, "sg_event_id": "2", "timestamp": 5,
             "reason": "550 no\r\nsuch user", "sg_message_id": "x.filter", "email": "zoe@example.com"},
            {"event": "delivered", "sg_event_id": "3", "timestamp": 1},
            {"event": "delivered", "mail_id": "another program's", "sg_event_id": "4", "timestamp": 1},
            {"event": "delivered", "mail_id": ours, "sg_event_id": "5", "timestamp": "soon"},
            "not an event", 7, null,
        ]);
        let read = reports(body.to_string().as_bytes());
        assert_eq!(read.len(), 1, "{read:?}");
        assert_eq!((read[0].kind, read[0].at), (DeliveryKind::Bounced, Timestamp(5_000)));
        assert_eq!((read[0].detail.as_str(), read[0].event_id.as_str()), ("550 no such user", "2"));
        for broken in ["", "{}", "[", "null"] {
            assert!(reports(broken.as_bytes()).is_empty(), "{broken}");
        }
    }
}
