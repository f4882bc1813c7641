//! What a password must be, and how it is kept.
//!
//! Rules after NIST SP 800-63B-4, section 3.1.1.2: length instead of character classes - more of it
//! where the password stands alone -, Unicode normalised, no composition rules, common and guessable
//! passwords refused. Hashes after the OWASP Password Storage Cheat Sheet: argon2id, 19 MiB, two passes,
//! one lane; kept as PHC strings, which name their own cost, so that it can rise without resetting
//! anybody's password.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;
use zxcvbn::Score;

use crate::domain::error::{Code, Error, FieldError, Result};
use crate::entropy::Entropy;

/// Most characters of a password, before and after normalising.
pub const CHARS_MAX: usize = 256;

/// A stored hash that asks for more memory than this is not computed: 256 MiB.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// A stored hash that asks for more passes than this is not computed.
const PASSES_MAX: u32 = 32;

/// An imported hash that asks for more than 1 GiB in all, memory times passes, is refused: somewhat less
/// than a second of work.
const IMPORTED_WORK_MAX: u32 = 1024 * 1024;

const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;

/// Passwords that many people have and that the estimate below thinks well of, in lower case and in
/// order. It has the more usual ones itself.
const COMMON: &str = include_str!("../../assets/common-passwords.txt");

/// What a hash costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes; they are computed one after the other.
    pub lanes: u32,
}

impl Cost {
    /// OWASP's recommendation for argon2id: 19 MiB, two passes, one lane. About 28 ms.
    pub const OWASP: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };

    fn params(self) -> Result<Params> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(HASH_LEN))
            .map_err(Error::internal)
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::OWASP
    }
}

/// Why a password is refused, in words for the person who chose it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Weak {
    /// What is wrong with it.
    pub why: String,
    /// What would make it better.
    pub suggestions: Vec<String>,
}

impl From<Weak> for Error {
    fn from(weak: Weak) -> Self {
        let mut detail = weak.why;
        for suggestion in &weak.suggestions {
            detail.push(' ');
            detail.push_str(suggestion);
        }
        let mut error = Self::new(Code::WeakPassword, detail.clone());
        error.fields.push(FieldError { field: "password".to_owned(), message: detail });
        error
    }
}

/// A password as it is hashed: Unicode form NFKC, so that a keyboard that composes characters
/// differently types the same password. `None` when it is too long to be anyone's.
pub fn normalise(password: &str) -> Option<Zeroizing<String>> {
    if password.chars().nth(CHARS_MAX).is_some() {
        return None;
    }
    // NFKC makes at most 18 characters of one; the capacity avoids copies that nobody wipes.
    let mut normal = Zeroizing::new(String::with_capacity(password.len() * 18));
    normal.extend(password.nfkc());
    if normal.chars().nth(CHARS_MAX).is_some() { None } else { Some(normal) }
}

/// Whether a password has so many characters.
pub fn is_as_long_as(password: &str, chars_min: usize) -> bool {
    normalise(password).is_some_and(|normal| normal.chars().count() >= chars_min)
}

/// Judges a new password. `about` are words that belong to its owner (e-mail address, name,
/// company): a password made of them is weak. Takes up to some milliseconds for odd input, so
/// call it through [`super::HashPool::hash_new`].
pub fn check(password: &str, chars_min: usize, about: &[&str]) -> Result<(), Weak> {
    let refuse = |why: String| Err(Weak { why, suggestions: Vec::new() });
    let Some(normal) = normalise(password) else {
        return refuse(format!("A password has at most {CHARS_MAX} characters."));
    };
    if normal.chars().count() < chars_min {
        return Err(Weak {
            why: format!("A password needs at least {chars_min} characters."),
            suggestions: vec!["Some words in a row are long and easy to remember.".to_owned()],
        });
    }
    if is_common(&normal) {
        return refuse(
            "Many people have this password, so it is among the first tried.".to_owned(),
        );
    }
    let words = personal_words(about);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let strength = zxcvbn::zxcvbn(&normal, &words);
    if strength.score() >= Score::Three {
        return Ok(());
    }
    let feedback = strength.feedback();
    let why = feedback.and_then(zxcvbn::feedback::Feedback::warning).map_or_else(
        || "This password is easy to guess.".to_owned(),
        |warning| warning.to_string(),
    );
    let suggestions =
        feedback.map(|feedback| feedback.suggestions().iter().map(ToString::to_string).collect());
    Err(Weak { why, suggestions: suggestions.unwrap_or_default() })
}

