//! The command line: what may be typed. `commands` does it.

// Documentation of arguments is what `--help` prints, where backticks would be noise.
#![allow(clippy::doc_markdown)]

mod seat;

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

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
  coditect backup /backup/today.cdt      Write a backup
  coditect doctor                        Check settings, data and keys
  coditect seat run -- make              Run a command that holds a seat of a licence

Every setting is also an environment variable: `coditect config init` lists them.";

/// Licensing in one file: accounts, plans, signed licences and exactly counted seats.
#[derive(Parser, Clone, PartialEq, Eq, Debug)]
#[command(name = "coditect", version, after_help = EXAMPLES, styles = STYLES)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

impl Cli {
    /// The command that was typed; `serve` when none was.
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

/// What the program can do.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Run the server (what happens when no command is given)
    ///
    /// Runs until it is sent SIGTERM or SIGINT; then it finishes what it has begun, makes sure that
    /// all is on disk, and ends within 10 seconds.
    Serve(Serve),
    /// Manage operators
    Admin {
        /// What to do.
        #[command(subcommand)]
        command: AdminCommand,
    },
    /// Write a backup to a file
    ///
    /// The signing keys in it are encrypted: without the master key nobody can use them, so keep a
    /// copy of that as well, in another place.
    #[command(
        after_help = "Example:\n  coditect backup --data /var/lib/coditect /backup/today.cdt"
    )]
    Backup {
        /// The file to write; it must not exist yet
        file: PathBuf,
        /// File and data folder.
        #[command(flatten)]
        settings: Settings,
    },
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
        /// File and data folder.
        #[command(flatten)]
        settings: Settings,
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
        /// File and data folder.
        #[command(flatten)]
        settings: Settings,
    },
    /// Show the settings in force, or a documented file to start from
    Config {
        /// What to do.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Manage the keys that licences are signed with
    Keys {
        /// What to do.
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Hold a seat of a licence on this machine
    Seat {
        /// What to do.
        #[command(subcommand)]
        command: SeatCommand,
    },
    /// Print the version
    Version,
}

/// Where settings come from, for every command that needs them.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Read settings from this file [env: CODITECT_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Keep everything in this folder [default: ./coditect-data] [env: CODITECT_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

impl Settings {
    /// As `Config::load` takes them.
    pub fn flags(&self) -> Flags {
        Flags { config: self.config.clone(), data: self.data.clone(), listen: None }
    }
}

/// How to run the server.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Serve {
    /// File and data folder.
    #[command(flatten)]
    pub settings: Settings,
    /// Listen here [default: 127.0.0.1:8750] [env: CODITECT_LISTEN]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Fill an empty data folder with sample accounts, plans and licences
    #[arg(long)]
    pub demo: bool,
}

impl Serve {
    /// As `Config::load` takes them.
    pub fn flags(&self) -> Flags {
        Flags { listen: self.listen.clone(), ..self.settings.flags() }
    }
}

/// Managing operators.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum AdminCommand {
    /// Print a link that makes the first operator
    ///
    /// Whoever opens the link chooses e-mail address and password. It works once and not for long.
    Link(Settings),
}

/// Looking at settings.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum ConfigCommand {
    /// Print every setting, its value and where that came from; secrets stay hidden
    Show {
        /// Print JSON instead of lines for people
        #[arg(long)]
        json: bool,
        /// The flags that the server would be given.
        #[command(flatten)]
        serve: Serve,
    },
    /// Print a documented settings file with all defaults
    #[command(after_help = "Example:\n  coditect config init > coditect.toml")]
    Init,
}

