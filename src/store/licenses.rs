//! Licences and activations.

use std::collections::BTreeSet;

use super::tables::{
    ACTIVATIONS, ACTIVATIONS_BY_ID, LICENSE_ORGS, LICENSE_WORDS, LICENSES, LICENSES_BY_KEY,
    LICENSES_BY_STATUS, LICENSES_BY_SUBSCRIPTION,
};
use super::{Org, Read, Scan, WriteTx, page};
use crate::domain::error::{Error, Result};
use crate::domain::ids::{ActivationId, LicenseId, OrgId, SubscriptionId};
use crate::domain::license::{Activation, License, LicenseStatus};
use crate::domain::page::{Page, PageRequest};
use crate::domain::search::index_words;

impl<T: Read> Org<'_, T> {
    /// A licence that must exist.
    pub fn license(&self, id: LicenseId) -> Result<License> {
        self.tx.get(&LICENSES, &(self.id, id))?.ok_or_else(|| Error::not_found("license"))
    }

    /// The tenant's licences that `keep` keeps, newest first.
    pub fn licenses_where(
        &self,
        request: &PageRequest,
        keep: impl Fn(&License) -> bool,
    ) -> Result<Page<License>> {
        super::filtered(self.tx, &LICENSES, Scan::prefix(&self.id), request, keep)
    }

    /// The tenant's licences, newest first.
    pub fn licenses(&self, request: &PageRequest) -> Result<Page<License>> {
        page(self.tx, &LICENSES, Scan::prefix(&self.id).descending(), request)
    }

    /// The licence that a subscription of the tenant pays for.
    pub fn license_of_subscription(&self, id: SubscriptionId) -> Result<Option<License>> {
        match self.tx.get(&LICENSES_BY_SUBSCRIPTION, &id)? {
            Some(license_id) => self.tx.get(&LICENSES, &(self.id, license_id)),
            None => Ok(None),
        }
    }

    /// The machine bound to a licence under this hardware id.
    pub fn activation(&self, id: LicenseId, hardware_id: &str) -> Result<Option<Activation>> {
        self.tx.get(&ACTIVATIONS, &(self.id, id, hardware_id.to_owned()))
    }

    /// The machine of an activation of this licence.
    pub fn activation_by_id(&self, license: LicenseId, id: ActivationId) -> Result<Activation> {
        let found = match self.tx.get(&ACTIVATIONS_BY_ID, &(self.id, id))? {
            Some((license_id, hardware_id)) if license_id == license => {
                self.activation(license, &hardware_id)?
            }
            _ => None,
        };
        found.ok_or_else(|| Error::not_found("activation"))
    }

    /// The machines bound to any licence of the tenant.
    pub fn all_activations(&self, request: &PageRequest) -> Result<Page<Activation>> {
        page(self.tx, &ACTIVATIONS, Scan::prefix(&self.id), request)
    }

    /// The machines bound to a licence, by hardware id.
    pub fn activations(&self, id: LicenseId, request: &PageRequest) -> Result<Page<Activation>> {
        page(self.tx, &ACTIVATIONS, Scan::prefix(&(self.id, id)), request)
    }
}

/// The licence that a key opens, wherever it belongs: the key is the credential.
pub fn by_key(tx: &impl Read, key_form: &str) -> Result<Option<License>> {
    match tx.get(&LICENSES_BY_KEY, &key_form.to_owned())? {
        Some(key) => tx.get(&LICENSES, &key),
        None => Ok(None),
    }
}

/// Whose licence it is, for operators and for the seat engine.
pub fn org_of(tx: &impl Read, id: LicenseId) -> Result<OrgId> {
    tx.get(&LICENSE_ORGS, &id)?.ok_or_else(|| Error::not_found("license"))
}

/// All licences, newest first, for operators.
pub fn list(tx: &impl Read, request: &PageRequest) -> Result<Page<License>> {
    super::through_index(tx, &LICENSE_ORGS, request, |id, org_id| tx.get(&LICENSES, &(org_id, id)))
}

/// All licences whose status was last noted as this, newest first, for operators.
pub fn list_noted(
    tx: &impl Read,
    status: LicenseStatus,
    request: &PageRequest,
) -> Result<Page<License>> {
    let noted = status.as_str().to_owned();
    super::through_keys(tx, &LICENSES_BY_STATUS, Scan::prefix(&noted), request, |(_, id)| {
        let org_id = tx.get(&LICENSE_ORGS, &id)?;
        org_id.map_or(Ok(None), |org_id| tx.get(&LICENSES, &(org_id, id)))
    })
}

/// Adds a licence. `key_form` is the form of its key that a typed one is brought into.
pub fn insert(tx: &mut WriteTx, license: &License, key_form: &str) -> Result<()> {
    let key = (license.org_id, license.license_id);
    tx.put(&LICENSE_ORGS, &license.license_id, &license.org_id)?;
    tx.put(&LICENSES_BY_KEY, &key_form.to_owned(), &key)?;
    if let Some(subscription_id) = license.subscription_id {
        tx.put(&LICENSES_BY_SUBSCRIPTION, &subscription_id, &license.license_id)?;
    }
    for word in index_words([license.license_key.as_str()]) {
        tx.put(&LICENSE_WORDS, &(word, license.license_id), &true)?;
    }
    update(tx, license)
}

