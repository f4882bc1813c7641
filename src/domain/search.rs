//! Finding records by what people remember of them.
//!
//! A text is taken apart at spaces; each part is indexed from every place where something
//! new begins in it, to its end. So `anna.smith@acme.example` is found by `anna`, `smith@ac`
//! and `acme.ex`, and a licence key by any of its groups with what follows. What is looked
//! for is taken apart at spaces alone: each word has to be the beginning of an indexed one.

use std::collections::BTreeSet;
use std::ops::Bound;

use super::error::{Error, Result};

/// Indexed words are cut to this length; what is looked for as well.
const WORD_CHARS_MAX: usize = 32;
/// Places of one text that are indexed at most.
const WORDS_MAX: usize = 32;
/// Words that are looked for at most.
pub const QUERY_WORDS_MAX: usize = 8;
/// The longest search, in characters.
pub const QUERY_CHARS_MAX: usize = 200;

/// The words under which a record with these texts is found.
pub fn index_words<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for text in texts {
        let text = text.to_lowercase();
        let parts = text.split_whitespace().flat_map(beginnings);
        words.extend(parts.take(WORDS_MAX).map(cut));
    }
    words
}

/// Where something begins in a part of a text: at its start and behind what is no letter or digit.
fn beginnings(part: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    part.char_indices().filter_map(move |(at, c)| {
        let begins = c.is_alphanumeric() && !inside;
        inside = c.is_alphanumeric();
        begins.then(|| &part[at..])
    })
}

fn cut(word: &str) -> String {
    word.chars().take(WORD_CHARS_MAX).collect()
}

/// The words of a search.
///
/// # Errors
/// A field error on `q`.
pub fn query_words(query: &str) -> Result<Vec<String>> {
    if query.chars().count() > QUERY_CHARS_MAX {
        return Err(Error::invalid("q", "must be at most 200 characters long"));
    }
    let query = query.to_lowercase();
    let trimmed = query
        .split_whitespace()
        .map(|word| word.trim_start_matches(|c: char| !c.is_alphanumeric()));
    let words: Vec<String> = trimmed.filter(|word| !word.is_empty()).map(cut).collect();
    if words.len() > QUERY_WORDS_MAX {
        return Err(Error::invalid("q", "must have at most 8 words"));
    }
    Ok(words)
}

/// Whether texts have something that begins with this word of a search.
pub fn has_word<'t>(texts: impl IntoIterator<Item = &'t str>, word: &str) -> bool {
    any_begins(&index_words(texts), word)
}

/// Whether one of the indexed words begins with this word of a search.
pub fn any_begins(words: &BTreeSet<String>, word: &str) -> bool {
    let mut from_there = words.range::<str, _>((Bound::Included(word), Bound::Unbounded));
    from_there.next().is_some_and(|found| found.starts_with(word))
}

/// The same for one text of letters of the Latin alphabet, without setting anything up: for looking through
/// many.
pub fn begins_in(text: &str, word: &str) -> bool {
    let begins =
        |rest: &str| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    beginnings(text).any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(text: &str, query: &str) -> bool {
        query_words(query).unwrap().iter().all(|word| has_word([text], word))
    }

    #[test]
    fn a_record_is_found_by_the_beginning_of_anything_in_it() {
        let key = "CODITECT-7KQM-X2PD-94TR-HW3N-B6YC";
        for query in ["coditect-7k", "7kqm", "X2PD-94", "b6yc", "hw3n-B6YC"] {
            assert!(finds(key, query), "{query}");
        }
        let address = "anna.smith@acme.example";
        for query in [address, "anna", "smith@", "acme.ex", "@acme", "smith anna"] {
            assert!(finds(address, query), "{query}");
        }
        assert!(finds("Müller & Söhne GmbH", "söhne MÜL"));
    }

    #[test]
    fn a_machine_is_found_in_the_same_way() {
        for (machine, word, found) in [
            ("workstation-07", "workst", true),
            ("HW:aa-BB-cc", "bb-cc", true),
            ("HW:aa-BB-cc", "b-cc", false),
            ("é", "e", false),
        ] {
            assert_eq!(begins_in(machine, word), found, "{word} in {machine}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        for (text, query) in [("anna@acme.example", "nna"), ("anna", "anna smith"), ("", "a")] {
            assert!(!finds(text, query), "{query} in {text}");
        }
    }

    #[test]
    fn a_search_for_nothing_has_no_words() {
        for query in ["", "   ", "- . @"] {
            assert!(query_words(query).unwrap().is_empty(), "{query}");
        }
    }

    #[test]
    fn searches_and_texts_are_bounded() {
        assert!(query_words(&"a".repeat(201)).is_err());
        assert!(query_words("a b c d e f g h i").is_err());
        let many = (0..5_000).map(|n| n.to_string()).collect::<Vec<_>>().join("-");
        assert_eq!(index_words([many.as_str()]).len(), WORDS_MAX);
        let long = "x".repeat(300);
        assert!(finds(&long, &"x".repeat(100)), "both are cut to the same length");
    }
}
