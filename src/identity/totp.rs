//! Codes that change every half minute (TOTP, RFC 6238), and the recovery codes for when there is no
//! device to make them: SHA-1, six digits, 30 seconds, which is what every authenticator app does.
//!
//! Which codes were used is not known here: [`Secret::matching_step`] says for which step a typed code
//! is right, and the caller remembers that step so that it is good once.

use std::fmt::Write as _;

use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use qrcodegen::{QrCode, QrCodeEcc};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;
use crate::entropy::Entropy;

/// Bytes of a secret: as many as SHA-1 has (RFC 4226, section 4, R6).
pub const SECRET_LEN: usize = 20;
/// Seconds that a code is shown.
const STEP_S: u64 = 30;
/// Steps before and after the present one whose codes count as well: clocks differ, and typing takes time.
const TOLERANCE: u64 = 1;
/// One more than the highest code.
const CODES: u32 = 1_000_000;
/// The alphabet of RFC 4648, which authenticator apps read.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Crockford's: without letters that look like digits, and without U.
const TYPEABLE: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Recovery codes of an account.
pub const RECOVERY_CODES: usize = 10;
/// Characters of a recovery code: 80 bits.
const RECOVERY_CHARS: usize = 16;
/// Characters between two dashes of a recovery code.
const RECOVERY_GROUP: usize = 4;

/// What the server and somebody's authenticator app share. Wiped when dropped.
pub struct Secret(Zeroizing<[u8; SECRET_LEN]>);

impl Secret {
    /// A new one.
    pub fn new(entropy: &Entropy) -> Self {
        Self(Zeroizing::new(entropy.bytes()))
    }

    /// One that was stored; `None` when it has another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| Self(Zeroizing::new(bytes)))
    }

    /// To be sealed and stored.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// As a person types it into an app that has no camera: 32 characters of base32.
    pub fn base32(&self) -> String {
        base32(self.as_bytes(), BASE32)
    }

    /// The step for which a typed code is right just now, the earliest if there are several; `None` when it
    /// is right for none. Takes the same time for every code of six digits.
    pub fn matching_step(&self, typed: &str, now: Timestamp) -> Option<u64> {
        let typed: u32 = Some(typed).filter(|typed| is_code(typed))?.parse().ok()?;
        let present = step_at(now);
        let (mut right, mut step) = (Choice::from(0), 0);
        for candidate in (present.saturating_sub(TOLERANCE)..=present + TOLERANCE).rev() {
            let same = self.code_of(candidate).ct_eq(&typed);
            step.conditional_assign(&candidate, same);
            right |= same;
        }
        bool::from(right).then_some(step)
    }

    /// RFC 4226, section 5.3.
    fn code_of(&self, step: u64) -> u32 {
        let key = Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.as_bytes());
        truncated(sign(&key, &step.to_be_bytes()).as_ref()) % CODES
    }

    /// What an app reads from a QR code, as all of them understand it (the "Key URI Format").
    pub fn uri(&self, issuer: &str, account: &str) -> String {
        let (issuer, account) = (escaped(issuer), escaped(account));
        let secret = self.base32();
        format!(
            "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period={STEP_S}"
        )
    }
}

/// The 31 bits that RFC 4226 takes out of an HMAC: from the place that its last byte names.
fn truncated(mac: &[u8]) -> u32 {
    let offset = mac.last().map_or(0, |last| usize::from(last & 0x0f));
    let taken = mac.iter().skip(offset).take(4);
    taken.fold(0, |bits, byte| (bits << 8) | u32::from(*byte)) & 0x7fff_ffff
}

fn step_at(now: Timestamp) -> u64 {
    u64::try_from(now.unix_seconds()).unwrap_or_default() / STEP_S
}

/// What was typed, without the spaces that apps and people put between digits.
pub fn tidied(typed: &str) -> Zeroizing<String> {
    Zeroizing::new(typed.chars().filter(|c| !c.is_whitespace()).collect())
}

/// Whether it has the form of an app's code; anything else can only be a recovery code.
pub fn is_code(typed: &str) -> bool {
    typed.len() == 6 && typed.bytes().all(|byte| byte.is_ascii_digit())
}

/// New recovery codes: `7K2M-9QXT-4HVD-R3WN`.
pub fn recovery_codes(entropy: &Entropy) -> Vec<String> {
    let new = |_| {
        let random = Zeroizing::new(entropy.bytes::<{ RECOVERY_CHARS * 5 / 8 }>());
        let plain = base32(random.as_slice(), TYPEABLE);
        let groups: Vec<&str> = (0..RECOVERY_CHARS / RECOVERY_GROUP)
            .map(|group| &plain[group * RECOVERY_GROUP..(group + 1) * RECOVERY_GROUP])
            .collect();
        groups.join("-")
    };
    (0..RECOVERY_CODES).map(new).collect()
}

/// The form in which a recovery code is stored: the SHA-256 of its characters, whatever they were typed
/// like. A fast hash is right: there is nothing to guess in 80 random bits.
pub fn recovery_digest(typed: &str) -> [u8; 32] {
    let plain =
        typed.chars().filter(char::is_ascii_alphanumeric).map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        });
    let plain: Zeroizing<String> = Zeroizing::new(plain.collect());
    Sha256::digest(plain.as_bytes()).into()
}

