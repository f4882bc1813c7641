//! What an operator may rely on when settings are loaded.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(flags: Flags, pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    Config::load(flags, env(pairs))
}

fn with_file(folder: &Path, text: &str) -> Flags {
    let path = folder.join("coditect.toml");
    fs::write(&path, text).unwrap();
    Flags { config: Some(path), ..Flags::default() }
}

fn problem(result: Result<Loaded, ConfigError>) -> String {
    let mut problems = result.expect_err("should be refused").problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

#[test]
fn nothing_needs_to_be_set() {
    let loaded = load(Flags::default(), &[]).unwrap();
    let config = &loaded.config;
    assert_eq!(config.data, PathBuf::from("./coditect-data"));
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8750");
    assert_eq!(config.public_url(config.server.listen), "http://127.0.0.1:8750");
    assert!(config.auth.open_registration);
    assert!(config.server.trusted_proxies.is_empty());
    assert!(config.admin.password.is_none());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert!(loaded.provenance.values().all(|source| *source == Source::Default));
    assert_eq!(loaded.provenance.len(), Config::SETTINGS.len());
}

#[test]
fn file_environment_and_flags_win_in_that_order_and_each_value_says_where_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "[server]\nlisten = \"127.0.0.1:1\"\nbody_limit_bytes = 2048\n[log]\nlevel = \"debug\"\n";
    let mut flags = with_file(folder.path(), text);
    let path = flags.config.clone().unwrap();
    flags.listen = Some("127.0.0.1:3".to_owned());
    let given = [("CODITECT_LISTEN", "127.0.0.1:2"), ("CODITECT_LOG_LEVEL", "warn")];

    let loaded = load(flags, &given).unwrap();

    assert_eq!(loaded.config.server.listen.port(), 3);
    assert_eq!(loaded.config.log.level.as_str(), "warn");
    assert_eq!(loaded.config.server.body_limit_bytes, 2048);
    let source = |key: &str| loaded.provenance[key].to_string();
    assert_eq!(source("server.listen"), "flag --listen");
    assert_eq!(source("log.level"), "environment CODITECT_LOG_LEVEL");
    assert_eq!(source("server.body_limit_bytes"), format!("file {}", path.display()));
    assert_eq!(source("seats.max_wait_s"), "default");
}

#[test]
fn the_environment_may_name_the_file_and_a_missing_one_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_file(folder.path(), "[seats]\nmax_wait_s = 5\n").config.unwrap();
    let loaded = load(Flags::default(), &[("CODITECT_CONFIG", path.to_str().unwrap())]).unwrap();
    assert_eq!(loaded.config.seats.max_wait_s, 5);

    let told = problem(load(Flags::default(), &[("CODITECT_CONFIG", "/nowhere/coditect.toml")]));
    assert!(told.starts_with("The settings file /nowhere/coditect.toml cannot be read"), "{told}");
}

#[test]
fn a_refused_value_is_told_with_key_value_source_and_what_is_allowed() {
    for (name, value, told) in [
        (
            "CODITECT_LISTEN",
            "localhost",
            "server.listen is \"localhost\" (environment CODITECT_LISTEN), but it must be an \
             address and a port, such as 127.0.0.1:8750 or [::1]:8750.",
        ),
        (
            "CODITECT_SEATS_MAX_WAIT_S",
            "301",
            "seats.max_wait_s is \"301\" (environment CODITECT_SEATS_MAX_WAIT_S), but it must be \
             a whole number from 0 to 60.",
        ),
        (
            "CODITECT_MASTER_KEY",
            "hunter2",
            "keys.master is a text of 7 characters (environment CODITECT_MASTER_KEY), but it must \
             be a text of 43 to 64 characters.",
        ),
    ] {
        assert_eq!(problem(load(Flags::default(), &[(name, value)])), told);
    }
}

