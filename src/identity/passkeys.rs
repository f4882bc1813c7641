//! Passkeys: what a browser is asked, and whether its answer is good.
//!
//! This is the relying party of W3C Web Authentication, Level 3 (sections 7.1 and 7.2), in the one form
//! that is needed here: discoverable credentials, the user verified by the authenticator, no attestation.
//! So a passkey is two factors by itself: the device, and what unlocks it. Signatures and keys are
//! checked by the cryptographic library, CBOR is read by a library.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Decoder;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::passkey::PasskeyKey;
use crate::entropy::Entropy;

/// How long a person may take over it, in milliseconds.
const TIMEOUT_MS: u32 = 300_000;

/// The longest name of a credential (section 4, "Credential ID").
const CREDENTIAL_ID_MAX: usize = 1023;

// COSE algorithms (RFC 9053), the most wanted first.
const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

// Flags of authenticator data (section 6.1).
const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const MAY_BE_BACKED_UP: u8 = 1 << 3;
const IS_BACKED_UP: u8 = 1 << 4;
const HAS_CREDENTIAL: u8 = 1 << 6;
const HAS_EXTENSIONS: u8 = 1 << 7;

/// Why an answer is not good: for the log, and for the person who adds a passkey.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(pub &'static str);

/// Random bytes that an answer has to be about.
pub type Challenge = [u8; 32];

/// A fresh challenge.
pub fn challenge(entropy: &Entropy) -> Challenge {
    entropy.bytes()
}

/// This server, as browsers and authenticators know it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelyingParty {
    /// The domain that passkeys are made for.
    id: String,
    /// The one origin whose pages may use them.
    origin: String,
}

/// For whom a passkey is made.
pub struct Owner<'a> {
    /// Tells a sign-in who it is: no name, no address.
    pub handle: &'a [u8],
    /// What the person chooses by.
    pub email: &'a str,
    /// The person's name.
    pub full_name: &'a str,
}

/// A browser's answer to a request to make a passkey.
pub struct Attestation<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `attestationObject`.
    pub object: &'a [u8],
}

/// A browser's answer to a request to sign in.
pub struct Assertion<'a> {
    /// `clientDataJSON`.
    pub client_data: &'a [u8],
    /// `authenticatorData`.
    pub authenticator_data: &'a [u8],
    /// `signature`.
    pub signature: &'a [u8],
}

/// A passkey that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// What its authenticator calls it.
    pub credential_id: Vec<u8>,
    /// Its public key.
    pub key: PasskeyKey,
    /// How often it has signed.
    pub sign_count: u32,
    /// Whether copies are kept.
    pub synced: bool,
}

/// A passkey that has signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signed {
    /// How often it has.
    pub sign_count: u32,
    /// Whether copies are kept.
    pub synced: bool,
}

impl RelyingParty {
    /// The server at its public address; `None` where browsers allow no passkeys: without HTTPS, or at
    /// an address that has no name. On the computer itself that name is `localhost`.
    pub fn at(public_url: &str) -> Option<Self> {
        let mut url = Url::parse(public_url).ok()?;
        let loopback = matches!(url.host_str(), Some("127.0.0.1" | "[::1]"));
        if loopback && url.set_host(Some("localhost")).is_err() {
            return None;
        }
        let id = url.domain()?.to_owned();
        let local = id == "localhost" || id.ends_with(".localhost");
        let secure = url.scheme() == "https" || local;
        secure.then(|| Self { id, origin: url.origin().ascii_serialization() })
    }

