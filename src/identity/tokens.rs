//! Opaque tokens: 256 random bits that mean something only to the server that made them.
//!
//! The server keeps the SHA-256 of a token and never the token, so a stolen database opens no
//! session. A fast hash is right here: there is nothing to guess in 256 random bits.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

pub use super::access::{AccessClaims, AccessTokens};

/// What refresh tokens begin with, for people and secret scanners.
pub const REFRESH_PREFIX: &str = "cdr_";

/// What API keys begin with.
pub const API_KEY_PREFIX: &str = "cdt_";

/// What the tokens of organisations' directories begin with.
pub const PROVISIONING_PREFIX: &str = "cds_";

/// Random bytes in a token.
const SECRET_LEN: usize = 32;

/// A new token: the prefix and 43 characters of base64url, so it fits a URL as it is.
pub fn secret(entropy: &Entropy, prefix: &str) -> String {
    let random = Zeroizing::new(entropy.bytes::<SECRET_LEN>());
    let mut token = prefix.to_owned();
    URL_SAFE_NO_PAD.encode_string(random.as_slice(), &mut token);
    token
}

/// Gives each refresh token the one that follows it, so that whoever asks twice with the same token gets
/// the same answer, and no token need be kept in order to be told again.
pub struct RefreshChain(hmac::Key);

impl RefreshChain {
    /// A chain of a secret that nobody else has.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The token after this one: 256 bits that nobody can tell without the secret.
    pub fn successor(&self, token: &str) -> String {
        let mut next = REFRESH_PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(hmac::sign(&self.0, token.as_bytes()), &mut next);
        next
    }
}

/// The form in which a token is stored and looked up: its SHA-256.
///
/// A look-up by it need not take constant time: whoever measures it learns about the hash of a guess, not
/// about the token.
pub fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_prefix_and_256_bits_fit_for_urls() {
        let token = secret(&Entropy::seeded(1), REFRESH_PREFIX);
        let random = token.strip_prefix("cdr_").expect("the prefix");
        assert_eq!(random.len(), 43);
        assert!(random.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    }

    #[test]
    fn tokens_differ_and_so_do_their_digests() {
        let entropy = Entropy::seeded(2);
        let (first, second) = (secret(&entropy, ""), secret(&entropy, ""));
        assert_ne!(first, second);
        assert_ne!(digest(&first), digest(&second));
        assert_eq!(digest(&first), digest(&first));
    }

    #[test]
    fn a_refresh_token_has_one_successor_that_takes_the_secret_to_tell() {
        let chain = RefreshChain::new(&[7; 32]);
        let first = secret(&Entropy::seeded(3), REFRESH_PREFIX);
        let second = chain.successor(&first);
        assert_eq!((second.len(), &second[..4]), (first.len(), "cdr_"));
        assert_eq!(chain.successor(&first), second);
        assert_ne!(chain.successor(&second), first);
        assert_ne!(RefreshChain::new(&[8; 32]).successor(&first), second);
    }

    #[test]
    fn the_digest_is_sha_256_of_the_whole_text() {
        // FIPS 180-4 example: the message "abc".
        assert_eq!(digest("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }
}
