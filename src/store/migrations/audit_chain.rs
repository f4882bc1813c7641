//! Schema 3: the audit log is in the order of numbers, and each entry is chained to the one before.

use crate::domain::audit::AuditEntry;
use crate::domain::error::Result;
use crate::domain::ids::AuditId;
use crate::store::tables::FACTS;
use crate::store::{Read, Scan, Table, WriteTx, audit};

/// The log until then, in the order of its entries' times.
const AUDIT: Table<AuditId, AuditEntry> = Table::new("audit");
const AUDIT_BY_SUBJECT: Table<(String, AuditId), bool> = Table::new("audit_by_subject");

/// Numbers and chains what there is. How many entries that were is kept: until now nothing could
/// have shown that they were altered.
pub fn build(tx: &mut WriteTx<'_>) -> Result<()> {
    let old = tx.scan(&AUDIT, &Scan::all())?;
    let entries = old.len();
    for (id, entry) in old {
        tx.remove(&AUDIT, &id)?;
        tx.remove(&AUDIT_BY_SUBJECT, &(entry.subject.clone(), id))?;
        audit::append(tx, entry)?;
    }
    tx.put(&FACTS, &audit::CHAINED_LATE.to_owned(), &entries.to_string())
}
