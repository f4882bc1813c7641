//! Databases kept from every released schema open, and everything in them can be read.
//!
//! `tests/fixtures/schema-N.redb` was made by the program that first wrote schema N: a backup of
//! a server that had been used. `schema-N.json` says what was in it, and `schema-N.master.key` opens
//! its keys and nothing else in the world. When a schema is released,
//! `cargo test --test process -- --ignored keep_a_database` makes both.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use coditect::domain::audit::AuditFilter;
use coditect::domain::error::Result;
use coditect::domain::page::{Page, PageRequest};
use coditect::domain::subscription::Subscription;
use coditect::seats;
use coditect::signing::{KeyRecord, MasterKey};
use coditect::store::{
    self, Inspection, Options, ReadTx, Schema, Store, analytics, audit, counts, jobs, licenses,
    logs, orgs, plans, subscriptions, users,
};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Every item of a list, page after page.
fn all<T>(list: impl Fn(&PageRequest) -> Result<Page<T>>) -> Vec<T> {
    let mut items = Vec::new();
    let mut request = PageRequest { limit: 2, after: None };
    loop {
        let page = list(&request).unwrap();
        items.extend(page.items);
        match page.next {
            Some(next) => request.after = Some(next),
            None => return items,
        }
    }
}

/// Reads every record of every kind; how many there are, and what they are known by.
fn read_everything(tx: &ReadTx) -> Result<BTreeMap<String, Vec<String>>> {
    let mut read = BTreeMap::new();
    let people = all(|page| users::list(tx, page));
    for user in &people {
        assert_eq!(users::by_email(tx, &user.email)?.as_ref(), Some(user));
        users::logins(tx, user.user_id, 100)?;
    }
    read.insert(
        "users".to_owned(),
        people.iter().map(|user| user.email.as_str().to_owned()).collect(),
    );
    let organisations = all(|page| orgs::list(tx, page));
    for organisation in &organisations {
        let scope = store::org(tx, organisation.org_id);
        let owner = scope.owner()?;
        assert!(people.iter().any(|user| user.user_id == owner));
        all(|page| scope.licenses(page));
        all(|page| scope.subscriptions(page));
        all(|page| scope.payments(page));
    }
    read.insert("orgs".to_owned(), organisations.iter().map(|org| org.name.clone()).collect());
    let catalogue = all(|page| plans::list(tx, page));
    read.insert("plans".to_owned(), catalogue.into_iter().map(|plan| plan.plan_name).collect());
    let subscribed = all(|page| subscriptions::list(tx, page));
    read.insert(
        "subscriptions".to_owned(),
        subscribed.iter().map(|s| s.subscription_id.to_string()).collect(),
    );
    let paid = all(|page| subscriptions::list_payments(tx, page));
    read.insert(
        "payments".to_owned(),
        paid.iter().map(|payment| payment.payment_id.to_string()).collect(),
    );
    let issued = all(|page| licenses::list(tx, page));
    let mut machines = Vec::new();
    for license in &issued {
        let bound =
            all(|page| store::org(tx, license.org_id).activations(license.license_id, page));
        machines.extend(bound.into_iter().map(|activation| activation.hardware_id));
    }
    read.insert("activations".to_owned(), machines);
    read.insert(
        "licenses".to_owned(),
        issued.into_iter().map(|license| license.license_key).collect(),
    );
    let mails = all(|page| logs::list_mails(tx, page));
    read.insert("mails".to_owned(), mails.into_iter().map(|mail| mail.message).collect());
    let told = all(|page| audit::list(tx, &AuditFilter::default(), page));
    read.insert("audit".to_owned(), told.into_iter().map(|entry| entry.action).collect());
    let waiting = all(|page| jobs::list_waiting(tx, page));
    assert_eq!(counts::get(tx, "jobs.waiting")?, waiting.len() as u64);
    all(|page| jobs::list_parked(tx, page));
    read.insert("jobs".to_owned(), waiting.iter().map(|job| job.work.kind().to_owned()).collect());
    for known_by in read.values_mut() {
        known_by.sort();
    }
    Ok(read)
}

/// The figures are made once, from what is there. Those who wrote the first schemas kept none.
fn have_figures(store: &Store, version: u64) {
    assert_eq!(store.read(analytics::is_prepared).unwrap(), version > 2);
    for _ in 0..2 {
        store.write_blocking(analytics::prepare).unwrap();
        assert!(store.read(analytics::is_prepared).unwrap());
        let subscribed = store.read(|tx| Ok(all(|page| subscriptions::list(tx, page)))).unwrap();
        let worth: i64 =
            subscribed.iter().filter_map(Subscription::worth).map(|it| it.yearly_cents).sum();
        assert!(worth > 0, "one was paid: {subscribed:?}");
        let standings = store.read(analytics::standings).unwrap();
        assert_eq!(standings.iter().map(|(_, it)| it.worth.cents).sum::<i64>(), worth);
        let moved = store.read(|tx| analytics::movements(tx, "2000-01")).unwrap();
        assert_eq!(moved.iter().map(|(_, month)| month.net_cents()).sum::<i64>(), worth);
        let trials = store.read(|tx| analytics::trials(tx, "2000-01")).unwrap();
        assert_eq!(trials.iter().map(|(_, month)| month.converted).sum::<u64>(), 1);
    }
}

fn read_kept(version: u64) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("coditect.redb");
    let kept = fixture(&format!("schema-{version}.redb"));
    fs::copy(&kept, &database).unwrap();
    let inspection = Inspection::open(&database).unwrap();
    assert!(inspection.report.sound);
    assert_eq!(inspection.report.schema, Some(version));
    drop(inspection);

    let written: BTreeMap<String, Vec<String>> = {
        let text = fs::read_to_string(fixture(&format!("schema-{version}.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let store = Store::open(&database, Options::default()).unwrap();
    assert_eq!(store.read(read_everything).unwrap(), written, "schema {version}");
    assert!(
        written.values().all(|known_by| !known_by.is_empty()),
        "the fixture has every kind of record"
    );

    let text = fs::read_to_string(fixture(&format!("schema-{version}.master.key"))).unwrap();
    let master = MasterKey::parse(&text, "the fixture").unwrap();
    let keys: Vec<Value> = store.read(logs::keys).unwrap();
    assert!(keys.len() >= 3);
    for key in keys {
        serde_json::from_value::<KeyRecord>(key).unwrap().verify(&master).unwrap();
    }
    let log = store.read_log(0, 1_000).unwrap();
    let events: usize =
        log.iter().map(|(_, record)| seats::decode_all(record).unwrap().len()).sum();
    assert!(events > 0, "there were seats");
    have_figures(&store, version);
    let chained = store.read(|tx| audit::check(tx, u64::MAX)).unwrap();
    assert_eq!(chained, Ok(written["audit"].len() as u64), "the audit log is one chain");
    store.close().unwrap();
    let after = Inspection::open(&database).unwrap().report;
    assert_eq!(after.schema, Some(Schema::CURRENT.version), "it was upgraded");
}

#[test]
fn every_schema_ever_released_opens_and_reads() {
    for version in 1..=Schema::CURRENT.version {
        read_kept(version);
    }
}
