//! Commands about the running server itself: seats, jobs, mail, keys, backups, logs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::operator::{Consent, Paging, Via};

/// The figures of the business.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Analytics {
    /// Tell so many calendar months, this one included; 36 at most
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = months)]
    pub months: u32,
    /// Print one table as CSV instead
    #[arg(long, value_name = "TABLE", value_parser = ["months", "plans", "trials"], conflicts_with = "json")]
    pub csv: Option<String>,
    /// How the server is reached.
    #[command(flatten)]
    pub via: Via,
}

fn months(text: &str) -> Result<u32, &'static str> {
    let months = text.parse().ok().filter(|months| (1..=36).contains(months));
    months.ok_or("write a whole number from 1 to 36")
}

/// Seats of all licences.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum SeatDesk {
    /// List who holds seats, over all licences
    #[command(after_help = "Example:\n  coditect seat list --all")]
    List {
        /// How many.
        #[command(flatten)]
        paging: Paging,
        /// How the server is reached.
        #[command(flatten)]
        via: Via,
    },
    /// Take a seat back
    ///
    /// Its holder is told at the next heartbeat, and may acquire again.
    #[command(after_help = "Example:\n  coditect seat evict ada-laptop --license ada@example.com")]
    Evict {
        /// The session's id, or the machine's hardware id
        session: String,
        /// Look among the seats of this licence alone: its key, its id, or the e-mail address of whom it belongs to
        #[arg(long)]
        license: Option<String>,
        /// How the server is reached.
        #[command(flatten)]
        via: Via,
    },
}

/// Jobs.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum JobCommand {
    /// List what waits to be done
    #[command(after_help = "Example:\n  coditect job list --parked")]
    List {
        /// Those that failed too often instead
        #[arg(long)]
        parked: bool,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Try parked jobs again
    #[command(after_help = "Examples:
  coditect job retry 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b
  coditect job retry --all")]
    Retry {
        /// The job's id
        #[arg(required_unless_present = "all")]
        job: Option<String>,
        /// Every parked job
        #[arg(long, conflicts_with = "job")]
        all: bool,
    },
}

/// Mail.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum MailCommand {
    /// List mails, newest first
    #[command(after_help = "Example:\n  coditect mail list --status parked")]
    List {
        /// Only those with this status
        #[arg(long, value_parser = ["waiting", "sent", "delivered", "bounced", "parked"])]
        status: Option<String>,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one mail as its recipient reads it, without the links that open something
    #[command(after_help = "Example:\n  coditect mail show 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")]
    Show {
        /// Its id
        mail: String,
    },
    /// Try a mail again now that waits or was parked
    ///
    /// One that was sent is not sent again: its links were taken out of the log. `coditect license resend`
    /// mails a licence once more.
    #[command(after_help = "Example:\n  coditect mail retry 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")]
    Retry {
        /// Its id
        mail: String,
    },
}

/// Signing keys.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum KeyCommand {
    /// List every public key that ever signed
    #[command(after_help = "Example:\n  coditect key list")]
    List,
    /// Make a new signing key and sign with it from now on
    ///
    /// Old keys stay published, so what they signed stays valid. A running server is asked to do it,
    /// and signs with the new key at once. It does so by itself when `keys.rotation_days` have passed.
    #[command(after_help = "Example:\n  coditect key rotate")]
    Rotate,
    /// Seal every secret anew under another master key; the server has to be stopped
    ///
    /// Where the key is a file of the data folder, a new one is made and takes its place. The old one is
    /// kept beside it, because backups made before need it: move it to where their master key is kept. Where a setting
    /// holds the key, --new names a file with the new one, and the setting is yours to change afterwards.
    #[command(after_help = "Example:\n  coditect key replace-master --yes")]
    ReplaceMaster {
        /// A file with the new key, where a setting holds the one in use
        #[arg(long)]
        new: Option<PathBuf>,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
}

/// API keys, which are a person's.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct ApiKeys {
    /// What to do.
    #[command(subcommand)]
    pub command: ApiKeyCommand,
    /// Whose.
    #[command(flatten)]
    pub sign_in: SignIn,
    /// How the server is reached.
    #[command(flatten)]
    pub via: Via,
}

/// Who signs in with a password.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct SignIn {
    /// Sign in as the person with this e-mail address, whose keys these are
    ///
    /// The password is asked for.
    #[arg(long, global = true, value_name = "ADDRESS")]
    pub email: Option<String>,
    /// Read the password from this file instead of the keyboard
    #[arg(long, global = true, value_name = "FILE", requires = "email")]
    pub password_file: Option<PathBuf>,
}

/// What is done with API keys.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum ApiKeyCommand {
    /// List API keys
    #[command(after_help = "Example:\n  coditect api-key list --email operator@example.com")]
    List {
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Make an API key and print it, once
    #[command(
        after_help = "Example:\n  coditect api-key create nightly-report --expires-in-days 365 --scope licenses.read"
    )]
    Create {
        /// What it is for
        name: String,
        /// Until when it works [default: without end]
        #[arg(long, value_name = "DAYS")]
        expires_in_days: Option<u32>,
        /// What it may do of what you may, such as operator or licenses.read; several times [default: all]
        #[arg(long = "scope", value_name = "WHAT")]
        scopes: Vec<String>,
    },
    /// Take an API key back
    #[command(
        after_help = "Example:\n  coditect api-key revoke nightly-report --email operator@example.com --yes"
    )]
    Revoke {
        /// Its name or id
        api_key: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
}