#[test]
fn each_type_refuses_what_it_does_not_mean() {
    for (name, value) in [
        ("CODITECT_SERVER_PUBLIC_URL", "licensing.example.com"),
        ("CODITECT_SERVER_PUBLIC_URL", "https://example.com/path"),
        ("CODITECT_SERVER_PUBLIC_URL", "https://user@example.com"),
        ("CODITECT_SERVER_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("CODITECT_SERVER_TRUSTED_PROXIES", "10.0.0.1, proxy"),
        ("CODITECT_SERVER_BODY_LIMIT_BYTES", "-1"),
        ("CODITECT_LOG_FORMAT", "xml"),
        ("CODITECT_LOG_LEVEL", "inof"),
        ("CODITECT_LOG_LEVEL", "coditect=loud"),
        ("CODITECT_ADMIN_EMAIL", "operator"),
        ("CODITECT_AUTH_OPEN_REGISTRATION", "maybe"),
        ("CODITECT_MAIL_TRANSPORT", "pigeon"),
        ("CODITECT_MAIL_FROM", "nobody"),
        ("CODITECT_MAIL_PRODUCT_NAME", "two\nlines"),
        ("CODITECT_LICENSE_KEY_TEMPLATE", "CODITECT-XXXX"),
        ("CODITECT_LICENSE_KEY_TEMPLATE", "coditect-XXXX-XXXX"),
        ("CODITECT_LICENSE_KEY_TEMPLATE", "CODITECT--XXXX-XXXX"),
        ("CODITECT_LICENSE_KEY_TEMPLATE", "CODITECT-YYYY-XXXX-XXXX"),
    ] {
        let told = problem(load(Flags::default(), &[(name, value)]));
        assert!(told.contains(name), "{told}");
    }
    for (name, value) in [
        ("CODITECT_SERVER_PUBLIC_URL", "https://licensing.example.com/"),
        ("CODITECT_SERVER_PUBLIC_URL", "http://[::1]:8750"),
        ("CODITECT_LOG_LEVEL", "info,coditect::store=debug"),
        ("CODITECT_MAIL_FROM", "Example Licensing <licensing@example.com>"),
        ("CODITECT_LICENSE_KEY_TEMPLATE", "CODITECT-{year}-XXXX-XXXX"),
    ] {
        load(Flags::default(), &[(name, value)]).unwrap();
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let given = [("CODITECT_LISTEN", "nowhere"), ("CODITECT_LOG_FORMAT", "xml")];
    let error = load(Flags::default(), &given).unwrap_err();
    assert_eq!(error.problems.len(), 2, "{error}");
}

#[test]
fn a_misspelt_key_is_refused_with_the_nearest_name() {
    let folder = tempfile::tempdir().unwrap();
    for (text, hint) in [
        ("[server]\nlisen = \"127.0.0.1:1\"", "no setting server.lisen"),
        ("[server]\nlisen = \"127.0.0.1:1\"", "Did you mean server.listen?"),
        ("listen = \"127.0.0.1:1\"", "Did you mean server.listen?"),
        ("[sever]\nlisten = \"127.0.0.1:1\"", "Did you mean server?"),
        ("server = 5", "write [server]"),
        ("[admin]\npasword_file = \"x\"", "Did you mean admin.password_file?"),
        ("[log]\nlevel_file = \"x\"", "no setting log.level_file"),
        ("[server\n", "is not valid TOML"),
    ] {
        let told = problem(load(with_file(folder.path(), text), &[]));
        assert!(told.contains(hint), "{told}");
    }
}

#[test]
fn a_misspelt_variable_is_warned_about_with_the_nearest_name() {
    for (name, hint) in [
        ("CODITECT_LISTN", "Did you mean CODITECT_LISTEN?"),
        ("CODITECT_SERVER_LISTEN", "Did you mean CODITECT_LISTEN?"),
        ("CODITECT_PORT_8750_TCP_PROTO", "CODITECT_PORT_8750_TCP_PROTO sets nothing."),
    ] {
        let warnings = load(Flags::default(), &[(name, "x")]).unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(hint), "{warnings:?}");
    }
    // Not ours, or for another command than `serve`.
    for name in ["OTHER_LISTEN", "CODITECT_SERVER", "CODITECT_API_KEY", "CODITECT_LICENSE_KEY"] {
        let warnings = load(Flags::default(), &[(name, "x")]).unwrap().warnings;
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn a_secret_may_come_from_a_file_named_by_environment_or_settings_file() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("password");
    fs::write(&secret, "correct horse battery\n").unwrap();
    let email = ("CODITECT_ADMIN_EMAIL", "operator@example.com");

    let named = ("CODITECT_ADMIN_PASSWORD_FILE", secret.to_str().unwrap());
    let loaded = load(Flags::default(), &[email, named]).unwrap();
    assert_eq!(loaded.config.admin.password.unwrap().expose(), "correct horse battery");
    assert_eq!(
        loaded.provenance["admin.password"].to_string(),
        format!("file {} named by environment CODITECT_ADMIN_PASSWORD_FILE", secret.display())
    );

    // Relative to the settings file, not to the working directory.
    let flags = with_file(folder.path(), "[admin]\npassword_file = \"password\"\n");
    let loaded = load(flags, &[email]).unwrap();
    assert_eq!(loaded.config.admin.password.unwrap().expose(), "correct horse battery");
}

#[test]
fn only_the_secret_file_that_wins_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[admin]\nemail = \"operator@example.com\"\npassword_file = \"/nowhere/password\"\n";
    let told = problem(load(with_file(folder.path(), text), &[]));
    assert!(told.contains("/nowhere/password"), "{told}");

    let given = [("CODITECT_ADMIN_PASSWORD", "correct horse battery")];
    let loaded = load(with_file(folder.path(), text), &given).unwrap();
    assert_eq!(loaded.config.admin.password.unwrap().expose(), "correct horse battery");
}

#[test]
fn a_secret_given_twice_in_one_place_is_refused() {
    let given = [("CODITECT_MASTER_KEY", "a"), ("CODITECT_MASTER_KEY_FILE", "b")];
    let error = load(Flags::default(), &given).unwrap_err().to_string();
    assert!(error.contains("are both given in the environment"), "{error}");
}

#[test]
fn secrets_are_never_shown() {
    let given = [
        ("CODITECT_ADMIN_EMAIL", "operator@example.com"),
        ("CODITECT_ADMIN_PASSWORD", "correct horse battery"),
    ];
    let loaded = load(Flags::default(), &given).unwrap();
    let described = loaded.describe();
    let password = described.iter().find(|info| info.key == "admin.password").unwrap();
    assert_eq!(password.value.as_deref(), Some("(set)"));
    assert_eq!(password.source, "environment CODITECT_ADMIN_PASSWORD");
    let everything =
        format!("{loaded:?} {described:?} {}", serde_json::to_string(&described).unwrap());
    assert!(!everything.contains("horse"), "{everything}");
}

#[test]
#[cfg(unix)]
fn a_settings_file_with_a_secret_that_everybody_may_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let flags = with_file(folder.path(), &format!("[keys]\nmaster = \"{}\"\n", "k".repeat(44)));
    let path = flags.config.clone().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(load(flags.clone(), &[]).unwrap().warnings[0].contains("chmod 600"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(load(flags, &[]).unwrap().warnings.is_empty());
}

#[test]
fn what_works_but_is_hardly_meant_is_warned_about() {
    let warnings = load(Flags::default(), &[("CODITECT_LISTEN", "0.0.0.0:8750")]).unwrap().warnings;
    assert!(warnings[0].contains("server.public_url"), "{warnings:?}");
    let given = [("CODITECT_ADMIN_EMAIL", "operator@example.com")];
    let warnings = load(Flags::default(), &given).unwrap().warnings;
    assert!(warnings[0].contains("admin.password"), "{warnings:?}");
}

#[test]
fn paths_in_the_file_are_relative_to_it_and_flags_to_the_working_directory() {
    let folder = tempfile::tempdir().unwrap();
    let mut flags = with_file(folder.path(), "data = \"here\"\n");
    assert_eq!(load(flags.clone(), &[]).unwrap().config.data, folder.path().join("here"));
    flags.data = Some("there".into());
    assert_eq!(load(flags, &[]).unwrap().config.data, PathBuf::from("there"));
}

#[test]
fn a_variable_set_to_nothing_counts_as_not_set() {
    let loaded = load(Flags::default(), &[("CODITECT_LISTEN", "")]).unwrap();
    assert_eq!(loaded.provenance["server.listen"], Source::Default);
}

#[test]
fn proxies_are_addresses_and_networks() {
    let given = [("CODITECT_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7, 2001:db8::/32")];
    let proxies = load(Flags::default(), &given).unwrap().config.server.trusted_proxies;
    for (address, trusted) in [
        ("10.1.2.3", true),
        ("::ffff:10.1.2.3", true),
        ("11.0.0.1", false),
        ("192.0.2.7", true),
        ("192.0.2.8", false),
        ("2001:db8::1", true),
        ("2001:db9::1", false),
    ] {
        assert_eq!(proxies.contains(address.parse().unwrap()), trusted, "{address}");
    }
    let all = [("CODITECT_SERVER_TRUSTED_PROXIES", "0.0.0.0/0")];
    let proxies = load(Flags::default(), &all).unwrap().config.server.trusted_proxies;
    assert!(proxies.contains("203.0.113.9".parse().unwrap()));
}

/// `config/coditect.toml` is for people to start from, so it must be what the table says.
/// After a change of the table: `UPDATE_GOLDEN=1 cargo nextest run -E 'test(config)'`.
#[test]
fn the_documented_file_is_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/coditect.toml");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, Config::default_file()).unwrap();
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, Config::default_file(), "run the tests with UPDATE_GOLDEN=1");
}

