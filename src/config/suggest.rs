//! The known name nearest to a misspelt one.

/// The candidate that a misspelt `name` most likely meant; `None` when none is near.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let leaf = last_part(name);
    let cost = |candidate: &str| {
        // A right name in the wrong section is near as well.
        distance(name, candidate).min(1 + distance(leaf, last_part(candidate)))
    };
    candidates
        .map(|candidate| (cost(candidate), candidate))
        .filter(|(cost, _)| *cost <= 1 + leaf.len() / 3)
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, candidate)| candidate)
}

fn last_part(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// Levenshtein's distance: how many letters must be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_and_a_wrong_section_find_what_was_meant() {
        let known = ["server.listen", "log.level", "auth.reset_minutes"];
        for (given, meant) in [
            ("server.lisen", Some("server.listen")),
            ("listen", Some("server.listen")),
            ("log.levle", Some("log.level")),
            ("log.reset_minutes", Some("auth.reset_minutes")),
            ("database.url", None),
        ] {
            assert_eq!(nearest(given, known.into_iter()), meant, "{given}");
        }
    }
}
