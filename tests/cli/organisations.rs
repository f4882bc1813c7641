//! The parts of an organisation: teams, projects, domains, single sign-on and provisioning.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Client, Home, OPERATOR, PASSWORD, text};
use crate::{Desk, row};

const ORG: &str = "'Loom Ltd'";
const ADA: &str = "ada@example.com";

#[tokio::test]
async fn an_organisation_is_arranged_from_the_command_line() {
    let home = Home::new().with("CODITECT_OIDC_ALLOW_PRIVATE_ISSUERS", "true");
    let desk = Desk::open_in(home).await;
    let operator = desk.server.client().sign_in(OPERATOR, PASSWORD).await;
    operator.post("/api/v1/orgs", json!({"name": "Loom Ltd"})).await.expect(&[201]);

    whose(&desk).await;
    let issued = desk.json(&format!("license issue --org {ORG} --seats 5"));
    let key = issued["license_key"].as_str().unwrap().to_owned();
    teams(&desk, &key);
    licences_of_others(&desk, &key);
    projects(&desk, &key);
    domains(&desk);
    provisioning(&desk, &operator).await;
    // Any key that can be used will do: nobody signs in.
    let keys = operator.get("/.well-known/jwks.json").await.expect(&[200]);
    single_sign_on(&desk, keys);

    handing_over(&desk);
    histories(&desk, &operator).await;
    let out = desk.home.path().join("loom.jsonl");
    let export = format!("org export {ORG} {}", out.display());
    desk.says(&export);
    let whole = std::fs::read(&out).unwrap();
    desk.refuses(&export, 1, "is there already, and nothing is replaced");
    assert_eq!(std::fs::read(&out).unwrap(), whole);
}

/// An owner's address names the organisation that they own, and none where they own several.
async fn whose(desk: &Desk) {
    let loom = desk.json(&format!("org show {ORG}"));
    assert_eq!(loom["owner"]["email"], OPERATOR);
    let id = text(&loom["org_id"]);
    for command in ["org show", "org members", "payment list --org"] {
        let refused =
            desk.run(&format!("{command} {OPERATOR}")).ended_with(2, "say which organisation").err;
        assert!(row(&refused, &id).ends_with(&format!("Loom Ltd  {OPERATOR}")), "{refused}");
        assert!(refused.contains("means 2 of them"), "{refused}");
    }
    // The audit log is narrowed to an organisation by the same names.
    let renamed = |only: &str| desk.items(&format!("audit list --action org. {only}"));
    assert_eq!(renamed("--org 'loom ltd'"), renamed(&format!("--org {id}")));
    assert_eq!(renamed("--subject 'Loom Ltd'"), renamed(&format!("--subject {id}")));
    assert!(renamed("--org 'Loom Ltd'").iter().any(|entry| entry["action"] == "org.created"));
    desk.refuses("audit list --org 'Nobody Ltd'", 3, "there is no organisation of Nobody Ltd");
    desk.refuses(&format!("audit list --org {OPERATOR}"), 2, "means 2 of them");
    desk.refuses(&format!("subscription resume {OPERATOR}"), 3, "there is no subscription");
    // Where somebody is a member alone, nothing is theirs.
    desk.says(&format!("org invite {ORG} {ADA}"));
    let body = json!({"token": desk.mailed_token(ADA).await, "full_name": "Ada Park", "password": PASSWORD});
    desk.server.client().post("/api/v1/invitations/accept", body).await.expect(&[200]);
    assert_eq!(desk.json(&format!("org show {ADA}"))["name"], "Ada Park");
}

/// The audit log knows some records by what is no id; whatever is asked for, there is an answer.
async fn histories(desk: &Desk, operator: &Client) {
    desk.says("backup create");
    let backup = text(&desk.items("audit list --action backup.made --limit 1")[0]["subject"]);
    let long = "The nine old looms of the lower mill, Leeds";
    for name in [&*backup, long] {
        operator.post("/api/v1/orgs", json!({"name": name})).await.expect(&[201]);
    }
    let done = |subject: &str| {
        let history = desk.items(&format!("audit list --subject '{subject}'"));
        history.iter().map(|entry| text(&entry["action"])).collect::<Vec<_>>()
    };
    assert_eq!(done(&backup), ["backup.made"], "and not that of an organisation of this name");
    assert_eq!(done(long), ["org.created"]);
    for nothing in ["??? ?", &"loom ".repeat(60)] {
        assert!(done(nothing).is_empty(), "{nothing}");
    }
}