#[test]
fn the_documented_file_loads_as_it_is_and_with_every_default_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = Config::default_file();
    load(with_file(folder.path(), &file), &[]).unwrap();

    let switch_on = |line: &'_ str| {
        let setting = line
            .strip_prefix("# ")
            .filter(|rest| rest.split_once(" = ").is_some_and(|(name, _)| !name.contains(' ')));
        setting.unwrap_or(line).replace("/run/secrets/", "")
    };
    let switched_on = file.lines().map(switch_on).collect::<Vec<_>>().join("\n");
    for setting in Config::SETTINGS.iter().filter(|setting| setting.secret) {
        fs::write(folder.path().join(setting.name), "k".repeat(44)).unwrap();
    }
    let loaded = load(with_file(folder.path(), &switched_on), &[]).unwrap();
    let from_file = loaded.provenance.values().filter(|source| **source != Source::Default);
    assert_eq!(from_file.count(), Config::SETTINGS.len());
    for info in loaded.describe() {
        let as_default = info.default.is_none() || info.default == info.value || info.key == "data";
        assert!(as_default, "{info:?}");
    }
}

#[test]
fn the_table_is_complete_and_nothing_in_it_collides() {
    let mut names = std::collections::BTreeSet::new();
    for setting in Config::SETTINGS {
        assert!(setting.doc_line().ends_with('.'), "{}", setting.key);
        assert!(names.insert(setting.env()), "{} twice", setting.env());
        let documented = setting.default_toml().is_some() || setting.rule.example.is_some();
        assert!(documented, "{} has neither a default nor an example", setting.key);
        if setting.rule.default.is_some() {
            assert!(
                setting.default_toml().is_some(),
                "{}: its default breaks its rule",
                setting.key
            );
        }
        assert!(Config::reference_markdown().contains(&setting.env()));
    }
}