/// Backups.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Backup {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<BackupCommand>,
    /// The file to write; it must not exist yet
    #[arg(required = true)]
    pub file: Option<PathBuf>,
    /// How the server is reached.
    #[command(flatten)]
    pub via: Via,
}

/// What is done with backups.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum BackupCommand {
    /// Have the server write a backup into the folder `backups` of its data
    #[command(after_help = "Example:\n  coditect backup create")]
    Create,
    /// List the backups in the folder `backups` of the data, newest first
    #[command(after_help = "Example:\n  coditect backup list")]
    List {
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Fetch a backup
    #[command(after_help = "Examples:
  coditect backup download coditect-2026-11-22T03-15-00Z-0a927cb9.backup
  coditect backup download latest --out /backup/today.cdt")]
    Download {
        /// Its name as `backup list` tells it, or latest
        name: String,
        /// Write to this file, which must not exist [default: the backup's name, here]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Put a backup in place of the running server's data
    ///
    /// The server finishes what runs, keeps the data of now beside the new, and starts again by itself. What
    /// happened after the backup is undone, sign-ins included. Where no server runs, use `coditect restore`.
    #[command(
        after_help = "Example:\n  coditect backup restore coditect-2026-11-22T03-15-00Z-0a927cb9.backup"
    )]
    Restore {
        /// Its name as `backup list` tells it; the newest has to be named too
        name: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
    /// Delete a backup
    #[command(
        after_help = "Example:\n  coditect backup remove coditect-2026-11-22T03-15-00Z-0a927cb9.backup --yes"
    )]
    Remove {
        /// Its name as `backup list` tells it; the newest has to be named too
        name: String,
        /// Consent.
        #[command(flatten)]
        consent: Consent,
    },
}

/// The audit log.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum AuditCommand {
    /// List what was done, newest first
    #[command(after_help = "Examples:
  coditect audit list --limit 20
  coditect audit list --subject ada@example.com
  coditect audit list --action user.sign --from 2026-11-01")]
    List {
        /// What is wanted.
        #[command(flatten)]
        only: AuditOnly,
        /// How many.
        #[command(flatten)]
        paging: Paging,
    },
    /// Show how the log stands: its length, what was signed last, whether it is sound
    #[command(after_help = "Example:\n  coditect audit status --json | jq .sound")]
    Status,
    /// Write the log to a file that can be proved whole and unaltered
    ///
    /// One line of JSON for each entry, chained by hashes, with the signatures of each day and of the end.
    /// `coditect audit verify` checks it with the public key alone, without this server.
    #[command(after_help = "Examples:
  coditect audit export --out audit.jsonl
  coditect audit export --from 2026-01-01 --to 2027-01-01 --out audit-2026.jsonl
  coditect audit export --csv --action license. --out licences.csv")]
    Export {
        /// Write a table for people instead, which proves nothing and may be narrowed further
        #[arg(long)]
        csv: bool,
        /// What is wanted.
        #[command(flatten)]
        only: AuditOnly,
        /// Write to this file, which must not exist [default: standard output]
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Check that an export is whole and unaltered
    ///
    /// Says of each line that was changed, added, moved or removed which one it is. Ends with 0 when
    /// nothing is wrong, with 7 when something is, and with 1 when it cannot be judged.
    #[command(after_help = "Examples:
  coditect audit verify audit.jsonl --key license-key.pem
  coditect audit verify audit.jsonl --key https://licenses.example.com/.well-known/jwks.json")]
    Verify {
        /// The export; - for standard input
        file: PathBuf,
        /// A public key (PEM), a key set (JWKS), or the address of one; may be given again [default: the keys of the running server]
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
    },
}

/// Which entries of the audit log are wanted.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct AuditOnly {
    /// Only what was done to this record: its id, an e-mail address, a licence key or an organisation's name
    #[arg(long, value_name = "RECORD")]
    pub subject: Option<String>,
    /// Only actions that begin like this, such as license. or user.sign
    #[arg(long, value_name = "ACTION")]
    pub action: Option<String>,
    /// Only what this actor did: an e-mail address, a user's id, local, anonymous or system
    #[arg(long, value_name = "WHO")]
    pub actor: Option<String>,
    /// Only on behalf of this organisation: its id, its name, or the e-mail address of its owner
    #[arg(long, value_name = "ORG")]
    pub org: Option<String>,
    /// Not before this time or UTC day, as in 2026-11-22
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this time or UTC day
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only entries with this text in them
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
}

/// The newest lines of the server's log.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// Only lines of this level or graver [default: all that `log.level` lets through]
    #[arg(long, value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub level: Option<String>,
    /// Only lines with this text in them
    #[arg(long, value_name = "TEXT")]
    pub query: Option<String>,
    /// Go on with new lines as they come, until Ctrl+C
    #[arg(long, short)]
    pub follow: bool,
    /// How many.
    #[command(flatten)]
    pub paging: Paging,
    /// How the server is reached.
    #[command(flatten)]
    pub via: Via,
}
