//! Indexes of words: which records have a word that begins so.

use std::collections::BTreeSet;

use super::table::Key;
use super::tables::{
    ACTIVATIONS, LICENSE_ORGS, LICENSE_WORDS, LICENSES, MEMBERSHIPS, ORG_WORDS, ORGS, USER_WORDS,
};
use super::{Read, Scan, Table, WriteTx};
use crate::domain::error::Result;
use crate::domain::ids::{LicenseId, OrgId};
use crate::domain::license::License;
use crate::domain::organisation::Organisation;
use crate::domain::page::{Page, PageRequest};
use crate::domain::search::{any_begins, has_word, index_words};
use crate::domain::user::User;

/// The most records that one word of a search leads to. What a word this common leads to
/// beyond that is not looked at; another word makes the search narrower.
const LED_TO_MAX: usize = 10_000;

/// Members of a tenant that are looked at for the one it was made for, its first.
const MEMBERS_MAX: usize = 8;

/// Words of a record that has changed: old ones go, new ones come.
pub(super) fn reindex<Id: Key + Copy>(
    tx: &mut WriteTx,
    table: &Table<(String, Id), bool>,
    id: Id,
    old: &BTreeSet<String>,
    new: &BTreeSet<String>,
) -> Result<()> {
    for word in old.difference(new) {
        tx.remove(table, &(word.clone(), id))?;
    }
    for word in new.difference(old) {
        tx.put(table, &(word.clone(), id), &true)?;
    }
    Ok(())
}

/// What an account is found by.
pub(super) fn texts_of_user(user: &User) -> [&str; 3] {
    [user.email.as_str(), &user.full_name, user.company_name.as_deref().unwrap_or_default()]
}

/// The records that have a word which begins so, at most [`LED_TO_MAX`] index entries.
fn led_to<Id: Key + Copy + Ord>(
    tx: &impl Read,
    table: &Table<(String, Id), bool>,
    word: &str,
) -> Result<BTreeSet<Id>> {
    let keys = tx.scan_keys(table, &Scan::text_prefix(word).limit(LED_TO_MAX))?;
    Ok(keys.into_iter().map(|(_, id)| id).collect())
}

/// A page of the records that have every word, newest first: those that the rarest word leads to,
/// as far as `look_up` confirms them.
fn found<W, Id: Key + Copy + Ord, T>(
    request: &PageRequest,
    words: &[W],
    mut led_to: impl FnMut(&W) -> Result<BTreeSet<Id>>,
    mut look_up: impl FnMut(Id) -> Result<Option<T>>,
) -> Result<Page<T>> {
    let mut rarest: Option<BTreeSet<Id>> = None;
    for word in words {
        let ids = led_to(word)?;
        if rarest.as_ref().is_none_or(|fewest| ids.len() < fewest.len()) {
            rarest = Some(ids);
        }
    }
    let mut items = Vec::new();
    let mut last = None;
    for id in rarest.unwrap_or_default().into_iter().rev() {
        let key = id.encode();
        if request.after.as_ref().is_some_and(|after| key >= *after) {
            continue;
        }
        let Some(item) = look_up(id)? else { continue };
        if items.len() == request.limit {
            return Ok(Page { items, next: last });
        }
        items.push(item);
        last = Some(key);
    }
    Ok(Page { items, next: None })
}

/// Accounts that have every word, newest first.
pub fn users(tx: &impl Read, words: &[String], request: &PageRequest) -> Result<Page<User>> {
    found(
        request,
        words,
        |word| led_to(tx, &USER_WORDS, word),
        |id| {
            let user = super::users::find(tx, id)?;
            Ok(user.filter(|user| words.iter().all(|word| has_word(texts_of_user(user), word))))
        },
    )
}

/// Tenants that have every word, newest first.
pub fn orgs(tx: &impl Read, words: &[String], request: &PageRequest) -> Result<Page<Organisation>> {
    found(
        request,
        words,
        |word| led_to(tx, &ORG_WORDS, word),
        |id| {
            for word in words {
                if !org_has(tx, id, word)? {
                    return Ok(None);
                }
            }
            tx.get(&ORGS, &id)
        },
    )
}

/// A word of a search, and the licences that it leads to by what is not stored: the machines that
/// hold their seats.
pub type LicenseWord = (String, BTreeSet<LicenseId>);

/// Licences that have every word, in their key, in their machines or in whose they are, and that
/// `keep` keeps; newest first.
pub fn licenses(
    tx: &impl Read,
    words: &[LicenseWord],
    request: &PageRequest,
    keep: impl Fn(&License) -> bool,
) -> Result<Page<License>> {
    found(
        request,
        words,
        |(word, holding)| {
            let mut ids = led_to(tx, &LICENSE_WORDS, word)?;
            ids.extend(holding);
            for org_id in led_to(tx, &ORG_WORDS, word)? {
                if ids.len() >= LED_TO_MAX {
                    break;
                }
                let room = LED_TO_MAX - ids.len();
                let own =
                    tx.scan_keys(&LICENSES, &Scan::prefix(&org_id).descending().limit(room))?;
                ids.extend(own.into_iter().map(|(_, id)| id));
            }
            Ok(ids)
        },
        |id| {
            let Some(org_id) = tx.get(&LICENSE_ORGS, &id)? else { return Ok(None) };
            let Some(license) = tx.get(&LICENSES, &(org_id, id))? else { return Ok(None) };
            if !keep(&license) {
                return Ok(None);
            }
            for (word, holding) in words {
                if !holding.contains(&id) && !license_has(tx, &license, word)? {
                    return Ok(None);
                }
            }
            Ok(Some(license))
        },
    )
}

fn license_has(tx: &impl Read, license: &License, word: &str) -> Result<bool> {
    if has_word([license.license_key.as_str()], word) || org_has(tx, license.org_id, word)? {
        return Ok(true);
    }
    let machines = tx.scan_keys(
        &ACTIVATIONS,
        &Scan::prefix(&(license.org_id, license.license_id)).limit(LED_TO_MAX),
    )?;
    Ok(machines.iter().any(|(_, _, hardware_id)| has_word([hardware_id.as_str()], word)))
}

fn org_has(tx: &impl Read, id: OrgId, word: &str) -> Result<bool> {
    Ok(any_begins(&words_of_org(tx, id)?, word))
}

/// What a tenant is found by: its name, and the people it was made for.
pub(super) fn words_of_org(tx: &impl Read, id: OrgId) -> Result<BTreeSet<String>> {
    let org = tx.get(&ORGS, &id)?;
    let mut words = index_words(org.iter().map(|org| org.name.as_str()));
    for (_, user_id) in tx.scan_keys(&MEMBERSHIPS, &Scan::prefix(&id).limit(MEMBERS_MAX))? {
        let user = super::users::find(tx, user_id)?.filter(|user| user.personal_org == id);
        words.extend(user.iter().flat_map(|user| index_words(texts_of_user(user))));
    }
    Ok(words)
}