/// Writes a licence that was added before. Its key must not have changed.
pub fn update(tx: &mut WriteTx, license: &License) -> Result<()> {
    let key = (license.org_id, license.license_id);
    if let Some(old) = tx.get(&LICENSES, &key)? {
        let noted = old.noted_status.as_str();
        super::counts::add(tx, &format!("licenses.{noted}"), -1)?;
        super::analytics::count_seats(tx, &old, -1)?;
        tx.remove(&LICENSES_BY_STATUS, &(noted.to_owned(), license.license_id))?;
    }
    let noted = license.noted_status.as_str();
    super::counts::add(tx, &format!("licenses.{noted}"), 1)?;
    super::analytics::count_seats(tx, license, 1)?;
    tx.put(&LICENSES_BY_STATUS, &(noted.to_owned(), license.license_id), &true)?;
    tx.put(&LICENSES, &key, license)
}

/// Removes a licence with its machines, but no more than `room` of these, which it lessens; whether all
/// of it is gone.
pub fn erase(
    tx: &mut WriteTx,
    license: &License,
    key_form: &str,
    room: &mut usize,
) -> Result<bool> {
    let (org_id, id) = (license.org_id, license.license_id);
    let machines = tx.scan_keys(&ACTIVATIONS, &Scan::prefix(&(org_id, id)).limit(*room))?;
    *room -= machines.len();
    for key in machines {
        for word in index_words([key.2.as_str()]) {
            tx.remove(&LICENSE_WORDS, &(word, id))?;
        }
        if let Some(machine) = tx.get(&ACTIVATIONS, &key)? {
            tx.remove(&ACTIVATIONS_BY_ID, &(org_id, machine.activation_id))?;
        }
        tx.remove(&ACTIVATIONS, &key)?;
    }
    if *room == 0 {
        return Ok(false);
    }
    *room -= 1;
    super::teams::forget_license(tx, org_id, id)?;
    super::projects::take_out(tx, org_id, id)?;
    super::counts::forget(tx, &format!("activations.{id}"))?;
    for word in index_words([license.license_key.as_str()]) {
        tx.remove(&LICENSE_WORDS, &(word, id))?;
    }
    let noted = license.noted_status.as_str();
    super::counts::add(tx, &format!("licenses.{noted}"), -1)?;
    super::analytics::count_seats(tx, license, -1)?;
    tx.remove(&LICENSES_BY_STATUS, &(noted.to_owned(), id))?;
    tx.remove(&LICENSES_BY_KEY, &key_form.to_owned())?;
    if let Some(subscription_id) = license.subscription_id {
        tx.remove(&LICENSES_BY_SUBSCRIPTION, &subscription_id)?;
    }
    tx.remove(&LICENSE_ORGS, &id)?;
    tx.remove(&LICENSES, &(org_id, id))?;
    Ok(true)
}

/// How many machines are bound to a licence.
pub fn count_activations(tx: &impl Read, license: &License) -> Result<u64> {
    super::counts::get(tx, &format!("activations.{}", license.license_id))
}

/// Adds or writes a machine.
pub fn put_activation(tx: &mut WriteTx, activation: &Activation) -> Result<()> {
    let key = (activation.org_id, activation.license_id, activation.hardware_id.clone());
    if tx.get(&ACTIVATIONS, &key)?.is_none() {
        super::counts::add(tx, &format!("activations.{}", activation.license_id), 1)?;
        for word in index_words([activation.hardware_id.as_str()]) {
            tx.put(&LICENSE_WORDS, &(word, activation.license_id), &true)?;
        }
    }
    let by_id = (activation.org_id, activation.activation_id);
    tx.put(&ACTIVATIONS_BY_ID, &by_id, &(activation.license_id, activation.hardware_id.clone()))?;
    tx.put(&ACTIVATIONS, &key, activation)
}

/// Removes a machine.
pub fn remove_activation(tx: &mut WriteTx, activation: &Activation) -> Result<()> {
    let key = (activation.org_id, activation.license_id, activation.hardware_id.clone());
    if tx.remove(&ACTIVATIONS, &key)? {
        super::counts::add(tx, &format!("activations.{}", activation.license_id), -1)?;
        forget_machine(tx, activation)?;
    }
    tx.remove(&ACTIVATIONS_BY_ID, &(activation.org_id, activation.activation_id))?;
    Ok(())
}

/// Takes the words of a machine that is bound no more out of the index, except those that the
/// licence has otherwise.
fn forget_machine(tx: &mut WriteTx, activation: &Activation) -> Result<()> {
    let (org_id, id) = (activation.org_id, activation.license_id);
    let mut kept = BTreeSet::new();
    for (_, _, hardware_id) in tx.scan_keys(&ACTIVATIONS, &Scan::prefix(&(org_id, id)))? {
        kept.extend(index_words([hardware_id.as_str()]));
    }
    if let Some(license) = tx.get(&LICENSES, &(org_id, id))? {
        kept.extend(index_words([license.license_key.as_str()]));
    }
    let old = index_words([activation.hardware_id.as_str()]);
    super::search::reindex(tx, &LICENSE_WORDS, id, &old, &(&kept & &old))
}
