//! The master key: seals private keys, and any other secret that has to be stored.
//!
//! It comes from the environment (`CODITECT_MASTER_KEY`) or from a file that is made at the first
//! start. Whoever holds it and the database holds every signing key, so a backup that is to be
//! useless to a thief keeps the two apart.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::entropy::Entropy;

/// Length of the key: AES-256.
const KEY_LEN: usize = 32;

/// The first byte of everything sealed, so that another cipher can follow one day.
const VERSION_AES_256_GCM: u8 = 1;

/// Length of the GCM tag at the end of everything sealed.
const TAG_LEN: usize = 16;

/// A file longer than this is no key file.
const FILE_BYTES_MAX: u64 = 1024;

/// Why there is no master key, or why something sealed does not open.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The text is not 32 bytes in base64 or hexadecimal.
    #[error(
        "{place} does not hold a master key: it must be 32 bytes as 44 base64 or 64 hexadecimal characters, \
         such as `openssl rand -base64 32` prints"
    )]
    Malformed {
        /// Where the text came from.
        place: String,
    },
    /// The file is gone although secrets sealed with it exist.
    #[error(
        "the master key file {path} is missing, but the database holds keys that were sealed with it. \
         Restore the file from its backup, or set CODITECT_MASTER_KEY; a new key could not open them"
    )]
    Missing {
        /// Where the file was looked for.
        path: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("the master key file {path} cannot be {doing}: {cause}")]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        doing: &'static str,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Sealed with another master key, for another purpose, or damaged.
    #[error(
        "a stored secret does not open: it was sealed with another master key, or the stored bytes are damaged"
    )]
    Unopened,
}

/// Seals secrets with AES-256-GCM. The key's bytes are wiped when it is dropped.
pub struct MasterKey {
    // The cipher wipes its own key schedule; the raw bytes are kept only for `to_text`.
    bytes: Zeroizing<[u8; KEY_LEN]>,
    cipher: LessSafeKey,
}

/// A master key from a file, and what the operator should hear about it.
#[derive(Debug)]
pub struct Loaded {
    /// The key.
    pub key: MasterKey,
    /// True when the file was made just now.
    pub created: bool,
    /// Warnings for the log, such as a file that others can read.
    pub notes: Vec<String>,
}

impl MasterKey {
    /// A new random key.
    pub fn generate(entropy: &Entropy) -> Self {
        Self::from_bytes(Zeroizing::new(entropy.bytes()))
    }

