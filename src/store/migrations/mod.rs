//! Old schemas and the way from each to the next.
//!
//! A field added with `#[serde(default)]` needs no migration. One is needed when rows
//! move, split or change their meaning: then raise [`Schema::CURRENT`]'s version, add a
//! file here and a line to its list, and keep a database file of the old schema for
//! `tests/upgrade.rs`.

mod audit_chain;
mod indexes;

use super::tx::WriteTx;
use crate::domain::error::Result;

/// One step from the schema before it.
#[derive(Clone, Copy)]
pub struct Migration {
    /// The schema it leads to; it starts from the one before.
    pub to: u64,
    /// What it does, for the log.
    pub name: &'static str,
    /// The change. All steps of an upgrade run in one transaction.
    pub run: fn(&mut WriteTx<'_>) -> Result<()>,
}

/// What a program understands of a database.
#[derive(Clone, Copy)]
pub struct Schema {
    /// The version it reads and writes.
    pub version: u64,
    /// The steps that lead to it, in order.
    pub migrations: &'static [Migration],
}

impl Schema {
    /// This program's schema.
    pub const CURRENT: Self = Self {
        version: 3,
        migrations: &[
            Migration {
                to: 2,
                name: "indexes for search, statuses and histories",
                run: indexes::build,
            },
            Migration { to: 3, name: "an audit log that is chained", run: audit_chain::build },
        ],
    };
}

impl Default for Schema {
    fn default() -> Self {
        Self::CURRENT
    }
}
