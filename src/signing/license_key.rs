//! Licence keys: what a customer copies from a mail, or types from a purchase order.
//!
//! # The alphabet
//!
//! The 32 symbols of Crockford's base 32, `0-9 A-Z` without `I L O U`: five bits each. What the eye
//! confuses with a symbol that is in the alphabet is read as that symbol: `O` as `0`, `I` and `L` as
//! `1`, and `U` as `V`. No symbol is made from the four, so this is never a guess.
//!
//! # The check symbol
//!
//! The last `X` of a template is a check symbol over the *whole* key, the product name and the year
//! included. Symbols are elements s(i) of the field GF(32), i counted from the right end; the check symbol
//! makes the sum of s(i)·a^i zero, where a generates the field. The powers of a are 31 different
//! elements, so for keys of up to 31 symbols
//!
//! - one wrong symbol changes the sum by d·a^i, which is zero only for d = 0: always noticed;
//! - two swapped symbols s, t at i, j change it by (s-t)·(a^i-a^j), which is zero only for s = t:
//!   always noticed, neighbours or not.
//!
//! A typing slip is therefore told apart from a key that does not exist. Because the check needs no
//! template, keys made under any older template stay readable.

use std::fmt;

use crate::entropy::Entropy;

/// Crockford's base 32: the value of a symbol is its index.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The order of the multiplicative group of GF(32): as many places have weights of their own.
const SYMBOLS_MAX: usize = 31;

/// Fewest random symbols, the check symbol not counted: 35 bits, as `CODITECT-{year}-XXXX-XXXX` has.
/// Guessing then takes 17 thousand million tries for an even chance at one given key, which
/// throttling has to slow down; [`Template::entropy_bits`] lets the operator be warned.
const RANDOM_SYMBOLS_MIN: usize = 7;

/// Longest text that is looked at.
const INPUT_CHARS_MAX: usize = 128;

/// The shape of new licence keys, such as `CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX`.
///
/// Each `X` is a random symbol, the last of them the check symbol; `{year}` is the year of issue in
/// four digits; capital letters, digits and single dashes between groups stand as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
    random: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Dash,
    Literal(char),
    Year,
    Random,
    Check,
}

/// How a typed key differs from any key that could exist.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeySlip {
    /// Much too short or too long to be a key.
    #[error(
        "A text of {found} letters and digits is no licence key: copy all of it, and nothing else."
    )]
    WrongLength {
        /// Letters and digits that were typed.
        found: usize,
    },
    /// A character that no licence key contains.
    #[error("Licence keys consist of letters A-Z, digits and dashes; {0:?} is none of them.")]
    BadSymbol(char),
    /// The check symbol does not fit.
    #[error(
        "This is not a licence key as it was issued: a character is mistyped or missing, or two are swapped. Compare it with the original."
    )]
    CheckFailed,
}

impl Template {
    /// `CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX`: 95 random bits.
    pub const DEFAULT: &'static str = "CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX";

    /// Reads a template; the error is a sentence for the operator who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let complain = |why: String| Err(format!("the licence key template {text:?} {why}"));
        if text.len() > INPUT_CHARS_MAX {
            return complain(format!("is longer than {INPUT_CHARS_MAX} characters"));
        }
        let mut parts = Vec::new();
        // One character stands for the year while the text is read; in a text that has a dollar
        // sign of its own, that is refused as any other odd character is.
        let dollar_is_year = !text.contains('$');
        for group in text.replacen("{year}", "$", 1).split('-') {
            if group.is_empty() {
                return complain(
                    "has an empty group: dashes stand between groups, one at a time".to_owned(),
                );
            }
            if group == "YYYY" {
                return complain("contains YYYY: write {year} where the year belongs".to_owned());
            }
            if !parts.is_empty() {
                parts.push(Part::Dash);
            }
            for character in group.chars() {
                parts.push(match character {
                    'X' => Part::Random,
                    'A'..='Z' | '0'..='9' => Part::Literal(character),
                    '$' if dollar_is_year => Part::Year,
                    odd => {
                        return complain(format!(
                            "contains {odd:?}: use capital letters, digits, X for a random symbol and {{year}} once"
                        ));
                    }
                });
            }
        }
        let marked = parts.iter().filter(|part| **part == Part::Random).count();
        if marked <= RANDOM_SYMBOLS_MIN {
            return complain(format!(
                "has {marked} X: at least {} are needed, the last of which is the check symbol",
                RANDOM_SYMBOLS_MIN + 1
            ));
        }
        if let Some(last) = parts.iter_mut().rfind(|part| **part == Part::Random) {
            *last = Part::Check;
        }
        let symbols: usize = parts.iter().map(|part| part.symbols()).sum();
        if symbols > SYMBOLS_MAX {
            return complain(format!(
                "makes keys of {symbols} letters and digits: the check symbol protects {SYMBOLS_MAX} at most"
            ));
        }
        Ok(Self { text: text.to_owned(), parts, random: marked - 1 })
    }

    /// Random bits in each key. Under 64, keys can be guessed by someone patient, so validation
    /// calls must be throttled.
    pub fn entropy_bits(&self) -> u32 {
        self.random as u32 * 5
    }

    /// A new key, as it is shown to people: capitals with dashes. `year` fills `{year}`.
    pub fn generate(&self, entropy: &Entropy, year: i16) -> String {
        let mut shown = String::with_capacity(self.text.len());
        let mut check_at = 0;
        for part in &self.parts {
            match part {
                Part::Dash => shown.push('-'),
                Part::Literal(character) => shown.push(*character),
                Part::Year => shown.extend(year_digits(year)),
                Part::Random => shown.push(symbol(entropy.below(32) as u8)),
                Part::Check => {
                    check_at = shown.len();
                    shown.push('0');
                }
            }
        }
        // With 0 at its place the sum is what the check symbol has to cancel: c·a^i = sum.
        let values: Vec<u8> = shown.chars().filter_map(value).collect();
        let from_right = shown[check_at + 1..].chars().filter(|c| *c != '-').count();
        let check = multiply(checksum(&values), power(SYMBOLS_MAX - from_right));
        shown.replace_range(check_at..=check_at, symbol(check).encode_utf8(&mut [0; 4]));
        shown
    }
}

