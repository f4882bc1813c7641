//! People, their sign-ins and one-time links.

use super::search::{reindex, texts_of_user, words_of_org};
use super::tables::{
    Digest, LINKS, LINKS_BY_END, LOGINS, LOGINS_BY_END, OPERATORS, ORG_WORDS, REFRESH_BY_LOGIN,
    REFRESH_TOKENS, USER_WORDS, USERS, USERS_BY_EMAIL,
};
use super::{Read, Scan, WriteTx, page};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LoginId, OrgId, UserId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::search::index_words;
use crate::domain::time::Timestamp;
use crate::domain::user::{Email, Link, Login, User};

/// Tokens that are removed while no other write can go on.
const TOKENS_AT_ONCE: usize = 500;

/// An account.
pub fn find(tx: &impl Read, user_id: UserId) -> Result<Option<User>> {
    tx.get(&USERS, &user_id)
}

/// An account that must exist.
pub fn get(tx: &impl Read, user_id: UserId) -> Result<User> {
    find(tx, user_id)?.ok_or_else(|| Error::not_found("user"))
}

/// The account of an address.
pub fn by_email(tx: &impl Read, email: &Email) -> Result<Option<User>> {
    match tx.get(&USERS_BY_EMAIL, &email.as_str().to_owned())? {
        Some(user_id) => find(tx, user_id),
        None => Ok(None),
    }
}

/// Adds an account; `EmailTaken` when the address has one.
pub fn insert(tx: &mut WriteTx, user: &User) -> Result<()> {
    let address = user.email.as_str().to_owned();
    if tx.get(&USERS_BY_EMAIL, &address)?.is_some() {
        return Err(Error::new(
            Code::EmailTaken,
            "There is an account with this e-mail address already. Sign in, or reset the password.",
        ));
    }
    tx.put(&USERS_BY_EMAIL, &address, &user.user_id)?;
    super::counts::add(tx, "users", 1)?;
    update(tx, user)
}

/// Writes an account that exists. Its address must not have changed.
pub fn update(tx: &mut WriteTx, user: &User) -> Result<()> {
    let runs_the_appliance = user.operator && user.deactivated_at.is_none();
    if runs_the_appliance {
        tx.put(&OPERATORS, &user.user_id, &true)?;
    } else {
        tx.remove(&OPERATORS, &user.user_id)?;
    }
    let before = find(tx, user.user_id)?;
    let old = index_words(before.iter().flat_map(texts_of_user));
    let new = index_words(texts_of_user(user));
    tx.put(&USERS, &user.user_id, user)?;
    if old == new {
        return Ok(());
    }
    reindex(tx, &USER_WORDS, user.user_id, &old, &new)?;
    // What the tenant is found by beside this person's old words stays.
    let mut of_org = words_of_org(tx, user.personal_org)?;
    of_org.extend(new);
    reindex(tx, &ORG_WORDS, user.personal_org, &old, &of_org)
}

/// Writes an account whose address was another; `EmailTaken` when the new one has an account.
pub fn change_address(tx: &mut WriteTx, before: &Email, user: &User) -> Result<()> {
    let address = user.email.as_str().to_owned();
    if tx.get(&USERS_BY_EMAIL, &address)?.is_some() {
        let text = "There is an account with this e-mail address already.";
        return Err(Error::new(Code::EmailTaken, text));
    }
    tx.remove(&USERS_BY_EMAIL, &before.as_str().to_owned())?;
    tx.put(&USERS_BY_EMAIL, &address, &user.user_id)?;
    update(tx, user)
}

/// Whether anybody runs this appliance yet.
pub fn any_operator(tx: &impl Read) -> Result<bool> {
    Ok(!tx.scan(&OPERATORS, &Scan::all().limit(1))?.is_empty())
}

/// Those who run this appliance, at most `limit`.
pub fn operators(tx: &impl Read, limit: usize) -> Result<Vec<UserId>> {
    tx.scan_keys(&OPERATORS, &Scan::all().limit(limit))
}

/// All accounts, newest first.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<User>> {
    page(tx, &USERS, Scan::all().descending(), request)
}

/// A sign-in.
pub fn login(tx: &impl Read, user_id: UserId, login_id: LoginId) -> Result<Option<Login>> {
    tx.get(&LOGINS, &(user_id, login_id))
}

/// A person's sign-ins, oldest first, at most `limit`.
pub fn logins(tx: &impl Read, user_id: UserId, limit: usize) -> Result<Vec<Login>> {
    let rows = tx.scan(&LOGINS, &Scan::prefix(&user_id).limit(limit))?;
    Ok(rows.into_iter().map(|(_, login)| login).collect())
}

