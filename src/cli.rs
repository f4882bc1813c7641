//! The command line: what may be typed. `commands` does it.

// Documentation of arguments is what `--help` prints, where backticks would be noise.
#![allow(clippy::doc_markdown)]

pub mod customers;
pub mod operator;
pub mod org_parts;
pub mod orgs;
mod seat;
pub mod server;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

use self::customers::{
    InvoiceCommand, LicenseCommand, PaymentCommand, PlanCommand, SubscriptionCommand, UserCommand,
};
use self::operator::{Noun, Via};
use self::orgs::OrgCommand;
use self::server::{
    Analytics, ApiKeys, AuditCommand, Backup, JobCommand, KeyCommand, Log, MailCommand, SeatDesk,
};
pub use seat::{OnLost, Run, SeatCommand, Whose};

use crate::config::Flags;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  coditect                               Serve on 127.0.0.1:8750, data in ./coditect-data
  coditect --demo                        The same with sample data, to try things out
  coditect serve --config coditect.toml  Serve with a settings file
  coditect admin link                    Print a link that sets up the first operator
  coditect overview                      What goes on in the running server
  coditect license list --status grace   Licences of that server
  coditect backup /backup/today.cdt      Write a backup
  coditect doctor                        Check settings, data and keys
  coditect seat run -- make              Run a command that holds a seat of a licence

Every setting is also an environment variable: `coditect config init` lists them.";

const MORE: &str = "\
Exit codes:
  0  It was done.
  1  It failed, or was refused for a reason that is not below.
  2  What was typed is not valid: an unknown flag, a value that breaks a rule, --yes is missing.
  3  There is no such record.
  4  Not allowed: no credentials, bad ones, or those of somebody who may not do it.
  5  The record does not allow it as it is now, such as a licence that was revoked.
  6  No server answers, or it cannot take the request just now: try again later.
  7  What was verified is not whole, or was altered.

Commands about licences, users, plans and the like ask a running server: the one whose data is in
--data, over the local socket in that folder, or the one at --server, with an API key.";

/// Licensing in one file: accounts, plans, signed licences and exactly counted seats.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(name = "coditect", version, styles = STYLES)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{MORE}"))]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    serve: Serve,
}

impl Cli {
    /// What was typed. Help, and what is wrong with it, end the program here.
    pub fn read() -> Self {
        Self::parse().checked().unwrap_or_else(|refusal| refusal.exit())
    }

    /// Flags of `serve` may stand before it, or where no command is, and before no other command.
    fn checked(self) -> Result<Self, clap::Error> {
        let elsewhere = !matches!(self.command, None | Some(Command::Serve(_)));
        if elsewhere && self.serve != Serve::default() {
            let why = "--listen and --demo belong to `serve`; this is another command";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, why));
        }
        Ok(self)
    }

    /// The command that was typed, `serve` when none was; and where settings come from.
    pub fn split(self) -> (Command, Settings) {
        let command = match self.command {
            None => Command::Serve(self.serve),
            Some(Command::Serve(serve)) => Command::Serve(Serve {
                listen: serve.listen.or(self.serve.listen),
                demo: serve.demo || self.serve.demo,
            }),
            Some(other) => other,
        };
        (command, self.settings)
    }
}