/// The form of a typed key under which it is stored and looked up: symbols of the alphabet alone,
/// without dashes. Case, spaces and dashes of any kind do not matter. Keys of every template there ever was
/// are accepted, because the check symbol needs none.
pub fn normalise(input: &str) -> Result<String, KeySlip> {
    let mut values = Vec::with_capacity(SYMBOLS_MAX);
    let mut found = 0;
    for character in input.chars().take(INPUT_CHARS_MAX) {
        if is_separator(character) {
            continue;
        }
        let value = value(character).ok_or(KeySlip::BadSymbol(character))?;
        found += 1;
        if found <= SYMBOLS_MAX {
            values.push(value);
        }
    }
    let too_long = found > SYMBOLS_MAX || input.chars().nth(INPUT_CHARS_MAX).is_some();
    if found <= RANDOM_SYMBOLS_MIN || too_long {
        return Err(KeySlip::WrongLength { found });
    }
    if checksum(&values) != 0 {
        return Err(KeySlip::CheckFailed);
    }
    Ok(values.into_iter().map(symbol).collect())
}

/// What [`normalise`] gives, without judging: for the index of stored keys. Of a key that
/// [`Template::generate`] made the two are the same, and the form of a form is itself.
pub fn index_form(key: &str) -> String {
    let known = |c| value(c).map_or(c, symbol);
    key.chars().filter(|c| !is_separator(*c)).map(known).collect()
}

impl Default for Template {
    fn default() -> Self {
        Self::parse(Self::DEFAULT).expect("the default template is well-formed; a test parses it")
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Part {
    fn symbols(self) -> usize {
        match self {
            Self::Dash => 0,
            Self::Year => 4,
            Self::Literal(_) | Self::Random | Self::Check => 1,
        }
    }
}

fn year_digits(year: i16) -> impl Iterator<Item = char> {
    let year = year.clamp(0, 9999) as u32;
    [1000, 100, 10, 1].into_iter().filter_map(move |unit| char::from_digit(year / unit % 10, 10))
}

fn symbol(value: u8) -> char {
    char::from(ALPHABET[usize::from(value & 31)])
}

/// The value of a letter or digit; what is confused with a symbol counts as that symbol.
fn value(character: char) -> Option<u8> {
    // Full-width forms, as East Asian input methods write them, lie at a fixed distance.
    let character = match character {
        '\u{FF10}'..='\u{FF5A}' => char::from_u32(character as u32 - 0xFEE0)?,
        other => other,
    };
    let capital = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        'U' => 'V',
        other => other,
    };
    ALPHABET.iter().position(|known| char::from(*known) == capital).map(|index| index as u8)
}

/// White space, dashes of every kind, and the invisible characters that copying picks up.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '-' | '_'
                | '\u{00AD}'
                | '\u{2010}'..='\u{2015}'
                | '\u{2043}'
                | '\u{2212}'
                | '\u{FE58}'
                | '\u{FE63}'
                | '\u{FF0D}'
                | '\u{200B}'..='\u{200F}'
                | '\u{2060}'
                | '\u{FEFF}'
        )
}