/// Adds a sign-in, or writes it with the refresh token that is good now.
pub fn put_login(tx: &mut WriteTx, login: &Login) -> Result<()> {
    if let Some(old) = tx.get(&LOGINS, &(login.user_id, login.login_id))? {
        tx.remove(&LOGINS_BY_END, &(old.expires_at, login.login_id))?;
    }
    tx.put(&LOGINS_BY_END, &(login.expires_at, login.login_id), &login.user_id)?;
    tx.put(&REFRESH_TOKENS, &login.refresh_hash, &(login.user_id, login.login_id))?;
    tx.put(&REFRESH_BY_LOGIN, &(login.login_id, login.refresh_hash), &true)?;
    tx.put(&LOGINS, &(login.user_id, login.login_id), login)
}

/// The sign-in that a refresh token, spent or good, was given by.
pub fn login_of_refresh(tx: &impl Read, hash: &Digest) -> Result<Option<Login>> {
    match tx.get(&REFRESH_TOKENS, hash)? {
        Some((user_id, login_id)) => login(tx, user_id, login_id),
        None => Ok(None),
    }
}

/// Ends a sign-in; whether there was one. Without it its tokens open nothing; those that are too
/// many to be removed at once go when it would have ended by itself.
pub fn end_login(tx: &mut WriteTx, user_id: UserId, login_id: LoginId) -> Result<bool> {
    let Some(login) = login(tx, user_id, login_id)? else {
        return Ok(false);
    };
    tx.remove(&LOGINS, &(user_id, login_id))?;
    remove_tokens(tx, login.expires_at, login_id, TOKENS_AT_ONCE)?;
    Ok(true)
}

/// Removes at most `limit` tokens of a sign-in that has ended; how many. With the last one the
/// sign-in is forgotten.
fn remove_tokens(
    tx: &mut WriteTx,
    end: Timestamp,
    login_id: LoginId,
    limit: usize,
) -> Result<usize> {
    let tokens = tx.scan_keys(&REFRESH_BY_LOGIN, &Scan::prefix(&login_id).limit(limit))?;
    for (_, hash) in &tokens {
        tx.remove(&REFRESH_TOKENS, hash)?;
        tx.remove(&REFRESH_BY_LOGIN, &(login_id, *hash))?;
    }
    if tokens.len() < limit {
        tx.remove(&LOGINS_BY_END, &(end, login_id))?;
    }
    Ok(tokens.len())
}

/// Ends every sign-in of a person but `keep`; says whether there was one.
pub fn end_logins(tx: &mut WriteTx, user_id: UserId, keep: Option<LoginId>) -> Result<bool> {
    let mut any = false;
    for ((_, login_id), _) in tx.scan(&LOGINS, &Scan::prefix(&user_id))? {
        if Some(login_id) != keep {
            any |= end_login(tx, user_id, login_id)?;
        }
    }
    Ok(any)
}

/// Ends the sign-ins of a person on the word of this tenant's issuer, and those of which nobody has noted
/// whose issuer it was.
pub fn end_logins_of_org(tx: &mut WriteTx, user_id: UserId, org_id: OrgId) -> Result<()> {
    for ((_, login_id), login) in tx.scan(&LOGINS, &Scan::prefix(&user_id))? {
        if login.by_org && login.issuer_of.is_none_or(|whose| whose == org_id) {
            end_login(tx, user_id, login_id)?;
        }
    }
    Ok(())
}

/// Keeps a link under the hash of its token.
pub fn put_link(tx: &mut WriteTx, hash: &Digest, link: &Link) -> Result<()> {
    tx.put(&LINKS_BY_END, &(link.expires_at, *hash), &true)?;
    tx.put(&LINKS, hash, link)
}

/// A link that has not been used.
pub fn link(tx: &impl Read, hash: &Digest) -> Result<Option<Link>> {
    tx.get(&LINKS, hash)
}

/// Takes a link: it works once.
pub fn take_link(tx: &mut WriteTx, hash: &Digest) -> Result<Option<Link>> {
    let link = tx.get(&LINKS, hash)?;
    if let Some(link) = &link {
        tx.remove(&LINKS, hash)?;
        tx.remove(&LINKS_BY_END, &(link.expires_at, *hash))?;
    }
    Ok(link)
}

/// Removes links and sign-ins with their tokens that ended before `now`, and stops when it has removed
/// `limit` of any; how many.
pub fn remove_ended(tx: &mut WriteTx, now: Timestamp, limit: usize) -> Result<usize> {
    let mut removed = 0;
    for ((end, hash), _) in tx.scan(&LINKS_BY_END, &Scan::all().limit(limit))? {
        if end > now {
            break;
        }
        take_link(tx, &hash)?;
        removed += 1;
    }
    for ((end, login_id), user_id) in tx.scan(&LOGINS_BY_END, &Scan::all().limit(limit))? {
        if end > now {
            break;
        }
        tx.remove(&LOGINS, &(user_id, login_id))?;
        removed += 1 + remove_tokens(tx, end, login_id, limit)?;
        if removed >= limit {
            break;
        }
    }
    Ok(removed)
}