/// What the program can do.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Run the server (what happens when no command is given)
    ///
    /// Runs until it is sent SIGTERM or SIGINT; then it finishes what it has begun, makes sure that
    /// all is on disk, and ends within 10 seconds.
    #[command(
        after_help = "Example:\n  coditect serve --listen 0.0.0.0:8750 --data /var/lib/coditect"
    )]
    Serve(Serve),
    /// Set up the first operator
    Admin {
        /// What to do.
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Show at a glance what goes on
    #[command(after_help = "Example:\n  coditect overview --json | jq .seats.live")]
    Overview(Via),
    /// Show recurring revenue and what became of it, what came in, trials and seats
    #[command(after_help = "Examples:
  coditect analytics --months 24
  coditect analytics --csv plans > plans.csv
  coditect analytics --json | jq '.currencies[] | {currency, mrr_cents}'")]
    Analytics(Analytics),
    /// Issue, find and change licences
    #[command(visible_alias = "licence")]
    License(Noun<LicenseCommand>),
    /// Look after accounts and say who is an operator
    User(Noun<UserCommand>),
    /// Look after organisations: members, teams, projects, domains, single sign-on, provisioning; export and delete them
    Org(Noun<OrgCommand>),
    /// Manage what can be bought
    Plan(Noun<PlanCommand>),
    /// List, change, cancel and resume subscriptions
    Subscription(Noun<SubscriptionCommand>),
    /// List invoices of the payment provider
    Invoice(Noun<InvoiceCommand>),
    /// List and record payments
    Payment(Noun<PaymentCommand>),
    /// Hold a seat on this machine; see who holds seats, and take one back
    Seat {
        /// What to do.
        #[command(subcommand)]
        command: AnySeat,
    },
    /// See what waits or failed, and try it again
    Job(Noun<JobCommand>),
    /// See what was mailed, and mail it again
    Mail(Noun<MailCommand>),
    /// Manage the keys that licences are signed with
    #[command(alias = "keys")]
    Key(Noun<KeyCommand>),
    /// Manage the keys that programs sign in with
    ApiKey(ApiKeys),
    /// See what was done and by whom
    Audit(Noun<AuditCommand>),
    /// Print the newest lines of the running server's log
    #[command(after_help = "Examples:\n  coditect log --level warn\n  coditect log --follow")]
    Log(Log),
    /// Write a backup to a file, or manage those in the data folder
    ///
    /// The signing keys in a backup are encrypted: without the master key nobody can use them, so
    /// keep a copy of that as well, in another place.
    #[command(subcommand_negates_reqs = true)]
    #[command(
        override_usage = "coditect backup [OPTIONS] <FILE>\n       coditect backup [OPTIONS] <COMMAND>"
    )]
    #[command(
        after_help = "Example:\n  coditect backup --data /var/lib/coditect /backup/today.cdt"
    )]
    Backup(Backup),
    /// Put a backup in place of the data
    ///
    /// The server must not run meanwhile.
    #[command(
        after_help = "Example:\n  coditect restore --data /var/lib/coditect /backup/today.cdt"
    )]
    Restore {
        /// The backup to read
        file: PathBuf,
        /// Do not ask before existing data is replaced
        #[arg(long)]
        yes: bool,
    },
    /// Check settings, data folder, database, keys and mail
    ///
    /// Changes nothing. Ends with 1 when something is broken, otherwise with 0, even when there are
    /// warnings.
    #[command(
        after_help = "Example:\n  coditect doctor --json | jq '.checks[] | select(.state != \"ok\")'"
    )]
    Doctor {
        /// Print one JSON object instead of lines for people
        #[arg(long)]
        json: bool,
    },
    /// Show the settings in force, or a documented file to start from
    Config {
        /// What to do.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Print what lets a shell complete commands and flags
    #[command(after_help = "Examples:
  coditect completions bash > /etc/bash_completion.d/coditect
  coditect completions zsh > /usr/local/share/zsh/site-functions/_coditect
  coditect completions fish > ~/.config/fish/completions/coditect.fish")]
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write one for each command
    #[command(after_help = "Examples:
  coditect manual | man -l -
  coditect manual --dir /usr/local/share/man/man1")]
    Manual {
        /// Write a page for each command into this folder
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Print the version
    #[command(after_help = "Example:\n  coditect version")]
    Version,
}

/// A seat of this machine, or those of all.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum AnySeat {
    /// For who uses licensed software.
    #[command(flatten)]
    Here(SeatCommand),
    /// For operators.
    #[command(flatten)]
    All(SeatDesk),
}

/// Where settings come from, for every command that needs them.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Read settings from this file [env: CODITECT_CONFIG]
    #[arg(long, value_name = "FILE", global = true, help_heading = "Settings")]
    pub config: Option<PathBuf>,
    /// Keep everything in this folder [default: ./coditect-data] [env: CODITECT_DATA]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Settings")]
    pub data: Option<PathBuf>,
}

impl Settings {
    /// Whether a data folder is named, and with it the server that runs on it.
    pub fn name_a_server(&self) -> bool {
        self.data.is_some() || self.config.is_some()
    }

    /// As `Config::load` takes them.
    pub fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), data: self.data.clone(), listen: None }
    }
}

/// How to run the server.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Serve {
    /// Listen here [default: 127.0.0.1:8750] [env: CODITECT_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Fill an empty data folder with sample accounts, plans and licences
    #[arg(long)]
    pub demo: bool,
}

impl Serve {
    /// As `Config::load` takes them.
    pub fn flags(&self, settings: &Settings) -> Flags {
        Flags { listen: self.listen.clone(), ..settings.flags() }
    }
}

/// Managing operators.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum AdminCommand {
    /// Print a link that makes the first operator
    ///
    /// Whoever opens the link chooses e-mail address and password. It works once and not for long.
    /// Later operators are made with `coditect user operator grant`.
    #[command(after_help = "Example:\n  coditect admin link")]
    Link,
}

/// Looking at settings.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum ConfigCommand {
    /// Print every setting, its value and where that came from; secrets stay hidden
    ///
    /// As a server would have them that is started with the same flags and environment; with
    /// --running or --server, as a running one has them.
    #[command(after_help = "Examples:
  coditect config show --config coditect.toml
  coditect config show --running --json | jq '.items[] | select(.source != \"default\")'")]
    Show {
        /// Ask the running server for the settings that it has
        #[arg(long)]
        running: bool,
        /// The flags that the server would be given.
        #[command(flatten)]
        serve: Serve,
        /// How the server is reached.
        #[command(flatten)]
        via: Via,
    },
    /// Print a documented settings file with all defaults
    #[command(after_help = "Example:\n  coditect config init > coditect.toml")]
    Init,
}

#[cfg(test)]
mod tests;
