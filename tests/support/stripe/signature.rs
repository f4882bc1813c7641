//! The `Stripe-Signature` header.

use std::fmt::Write as _;

use aws_lc_rs::hmac;

/// `t=TIME,v1=HEX`: HMAC-SHA256 of `TIME.BODY` under the endpoint's secret.
pub fn header(body: &str, secret: &str, time: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
    tag.as_ref().iter().fold(format!("t={time},v1="), |mut header, byte| {
        write!(header, "{byte:02x}").unwrap();
        header
    })
}
