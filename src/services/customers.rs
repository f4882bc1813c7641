//! Whose a record is, in words that operators read.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::domain::error::{Result, found};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::organisation::Permission;
use crate::domain::page::Page;
use crate::domain::user::User;
use crate::store::{self, Read, users};

/// Whose a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The organisation.
    pub org_id: OrgId,
    /// Its name.
    pub org_name: String,
    /// The person who receives its mail.
    pub user_id: UserId,
    /// Their address.
    pub email: String,
    /// Their name.
    pub full_name: String,
}

/// A record and whose it is; none where that cannot be found any more.
pub type Owned<T> = (T, Option<Customer>);

/// The customer behind a record: of this organisation, through this person or its owner.
pub(super) fn customer(
    tx: &impl Read,
    org_id: OrgId,
    user_id: Option<UserId>,
) -> Result<Option<Customer>> {
    let org = store::org(tx, org_id);
    let Some(organisation) = found(org.organisation())? else { return Ok(None) };
    let user_id = match user_id {
        Some(user_id) => Some(user_id),
        None => found(org.owner())?,
    };
    let Some(user_id) = user_id else { return Ok(None) };
    let user = users::find(tx, user_id)?;
    Ok(user.map(|user| Customer {
        org_id,
        org_name: organisation.name,
        user_id,
        email: user.email.as_str().to_owned(),
        full_name: user.full_name,
    }))
}

/// Who is told by mail of a record that this person made: somebody who has left the organisation hears
/// no more of it, its owner does.
pub(super) fn recipient(tx: &impl Read, org_id: OrgId, user_id: UserId) -> Result<User> {
    let org = store::org(tx, org_id);
    let user_id = match org.membership(user_id)? {
        Some(member) => member.user_id,
        None => org.owner()?,
    };
    users::get(tx, user_id)
}

/// Who is told of a licence: as [`recipient`], where the role shows licences; else the owner.
pub(super) fn license_recipient(tx: &impl Read, org_id: OrgId, user_id: UserId) -> Result<User> {
    let org = store::org(tx, org_id);
    let member = org.membership(user_id)?;
    let reads = member.is_some_and(|member| member.role.may(Permission::LicensesRead));
    users::get(tx, if reads { user_id } else { org.owner()? })
}

/// A page with the customer behind each record, each looked up once.
pub(super) fn with_customers<T>(
    tx: &impl Read,
    page: Page<T>,
    whose: impl Fn(&T) -> (OrgId, Option<UserId>),
) -> Result<Page<Owned<T>>> {
    let mut known = HashMap::new();
    let mut items = Vec::with_capacity(page.items.len());
    for item in page.items {
        let (org_id, user_id) = whose(&item);
        let found = match known.entry((org_id, user_id)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(customer(tx, org_id, user_id)?),
        };
        items.push((item, found.clone()));
    }
    Ok(Page { items, next: page.next })
}
