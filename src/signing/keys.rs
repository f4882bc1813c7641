//! A signing key as it is stored: public parts in the open, the private part sealed.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs8::{DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use rsa::rand_core::{TryCryptoRng, TryRng};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;
use crate::entropy::Entropy;

use super::master::MasterKey;

/// Bits of the modulus of a licence key. 4096 is what the licence format promises.
pub const RSA_BITS: usize = 4096;

/// The constant part of an Ed25519 `SubjectPublicKeyInfo` (RFC 8410, section 4).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// What a key signs. A key never serves two purposes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Licences: RSA-4096, because every JWT library verifies RS256.
    License,
    /// Answers to validation calls: Ed25519, because they are made by the thousand.
    Validation,
    /// Access tokens of people: Ed25519.
    Access,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 3] = [Self::License, Self::Validation, Self::Access];

    /// The name in storage and in the published key set.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::License => "license",
            Self::Validation => "validation",
            Self::Access => "access",
        }
    }

    /// The signature algorithm of its keys.
    pub fn algorithm(self) -> Algorithm {
        match self {
            Self::License => Algorithm::Rs256,
            Self::Validation | Self::Access => Algorithm::EdDsa,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A JWS signature algorithm (RFC 7518, RFC 8037).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The name in a JWS header.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }
}

/// Why a key cannot be made, read or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The master key is not the one that sealed it, or the record is damaged.
    #[error(
        "the signing key {kid} does not open with this master key. Start with the master key that was in use when \
         the key was made (CODITECT_MASTER_KEY or the file master.key of that installation)"
    )]
    Unopened {
        /// Which key.
        kid: String,
    },
    /// The parts of a record contradict one another.
    #[error("the stored signing key {kid} is damaged: {why}")]
    Damaged {
        /// Which key.
        kid: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A key offered for import does not suit its purpose.
    #[error("this key cannot be used: {0}")]
    Unsuitable(&'static str),
    /// The key could not be made.
    #[error("a signing key could not be made: {0}")]
    Generate(String),
}

/// The public parts of a key as a JSON Web Key (RFC 7517, RFC 8037), big-endian base64url.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "kty")]
pub enum PublicJwk {
    /// An RSA key.
    #[serde(rename = "RSA")]
    Rsa {
        /// Modulus.
        n: String,
        /// Exponent.
        e: String,
    },
    /// An Ed25519 key.
    #[serde(rename = "OKP")]
    Okp {
        /// `Ed25519`.
        crv: String,
        /// The 32 bytes of the point.
        x: String,
    },
}

impl PublicJwk {
    /// The one algorithm this key may be used with.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa { .. } => Algorithm::Rs256,
            Self::Okp { .. } => Algorithm::EdDsa,
        }
    }

    /// SHA-256 over the required members in lexical order (RFC 7638), base64url: 43 characters.
    pub fn thumbprint(&self) -> String {
        // The values are base64url or a curve's name, so they need no JSON escapes.
        let canonical = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Okp { crv, x } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(Sha256::digest(canonical.as_bytes()))
    }

    /// The parts of a key given as `SubjectPublicKeyInfo`: RSA or Ed25519.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(point) = der.strip_prefix(&ED25519_SPKI_PREFIX[..]).filter(|p| p.len() == 32) {
            return Ok(Self::okp(point));
        }
        RsaPublicKey::from_public_key_der(der)
            .map(|key| Self::rsa(&key))
            .map_err(|_| KeyError::Unsuitable("it is neither an RSA nor an Ed25519 public key"))
    }

    fn rsa(key: &RsaPublicKey) -> Self {
        Self::Rsa {
            n: URL_SAFE_NO_PAD.encode(key.n_bytes()),
            e: URL_SAFE_NO_PAD.encode(key.e_bytes()),
        }
    }

    fn okp(point: &[u8]) -> Self {
        Self::Okp { crv: "Ed25519".to_owned(), x: URL_SAFE_NO_PAD.encode(point) }
    }

    /// The key as `SubjectPublicKeyInfo` (RFC 5280, RFC 8410).
    pub fn spki_der(&self) -> Result<Vec<u8>, KeyError> {
        let decode = |text: &str| {
            URL_SAFE_NO_PAD
                .decode(text)
                .map_err(|_| KeyError::Unsuitable("a public part is not base64url"))
        };
        match self {
            Self::Rsa { n, e } => {
                let modulus = BoxedUint::from_be_slice_vartime(&decode(n)?);
                let exponent = BoxedUint::from_be_slice_vartime(&decode(e)?);
                let key = RsaPublicKey::new(modulus, exponent).map_err(|_| {
                    KeyError::Unsuitable("the RSA modulus or exponent is out of range")
                })?;
                let document = key
                    .to_public_key_der()
                    .map_err(|_| KeyError::Unsuitable("the RSA key cannot be encoded"))?;
                Ok(document.as_bytes().to_vec())
            }
            Self::Okp { crv, x } => {
                let point = decode(x)?;
                if crv != "Ed25519" || point.len() != 32 {
                    return Err(KeyError::Unsuitable(
                        "an OKP key must be 32 bytes on the curve Ed25519",
                    ));
                }
                Ok([&ED25519_SPKI_PREFIX[..], &point].concat())
            }
        }
    }

    /// The key as a PEM block `PUBLIC KEY` (RFC 7468).
    pub fn pem(&self) -> Result<String, KeyError> {
        Ok(pem_block("PUBLIC KEY", &self.spki_der()?))
    }
}

