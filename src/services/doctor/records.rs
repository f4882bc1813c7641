//! What is stored: the database itself, keys, seats, jobs.

use super::check::{Check, State};
use super::computer::size;
use crate::config::DataDir;
use crate::domain::error::Result;
use crate::domain::page::PageRequest;
use crate::domain::time::{DAY_MS, MINUTE_MS, Timestamp};
use crate::seats;
use crate::services::audit::CHECKED;
use crate::services::backups;
use crate::signing::{KeyRecord, MasterKey, Purpose};
use crate::store::{CheckReport, ReadTx, Schema, audit, counts, jobs, licenses, logs};

/// Records of the seat log read at once.
const LOG_PAGE: usize = 8;
/// A running server that is later than this with its jobs has a reason.
const LATE_MS: i64 = 10 * MINUTE_MS;
/// A key is due at its age and is replaced within the hour; a day leaves room for restarts.
const ROTATION_SLACK_DAYS: u32 = 1;

/// The file that no server has open.
pub fn database(report: &CheckReport) -> Check {
    let rows: u64 = report.tables.iter().map(|(_, rows)| rows).sum();
    let found = format!("{}, {rows} rows in {} tables", size(report.bytes), report.tables.len());
    if report.sound {
        return Check::ok("database", format!("every checksum is right ({found})"));
    }
    let advice = "Copy the data folder away, then restore the latest backup";
    Check::problem("database", format!("a checksum is wrong ({found})"), advice)
}

/// Whether this program and the file speak the same schema.
pub fn schema(found: Option<u64>) -> Check {
    let (found, known) = (found.unwrap_or_default(), Schema::CURRENT.version);
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Check::ok("schema", format!("version {found}")),
        std::cmp::Ordering::Less => Check::warning(
            "schema",
            format!("version {found}, and this program's is {known}"),
            "The next start upgrades it, after a backup of its own",
        ),
        std::cmp::Ordering::Greater => Check::problem(
            "schema",
            format!("version {found}, and this program knows versions up to {known}"),
            "Use the version of the program that wrote it",
        ),
    }
}

/// Every stored key, under the master key that was found or could not be.
pub fn keys(
    tx: &ReadTx,
    master: Result<MasterKey, String>,
    now: Timestamp,
    rotation_days: u32,
) -> Result<Check> {
    let restore = "Restore the master key from its backup, or set CODITECT_MASTER_KEY to it";
    let master = match master {
        Ok(master) => master,
        Err(why) => return Ok(Check::problem("keys", why, restore)),
    };
    let mut records = Vec::new();
    for row in logs::keys(tx)? {
        let record = match serde_json::from_value::<KeyRecord>(row) {
            Ok(record) => record,
            Err(error) => {
                return Ok(Check::problem(
                    "keys",
                    format!("a stored key is damaged: {error}"),
                    BACKUP,
                ));
            }
        };
        if let Err(error) = record.verify(&master) {
            return Ok(Check::problem("keys", error.to_string(), restore));
        }
        records.push(record);
    }
    Ok(license_key(&records, now, rotation_days))
}

const BACKUP: &str = "Restore the latest backup";

fn license_key(records: &[KeyRecord], now: Timestamp, rotation_days: u32) -> Check {
    let current = records
        .iter()
        .filter(|record| record.purpose == Purpose::License && record.retired_at.is_none())
        .max_by_key(|record| record.created_at);
    let Some(current) = current else {
        let advice =
            "It is made in the background at the first start and takes some seconds; look again";
        return Check::warning("keys", "there is no key to sign licences with yet", advice);
    };
    let days = (now - current.created_at).max(0) / DAY_MS;
    let found = format!(
        "all {} open with the master key; licences are signed with {}, {days} days old",
        records.len(),
        current.kid
    );
    let advice = format!(
        "Keys are replaced after {rotation_days} days by a running server: start it, or look at its parked jobs"
    );
    Check::new("keys", rotation(current.created_at, now, rotation_days), found, advice)
}