/// Where among the stored ones a recovery code is; looks at all of them.
pub fn find_recovery(digests: &[[u8; 32]], typed: &str) -> Option<usize> {
    let wanted = recovery_digest(typed);
    let mut found = None;
    for (index, digest) in digests.iter().enumerate() {
        if bool::from(digest.ct_eq(&wanted)) {
            found = Some(index);
        }
    }
    found
}

/// A text as a QR code: an SVG image with the white edge that cameras need. `None` when the text is too
/// long for one, which is over 2,000 bytes.
pub fn qr_svg(text: &str) -> Option<String> {
    const EDGE: i32 = 4;
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let size = code.size() + 2 * EDGE;
    let mut path = String::new();
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            // Writing to a String cannot fail.
            let _ = write!(path, "M{} {}h1v1h-1z", x + EDGE, y + EDGE);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{size}v{size}h-{size}z\"/><path fill=\"#000\" d=\"{path}\"/></svg>"
    ))
}

/// Whole groups of five bits, which is all there are in 10 and in 20 bytes.
fn base32(bytes: &[u8], alphabet: &[u8; 32]) -> String {
    let bit = |index: usize| usize::from(bytes[index / 8] >> (7 - index % 8) & 1);
    (0..bytes.len() * 8 / 5)
        .map(|char| (char * 5..char * 5 + 5).fold(0, |value, index| value << 1 | bit(index)))
        .map(|value| char::from(alphabet[value]))
        .collect()
}

/// For a URI: everything but unreserved characters as `%XX` (RFC 3986, section 2).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The secret of the test vectors, in RFC 4226, appendix D, and in RFC 6238, appendix B.
    fn rfc() -> Secret {
        Secret::from_bytes(b"12345678901234567890").unwrap()
    }

    fn at(unix_seconds: i64) -> Timestamp {
        Timestamp(unix_seconds * 1000)
    }

    fn code_at(secret: &Secret, now: Timestamp) -> String {
        format!("{:06}", secret.code_of(step_at(now)))
    }

    #[test]
    fn the_codes_are_those_of_rfc_4226() {
        let codes = [
            755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871,
            520_489,
        ];
        for (step, code) in (0..).zip(codes) {
            assert_eq!(rfc().code_of(step), code, "step {step}");
        }
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // Its appendix B has eight digits; the last six are the code of six.
        for (seconds, eight) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            assert_eq!(rfc().code_of(step_at(at(seconds))), eight % CODES, "{seconds}");
        }
    }

    #[test]
    fn a_code_is_right_in_its_step_and_in_the_next_and_the_last() {
        let now = at(1_234_567_890);
        let code = code_at(&rfc(), now);
        let step = step_at(now);
        for (seconds, expected) in
            [(-31, None), (-30, Some(step)), (0, Some(step)), (59, Some(step)), (60, None)]
        {
            let found = rfc().matching_step(&code, at(1_234_567_890 + seconds));
            assert_eq!(found, expected, "{seconds} s later");
        }
    }

    #[test]
    fn what_is_not_six_digits_is_no_code() {
        let now = at(59);
        assert_eq!(rfc().matching_step("287082", now), Some(1));
        for typed in ["", "28708", "0287082", "28708a", "+28708", "２８７０８２", "-87082"] {
            assert_eq!(rfc().matching_step(typed, now), None, "{typed}");
        }
        assert_eq!(tidied(" 287 082\n").as_str(), "287082");
    }

    #[test]
    fn before_1970_there_is_no_code_of_an_earlier_step() {
        assert_eq!(rfc().matching_step("755224", at(-1)), Some(0));
    }

    #[test]
    fn an_app_reads_the_secret_as_base32() {
        assert_eq!(rfc().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = rfc().uri("Loom & Söhne", "ann+x@example.com");
        assert_eq!(
            uri,
            "otpauth://totp/Loom%20%26%20S%C3%B6hne:ann%2Bx%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=Loom%20%26%20S%C3%B6hne&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn a_recovery_code_is_found_however_it_is_typed_and_no_other_is() {
        let codes = recovery_codes(&Entropy::seeded(1));
        assert_eq!(codes.len(), RECOVERY_CODES);
        let digests: Vec<[u8; 32]> = codes.iter().map(|code| recovery_digest(code)).collect();
        for (index, code) in codes.iter().enumerate() {
            assert_eq!(code.len(), RECOVERY_CHARS + 3, "{code}");
            let sloppy = code.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
            assert_eq!(find_recovery(&digests, code), Some(index));
            assert_eq!(find_recovery(&digests, &sloppy), Some(index), "{sloppy}");
            assert_eq!(find_recovery(&digests, &code[..18]), None);
        }
        let mut once: Vec<&String> = codes.iter().collect();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), RECOVERY_CODES);
        assert_eq!(find_recovery(&digests, ""), None);
    }

    #[test]
    fn the_longest_account_fits_a_qr_code() {
        let svg = qr_svg(&rfc().uri(&"ö".repeat(60), &"ü".repeat(127))).unwrap();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"));
        assert_eq!(qr_svg(&"x".repeat(5_000)), None);
    }
}