/// A signing key at rest. Its serde form is what the store keeps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// RFC 7638 thumbprint of the public key.
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// How it signs.
    pub algorithm: Algorithm,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it signs nothing more. It stays published.
    #[serde(default)]
    pub retired_at: Option<Timestamp>,
    /// The public parts.
    pub public_jwk: PublicJwk,
    /// PKCS#8, sealed by the master key for this `kid` and `purpose`; base64.
    sealed_private: String,
}

/// A public key as clients see it: the shape of an answer, and of an entry in the key set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PublishedKey {
    /// RFC 7638 thumbprint.
    pub kid: String,
    /// What it signs.
    pub purpose: Purpose,
    /// How it signs.
    pub algorithm: Algorithm,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it signs nothing more.
    pub retired_at: Option<Timestamp>,
    /// `SubjectPublicKeyInfo` as PEM.
    pub public_pem: String,
}

/// A private key that is ready to sign.
pub(super) enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

impl KeyRecord {
    /// Makes a key. RSA-4096 takes about a second: call it where that blocks nobody.
    pub fn generate(
        purpose: Purpose,
        entropy: &Entropy,
        now: Timestamp,
        master: &MasterKey,
    ) -> Result<Self, KeyError> {
        let failed = |error: &dyn fmt::Display| KeyError::Generate(error.to_string());
        let pkcs8 = match purpose.algorithm() {
            Algorithm::Rs256 => {
                // RsaPrivateKey::new draws two primes of half the length and takes e = 65537.
                let key = RsaPrivateKey::new(&mut EntropyRng(entropy), RSA_BITS)
                    .map_err(|error| failed(&error))?;
                let document = key.to_pkcs8_der().map_err(|error| failed(&error))?;
                document.to_bytes()
            }
            Algorithm::EdDsa => {
                let seed = Zeroizing::new(entropy.bytes::<32>());
                let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice())
                    .map_err(|error| failed(&error))?;
                let document = pair.to_pkcs8().map_err(|error| failed(&error))?;
                Zeroizing::new(document.as_ref().to_vec())
            }
        };
        Self::import(purpose, &pkcs8, entropy, now, master)
    }

    /// Takes over a key that was made elsewhere: unencrypted PKCS#8, DER.
    /// Licence keys must be RSA-4096, the others Ed25519.
    pub fn import(
        purpose: Purpose,
        pkcs8: &[u8],
        entropy: &Entropy,
        now: Timestamp,
        master: &MasterKey,
    ) -> Result<Self, KeyError> {
        let public_jwk = Signer::from_pkcs8(purpose, pkcs8)?.public_jwk()?;
        let kid = public_jwk.thumbprint();
        let sealed = master.seal(entropy, &sealing_context(&kid, purpose), pkcs8);
        Ok(Self {
            kid,
            purpose,
            algorithm: purpose.algorithm(),
            created_at: now,
            retired_at: None,
            public_jwk,
            sealed_private: STANDARD.encode(sealed),
        })
    }

    /// [`KeyRecord::import`] from a PEM block `PRIVATE KEY`.
    pub fn import_pem(
        purpose: Purpose,
        pem: &str,
        entropy: &Entropy,
        now: Timestamp,
        master: &MasterKey,
    ) -> Result<Self, KeyError> {
        let pkcs8 = parse_pem_block("PRIVATE KEY", pem).ok_or(KeyError::Unsuitable(
            "it is not one unencrypted PEM block `PRIVATE KEY` (PKCS#8)",
        ))?;
        Self::import(purpose, &pkcs8, entropy, now, master)
    }

    /// The record of the same key, signing nothing more from `now` on. A key that is retired
    /// already keeps its date.
    #[must_use]
    pub fn retired(mut self, now: Timestamp) -> Self {
        self.retired_at.get_or_insert(now);
        self
    }

    /// The same private key under another master key: for changing the master key.
    pub fn resealed(
        &self,
        old: &MasterKey,
        new: &MasterKey,
        entropy: &Entropy,
    ) -> Result<Self, KeyError> {
        let pkcs8 = self.open(old)?;
        let sealed = new.seal(entropy, &sealing_context(&self.kid, self.purpose), &pkcs8);
        Ok(Self { sealed_private: STANDARD.encode(sealed), ..self.clone() })
    }

    /// What clients see of it.
    pub fn published(&self) -> Result<PublishedKey, KeyError> {
        Ok(PublishedKey {
            kid: self.kid.clone(),
            purpose: self.purpose,
            algorithm: self.algorithm,
            created_at: self.created_at,
            retired_at: self.retired_at,
            public_pem: self.public_jwk.pem()?,
        })
    }

    /// Checks that the parts belong together; a damaged record must not be published or signed with.
    pub(super) fn check(&self) -> Result<(), KeyError> {
        let damaged = |why| KeyError::Damaged { kid: self.kid.clone(), why };
        if self.public_jwk.thumbprint() != self.kid {
            return Err(damaged("its id is not the thumbprint of its public key"));
        }
        if self.algorithm != self.purpose.algorithm()
            || self.algorithm != self.public_jwk.algorithm()
        {
            return Err(damaged("its algorithm does not fit its purpose or its public key"));
        }
        Ok(())
    }

    /// Whether the parts belong together and the private one opens with this master key.
    pub fn verify(&self, master: &MasterKey) -> Result<(), KeyError> {
        self.check()?;
        self.signer(master).map(drop)
    }

    /// Opens the private key and checks that it belongs to the published one.
    pub(super) fn signer(&self, master: &MasterKey) -> Result<Signer, KeyError> {
        let signer = Signer::from_pkcs8(self.purpose, &self.open(master)?)?;
        if signer.public_jwk()? != self.public_jwk {
            let why = "its private and public parts differ";
            return Err(KeyError::Damaged { kid: self.kid.clone(), why });
        }
        Ok(signer)
    }

    fn open(&self, master: &MasterKey) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let unopened = || KeyError::Unopened { kid: self.kid.clone() };
        let sealed = STANDARD.decode(&self.sealed_private).map_err(|_| unopened())?;
        master.open(&sealing_context(&self.kid, self.purpose), &sealed).map_err(|_| unopened())
    }
}