/// Whether a key that still signs should have been replaced.
pub fn rotation(created_at: Timestamp, now: Timestamp, rotation_days: u32) -> State {
    let overdue = now > created_at.plus_days(rotation_days + ROTATION_SLACK_DAYS);
    if overdue { State::Warning } else { State::Ok }
}

/// Whether work was given up: what it was for has not been done.
pub fn parked(jobs: u64) -> State {
    if jobs > 0 { State::Problem } else { State::Ok }
}

/// Seats that were acknowledged and cannot be found any more.
pub fn lost_seats(trouble: &str) -> Check {
    let advice = "Start the server: applications that lost their seat acquire again at their next heartbeat. Find out what removed or damaged the file";
    Check::warning("seats", trouble, advice)
}

/// Whether every record of the seat log can be read.
pub fn seat_log(mut page: impl FnMut(u64, usize) -> Result<Vec<(u64, Vec<u8>)>>) -> Result<Check> {
    let (mut from, mut records, mut events) = (0, 0_u64, 0);
    loop {
        let read = page(from, LOG_PAGE)?;
        let Some((last, _)) = read.last() else { break };
        from = last + 1;
        for (seq, bytes) in read {
            match seats::decode_all(&bytes) {
                Ok(decoded) => events += decoded.len(),
                Err(error) => {
                    let found = format!("record {seq} of the seat log is damaged: {error}");
                    return Ok(Check::problem("seats", found, BACKUP));
                }
            }
            records += 1;
        }
    }
    Ok(Check::ok(
        "seats",
        format!("the seat log reads well ({events} events in {records} records)"),
    ))
}

/// Whether work is put aside, or a running server is late with it.
pub fn work(tx: &ReadTx, now: Timestamp, server_runs: bool) -> Result<Check> {
    let given_up = counts::get(tx, "jobs.parked")?;
    let waiting = counts::get(tx, "jobs.waiting")?;
    let state = parked(given_up);
    if state != State::Ok {
        let first = jobs::list_parked(tx, &PageRequest { limit: 1, after: None })?.items.pop();
        let kind = first.as_ref().map_or("?", |job| job.work.kind());
        let why =
            first.as_ref().and_then(|job| job.last_error.as_deref()).unwrap_or("no reason noted");
        let found =
            format!("{given_up} parked after too many failures; the first is {kind}: {why}");
        let advice = "Put its cause right, then try it again: POST /api/v1/admin/jobs/{id}/retry";
        return Ok(Check::new("jobs", state, found, advice));
    }
    let next = jobs::list_waiting(tx, &PageRequest { limit: 1, after: None })?.items.pop();
    let late = next.map_or(0, |job| now - job.due);
    if server_runs && late > LATE_MS {
        let found = format!("the first of {waiting} is {} minutes late", late / MINUTE_MS);
        return Ok(Check::warning("jobs", found, "The log says what keeps the server from it"));
    }
    Ok(Check::ok("jobs", format!("{waiting} wait for their time, none is parked")))
}

/// Whether there is a backup, and how old the newest one in the data folder is.
pub fn backup(tx: &ReadTx, data: &DataDir, now: Timestamp) -> Result<Check> {
    let licensed = !licenses::list(tx, &PageRequest { limit: 1, after: None })?.items.is_empty();
    let newest = backups::newest(data);
    if let Some(found) = backups::stale(newest.as_ref(), licensed, now) {
        let advice = "`coditect backup` makes one, also while the server runs. Ignore this if they are kept elsewhere";
        return Ok(Check::warning("backup", found, advice));
    }
    Ok(match newest {
        Some(backup) => Check::ok("backup", format!("the newest is of {}", backup.created_at)),
        None => Check::ok("backup", "none yet, and no licence either"),
    })
}