/// A team uses, and a project has, the licences of their own organisation.
fn licences_of_others(desk: &Desk, key: &str) {
    let other = text(&desk.json(&format!("license issue --email {ADA} --seats 1"))["license_key"]);
    desk.says(&format!("org team create {ORG} Weavers"));
    desk.says(&format!("org project create {ORG} Woad"));
    for place in [format!("org team grant {ORG} Weavers"), format!("org project add {ORG} Woad")] {
        let whose = format!("the licence {other} is Ada Park's, not this organisation's");
        desk.refuses(&format!("{place} {other}"), 3, &whose);
        let none = format!("no licence of this organisation belongs to {ADA}");
        desk.refuses(&format!("{place} {ADA}"), 3, &none);
        desk.refuses(&format!("{place} {ADA}"), 3, "coditect license list --org");
        assert!(desk.says(&format!("{place} {OPERATOR}")).contains(key));
    }
    desk.says(&format!("org team delete {ORG} Weavers --yes"));
    desk.says(&format!("org project delete {ORG} Woad --yes"));
}

fn handing_over(desk: &Desk) {
    let list = desk.says("org list");
    assert!(row(&list, "Loom Ltd").contains(OPERATOR), "{list}");
    assert!(row(&list, "NAME").contains("OWNER"), "{list}");
    desk.says(&format!("org rename {ORG} 'Loom GmbH'"));
    desk.refuses(&format!("org rename {ORG} 'Loom AG'"), 3, "there is no organisation of Loom Ltd");
    let told = desk.says("org rename 'Loom GmbH' 'Loom Ltd'");
    assert_eq!(told, "It is called Loom Ltd now.\n");

    let told = desk.says(&format!("org second-factor {ORG} required"));
    assert!(told.starts_with("To act for Loom Ltd, a second factor is required. "), "{told}");
    assert!(told.contains("members have none, and can do nothing there"), "{told}");
    assert_eq!(desk.json(&format!("org show {ORG}"))["require_second_factor"], true);
    desk.refuses(&format!("org second-factor {ORG} perhaps"), 2, "optional");
    desk.says(&format!("org second-factor {ORG} optional"));
    assert_eq!(desk.json(&format!("org show {ORG}"))["require_second_factor"], false);

    desk.says(&format!("org delete {ORG} --yes"));
    let until = text(&desk.json(&format!("org show {ORG}"))["deletion_due_at"]);
    let (day, list) = (until.split('T').next().unwrap(), desk.says("org list"));
    assert!(row(&list, "Loom Ltd").contains(day), "{list}");
    assert!(!row(&list, "Ada Park").contains(day), "{list}");
    desk.says(&format!("org restore {ORG}"));

    let transfer = format!("org transfer {ORG} {ADA}");
    desk.refuses(&transfer, 2, &format!("Give Loom Ltd to {ADA}?"));
    desk.says("user create zoe@example.com --name Zoe");
    desk.refuses(&format!("org transfer {ORG} zoe@example.com --yes"), 3, "(not_found)");
    assert_eq!(desk.says(&format!("{transfer} --yes")), format!("Loom Ltd is {ADA}'s now.\n"));
    assert!(row(&desk.says("org list"), "Loom Ltd").contains(ADA));
    desk.says(&format!("org transfer {ORG} {OPERATOR} --yes"));
}