#[test]
fn a_transport_needs_what_it_sends_with_and_services_keep_the_names_of_their_variables() {
    let smtp = ("CODITECT_MAIL_TRANSPORT", "smtp");
    assert!(problem(load(Flags::default(), &[smtp])).contains("mail.smtp.host is not set"));
    let host = ("CODITECT_MAIL_SMTP_HOST", "smtp.example.com");
    let user = ("CODITECT_MAIL_SMTP_USER", "licensing");
    assert!(problem(load(Flags::default(), &[smtp, host, user])).contains("mail.smtp.password"));
    let from = ("CODITECT_MAIL_FROM", "licensing@example.com");
    let loaded = load(Flags::default(), &[smtp, host, from]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config.smtp.host.as_deref(), Some("smtp.example.com"));

    let sendgrid = ("CODITECT_MAIL_TRANSPORT", "sendgrid");
    assert!(problem(load(Flags::default(), &[sendgrid])).contains("SENDGRID_API_KEY"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, "SG.key\n").unwrap();
    let key = ("SENDGRID_API_KEY_FILE", file.to_str().unwrap());
    let sender = ("SENDGRID_FROM_EMAIL", "Example <billing@example.com>");
    let loaded = load(Flags::default(), &[sendgrid, key, sender]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config.sendgrid.api_key.as_ref().unwrap().expose(), "SG.key");
    assert_eq!(loaded.config.sender().email.to_string(), "billing@example.com");

    // A service's variables that stand there for another program warn about nothing.
    let loaded = load(Flags::default(), &[("SENDGRID_API_BASE", "x")]).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn mails_that_would_be_refused_or_overheard_are_warned_about() {
    let given = [
        ("CODITECT_MAIL_TRANSPORT", "smtp"),
        ("CODITECT_MAIL_SMTP_HOST", "smtp.example.com"),
        ("CODITECT_MAIL_SMTP_SECURITY", "none"),
        ("CODITECT_MAIL_SMTP_USER", "licensing"),
        ("CODITECT_MAIL_SMTP_PASSWORD", "correct horse"),
    ];
    let warnings = load(Flags::default(), &given).unwrap().warnings.join(" ");
    assert!(warnings.contains("mail.from") && warnings.contains("can be read"), "{warnings}");
    assert!(!warnings.contains("horse"), "{warnings}");
}
