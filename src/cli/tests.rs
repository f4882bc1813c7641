use super::operator::Paging;
use super::*;

fn parse(line: &str) -> Result<(Command, Settings), clap::Error> {
    Cli::try_parse_from(words(line)).and_then(Cli::checked).map(Cli::split)
}

/// The words of a line as a shell splits it: quotes keep words together, and what is behind a
/// pipe or goes into a file is another program's.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            '|' | '>' if !quoted => break,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn settings(config: Option<&str>, data: Option<&str>) -> Settings {
    Settings { config: config.map(PathBuf::from), data: data.map(PathBuf::from) }
}

fn serve(listen: Option<&str>, demo: bool) -> Command {
    Command::Serve(Serve { listen: listen.map(str::to_owned), demo })
}

fn noun<C: Subcommand>(command: C) -> Noun<C> {
    Noun { command, via: Via::default() }
}

/// Every command that does something, with its words.
fn leaves() -> Vec<(String, clap::Command)> {
    fn walk(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
        let children: Vec<_> =
            command.get_subcommands().filter(|child| child.get_name() != "help").collect();
        if children.is_empty() || command.get_name() == "backup" {
            found.push((path.to_owned(), command.clone()));
        }
        for child in children {
            walk(&format!("{path} {}", child.get_name()), child, found);
        }
    }
    let mut root = Cli::command();
    root.build();
    let mut found = Vec::new();
    walk("coditect", &root, &mut found);
    assert!(found.len() > 50, "the commands were found");
    found
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn each_line_means_one_command() {
    let none = Settings::default;
    for (line, command, from) in [
        ("coditect", serve(None, false), none()),
        ("coditect serve", serve(None, false), none()),
        ("coditect --demo", serve(None, true), none()),
        ("coditect serve --demo", serve(None, true), none()),
        ("coditect --demo serve --listen l", serve(Some("l"), true), none()),
        (
            "coditect --config c.toml --data d --listen 127.0.0.1:1",
            serve(Some("127.0.0.1:1"), false),
            settings(Some("c.toml"), Some("d")),
        ),
        (
            "coditect serve --listen=[::1]:1 --data=d",
            serve(Some("[::1]:1"), false),
            settings(None, Some("d")),
        ),
        (
            "coditect admin link --data d",
            Command::Admin { command: AdminCommand::Link },
            settings(None, Some("d")),
        ),
        (
            "coditect restore today.cdt --yes",
            Command::Restore { file: "today.cdt".into(), yes: true },
            none(),
        ),
        ("coditect doctor --json", Command::Doctor { json: true }, none()),
        (
            "coditect config show",
            Command::Config {
                command: ConfigCommand::Show {
                    running: false,
                    serve: Serve::default(),
                    via: Via::default(),
                },
            },
            none(),
        ),
        ("coditect config init", Command::Config { command: ConfigCommand::Init }, none()),
        ("coditect key rotate", Command::Key(noun(KeyCommand::Rotate)), none()),
        ("coditect keys rotate", Command::Key(noun(KeyCommand::Rotate)), none()),
        ("coditect version", Command::Version, none()),
    ] {
        assert_eq!(parse(line).unwrap(), (command, from), "{line}");
    }
}

#[test]
fn the_data_folder_may_be_named_before_the_command_and_after_it() {
    for line in [
        "coditect --data d license list",
        "coditect license --data d list",
        "coditect license list --data d",
        "coditect --data other license list --data d",
    ] {
        let (command, from) = parse(line).unwrap();
        assert!(matches!(command, Command::License(_)), "{line}");
        assert_eq!(from, settings(None, Some("d")), "{line}");
    }
}

#[test]
fn licence_is_license() {
    let american = parse("coditect license list").unwrap();
    assert_eq!(parse("coditect licence list").unwrap(), american);
    let list = LicenseCommand::List {
        status: None,
        query: None,
        org: None,
        paging: Paging { limit: 50, all: false },
    };
    assert_eq!(american.0, Command::License(noun(list)));
}

#[test]
fn how_the_server_is_reached_may_stand_behind_the_noun_and_at_the_end() {
    for line in ["coditect user --json --server u list", "coditect user list --server u --json"] {
        let (Command::User(user), _) = parse(line).unwrap() else { panic!("{line}") };
        let via = Via { server: Some("u".to_owned()), api_key_file: None, json: true };
        assert_eq!(user.via, via, "{line}");
    }
}

#[test]
fn a_backup_is_a_file_or_a_command() {
    let backup = |line: &str| match parse(line).unwrap().0 {
        Command::Backup(backup) => backup,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(backup("coditect backup today.cdt --config c.toml").file, Some("today.cdt".into()));
    assert_eq!(backup("coditect backup --data d today.cdt").command, None);
    assert_eq!(backup("coditect backup create").command, Some(server::BackupCommand::Create));
    let list = backup("coditect backup --data d list --json");
    assert!(matches!(list.command, Some(server::BackupCommand::List { .. })));
    assert!(list.via.json && list.file.is_none());
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
        ("coditect --listen 127.0.0.1:1 doctor", ErrorKind::ArgumentConflict),
        ("coditect --demo license list", ErrorKind::ArgumentConflict),
        ("coditect license list --status gone", ErrorKind::InvalidValue),
        ("coditect license list --limit 0", ErrorKind::ValueValidation),
        ("coditect license list --limit 5 --all", ErrorKind::ArgumentConflict),
        ("coditect license issue --seats 1", ErrorKind::MissingRequiredArgument),
        ("coditect license issue --email a@b", ErrorKind::MissingRequiredArgument),
        ("coditect license issue --email a@b --org o --seats 1", ErrorKind::ArgumentConflict),
        ("coditect license extend key --until soon", ErrorKind::ValueValidation),
        ("coditect payment record --plan p", ErrorKind::MissingRequiredArgument),
        ("coditect payment record --subscription s --amount 1", ErrorKind::MissingRequiredArgument),
        ("coditect job retry", ErrorKind::MissingRequiredArgument),
        ("coditect --version", ErrorKind::DisplayVersion),
        ("coditect --help", ErrorKind::DisplayHelp),
        ("coditect admin", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("coditect license", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
    ] {
        assert_eq!(parse(line).unwrap_err().kind(), kind, "{line}");
    }
}

/// A flattened struct's documentation must not take the place of a command's.
#[test]
fn each_command_says_what_it_does() {
    let mut command = Cli::command();
    command.build();
    for (path, says) in [
        ("serve", "Run the server"),
        ("overview", "Show at a glance"),
        ("license", "Issue, find and change"),
        ("log", "Print the newest lines"),
        ("backup", "Write a backup"),
        ("restore", "Put a backup in place"),
        ("doctor", "Check settings"),
        ("admin link", "Print a link"),
        ("config show", "Print every setting"),
        ("config init", "Print a documented settings file"),
        ("key rotate", "Make a new signing key"),
        ("license issue", "Issue a licence"),
        ("seat run", "Run a command that holds a seat"),
        ("seat status", "Show how the licence stands"),
        ("seat release", "Give back the seat"),
        ("seat list", "List who holds seats"),
    ] {
        let found = path.split(' ').fold(&mut command, |command, name| {
            command.find_subcommand_mut(name).unwrap_or_else(|| panic!("{path}"))
        });
        let help = found.render_long_help().to_string();
        assert!(help.starts_with(says), "{path}: {help}");
    }
}

#[test]
fn every_command_and_every_flag_is_described() {
    let mut wrong = Vec::new();
    for (path, command) in leaves() {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        if about.len() < 10 || about.ends_with('.') {
            wrong.push(format!("{path}: {about:?}"));
        }
        for argument in command.get_arguments().filter(|argument| argument.get_id() != "help") {
            let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
            if help.len() < 5 || help.ends_with('.') {
                wrong.push(format!("{path} {}: {help:?}", argument.get_id()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An example that the program does not understand is worse than none.
#[test]
fn every_command_has_an_example_that_it_understands() {
    for (path, command) in leaves() {
        let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> =
            after.lines().map(str::trim).filter(|line| line.starts_with("coditect")).collect();
        assert!(!examples.is_empty(), "{path} has no example");
        for example in examples {
            assert!(example.starts_with(&path) || path == "coditect backup", "{path}: {example}");
            if let Err(refusal) = parse(example) {
                panic!("{example}: {refusal}");
            }
        }
    }
    let main = Cli::command().get_after_help().unwrap().to_string();
    for example in main.lines().filter(|line| line.starts_with("  coditect")) {
        // What the line does stands beside it.
        let example = example.trim().split("  ").next().unwrap();
        assert!(parse(example).is_ok(), "{example}");
    }
}

#[test]
fn every_command_in_the_handbook_is_understood() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/handbook");
    let mut found = 0;
    for page in std::fs::read_dir(folder).unwrap() {
        let page = page.unwrap().path();
        let text = std::fs::read_to_string(&page).unwrap();
        // Every second part stands between two fences.
        let blocks = text.split("```").skip(1).step_by(2);
        for line in blocks.flat_map(str::lines).map(str::trim) {
            if line.starts_with("coditect ") {
                found += 1;
                if let Err(refusal) = parse(line) {
                    panic!("{}: {line}: {refusal}", page.display());
                }
            }
        }
    }
    assert!(found > 10, "the commands were found");
}

#[test]
fn flags_reach_the_settings() {
    let (command, from) = parse("coditect --config c --data d --listen l").unwrap();
    let Command::Serve(serve) = command else { panic!("serve") };
    let flags = serve.flags(&from);
    assert_eq!(flags.config, Some("c".into()));
    assert_eq!(flags.data, Some("d".into()));
    assert_eq!(flags.listen.as_deref(), Some("l"));
}

#[test]
fn the_help_tells_the_defaults_that_the_settings_have() {
    let help = Cli::command().render_help().to_string();
    // Help is wrapped to the terminal's width.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for key in ["data", "server.listen"] {
        let setting = crate::config::Config::SETTINGS.iter().find(|row| row.key == key).unwrap();
        let default = setting.rule.default.unwrap();
        assert!(help.contains(&format!("[default: {default}]")), "{help}");
        assert!(help.contains(&format!("[env: {}]", setting.env())), "{help}");
    }
}

#[test]
fn manual_pages_and_completions_are_made_from_the_same_definition() {
    let folder = tempfile::tempdir().unwrap();
    clap_mangen::generate_to(Cli::command(), folder.path()).unwrap();
    let page = std::fs::read_to_string(folder.path().join("coditect.1")).unwrap();
    assert!(page.contains("Exit codes") && page.contains("coditect\\-license"), "{page}");
    assert!(folder.path().join("coditect-license-issue.1").exists());
    for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish]
    {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "coditect", &mut script);
        let script = String::from_utf8(script).unwrap();
        for word in ["reinstate", "licence", "subscription", "api-key-file"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
}