/// When the newest record was made: the audit log has an entry for every change that matters.
pub fn newest(tx: &ReadTx) -> Result<Option<Timestamp>> {
    let last = audit::end(tx)?.seq;
    Ok(audit::starting_at(tx, last, 1)?.pop().map(|entry| entry.at))
}

/// Whether the newest part of the audit log is what was written.
pub fn audit_log(tx: &ReadTx) -> Result<Check> {
    Ok(match audit::check(tx, CHECKED)? {
        Ok(checked) => {
            Check::ok("audit", format!("the last {checked} entries are chained without a gap"))
        }
        Err(wrong) => Check::problem(
            "audit",
            format!("the audit log was altered: {wrong}"),
            "Keep a copy of the data folder as evidence; `coditect audit export` and `verify` tell more, an earlier backup what stood there",
        ),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::ids::JobId;
    use crate::domain::job::{Job, Work};
    use crate::entropy::Entropy;
    use crate::store::{Options, Store};

    const RSA_PEM: &str = include_str!("../../../tests/fixtures/keys/license-rsa4096.pkcs8.pem");
    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn another_schema_is_told_with_what_will_happen() {
        let known = Schema::CURRENT.version;
        assert_eq!(schema(Some(known)).state, State::Ok);
        assert_eq!(schema(Some(known - 1)).state, State::Warning);
        assert_eq!(schema(Some(known + 1)).state, State::Problem);
    }

    #[test]
    fn a_damaged_record_of_the_seat_log_is_named() {
        let pages =
            |from: u64, _| Ok(if from == 0 { vec![(7, vec![0xff; 9])] } else { Vec::new() });
        let check = seat_log(pages).unwrap();
        assert_eq!(check.state, State::Problem);
        assert!(check.found.contains("record 7"), "{}", check.found);
        assert_eq!(seat_log(|_, _| Ok(Vec::new())).unwrap().state, State::Ok);
    }

    #[test]
    fn a_key_that_should_have_been_replaced_is_noticed() {
        let entropy = Entropy::seeded(1);
        let master = MasterKey::generate(&entropy);
        let record =
            KeyRecord::import_pem(Purpose::License, RSA_PEM, &entropy, NOW, &master).unwrap();
        for (age_days, state) in
            [(0, State::Ok), (90, State::Ok), (91, State::Ok), (92, State::Warning)]
        {
            let now = NOW.plus_days(age_days);
            assert_eq!(
                license_key(std::slice::from_ref(&record), now, 90).state,
                state,
                "{age_days}"
            );
        }
        let late = license_key(std::slice::from_ref(&record), NOW.plus_days(91) + 1, 90);
        assert_eq!(late.state, State::Warning, "to the millisecond, as the overview has it");
        assert_eq!(
            license_key(&[record.retired(NOW)], NOW, 90).state,
            State::Warning,
            "none signs"
        );
        assert_eq!(license_key(&[], NOW, 90).state, State::Warning);
    }

    fn job(number: u128) -> Job {
        Job {
            job_id: JobId(Uuid::from_u128(number)),
            work: Work::RotateKeys,
            due: NOW,
            attempts: 10,
            last_error: Some("the relay is away".to_owned()),
            created_at: NOW,
        }
    }

    #[test]
    fn parked_and_late_work_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("d.redb"), Options::default()).unwrap();
        store.write_blocking(|tx| jobs::put(tx, &job(1))).unwrap();
        let look = |now, runs| store.read(|tx| work(tx, now, runs)).unwrap();
        assert_eq!(look(NOW, true).state, State::Ok);
        assert_eq!(look(NOW + LATE_MS + 1, true).state, State::Warning);
        assert_eq!(
            look(NOW + LATE_MS + 1, false).state,
            State::Ok,
            "a stopped server does no work"
        );
        store.write_blocking(|tx| jobs::park(tx, &job(2))).unwrap();
        let parked = look(NOW, true);
        assert_eq!(parked.state, State::Problem);
        assert!(parked.found.contains("the relay is away"), "{}", parked.found);
    }
}