    /// The origin whose pages may use passkeys.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What a browser is given in order to make a passkey (`PublicKeyCredentialCreationOptionsJSON`).
    pub fn to_make(
        &self,
        name: &str,
        challenge: &Challenge,
        owner: &Owner<'_>,
        known: &[Vec<u8>],
    ) -> Value {
        let known: Vec<Value> =
            known.iter().map(|id| json!({"type": "public-key", "id": encoded(id)})).collect();
        let algorithms: Vec<Value> = [ES256, EDDSA, RS256]
            .iter()
            .map(|algorithm| json!({"type": "public-key", "alg": algorithm}))
            .collect();
        json!({
            "rp": {"id": self.id, "name": name},
            "user": {"id": encoded(owner.handle), "name": owner.email, "displayName": owner.full_name},
            "challenge": encoded(challenge),
            "pubKeyCredParams": algorithms,
            "timeout": TIMEOUT_MS,
            "excludeCredentials": known,
            "authenticatorSelection": {
                "residentKey": "required",
                "requireResidentKey": true,
                "userVerification": "required",
            },
            "attestation": "none",
        })
    }

    /// What a browser is given in order to sign in (`PublicKeyCredentialRequestOptionsJSON`). It names no
    /// account: the person chooses among the passkeys that the browser knows.
    pub fn to_sign_in(&self, challenge: &Challenge) -> Value {
        json!({
            "rpId": self.id,
            "challenge": encoded(challenge),
            "timeout": TIMEOUT_MS,
            "userVerification": "required",
            "allowCredentials": [],
        })
    }

    /// The passkey that was made (section 7.1).
    ///
    /// # Errors
    /// When the answer is not to this challenge, not from this server's pages, or not whole.
    pub fn made(
        &self,
        challenge: &Challenge,
        attestation: &Attestation<'_>,
    ) -> Result<Made, Refused> {
        self.check_client_data("webauthn.create", challenge, attestation.client_data)?;
        let unreadable = Refused("the attestation object cannot be read");
        let data = authenticator_data_in(attestation.object).ok_or(unreadable)?;
        let data = self.read(data)?;
        let (credential_id, key) =
            credential_in(data.rest, data.flags).ok_or(Refused("it has no key of a known kind"))?;
        if credential_id.is_empty() || credential_id.len() > CREDENTIAL_ID_MAX {
            return Err(Refused("its id has an odd length"));
        }
        check_key(&key)?;
        Ok(Made {
            credential_id: credential_id.to_vec(),
            key,
            sign_count: data.sign_count,
            synced: data.flags & IS_BACKED_UP != 0,
        })
    }

    /// Whether the owner of a passkey has signed this challenge with it (section 7.2).
    ///
    /// # Errors
    /// When the answer is not to this challenge, not from this server's pages, not signed by this key, or
    /// signed by a copy of it.
    pub fn signed(
        &self,
        challenge: &Challenge,
        assertion: &Assertion<'_>,
        key: &PasskeyKey,
        sign_count: u32,
    ) -> Result<Signed, Refused> {
        self.check_client_data("webauthn.get", challenge, assertion.client_data)?;
        let data = self.read(assertion.authenticator_data)?;
        let mut message = assertion.authenticator_data.to_vec();
        message.extend_from_slice(&Sha256::digest(assertion.client_data));
        if !verifies(key, &message, assertion.signature) {
            return Err(Refused("its signature is not of this key"));
        }
        check_count(sign_count, data.sign_count)?;
        Ok(Signed { sign_count: data.sign_count, synced: data.flags & IS_BACKED_UP != 0 })
    }

    fn check_client_data(
        &self,
        kind: &str,
        challenge: &Challenge,
        json: &[u8],
    ) -> Result<(), Refused> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct ClientData {
            #[serde(rename = "type")]
            kind: String,
            challenge: String,
            origin: String,
            #[serde(default)]
            cross_origin: bool,
        }
        let data: ClientData =
            serde_json::from_slice(json).map_err(|_| Refused("the client data cannot be read"))?;
        if data.kind != kind {
            return Err(Refused("it answers another question"));
        }
        if !bool::from(data.challenge.as_bytes().ct_eq(encoded(challenge).as_bytes())) {
            return Err(Refused("it answers another challenge"));
        }
        if data.origin != self.origin || data.cross_origin {
            return Err(Refused("it comes from another page"));
        }
        Ok(())
    }

    /// Reads authenticator data (section 6.1), as far as it has the same form everywhere.
    fn read<'a>(&self, data: &'a [u8]) -> Result<AuthenticatorData<'a>, Refused> {
        let cut = Refused("the authenticator data is cut off");
        let (server, rest) = data.split_first_chunk::<32>().ok_or(cut)?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(cut)?;
        let (count, rest) = rest.split_first_chunk::<4>().ok_or(cut)?;
        if server[..] != Sha256::digest(&self.id)[..] {
            return Err(Refused("it is for another server"));
        }
        if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
            return Err(Refused("the authenticator did not ask who is there"));
        }
        if flags & IS_BACKED_UP != 0 && flags & MAY_BE_BACKED_UP == 0 {
            return Err(Refused("its flags contradict one another"));
        }
        Ok(AuthenticatorData { flags, sign_count: u32::from_be_bytes(*count), rest })
    }
}