fn teams(desk: &Desk, key: &str) {
    let none = desk.run(&format!("org team list {ORG}")).succeeded();
    assert!(none.err.contains("coditect org team create"), "{}", none.err);
    assert_eq!(desk.json(&format!("org team create {ORG} Weavers"))["name"], "Weavers");
    desk.refuses(&format!("org team create {ORG} weavers"), 5, "(name_taken)");
    let renamed = desk.says(&format!("org team rename {ORG} weavers Spinners"));
    assert_eq!(renamed, "It is called Spinners now.\n");
    desk.refuses(&format!("org team members {ORG} Weavers"), 3, "there is no team of Weavers");
    let team = format!("{ORG} Spinners");
    desk.says(&format!("org team add {team} {OPERATOR} --role maintainer"));
    let members = desk.says(&format!("org team members {team}"));
    assert!(row(&members, OPERATOR).contains("maintainer"), "{members}");
    desk.refuses(&format!("org team grant {team} {key} --seats 6"), 5, "(license_state)");
    let granted = desk.says(&format!("org team grant {team} {key} --seats 3"));
    assert_eq!(granted, format!("Spinners may use {key}; seats kept for it: 3.\n"));
    assert_eq!(desk.items(&format!("org team licenses {team}"))[0]["seats_reserved"], 3);
    desk.says(&format!("org team withdraw {team} {key}"));
    desk.says(&format!("org team remove {team} {OPERATOR}"));
    desk.refuses(&format!("org team delete {team}"), 2, "--yes");
    desk.says(&format!("org team delete {team} --yes"));
    assert!(desk.items(&format!("org team list {ORG}")).is_empty());
}

fn projects(desk: &Desk, key: &str) {
    desk.says(&format!("org project create {ORG} Indigo"));
    desk.says(&format!("org project rename {ORG} Indigo Madder"));
    desk.says(&format!("org project add {ORG} Madder {key}"));
    desk.says(&format!("org project remove {ORG} madder {key}"));
    desk.says(&format!("org project archive {ORG} Madder"));
    let listed = desk.says(&format!("org project list {ORG}"));
    assert!(row(&listed, "Madder").contains("archived"), "{listed}");
    desk.refuses(&format!("org project add {ORG} Madder {key}"), 5, "(org_state)");
    desk.says(&format!("org project reopen {ORG} Madder"));
    desk.says(&format!("org project delete {ORG} Madder --yes"));
    desk.refuses(&format!("org project delete {ORG} Madder --yes"), 3, "there is no project");
}

fn domains(desk: &Desk) {
    let added = desk.says(&format!("org domain add {ORG} Loom.Example"));
    assert!(row(&added, "TXT record").ends_with("_coditect.loom.example"), "{added}");
    assert!(row(&added, "Says").contains("coditect-verification="), "{added}");
    desk.refuses(&format!("org domain add {ORG} gmail.com"), 2, "everybody can have an address");
    desk.refuses(&format!("org domain joining {ORG} loom.example member"), 5, "(domain_unproven)");
    desk.refuses(&format!("org domain confirm {ORG} loom.example"), 2, "--yes");
    desk.says(&format!("org domain confirm {ORG} loom.example --yes"));
    desk.says(&format!("org domain joining {ORG} loom.example billing"));
    let listed = desk.says(&format!("org domain list {ORG}"));
    let one = row(&listed, "loom.example");
    assert!(one.contains("by hand") && one.contains("billing"), "{listed}");
    desk.says(&format!("org domain remove {ORG} loom.example --yes"));
    desk.refuses(&format!("org domain verify {ORG} loom.example"), 3, "(not_found)");
}