/// Why the password that somebody has already is no new one.
pub fn same_again() -> Weak {
    let why = "This is the password that the account has already; choose another.".to_owned();
    Weak { why, suggestions: Vec::new() }
}

fn is_common(normal: &str) -> bool {
    let lower = normal.to_lowercase();
    common().any(|common| common == lower)
}

fn common() -> impl Iterator<Item = &'static str> {
    COMMON.lines().filter(|line| !line.starts_with('#'))
}

/// The inputs and their parts: `ann.lee@example.com` gives `ann`, `lee`, `example`, ... as well.
fn personal_words(about: &[&str]) -> Vec<String> {
    const INPUTS_MAX: usize = 8;
    const CHARS_EACH_MAX: usize = 100;
    let mut words = vec!["coditect".to_owned()];
    for input in about.iter().take(INPUTS_MAX) {
        let input: String = input.chars().take(CHARS_EACH_MAX).collect();
        let parts =
            input.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 2);
        words.extend(parts.map(str::to_owned));
        words.push(input);
    }
    words
}

/// True when a stored hash is of another kind, or costs less to guess than new ones do, so that it should
/// be made anew at the next successful sign-in.
pub fn needs_rehash(phc: &str, cost: Cost) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else { return true };
    let Ok(params) = Params::try_from(&hash) else { return true };
    hash.algorithm.as_str() != "argon2id"
        || hash.version != Some(u32::from(Version::V0x13))
        || params.m_cost() < cost.memory_kib
        || params.t_cost() < cost.passes
}

/// A thread's own working memory: kept between hashes, because fetching 19 MiB from the operating
/// system for each would cost a tenth of the time again.
#[derive(Default)]
pub(super) struct Scratch(Vec<Block>);

impl Scratch {
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            self.0.resize(count, Block::new());
        }
        &mut self.0[..count]
    }

    /// True when it holds no memory.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Gives the memory back.
    pub(super) fn release(&mut self) {
        self.0 = Vec::new();
    }
}

/// The PHC string of a password that [`normalise`] gave.
pub(super) fn hash(
    normal: &str,
    cost: Cost,
    entropy: &Entropy,
    scratch: &mut Scratch,
) -> Result<String> {
    let params = cost.params()?;
    let salt: [u8; SALT_LEN] = entropy.bytes();
    let mut output = Zeroizing::new([0; HASH_LEN]);
    let blocks = scratch.blocks(params.block_count());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(normal.as_bytes(), &salt, output.as_mut_slice(), blocks)
        .map_err(Error::internal)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(Error::internal)?,
        salt: Some(Salt::new(&salt).map_err(Error::internal)?),
        hash: Some(Output::new(output.as_slice()).map_err(Error::internal)?),
    };
    Ok(hash.to_string())
}

/// Whether the password is the one behind a PHC string. An error means that the stored string cannot be
/// used, never that the password is wrong.
pub(super) fn verify(password: &str, phc: &str, scratch: &mut Scratch) -> Result<bool> {
    let unusable =
        |why: &str| Error::internal(format!("a stored password hash cannot be used: {why}"));
    let stored = Stored::parse(phc).map_err(unusable)?;
    let expected = stored.expected.as_bytes();
    let mut output = Zeroizing::new(vec![0; expected.len()]);
    let blocks = scratch.blocks(stored.params.block_count());
    Argon2::new(stored.algorithm, stored.version, stored.params)
        .hash_password_into_with_memory(
            password.as_bytes(),
            &stored.salt,
            output.as_mut_slice(),
            blocks,
        )
        .map_err(Error::internal)?;
    Ok(subtle::ConstantTimeEq::ct_eq(output.as_slice(), expected).into())
}