/// Whether a count of signatures follows on another. One that does not rise is a copy's, unless the
/// authenticator counts nothing.
///
/// # Errors
/// When it is a copy's.
pub fn check_count(before: u32, now: u32) -> Result<(), Refused> {
    if (before != 0 || now != 0) && now <= before {
        return Err(Refused("its count of signatures did not rise, so there is a copy of it"));
    }
    Ok(())
}

struct AuthenticatorData<'a> {
    flags: u8,
    sign_count: u32,
    /// The credential, extensions.
    rest: &'a [u8],
}

/// The authenticator data in an attestation object (section 6.5). The statement beside it says who made the
/// authenticator; it was not asked for, and nothing depends on it.
fn authenticator_data_in(object: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(object);
    let mut found = None;
    for _ in 0..decoder.map().ok()?? {
        match decoder.str().ok()? {
            "authData" => found = Some(decoder.bytes().ok()?),
            _ => decoder.skip().ok()?,
        }
    }
    found.filter(|_| decoder.position() == object.len())
}

/// The id and the key in attested credential data (section 6.5.1), which extensions may follow.
fn credential_in(data: &[u8], flags: u8) -> Option<(&[u8], PasskeyKey)> {
    if flags & HAS_CREDENTIAL == 0 {
        return None;
    }
    let (_model, rest) = data.split_at_checked(16)?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (id, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let mut decoder = Decoder::new(rest);
    let key = key_in(&mut decoder)?;
    if flags & HAS_EXTENSIONS != 0 {
        decoder.skip().ok()?;
    }
    (decoder.position() == rest.len()).then_some((id, key))
}

/// A COSE key (RFC 9052, section 7): what its parameters -1 to -3 are depends on its kind.
fn key_in(decoder: &mut Decoder<'_>) -> Option<PasskeyKey> {
    let (mut algorithm, mut curve) = (None, None);
    let (mut first, mut second, mut third) = (None, None, None);
    for _ in 0..decoder.map().ok()?? {
        match decoder.i64().ok()? {
            3 => algorithm = Some(decoder.i64().ok()?),
            -1 if matches!(decoder.datatype().ok()?, minicbor::data::Type::Bytes) => {
                first = Some(decoder.bytes().ok()?.to_vec());
            }
            -1 => curve = Some(decoder.i64().ok()?),
            -2 => second = Some(decoder.bytes().ok()?.to_vec()),
            -3 => third = Some(decoder.bytes().ok()?.to_vec()),
            _ => decoder.skip().ok()?,
        }
    }
    match (algorithm?, curve) {
        (ES256, Some(1)) => {
            let (x, y) = (second?, third?);
            let sound = x.len() == 32 && y.len() == 32;
            sound.then(|| PasskeyKey::Es256([vec![4], x, y].concat()))
        }
        (EDDSA, Some(6)) => Some(PasskeyKey::EdDsa(second?)),
        (RS256, None) => Some(PasskeyKey::Rs256(first?, second?)),
        _ => None,
    }
}

fn check_key(key: &PasskeyKey) -> Result<(), Refused> {
    let is_key = |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
        ParsedPublicKey::new(algorithm, bytes).is_ok()
    };
    let sound = match key {
        PasskeyKey::Es256(point) => is_key(&ECDSA_P256_SHA256_ASN1, point),
        PasskeyKey::EdDsa(bytes) => is_key(&ED25519, bytes),
        PasskeyKey::Rs256(n, e) => (256..=1024).contains(&n.len()) && (1..=8).contains(&e.len()),
    };
    if sound { Ok(()) } else { Err(Refused("its key is none")) }
}