async fn provisioning(desk: &Desk, operator: &Client) {
    let none = desk.run(&format!("org provisioning list {ORG}")).succeeded();
    assert!(none.err.contains("coditect org provisioning create"), "{}", none.err);
    assert!(none.err.contains("/scim/v2"), "{}", none.err);
    let create = format!("org provisioning create {ORG} 'Entra ID'");
    desk.refuses(&format!("{create} --expires-in-days 0"), 2, "1..=3650");
    let made = desk.run(&format!("{create} --expires-in-days 30")).succeeded();
    assert!(made.err.contains("/scim/v2"), "{}", made.err);
    let secret = made.out.trim();
    assert!(secret.starts_with("cds_") && !secret.contains(char::is_whitespace), "{secret}");
    let next = desk.json(&create);
    assert!(next["secret"].as_str().unwrap().starts_with("cds_"));
    desk.refuses(&create, 5, "(too_many_keys)");
    let listed = desk.says(&format!("org provisioning list {ORG}"));
    assert!(row(&listed, &secret[..8]).contains("Entra ID"), "{listed}");
    assert!(!listed.contains(secret), "{listed}");
    // It opens what is the directory's, as one that the owner made on the page.
    let directory = operator.with_token(secret);
    let base = next["base_url"].as_str().unwrap();
    let path = &base[base.find("/api/").unwrap()..];
    directory.get(&format!("{path}/Users")).await.expect(&[200]);

    let revoke = format!("org provisioning revoke {ORG}");
    desk.refuses(&format!("{revoke} 'Entra ID' --yes"), 2, "give the id of one");
    desk.refuses(&format!("{revoke} Okta --yes"), 3, "there is no provisioning token of Okta");
    desk.refuses(&format!("{revoke} {}", &secret[..8]), 2, "--yes");
    desk.says(&format!("{revoke} {} --yes", &secret[..8]));
    directory.get(&format!("{path}/Users")).await.expect(&[401]);
    let told = desk.says(&format!("{revoke} 'Entra ID' --yes"));
    assert_eq!(told, "Entra ID opens nothing any more.\n");
    assert!(desk.items(&format!("org provisioning list {ORG}")).is_empty());
}

fn single_sign_on(desk: &Desk, keys: Value) {
    let issuer = issuer(keys);
    desk.refuses(&format!("org sso show {ORG}"), 3, "/callback as the address to go back to");
    let set = format!("org sso set {ORG} --issuer {issuer} --client-id coditect");
    desk.refuses(&format!("{set} --group it=owner"), 2, "group=role");
    desk.refuses(&format!("{set} --client-secret-file nothing-there"), 4, "nothing-there");
    let file = desk.home.path().join("client-secret");
    std::fs::write(&file, "kept to itself\n").unwrap();
    let told = desk.says(&format!(
        "{set} --client-secret-file {} --group it=admin --group cn=staff=member --default-role billing",
        file.display()
    ));
    assert!(!told.contains("kept to itself"), "{told}");
    assert!(row(&told, "Client secret kept").ends_with("yes"), "{told}");
    assert!(row(&told, "Groups").ends_with("it=admin, cn=staff=member"), "{told}");
    desk.refuses(&set, 2, "must name at least one group");
    // What is left out is as it was not set, but the secret stays with its client.
    let set = format!("{set} --default-role member");
    let again = desk.json(&set);
    assert_eq!(
        (&again["has_client_secret"], &again["groups"], &again["default_role"]),
        (&json!(true), &json!([]), &json!("member"))
    );
    let other = set.replace("--client-id coditect", "--client-id another");
    assert_eq!(desk.json(&other)["has_client_secret"], false);
    let mut words = crate::words(&other);
    words.extend(["--client-secret-file".to_owned(), "-".to_owned(), "--json".to_owned()]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut command = desk.home.command(&words);
    let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    run.stdin.take().unwrap().write_all(b"of the pipe\n").unwrap();
    let ended = run.wait_with_output().unwrap();
    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(shown["has_client_secret"], true);
    desk.refuses(
        &format!("org sso set {ORG} --issuer http://127.0.0.1:9 --client-id x --group it=admin"),
        2,
        "must be an issuer that answers",
    );
    desk.refuses(&format!("org sso remove {ORG}"), 2, "--yes");
    desk.says(&format!("org sso remove {ORG} --yes"));
    desk.refuses(&format!("org sso remove {ORG} --yes"), 3, "(not_found)");
}

/// An issuer that can be reached and understood, and has signed nothing yet; its address.
fn issuer(keys: Value) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let named = address.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked = lines.next().unwrap().unwrap();
            let _: Vec<_> = lines.map_while(Result::ok).take_while(|it| !it.is_empty()).collect();
            let body = if asked.contains("/.well-known/") {
                json!({
                    "issuer": named, "jwks_uri": format!("{named}/keys"),
                    "authorization_endpoint": format!("{named}/authorize"),
                    "token_endpoint": format!("{named}/token"),
                })
            } else {
                keys.clone()
            }
            .to_string();
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
            let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    });
    address
}
