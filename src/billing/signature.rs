//! The signature of a webhook, as Stripe documents it (<https://docs.stripe.com/webhooks#verify-manually>):
//! HMAC-SHA256 over the time, a dot and the body as it came, byte for byte.

use aws_lc_rs::hmac;

use crate::config::Secret;
use crate::domain::time::Timestamp;

/// A delivery older than this may be a copy that somebody kept; the same holds for one from the future.
const TOLERANCE_S: i64 = 300;
/// More signatures than ever stand in a header: one for each secret of the endpoint.
const SIGNATURES_MAX: usize = 16;

/// Whether one of the header's `v1` signatures is good under one of the secrets, and the header is not
/// older, or newer, than 300 seconds.
pub fn is_good(header: &str, body: &[u8], secrets: &[Secret], now: Timestamp) -> bool {
    let Some((time, signatures)) = parse(header) else { return false };
    let Ok(seconds) = time.parse::<i64>() else { return false };
    if now.unix_seconds().abs_diff(seconds) > TOLERANCE_S.unsigned_abs() {
        return false;
    }
    let mut signed = Vec::with_capacity(time.len() + 1 + body.len());
    signed.extend_from_slice(time.as_bytes());
    signed.push(b'.');
    signed.extend_from_slice(body);
    let mut good = false;
    for secret in secrets {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
        for signature in &signatures {
            // In constant time; and every pair is tried, so that it is not told which one fits.
            good |= hmac::verify(&key, &signed, signature).is_ok();
        }
    }
    good
}

/// The time as written, and the `v1` signatures.
fn parse(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", value) => time = Some(value),
            ("v1", value) if signatures.len() < SIGNATURES_MAX => signatures.push(bytes(value)?),
            _ => {}
        }
    }
    Some((time?, signatures))
}

fn bytes(hexadecimal: &str) -> Option<Vec<u8>> {
    if hexadecimal.len() != 64 || !hexadecimal.is_ascii() {
        return None;
    }
    (0..32).map(|at| u8::from_str_radix(&hexadecimal[2 * at..2 * at + 2], 16).ok()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn sign(time: i64, body: &str, secret: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
        tag.as_ref().iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn is_accepted(header: &str, body: &str) -> bool {
        let secrets = [Secret::new("whsec_new"), Secret::new("whsec_old")];
        is_good(header, body.as_bytes(), &secrets, NOW)
    }

    #[test]
    fn any_signature_under_any_secret_is_enough() {
        let (t, body) = (NOW.unix_seconds(), r#"{"id": "evt_1"}"#);
        let (new, old) = (sign(t, body, "whsec_new"), sign(t, body, "whsec_old"));
        let other = sign(t, body, "whsec_other");
        assert!(is_accepted(&format!("t={t},v1={new}"), body));
        assert!(is_accepted(&format!("t={t},v1={old},v0=abc"), body));
        assert!(is_accepted(&format!("t={t},v1={other},v1={old}"), body));
        assert!(is_accepted(&format!("v1={other}, v1={new}, t={t}"), body));
        assert!(!is_accepted(&format!("t={t},v1={other}"), body));
        assert!(!is_accepted(&format!("t={t},v0={new}"), body), "another scheme");
    }

    #[test]
    fn what_was_changed_or_written_anew_is_refused() {
        let (t, body) = (NOW.unix_seconds(), r#"{"id": "evt_1"}"#);
        let header = format!("t={t},v1={}", sign(t, body, "whsec_new"));
        assert!(!is_accepted(&header, r#"{"id":"evt_1"}"#), "the same object in other bytes");
        assert!(!is_accepted(&format!("t={},v1={}", t + 1, sign(t, body, "whsec_new")), body));
    }

    #[test]
    fn a_delivery_is_good_for_five_minutes_either_way() {
        let body = "{}";
        for (off, good) in [(0, true), (-300, true), (300, true), (-301, false), (301, false)] {
            let t = NOW.unix_seconds() + off;
            assert_eq!(
                is_accepted(&format!("t={t},v1={}", sign(t, body, "whsec_new")), body),
                good
            );
        }
    }

    #[test]
    fn what_is_no_header_is_refused() {
        let long = format!("t=1,{}", "v1=00,".repeat(5_000));
        for header in
            ["", "t=", "t=x,v1=00", "v1", "t=1790000000", "t=9999999999999999999999,v1=", &long]
        {
            assert!(!is_accepted(header, "{}"), "{header}");
        }
    }
}
