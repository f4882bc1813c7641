//! Schema 2: what lists and searches read, built from what is there.

use crate::domain::error::Result;
use crate::domain::search::index_words;
use crate::store::search::{reindex, texts_of_user, words_of_org};
use crate::store::tables::{
    ACTIVATIONS, LICENSE_WORDS, LICENSES, LICENSES_BY_STATUS, MAILS, MAILS_BY_STATUS, ORG_WORDS,
    ORGS, SUBSCRIPTIONS, SUBSCRIPTIONS_BY_STATUS, USER_WORDS, USERS,
};
use crate::store::{Read, Scan, WriteTx};

/// Builds every index of schema 2.
pub fn build(tx: &mut WriteTx<'_>) -> Result<()> {
    let none = std::collections::BTreeSet::new();
    for (id, user) in tx.scan(&USERS, &Scan::all())? {
        reindex(tx, &USER_WORDS, id, &none, &index_words(texts_of_user(&user)))?;
    }
    for id in tx.scan_keys(&ORGS, &Scan::all())? {
        let words = words_of_org(tx, id)?;
        reindex(tx, &ORG_WORDS, id, &none, &words)?;
    }
    for ((_, id), license) in tx.scan(&LICENSES, &Scan::all())? {
        let words = index_words([license.license_key.as_str()]);
        reindex(tx, &LICENSE_WORDS, id, &none, &words)?;
        tx.put(&LICENSES_BY_STATUS, &(license.noted_status.as_str().to_owned(), id), &true)?;
    }
    for (_, id, hardware_id) in tx.scan_keys(&ACTIVATIONS, &Scan::all())? {
        reindex(tx, &LICENSE_WORDS, id, &none, &index_words([hardware_id.as_str()]))?;
    }
    for ((_, id), subscription) in tx.scan(&SUBSCRIPTIONS, &Scan::all())? {
        tx.put(&SUBSCRIPTIONS_BY_STATUS, &(subscription.status.as_str().to_owned(), id), &true)?;
    }
    for (id, mail) in tx.scan(&MAILS, &Scan::all())? {
        tx.put(&MAILS_BY_STATUS, &(mail.status.as_str().to_owned(), id), &true)?;
    }
    Ok(())
}