fn verifies(key: &PasskeyKey, message: &[u8], signature: &[u8]) -> bool {
    let by = |algorithm: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
        ParsedPublicKey::new(algorithm, bytes)
            .is_ok_and(|key| key.verify_sig(message, signature).is_ok())
    };
    match key {
        PasskeyKey::Es256(point) => by(&ECDSA_P256_SHA256_ASN1, point),
        PasskeyKey::EdDsa(bytes) => by(&ED25519, bytes),
        PasskeyKey::Rs256(n, e) => RsaPublicKeyComponents { n, e }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .is_ok(),
    }
}

/// Bytes as browsers write them.
pub fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Bytes as browsers write them; `None`: that is not what this is.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn server() -> RelyingParty {
        RelyingParty::at("https://licensing.example.com/").unwrap()
    }

    #[test]
    fn browsers_allow_passkeys_with_https_and_a_name_and_on_the_computer_itself() {
        for (public_url, id, origin) in [
            (
                "https://licensing.example.com",
                "licensing.example.com",
                "https://licensing.example.com",
            ),
            ("https://a.example:8443/", "a.example", "https://a.example:8443"),
            ("http://localhost:8750", "localhost", "http://localhost:8750"),
            ("http://127.0.0.1:8750", "localhost", "http://localhost:8750"),
            ("http://[::1]:8750", "localhost", "http://localhost:8750"),
        ] {
            let server = RelyingParty::at(public_url).unwrap();
            assert_eq!((&*server.id, server.origin()), (id, origin), "{public_url}");
        }
        for none in
            ["http://licensing.example.com", "https://192.0.2.7", "http://10.0.0.1:8750", "x"]
        {
            assert_eq!(RelyingParty::at(none), None, "{none}");
        }
    }

    #[test]
    fn a_count_that_does_not_rise_is_a_copys_unless_nothing_is_counted() {
        for (before, now, fine) in
            [(0, 0, true), (0, 1, true), (7, 8, true), (7, 7, false), (7, 6, false), (7, 0, false)]
        {
            assert_eq!(check_count(before, now).is_ok(), fine, "{before} {now}");
        }
    }

    #[test]
    fn bytes_of_strangers_are_refused_and_never_a_panic() {
        use proptest::prelude::*;
        let bytes = || prop::collection::vec(any::<u8>(), 0..300);
        // What comes close: right up to the credential, then anything.
        let close = |flags: u8| {
            let mut data = Sha256::digest("licensing.example.com").to_vec();
            data.extend([flags, 0, 0, 0, 1]);
            data.extend([0; 16]);
            data
        };
        let client_data = serde_json::to_vec(&json!({
            "type": "webauthn.create",
            "challenge": encoded(&[7; 32]),
            "origin": "https://licensing.example.com",
        }))
        .unwrap();
        proptest!(|(object in bytes(), rest in bytes(), flags: u8)| {
            let made = |object: &[u8]| {
                server().made(&[7; 32], &Attestation { client_data: &client_data, object })
            };
            prop_assert!(made(&object).is_err());
            let data = [close(flags), rest.clone()].concat();
            let mut wrapped = vec![0xa1, 0x68];
            wrapped.extend(b"authData");
            wrapped.extend([0x59, (data.len() >> 8) as u8, data.len() as u8]);
            wrapped.extend(&data);
            let _ = made(&wrapped);
            let assertion = Assertion {
                client_data: &object,
                authenticator_data: &data,
                signature: &rest,
            };
            let key = PasskeyKey::EdDsa(vec![9; 32]);
            prop_assert!(server().signed(&[7; 32], &assertion, &key, 0).is_err());
        });
    }
}