    /// A key for another purpose, which tells nothing of this one: HMAC with SHA-256 as a key derivation
    /// function (NIST SP 800-108, with one block).
    pub fn derive(&self, purpose: &str) -> [u8; KEY_LEN] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_slice());
        let mut derived = [0; KEY_LEN];
        derived.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        derived
    }

    /// A key from text: base64 (either alphabet, padded or not) or hexadecimal. Surrounding white
    /// space is ignored. `place` names the source in the error, which never shows the text.
    pub fn parse(text: &str, place: &str) -> Result<Self, MasterKeyError> {
        let text = text.trim();
        let decoded = decode_hex(text).or_else(|| {
            [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
                .iter()
                .find_map(|engine| engine.decode(text).ok().map(Zeroizing::new))
        });
        let malformed = || MasterKeyError::Malformed { place: place.to_owned() };
        let decoded = decoded.ok_or_else(malformed)?;
        let bytes: [u8; KEY_LEN] = decoded.as_slice().try_into().map_err(|_| malformed())?;
        Ok(Self::from_bytes(Zeroizing::new(bytes)))
    }

    /// The key in `path`; where there is no such file, makes one that only its owner can read.
    ///
    /// `sealed_exists` says that the database holds secrets already: then a missing file is
    /// an error, because a fresh key would open none of them.
    pub fn load_or_create(
        path: &Path,
        entropy: &Entropy,
        sealed_exists: bool,
    ) -> Result<Loaded, MasterKeyError> {
        let io_error =
            |doing| move |cause| MasterKeyError::Io { path: path.to_owned(), doing, cause };
        match File::open(path) {
            Ok(file) => Self::load(path, &file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if sealed_exists {
                    return Err(MasterKeyError::Missing { path: path.to_owned() });
                }
                let key = Self::generate(entropy);
                key.replace(path).map_err(io_error("written"))?;
                Ok(Loaded { key, created: true, notes: Vec::new() })
            }
            Err(error) => Err(io_error("read")(error)),
        }
    }

    fn load(path: &Path, file: &File) -> Result<Loaded, MasterKeyError> {
        let io_error = |cause| MasterKeyError::Io { path: path.to_owned(), doing: "read", cause };
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(|cause| {
            match cause.kind() {
                io::ErrorKind::InvalidData => {
                    MasterKeyError::Malformed { place: path.display().to_string() }
                }
                _ => io_error(cause),
            }
        })?;
        let key = Self::parse(&text, &path.display().to_string())?;
        let mode = file.metadata().map_err(io_error)?.permissions().mode() & 0o777;
        let mut notes = Vec::new();
        if mode & 0o077 != 0 {
            notes.push(format!(
                "the master key file {} has mode {mode:03o}, so other users of this computer may read it: \
                 run `chmod 600` on it",
                path.display()
            ));
        }
        Ok(Loaded { key, created: false, notes })
    }

    /// Writes the key beside its place and moves it there, so that a crash leaves no half a key.
    pub fn replace(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(self.to_text().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The new name must be as durable as the keys that will depend on it.
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => File::open(".")?.sync_all(),
        }
    }

    /// The key as base64 text, for a file or a backup.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(self.bytes.as_slice()))
    }

    /// Encrypts `plaintext`. `aad` says what the secret is and for whom; it is not stored, and
    /// [`MasterKey::open`] must be given the same, so that sealed secrets cannot trade places.
    ///
    /// Shape: version (1 byte), nonce (12 bytes), ciphertext, tag (16 bytes). The nonce is random
    /// (NIST SP 800-38D, 8.2.2): safe for 2^32 secrets under one key.
    pub fn seal(&self, entropy: &Entropy, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = entropy.bytes();
        let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plaintext.len() + TAG_LEN);
        sealed.push(VERSION_AES_256_GCM);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let tag = self
            .cipher
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(aad),
                &mut sealed[1 + NONCE_LEN..],
            )
            .expect("AES-GCM fails only for messages over 64 GiB, which no caller can hold");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Decrypts what [`MasterKey::seal`] made with the same `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, MasterKeyError> {
        let rest = match sealed.split_first() {
            Some((&VERSION_AES_256_GCM, rest)) if rest.len() >= NONCE_LEN + TAG_LEN => rest,
            _ => return Err(MasterKeyError::Unopened),
        };
        let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
        let nonce =
            Nonce::try_assume_unique_for_key(nonce).map_err(|_| MasterKeyError::Unopened)?;
        let mut buffer = Zeroizing::new(ciphertext.to_vec());
        let length = self
            .cipher
            .open_in_place(nonce, Aad::from(aad), &mut buffer)
            .map_err(|_| MasterKeyError::Unopened)?
            .len();
        buffer.truncate(length);
        Ok(buffer)
    }

    fn from_bytes(bytes: Zeroizing<[u8; KEY_LEN]>) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, bytes.as_slice())
            .expect("AES-256 takes every key of 32 bytes");
        Self { bytes, cipher: LessSafeKey::new(unbound) }
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

fn decode_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() != KEY_LEN * 2 || !text.is_ascii() {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_LEN));
    for pair in text.as_bytes().chunks_exact(2) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        bytes.push((high * 16 + low) as u8);
    }
    Some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::generate(&Entropy::seeded(1))
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_key_and_context_only() {
        let entropy = Entropy::seeded(2);
        let sealed = key().seal(&entropy, b"kid-1", b"secret");
        assert_eq!(key().open(b"kid-1", &sealed).unwrap().as_slice(), b"secret");
        assert!(key().open(b"kid-2", &sealed).is_err());
        assert!(MasterKey::generate(&entropy).open(b"kid-1", &sealed).is_err());
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let sealed = key().seal(&Entropy::seeded(3), b"a", b"secret");
        for index in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[index] ^= 1;
            assert!(key().open(b"a", &damaged).is_err(), "byte {index}");
            assert!(key().open(b"a", &sealed[..index]).is_err(), "cut to {index}");
        }
    }

    #[test]
    fn sealing_twice_never_gives_the_same_bytes() {
        let entropy = Entropy::seeded(4);
        assert_ne!(key().seal(&entropy, b"", b"x"), key().seal(&entropy, b"", b"x"));
    }

    #[test]
    fn text_may_be_base64_or_hexadecimal() {
        let text = key().to_text();
        let hex: String =
            key().bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let url = text.replace('+', "-").replace('/', "_");
        for form in [text.as_str(), text.trim_end_matches('='), &url, &hex, &hex.to_uppercase()] {
            let parsed = MasterKey::parse(&format!("  {form}\n"), "test").unwrap();
            assert_eq!(parsed.bytes.as_slice(), key().bytes.as_slice());
        }
    }

    #[test]
    fn malformed_text_is_refused_without_being_shown() {
        for text in [
            "",
            "hunter2-hunter2",
            "AAAA",
            &"zz".repeat(32),
            &"A".repeat(43 * 2),
            "é".repeat(32).as_str(),
        ] {
            let message = MasterKey::parse(text, "CODITECT_MASTER_KEY").unwrap_err().to_string();
            assert!(message.starts_with("CODITECT_MASTER_KEY does not hold"), "{message}");
            assert!(text.is_empty() || !message.contains(text), "{message}");
        }
    }

    #[test]
    fn the_first_start_makes_a_private_file_and_the_next_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let entropy = Entropy::system();
        let made = MasterKey::load_or_create(&path, &entropy, false).unwrap();
        assert!(made.created);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = MasterKey::load_or_create(&path, &entropy, true).unwrap();
        assert!(!read.created && read.notes.is_empty());
        assert_eq!(read.key.bytes.as_slice(), made.key.bytes.as_slice());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn a_lost_file_is_not_replaced_while_secrets_depend_on_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let error = MasterKey::load_or_create(&path, &Entropy::system(), true).unwrap_err();
        assert!(matches!(error, MasterKeyError::Missing { .. }));
        assert!(!path.exists());
    }

    #[test]
    fn a_malformed_file_is_refused_and_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        for content in [&b""[..], b"not a key", b"\xff\xfe\xfd", &[b'A'; 5000]] {
            fs::write(&path, content).unwrap();
            let error = MasterKey::load_or_create(&path, &Entropy::system(), false).unwrap_err();
            assert!(matches!(error, MasterKeyError::Malformed { .. }), "{error}");
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_used_with_a_warning() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        fs::write(&path, key().to_text().as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let loaded = MasterKey::load_or_create(&path, &Entropy::system(), true).unwrap();
        assert!(loaded.notes[0].contains("mode 644"), "{:?}", loaded.notes);
    }

    #[test]
    fn printing_a_master_key_shows_nothing() {
        assert_eq!(format!("{:?}", key()), "MasterKey(..)");
    }
}