/// Shows everything but the private part, sealed or not.
impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord")
            .field("kid", &self.kid)
            .field("purpose", &self.purpose)
            .field("created_at", &self.created_at)
            .field("retired_at", &self.retired_at)
            .finish_non_exhaustive()
    }
}

impl Signer {
    fn from_pkcs8(purpose: Purpose, pkcs8: &[u8]) -> Result<Self, KeyError> {
        match purpose.algorithm() {
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8)
                    .map_err(|_| KeyError::Unsuitable("it is not a valid RSA key in PKCS#8"))?;
                if pair.public_modulus_len() * 8 != RSA_BITS {
                    return Err(KeyError::Unsuitable(
                        "licences are signed with RSA keys of exactly 4096 bits",
                    ));
                }
                Ok(Self::Rsa(Box::new(pair)))
            }
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8)
                .map(|pair| Self::Ed25519(Box::new(pair)))
                .map_err(|_| KeyError::Unsuitable("it is not a valid Ed25519 key in PKCS#8")),
        }
    }

    fn public_jwk(&self) -> Result<PublicJwk, KeyError> {
        match self {
            Self::Rsa(pair) => {
                let key = RsaPublicKey::from_pkcs1_der(pair.public_key().as_ref())
                    .map_err(|_| KeyError::Unsuitable("its RSA public key is out of range"))?;
                Ok(PublicJwk::rsa(&key))
            }
            Self::Ed25519(pair) => Ok(PublicJwk::okp(pair.public_key().as_ref())),
        }
    }
}