/// Whether a PHC string can be verified here; why not.
pub(super) fn check_phc(phc: &str) -> Result<(), &'static str> {
    let Stored { params, .. } = Stored::parse(phc)?;
    if params.m_cost().saturating_mul(params.t_cost()) > IMPORTED_WORK_MAX {
        return Err("it asks for more work than is allowed");
    }
    Ok(())
}

/// What a PHC string says.
struct Stored {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Salt,
    expected: Output,
}

impl Stored {
    fn parse(phc: &str) -> Result<Self, &'static str> {
        let hash = PasswordHash::new(phc).map_err(|_| "it is not a PHC string")?;
        let algorithm =
            Algorithm::try_from(hash.algorithm.as_str()).map_err(|_| "it is not argon2")?;
        let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from);
        let version = version.map_err(|_| "its argon2 version is unknown")?;
        let params = Params::try_from(&hash).map_err(|_| "its parameters are out of range")?;
        if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX {
            return Err("it asks for more work than is allowed");
        }
        let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
            return Err("its salt or hash is missing");
        };
        Ok(Self { algorithm, version, params, salt, expected })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CHARS_MIN: usize = 8;

    /// Cheap enough to hash often; everything else is as in production.
    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };

    fn hash_of(password: &str, cost: Cost) -> String {
        let normal = normalise(password).unwrap();
        hash(&normal, cost, &Entropy::system(), &mut Scratch::default()).unwrap()
    }

    fn matches(password: &str, phc: &str) -> bool {
        verify(&normalise(password).unwrap(), phc, &mut Scratch::default()).unwrap()
    }

    #[test]
    fn long_or_unusual_passwords_are_welcome() {
        for password in [
            "correct horse battery staple",
            "tr0ub4dour&3-kayak",
            "пароль-из-трёх-слов",
            "9f3kQ-zz8!x",
        ] {
            assert_eq!(check(password, CHARS_MIN, &[]), Ok(()), "{password}");
        }
    }

    #[test]
    fn short_common_and_personal_passwords_are_refused_with_advice() {
        let about = ["ann.smithson@example.com", "Ann Smithson"];
        for password in [
            "",
            "Ab1!",
            "password",
            "P@ssw0rd",
            "qwertyuiop",
            "aaaaaaaaaaaa",
            "smithson2026",
            "coditect123",
            "annsmithson",
        ] {
            let weak = check(password, CHARS_MIN, &about).unwrap_err();
            assert!(!weak.why.is_empty(), "{password}");
            let error = Error::from(weak);
            assert_eq!(error.code, Code::WeakPassword);
            assert_eq!(error.fields[0].field, "password");
            assert!(!error.detail.contains("smithson"), "never shows it");
        }
    }

    #[test]
    fn length_counts_characters_after_normalising_and_is_bounded_before() {
        assert!(check("ÄÖÜßäöü", CHARS_MIN, &[]).unwrap_err().why.contains("at least 8"));
        assert!(check(&"x".repeat(257), CHARS_MIN, &[]).unwrap_err().why.contains("at most 256"));
        // One character that NFKC turns into eighteen.
        assert!(
            check(&"\u{FDFA}".repeat(20), CHARS_MIN, &[]).unwrap_err().why.contains("at most 256")
        );
        assert!(normalise(&"ä".repeat(256)).is_some());
    }

    #[test]
    fn the_same_password_typed_on_another_keyboard_matches() {
        let phc = hash_of("Stra\u{00DF}e-\u{00E9}t\u{00E9}-\u{FB01}n", CHEAP);
        assert!(matches("Stra\u{00DF}e-e\u{0301}te\u{0301}-fin", &phc));
        assert!(!matches("Strasse-ete-fin", &phc));
    }

    #[test]
    fn hashes_are_salted_phc_strings_of_the_recommended_cost() {
        let first = hash_of("correct horse", Cost::OWASP);
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, hash_of("correct horse", Cost::OWASP));
        assert!(matches("correct horse", &first));
        assert!(!matches("correct horsf", &first));
    }

    #[test]
    fn a_hash_of_the_reference_implementation_verifies() {
        // From the test vectors of github.com/P-H-C/phc-winner-argon2: password, somesalt, t=2 m=2^16 p=1.
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(matches("password", phc));
        assert!(!matches("passwore", phc));
        assert!(!needs_rehash(phc, Cost::OWASP), "it costs more already");
    }

    #[test]
    fn a_password_that_stands_alone_needs_more_characters() {
        let short = check("9f3kQ-zz8!x", 15, &[]).unwrap_err();
        assert!(short.why.contains("at least 15"), "{}", short.why);
        assert_eq!(check("9f3kQ-zz8!x-tea", 15, &[]), Ok(()));
        assert!(is_as_long_as("tea for two zebras", 15) && !is_as_long_as("9f3kQ-zz8!x", 15));
    }

    #[test]
    fn what_many_people_have_is_refused_however_odd_it_looks() {
        let lines: Vec<&str> = common().collect();
        assert!(lines.len() > 400 && lines.is_sorted());
        for common in ["5xfgs3ii9d", "5XFGS3II9D", "bkl29m2bk"] {
            let weak = check(common, CHARS_MIN, &[]).unwrap_err();
            assert!(weak.why.contains("Many people"), "{common}: {}", weak.why);
        }
        for line in lines {
            assert!(line.chars().count() >= CHARS_MIN && line == line.to_lowercase(), "{line}");
        }
    }

    #[test]
    fn only_hashes_that_cost_less_or_are_of_another_kind_need_a_new_one() {
        let cheap = hash_of("correct horse", CHEAP);
        assert!(needs_rehash(&cheap, Cost::OWASP));
        assert!(!needs_rehash(&cheap, CHEAP));
        let costly = hash_of("correct horse", Cost { memory_kib: 128, ..CHEAP });
        assert!(!needs_rehash(&costly, CHEAP), "nothing gets weaker");
        assert!(needs_rehash(&cheap.replace("argon2id", "argon2i"), CHEAP));
        assert!(needs_rehash("nonsense", CHEAP));
    }

    #[test]
    fn memory_used_before_changes_no_result() {
        let mut scratch = Scratch::default();
        let entropy = Entropy::system();
        let costly = Cost { memory_kib: 256, ..CHEAP };
        let first = hash("one", costly, &entropy, &mut scratch).unwrap();
        let second = hash("two", CHEAP, &entropy, &mut scratch).unwrap();
        assert!(verify("one", &first, &mut scratch).unwrap());
        assert!(verify("two", &second, &mut Scratch::default()).unwrap());
        assert!(!verify("two", &first, &mut scratch).unwrap());
    }

    #[test]
    fn a_stored_hash_that_asks_for_the_moon_is_not_computed() {
        let reason = |phc: &str| {
            verify("x", phc, &mut Scratch::default()).unwrap_err().internal.unwrap_or_default()
        };
        let stored = |cost: &str, rest: &str| format!("$argon2id$v=19${cost}$c29tZXNhbHQ{rest}");
        let hash = "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        for (phc, why) in [
            (String::new(), "not a PHC string"),
            ("$scrypt$ln=15,r=8,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y".to_owned(), "not argon2"),
            (stored("m=4194304,t=2,p=1", hash), "more work"),
            (stored("m=64,t=100000,p=1", hash), "more work"),
            (stored("m=64,t=0,p=1", hash), "out of range"),
            (stored("m=64,t=1,p=1", ""), "missing"),
        ] {
            assert!(reason(&phc).contains(why), "{phc}: {}", reason(&phc));
        }
    }
}