/// Managing signing keys.
#[derive(Subcommand, Clone, PartialEq, Eq, Debug)]
pub enum KeysCommand {
    /// Make a new signing key and sign with it from now on
    ///
    /// Old keys stay published, so what they signed stays valid. A running server is asked to do it,
    /// and signs with the new key at once. It does so by itself when `keys.rotation_days` have passed.
    Rotate(Settings),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Cli::try_parse_from(line.split_whitespace()).map(Cli::command)
    }

    fn settings(config: Option<&str>, data: Option<&str>) -> Settings {
        Settings { config: config.map(PathBuf::from), data: data.map(PathBuf::from) }
    }

    fn serve(settings: Settings, listen: Option<&str>, demo: bool) -> Command {
        Command::Serve(Serve { settings, listen: listen.map(str::to_owned), demo })
    }

    #[test]
    fn the_definition_is_sound() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn each_line_means_one_command() {
        let none = Settings::default;
        for (line, meant) in [
            ("coditect", serve(none(), None, false)),
            ("coditect serve", serve(none(), None, false)),
            ("coditect --demo", serve(none(), None, true)),
            ("coditect serve --demo", serve(none(), None, true)),
            (
                "coditect --config c.toml --data d --listen 127.0.0.1:1",
                serve(settings(Some("c.toml"), Some("d")), Some("127.0.0.1:1"), false),
            ),
            (
                "coditect serve --listen=[::1]:1 --data=d",
                serve(settings(None, Some("d")), Some("[::1]:1"), false),
            ),
            (
                "coditect admin link --data d",
                Command::Admin { command: AdminCommand::Link(settings(None, Some("d"))) },
            ),
            (
                "coditect backup today.cdt --config c.toml",
                Command::Backup {
                    file: "today.cdt".into(),
                    settings: settings(Some("c.toml"), None),
                },
            ),
            (
                "coditect restore today.cdt --yes",
                Command::Restore { file: "today.cdt".into(), yes: true, settings: none() },
            ),
            ("coditect doctor --json", Command::Doctor { json: true, settings: none() }),
            (
                "coditect config show",
                Command::Config {
                    command: ConfigCommand::Show { json: false, serve: Serve::default() },
                },
            ),
            ("coditect config init", Command::Config { command: ConfigCommand::Init }),
            ("coditect keys rotate", Command::Keys { command: KeysCommand::Rotate(none()) }),
            ("coditect version", Command::Version),
        ] {
            assert_eq!(parse(line).unwrap(), meant, "{line}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (line, kind) in [
            ("coditect serv", ErrorKind::InvalidSubcommand),
            ("coditect --lisen 1", ErrorKind::UnknownArgument),
            ("coditect --listen", ErrorKind::InvalidValue),
            ("coditect backup", ErrorKind::MissingRequiredArgument),
            ("coditect backup a b", ErrorKind::UnknownArgument),
            ("coditect backup a --demo", ErrorKind::UnknownArgument),
            ("coditect doctor --listen 127.0.0.1:1", ErrorKind::UnknownArgument),
            ("coditect --version", ErrorKind::DisplayVersion),
            ("coditect --help", ErrorKind::DisplayHelp),
            ("coditect admin", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ] {
            assert_eq!(parse(line).unwrap_err().kind(), kind, "{line}");
        }
    }

    /// A flattened struct's documentation must not take the place of a command's.
    #[test]
    fn each_command_says_what_it_does() {
        let mut command = <Cli as CommandFactory>::command();
        command.build();
        for (path, says) in [
            ("serve", "Run the server"),
            ("backup", "Write a backup"),
            ("restore", "Put a backup in place"),
            ("doctor", "Check settings"),
            ("admin link", "Print a link"),
            ("config show", "Print every setting"),
            ("config init", "Print a documented settings file"),
            ("keys rotate", "Make a new signing key"),
            ("seat run", "Run a command that holds a seat"),
            ("seat status", "Show how the licence stands"),
            ("seat release", "Give back the seat"),
        ] {
            let found = path.split(' ').fold(&mut command, |command, name| {
                command.find_subcommand_mut(name).unwrap_or_else(|| panic!("{path}"))
            });
            let help = found.render_long_help().to_string();
            assert!(help.starts_with(says), "{path}: {help}");
        }
    }

    #[test]
    fn flags_reach_the_settings() {
        let Command::Serve(serve) = parse("coditect --config c --data d --listen l").unwrap()
        else {
            panic!("serve")
        };
        let flags = serve.flags();
        assert_eq!(flags.config, Some("c".into()));
        assert_eq!(flags.data, Some("d".into()));
        assert_eq!(flags.listen.as_deref(), Some("l"));
    }

    #[test]
    fn the_help_tells_the_defaults_that_the_settings_have() {
        let help = <Cli as CommandFactory>::command().render_help().to_string();
        // Help is wrapped to the terminal's width.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for key in ["data", "server.listen"] {
            let setting =
                crate::config::Config::SETTINGS.iter().find(|row| row.key == key).unwrap();
            let default = setting.rule.default.unwrap();
            assert!(help.contains(&format!("[default: {default}]")), "{help}");
            assert!(help.contains(&format!("[env: {}]", setting.env())), "{help}");
        }
    }
}