/// Ties a sealed private key to its record, so that two records cannot swap their private parts.
fn sealing_context(kid: &str, purpose: Purpose) -> Vec<u8> {
    format!("coditect signing key|{purpose}|{kid}").into_bytes()
}

/// DER as a PEM block with lines of 64 characters (RFC 7468).
fn pem_block(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for start in (0..body.len()).step_by(64) {
        text.push_str(&body[start..body.len().min(start + 64)]);
        text.push('\n');
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

/// The DER inside the first PEM block of that label.
pub(super) fn parse_pem_block(label: &str, pem: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {label}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    let compact: Zeroizing<String> =
        Zeroizing::new(body.chars().filter(|c| !c.is_ascii_whitespace()).collect());
    STANDARD.decode(compact.as_bytes()).ok().map(Zeroizing::new)
}

/// The crate's source of randomness in the shape the `rsa` crate asks for.
struct EntropyRng<'a>(&'a Entropy);

impl TryRng for EntropyRng<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_le_bytes(self.0.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_le_bytes(self.0.bytes()))
    }

    fn try_fill_bytes(&mut self, buffer: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(buffer);
        Ok(())
    }
}

impl TryCryptoRng for EntropyRng<'_> {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;

    /// A public RSA-4096 key for tests alone: making one takes a second.
    pub(crate) const RSA_PEM: &str =
        include_str!("../../tests/fixtures/keys/license-rsa4096.pkcs8.pem");
    const RSA_SPKI_PEM: &str = include_str!("../../tests/fixtures/keys/license-rsa4096.spki.pem");

    pub(crate) const CREATED: Timestamp = Timestamp(1_700_000_000_000);

    pub(crate) fn master() -> MasterKey {
        MasterKey::generate(&Entropy::seeded(7))
    }

    pub(crate) fn rsa_record() -> KeyRecord {
        KeyRecord::import_pem(Purpose::License, RSA_PEM, &Entropy::seeded(8), CREATED, &master())
            .unwrap()
    }

    pub(crate) fn ed25519_record(purpose: Purpose, seed: u64) -> KeyRecord {
        KeyRecord::generate(purpose, &Entropy::seeded(seed), CREATED, &master()).unwrap()
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_7638_section_3_1_and_rfc_8037_appendix_a_3() {
        let rsa = PublicJwk::Rsa {
            n: concat!(
                "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj",
                "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ",
                "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK",
                "nqDKgw"
            )
            .to_owned(),
            e: "AQAB".to_owned(),
        };
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        let okp = PublicJwk::Okp {
            crv: "Ed25519".to_owned(),
            x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".to_owned(),
        };
        assert_eq!(okp.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn the_public_pem_is_what_openssl_writes() {
        assert_eq!(rsa_record().published().unwrap().public_pem, RSA_SPKI_PEM);
    }

    #[test]
    fn ed25519_keys_follow_from_entropy_and_differ_by_draw() {
        let first = ed25519_record(Purpose::Access, 1);
        assert_eq!(first.kid, ed25519_record(Purpose::Access, 1).kid);
        assert_ne!(first.kid, ed25519_record(Purpose::Access, 2).kid);
        assert_eq!(first.kid.len(), 43);
    }

    #[test]
    fn a_record_survives_json_and_still_opens() {
        let record = ed25519_record(Purpose::Validation, 3);
        let json = serde_json::to_string(&record).unwrap();
        let read: KeyRecord = serde_json::from_str(&json).unwrap();
        assert_eq!(read, record);
        read.signer(&master()).unwrap();
    }

    #[test]
    fn no_private_byte_is_stored_or_printed_in_the_open() {
        let record = rsa_record();
        let json = serde_json::to_string(&record).unwrap();
        let body: String = RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect();
        // The start of PKCS#8 holds the public modulus; the private exponent is further on.
        assert!(!json.contains(&body[1200..1240]));
        assert!(!format!("{record:?}").contains("sealed"));
    }

    #[test]
    fn another_master_key_is_told_apart_from_damage() {
        let other = MasterKey::generate(&Entropy::seeded(99));
        let error = rsa_record().signer(&other).err().unwrap();
        assert!(matches!(error, KeyError::Unopened { .. }));
        assert!(error.to_string().contains("CODITECT_MASTER_KEY"));
    }

    #[test]
    fn two_records_cannot_swap_their_private_parts_or_purposes() {
        let first = ed25519_record(Purpose::Access, 4);
        let second = ed25519_record(Purpose::Access, 5);
        let swapped = KeyRecord { sealed_private: second.sealed_private.clone(), ..first.clone() };
        assert!(swapped.signer(&master()).is_err());
        let repurposed = KeyRecord { purpose: Purpose::Validation, ..first.clone() };
        assert!(repurposed.signer(&master()).is_err());
        let renamed = KeyRecord { public_jwk: second.public_jwk, ..first };
        assert!(renamed.check().is_err());
    }

    #[test]
    fn a_record_can_be_moved_to_a_new_master_key() {
        let new = MasterKey::generate(&Entropy::seeded(50));
        let moved = rsa_record().resealed(&master(), &new, &Entropy::seeded(51)).unwrap();
        moved.signer(&new).unwrap();
        assert!(moved.signer(&master()).is_err());
    }

    #[test]
    fn unsuitable_keys_are_refused() {
        let import = |purpose, pem: &str| {
            KeyRecord::import_pem(purpose, pem, &Entropy::seeded(1), CREATED, &master())
        };
        assert!(import(Purpose::Access, RSA_PEM).is_err(), "RSA where Ed25519 belongs");
        assert!(import(Purpose::License, RSA_SPKI_PEM).is_err(), "a public key");
        assert!(import(Purpose::License, "").is_err());
        let short = RsaPrivateKey::new(&mut EntropyRng(&Entropy::seeded(2)), 2048).unwrap();
        let short = short.to_pkcs8_der().unwrap();
        let error = KeyRecord::import(
            Purpose::License,
            short.as_bytes(),
            &Entropy::seeded(3),
            CREATED,
            &master(),
        );
        assert!(error.unwrap_err().to_string().contains("4096"));
    }

    #[test]
    fn a_generated_license_key_is_rsa_4096_with_the_usual_exponent() {
        // The one test that makes such a key: a second or two.
        let record =
            KeyRecord::generate(Purpose::License, &Entropy::system(), CREATED, &master()).unwrap();
        let PublicJwk::Rsa { n, e } = &record.public_jwk else { panic!("not RSA") };
        assert_eq!(e, "AQAB");
        let modulus = URL_SAFE_NO_PAD.decode(n).unwrap();
        assert_eq!(modulus.len(), 512);
        assert!(modulus[0] & 0x80 != 0, "exactly 4096 bits");
        record.signer(&master()).unwrap();
    }
}