/// The sum of s(i)·a^i over GF(32), by Horner's rule from the left.
fn checksum(values: &[u8]) -> u8 {
    values.iter().fold(0, |sum, value| multiply(sum, 2) ^ value)
}

/// a^n, where a = x generates the group of GF(32).
fn power(n: usize) -> u8 {
    (0..n % SYMBOLS_MAX).fold(1, |product, _| multiply(product, 2))
}

/// Multiplication in `GF(32) = GF(2)[x] / (x^5 + x^2 + 1)`.
fn multiply(left: u8, right: u8) -> u8 {
    let mut product = 0;
    let mut shifted = left;
    for bit in 0..5 {
        if right >> bit & 1 == 1 {
            product ^= shifted;
        }
        shifted <<= 1;
        if shifted & 0b10_0000 != 0 {
            shifted ^= 0b10_0101;
        }
    }
    product
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const YEARLY: &str = "CODITECT-{year}-XXXX-XXXX";

    fn yearly() -> Template {
        Template::parse(YEARLY).unwrap()
    }

    fn key(seed: u64) -> String {
        Template::default().generate(&Entropy::seeded(seed), 2026)
    }

    #[test]
    fn the_powers_of_a_are_31_different_elements() {
        let powers: HashSet<u8> = (0..31).map(power).collect();
        assert_eq!(powers.len(), 31);
        assert!(!powers.contains(&0));
        assert_eq!(multiply(power(30), 2), 1);
    }

    #[test]
    fn a_key_looks_like_its_template() {
        let shown = key(1);
        assert_eq!(shown.len(), Template::DEFAULT.len());
        for (typed, placeholder) in shown.chars().zip(Template::DEFAULT.chars()) {
            match placeholder {
                'X' => assert!(ALPHABET.contains(&(typed as u8)), "{typed}"),
                literal => assert_eq!(typed, literal),
            }
        }
        let shown = yearly().generate(&Entropy::seeded(1), 2026);
        assert!(shown.starts_with("CODITECT-2026-"), "{shown}");
        assert_eq!(shown.len(), "CODITECT-2026-XXXX-XXXX".len());
    }

    #[test]
    fn keys_do_not_repeat() {
        let entropy = Entropy::seeded(5);
        let template = Template::default();
        let keys: HashSet<String> =
            (0..10_000).map(|_| template.generate(&entropy, 2026)).collect();
        assert_eq!(keys.len(), 10_000);
    }

    #[test]
    fn entropy_is_reported() {
        assert_eq!(Template::default().entropy_bits(), 95);
        assert_eq!(yearly().entropy_bits(), 35);
    }

    #[test]
    fn a_typed_key_may_differ_in_case_dashes_spaces_and_confusables() {
        let shown = key(2);
        let stored = normalise(&shown).unwrap();
        assert_eq!(stored.len(), 28);
        for typed in [
            shown.to_lowercase(),
            shown.replace('-', ""),
            shown.replace('-', " "),
            shown.replace('-', " – "),
            shown.replace('-', "\u{2011}"),
            shown.replace('-', "\u{2212}"),
            format!("  \u{feff}{shown}\r\n"),
            shown.replace('0', "O").replace('1', "l"),
            shown.replace('0', "o").replace('1', "I"),
            shown.replace('V', "u"),
            shown.chars().map(|c| char::from_u32(c as u32 + 0xFEE0).unwrap()).collect(),
            stored.clone(),
        ] {
            assert_eq!(normalise(&typed).as_ref(), Ok(&stored), "{typed}");
        }
    }

    #[test]
    fn every_single_wrong_symbol_is_noticed() {
        for template in [Template::default(), yearly()] {
            for seed in 0..20 {
                let stored = normal(&template, seed);
                for index in 0..stored.len() {
                    for wrong in ALPHABET.iter().filter(|s| **s != stored[index]) {
                        let mut typed = stored.clone();
                        typed[index] = *wrong;
                        let typed = String::from_utf8(typed).unwrap();
                        assert_eq!(normalise(&typed), Err(KeySlip::CheckFailed), "{typed}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_swap_of_two_different_symbols_is_noticed() {
        for template in [Template::default(), yearly()] {
            for seed in 0..20 {
                let stored = normal(&template, seed);
                for first in 0..stored.len() {
                    for second in first + 1..stored.len() {
                        let mut typed = stored.clone();
                        typed.swap(first, second);
                        if typed == stored {
                            continue;
                        }
                        let typed = String::from_utf8(typed).unwrap();
                        assert_eq!(normalise(&typed), Err(KeySlip::CheckFailed), "{typed}");
                    }
                }
            }
        }
    }

    fn normal(template: &Template, seed: u64) -> Vec<u8> {
        let shown = template.generate(&Entropy::seeded(seed), 2026);
        normalise(&shown).unwrap().into_bytes()
    }

    #[test]
    fn slips_are_told_apart() {
        let shown = key(3);
        // Without its first symbol the sum always changes: C is not the zero of the field.
        assert_eq!(normalise(&shown[1..]), Err(KeySlip::CheckFailed));
        assert_eq!(normalise("CODITEC"), Err(KeySlip::WrongLength { found: 7 }));
        assert_eq!(normalise(""), Err(KeySlip::WrongLength { found: 0 }));
        let twice = format!("{shown}{shown}");
        assert_eq!(normalise(&twice), Err(KeySlip::WrongLength { found: 56 }));
        assert_eq!(normalise(&shown.replacen('C', "Ç", 1)), Err(KeySlip::BadSymbol('Ç')));
        assert_eq!(normalise(&format!("{shown}!")), Err(KeySlip::BadSymbol('!')));
        assert!(normalise(&"-".repeat(1_000_000)).is_err());
    }

    #[test]
    fn the_index_form_is_what_a_typed_key_is_looked_up_by() {
        for seed in 0..50 {
            for template in [Template::default(), yearly()] {
                let shown = template.generate(&Entropy::seeded(seed), 2026);
                let stored = normalise(&shown).unwrap();
                assert_eq!(index_form(&shown), stored);
                assert_eq!(index_form(&stored), stored);
            }
        }
    }

    #[test]
    fn keys_of_any_older_template_stay_readable() {
        for template in [YEARLY, "ACME-XXXXX-XXXXX-XXXXX", "V{year}-XXXXXXXX"] {
            let shown = Template::parse(template).unwrap().generate(&Entropy::seeded(9), 2024);
            assert!(normalise(&shown).is_ok(), "{shown}");
        }
    }

    #[test]
    fn the_check_symbol_need_not_be_the_last_character() {
        let template = Template::parse("XXXXX-XXXXX-PR0").unwrap();
        for seed in 0..100 {
            normalise(&template.generate(&Entropy::seeded(seed), 2026)).unwrap();
        }
    }

    #[test]
    fn templates_that_cannot_work_are_refused_with_the_reason() {
        for (text, reason) in [
            ("", "empty group"),
            ("CODITECT-XXXX-XXX", "at least 8"),
            ("AXXX-XXXX", "has 7 X"),
            ("coditect-XXXX-XXXX", "capital letters"),
            ("CODITECT_XXXX_XXXX", "'_'"),
            ("{month}-XXXX-XXXX", "'{'"),
            ("{year}-{year}-XXXX-XXXX", "once"),
            ("$-XXXX-XXXX", "'$'"),
            ("${year}-XXXX-XXXX", "'$'"),
            ("CODITECT-YYYY-XXXX-XXXX", "{year}"),
            ("-XXXX-XXXX", "empty group"),
            ("XXXX--XXXX", "empty group"),
            ("XXXX-XXXX-", "empty group"),
            ("CODITECT-XXXXX-XXXXX-XXXXX-XXXXX-XXXXX", "33 letters"),
            ("ÄXXXX-XXXX", "capital letters"),
        ] {
            let message = Template::parse(text).unwrap_err();
            assert!(message.contains(reason), "{message} should say {reason}");
        }
        for fine in [
            Template::DEFAULT,
            YEARLY,
            "CODITECT-{year}-XXXX-XXXX",
            "XXXXXXXX",
            "LUX1-XXXX-XXXX-XXXX",
        ] {
            assert_eq!(Template::parse(fine).unwrap().to_string(), fine);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_generated_key_reads_back(seed in any::<u64>(), year in 2000i16..2100) {
            for template in [Template::default(), yearly()] {
                let shown = template.generate(&Entropy::seeded(seed), year);
                prop_assert!(normalise(&shown).is_ok());
            }
        }

        #[test]
        fn arbitrary_input_never_panics(input in "\\PC{0,200}") {
            let _ = normalise(&input);
            let _ = index_form(&input);
            let _ = Template::parse(&input);
        }

        #[test]
        fn normalising_twice_changes_nothing(seed in any::<u64>()) {
            let once = normalise(&Template::default().generate(&Entropy::seeded(seed), 2026)).unwrap();
            prop_assert_eq!(normalise(&once).unwrap(), once);
        }
    }
}
