//! What an operator may rely on when issuers are named.

use std::fs;
use std::path::PathBuf;

use super::super::{Config, ConfigError, Flags, Loaded, Preset};
use crate::domain::email_domain::Domain;

fn of_json(text: &str) -> Result<Loaded, ConfigError> {
    let env = vec![("CODITECT_OIDC_PROVIDERS".to_owned(), text.to_owned())];
    Config::load(Flags::default(), env)
}

#[test]
fn issuers_are_tables_in_the_file_and_their_secrets_may_be_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "hush hush\n").unwrap();
    let path: PathBuf = folder.path().join("coditect.toml");
    let text = "[[oidc.providers]]\nname = \"company\"\nissuer = \"https://login.example.com/a\"\n\
        client_id = \"coditect\"\nclient_secret_file = \"secret\"\nemail_domains = [\"Example.com\"]\n\
        [[oidc.providers]]\nname = \"app\"\npreset = \"identity_platform\"\nproject_id = \"loom-1\"\n";
    fs::write(&path, text).unwrap();
    let loaded =
        Config::load(Flags { config: Some(path), ..Flags::default() }, Vec::new()).unwrap();
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let providers = &loaded.config.oidc.providers;
    let company = providers.named("company").unwrap();
    assert_eq!(company.client_secret.as_ref().unwrap().expose(), "hush hush");
    assert_eq!((company.label.as_str(), company.redirects()), ("company", true));
    assert_eq!(company.email_domains, [Domain::parse("example.com").unwrap()]);
    let app = providers.named("app").unwrap();
    assert_eq!(app.issuer, "https://securetoken.google.com/loom-1");
    assert_eq!((app.client_id.as_str(), app.preset), ("loom-1", Some(Preset::Firebase)));
    assert!(!app.redirects());
    let shown = loaded.describe().into_iter().find(|it| it.key == "oidc.providers").unwrap();
    assert!(!shown.value.unwrap().contains("hush"));
}

#[test]
fn googles_issuer_is_known() {
    let loaded = of_json(r#"[{"name":"google","preset":"google","client_id":"1.apps"}]"#).unwrap();
    let google = loaded.config.oidc.providers.named("google").unwrap();
    assert_eq!(google.issuer, "https://accounts.google.com");
    assert_eq!((google.label.as_str(), google.client_secret.is_none()), ("Google", true));
}

#[test]
fn what_is_wrong_is_told_with_the_issuer_that_it_is_about() {
    for (text, told) in [
        (r#"[{"name":"a","client_id":"x"}]"#, r#""a": issuer must be"#),
        (r#"[{"name":"a","issuer":"http://issuer.example","client_id":"x"}]"#, "issuer must be"),
        (r#"[{"name":"a","issuer":"https://issuer.example"}]"#, "client_id must be"),
        (r#"[{"name":"Org","issuer":"https://i.example","client_id":"x"}]"#, "name must be"),
        (r#"[{"name":"org","issuer":"https://i.example","client_id":"x"}]"#, "name must be"),
        (
            r#"[{"name":"a","preset":"gogle","issuer":"https://i.example","client_id":"x"}]"#,
            "preset must be google",
        ),
        (r#"[{"name":"a","preset":"firebase"}]"#, "project_id must be"),
        (
            r#"[{"name":"a","issuer":"https://i.example","client_id":"x","scopes":"email"}]"#,
            "scopes must be",
        ),
        (
            r#"[{"name":"a","issuer":"https://i.example","client_id":"x","lable":"A"}]"#,
            "no setting lable",
        ),
        (
            r#"[{"name":"a","issuer":"https://i.example","client_id":"x","trusts_mfa":"very"}]"#,
            "trusts_mfa must be",
        ),
        (
            r#"[{"name":"a","issuer":"https://i.example","client_id":"x","client_secret_file":"/nowhere"}]"#,
            "client_secret_file must be",
        ),
        (
            r#"[{"name":"a","preset":"google","client_id":"x"},{"name":"a","preset":"google","client_id":"y"}]"#,
            "two are named",
        ),
        (r#"{"name":"a"}"#, "must be a list"),
        ("company", "must be a list"),
    ] {
        let problems = of_json(text).expect_err(text).problems;
        assert!(problems.iter().any(|it| it.contains(told)), "{text}: {problems:?}");
    }
}

#[test]
fn a_sign_in_leads_back_to_paths_of_this_server_alone() {
    for wrong in ["https://evil.example", "//evil.example", "admin", "/a b", "/admin?x=1", "/a\\b"]
    {
        let env = vec![("CODITECT_OIDC_RETURN_PATHS".to_owned(), wrong.to_owned())];
        Config::load(Flags::default(), env).expect_err(wrong);
    }
}
