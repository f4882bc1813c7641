//! Licences, users, organisations, plans, subscriptions, payments.

use std::fs;

use serde_json::json;

use crate::support::{OPERATOR, text};
use crate::{Desk, row};

const ADA: &str = "ada@example.com";

/// A customer who has registered.
async fn register(desk: &Desk, email: &str, name: &str, company: &str) {
    let body = json!({"email": email, "password": "plum-harbour-otter", "full_name": name, "company_name": company});
    desk.server.client().post("/api/v1/auth/register", body).await.expect(&[201]);
}

#[tokio::test]
async fn a_vendor_sells_from_the_command_line() {
    let desk = Desk::open().await;
    register(&desk, ADA, "Ada Park", "Example Ltd").await;

    plans(&desk);
    users(&desk).await;
    let key = licenses(&desk);
    seats(&desk, &key).await;
    billing(&desk);
    figures(&desk);
}

fn figures(desk: &Desk) {
    let told = desk.says("analytics --months 2");
    assert!(row(&told, "Monthly recurring").contains("EUR"), "{told}");
    assert!(row(&told, "MONTH").ends_with("CAME IN"), "{told}");
    assert!(row(&told, "Trials").contains("began"), "{told}");
    assert!(row(&told, "Seats").contains("sold"), "{told}");
    let all = desk.json("analytics");
    assert_eq!(all["trials"]["months"].as_array().map(Vec::len), Some(12));
    let table = desk.says("analytics --months 3 --csv trials");
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.starts_with("month,started,running,converted,ended,conversion\r\n"), "{table}");
}

fn plans(desk: &Desk) {
    let none = desk.run("plan list").succeeded();
    assert_eq!(none.out, "");
    assert!(
        none.err.contains("coditect plan create"),
        "an empty list says what to do: {}",
        none.err
    );
    assert_eq!(desk.json("plan list"), json!({"items": []}));

    let made = desk.says(
        "plan create Team --seats 10 --monthly 99.50 --yearly 990 --currency EUR --trial-days 14 \
         --description 'For teams' --feature export=true --feature projects=20 --feature tier=gold",
    );
    assert!(row(&made, "A month").ends_with("EUR 99.50"), "{made}");
    assert!(row(&made, "Features").ends_with("export=true, projects=20, tier=gold"), "{made}");
    let plan = desk.json("plan show team");
    assert_eq!(plan["plan_name"], "Team");
    assert_eq!(
        (&plan["monthly_price_cents"], &plan["yearly_price_cents"]),
        (&json!(9950), &json!(99_000))
    );
    assert_eq!(plan["features"], json!({"export": true, "projects": 20, "tier": "gold"}));
    desk.says("plan create Old --seats 1 --monthly 1200 --currency JPY --public false");
    assert_eq!(
        row(&desk.says("plan list"), "Old"),
        "Old   1      JPY 1200   -           14          not listed"
    );
    assert_eq!(
        row(&desk.says("plan list"), "NAME"),
        "NAME  SEATS  A MONTH    A YEAR      TRIAL DAYS  STATE"
    );

    desk.refuses("plan create Team --seats 1 --monthly 1 --currency EUR", 5, "(plan_name_taken)");
    desk.refuses("plan create New --seats 1 --monthly 1.505 --currency EUR", 2, "no amount of EUR");
    desk.refuses("plan create New --seats 0 --monthly 1 --currency EUR", 2, "max_concurrent_seats");
    desk.refuses("plan create New --seats 1", 2, "--monthly");
    desk.refuses("plan show Nothing", 3, "there is no plan of Nothing");

    // What is not named stays.
    let changed =
        desk.json("plan update Team --name Crew --monthly 109 --yearly none --activations 3");
    assert_eq!(
        (&changed["plan_name"], &changed["max_concurrent_seats"]),
        (&json!("Crew"), &json!(10))
    );
    assert_eq!(
        (&changed["monthly_price_cents"], &changed["yearly_price_cents"]),
        (&json!(10_900), &json!(null))
    );
    assert_eq!(changed["max_activations"], 3);
    desk.says("plan update crew --name Team --yearly 990 --activations none --feature export=true");
    assert_eq!(desk.json("plan show Team")["features"], json!({"export": true}));
    desk.refuses("plan update Team", 2, "say what is to change");
    desk.refuses("plan update Team --name Old", 5, "(plan_name_taken)");

    assert!(desk.says("plan archive Old").contains("not on sale"));
    assert!(row(&desk.says("plan list"), "Old").ends_with("archived"));
    assert!(desk.says("plan restore old").contains("on sale again"));
    assert!(desk.json("plan show Old")["archived_at"].is_null());
}

/// Follows the link in the mail that asks whether the address is right.
async fn confirm_address(desk: &Desk, email: &str) {
    let body = json!({"token": desk.mailed_token(email).await});
    desk.server.client().post("/api/v1/auth/verify-email", body).await.expect(&[200]);
}

async fn users(desk: &Desk) {
    let list = desk.says("user list");
    assert!(row(&list, ADA).contains("Ada Park"), "{list}");
    assert!(row(&list, OPERATOR).contains("operator"), "{list}");
    assert_eq!(desk.items("user list").len(), 2);
    assert_eq!(desk.items("user list --limit 1").len(), 1);
    let first = desk.run("user list --limit 1").succeeded();
    assert!(first.err.contains("--all"), "a list that was cut says so: {}", first.err);
    assert_eq!(desk.run("user list --all").succeeded().err, "");
    desk.refuses("user show nobody@example.com", 3, "there is no user of nobody@example.com");

    assert_eq!(desk.items("user list --query 'pa exam'").len(), 1, "by the beginnings of words");
    assert!(desk.run("user list --query nobody").succeeded().err.contains("No user is like that"));
    assert!(row(&desk.says("user show ada@example.com"), "Company").ends_with("Example Ltd"));
    let id = text(&desk.json("user show ADA@example.com")["user_id"]);
    assert_eq!(desk.json(&format!("user show {id}"))["email"], ADA);

    assert!(desk.says("user sign-out ada@example.com").contains("is signed out everywhere"));
    desk.refuses("user deactivate ada@example.com", 2, "Close the account of ada@example.com?");
    assert!(desk.says("user deactivate ada@example.com --yes").contains("is closed"));
    assert!(row(&desk.says("user list"), ADA).contains("closed"));
    assert!(desk.says("user reactivate ada@example.com").contains("is open again"));
    let removed = desk.says("user remove-second-factor ada@example.com --yes");
    assert!(removed.contains("has no second factor"), "{removed}");
    desk.refuses("user operator grant ada@example.com", 4, "(email_unverified)");
    confirm_address(desk, ADA).await;
    assert!(desk.says("user operator grant ada@example.com").contains("is an operator"));
    assert_eq!(desk.json("user show ada@example.com")["operator"], true);
    assert_eq!(desk.json("user operator revoke ada@example.com")["operator"], false);
    desk.refuses(&format!("user operator revoke {OPERATOR}"), 5, "(last_operator)");

    let nora = desk.says("user create nora@example.com --name 'Nora New'");
    assert!(nora.contains("has an account"), "{nora}");
    assert_eq!(desk.json("user show nora@example.com")["email_verified"], false);
    desk.refuses("user create nora@example.com --name Nora", 5, "(email_taken)");
    let right = "user set-email nora@example.com nora@example.org";
    desk.refuses(
        right,
        2,
        "Give the account of nora@example.com to whoever reads nora@example.org?",
    );
    let told = desk.says(&format!("{right} --yes"));
    assert!(told.starts_with("nora@example.org is the address now"), "{told}");
    desk.refuses("user show nora@example.com", 3, "there is no user of nora@example.com");
    desk.refuses(&format!("user set-email nora@example.org {ADA} --yes"), 5, "(email_taken)");
    desk.says("user set-email nora@example.org nora@example.com --yes");

    let orgs = desk.items("org list");
    assert_eq!(orgs.len(), 3);
    assert!(desk.says("org list").contains("Example Ltd"));
    members(desk);
    import(desk);
}

fn import(desk: &Desk) {
    const LINES: &str = r#"{"email": "uma@example.com", "full_name": "Uma", "password_hash": "$2b$04$bOmU7BCrGx.9AO.OXVeuwOOBOY/7FFn.a75OKP1da4kqlh4Q89xGW", "email_verified": true}

{"email": "ada@example.com", "full_name": "Ada"}
{"email": "vic@example.com", "full_name": "Vic", "password_hash": "md5$x$y"}
{"email": "wes@example.com", "full_name": "Wes", "company_name": "Wes Ltd"}
no person
"#;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("people.jsonl");
    std::fs::write(&file, LINES).unwrap();
    let command = format!("user import {}", file.display());
    let ran = desk.run(&command);
    assert_eq!(ran.status.code(), Some(1), "{}", ran.err);
    assert!(ran.out.contains("2 accounts were made; 1 were there already."), "{}", ran.out);
    assert!(ran.err.contains("2 lines were refused:"), "{}", ran.err);
    assert!(ran.err.contains("line 4: ") && ran.err.contains("bcrypt"), "{}", ran.err);
    assert!(ran.err.contains("line 6: expected"), "{}", ran.err);
    assert_eq!(desk.json("user show uma@example.com")["email_verified"], true);
    // Nobody is made twice.
    let again = desk.run(&command);
    assert!(again.out.contains("0 accounts were made; 3 were there already."), "{}", again.out);
    desk.refuses("user import nothing-there.jsonl", 1, "nothing-there.jsonl cannot be read");
}

/// Who belongs to an organisation, and the end of it.
fn members(desk: &Desk) {
    let org = "'Example Ltd'";
    assert!(row(&desk.says(&format!("org members {org}")), ADA).contains("owner"));
    desk.says(&format!("org invite {org} zoe@example.com --role billing"));
    let asked = desk.says(&format!("org invitations {org}"));
    assert!(row(&asked, "zoe@example.com").contains("billing"), "{asked}");
    desk.refuses(&format!("org invite {org} zoe@example.com"), 5, "(invitation_exists)");
    desk.refuses(&format!("org role {org} {ADA} member"), 5, "(member_state)");
    desk.says(&format!("org revoke {org} ZOE@example.com"));
    desk.refuses(&format!("org revoke {org} zoe@example.com"), 3, "was not asked to join");
    let shown = desk.says(&format!("org show {org}"));
    assert!(row(&shown, "Personal").contains("yes") || row(&shown, "Personal").contains("true"));
    // Her own goes with her account.
    desk.refuses(&format!("org delete {org} --yes"), 5, "(org_state)");
    desk.refuses(&format!("org restore {org}"), 5, "(org_state)");
}

fn licenses(desk: &Desk) -> String {
    let none = desk.run("license list").succeeded();
    assert!(none.err.contains("coditect license issue"), "{}", none.err);

    // For a person, with a plan; for an organisation, without one.
    let made = desk.says("license issue --email ada@example.com --plan Team --until 2030-01-31");
    let key = row(&made, "Licence key").split_whitespace().last().unwrap().to_owned();
    assert!(
        row(&made, "Until").ends_with("2030-01-31 23:59Z"),
        "a day is meant to its end: {made}"
    );
    let second = desk
        .json("licence issue --org 'Example Ltd' --seats 3 --activations 2 --feature beta=true");
    let other = text(&second["license_key"]);
    assert_eq!(second["max_activations"], 2);
    assert_eq!(second["features"], json!({"beta": true}));

    let list = desk.says("license list");
    assert!(row(&list, &key).contains("active  0/10   Team"), "{list}");
    assert_eq!(desk.items("license list").len(), 2);

    // By what is looked for.
    for (filter, many) in [
        ("--status active", 2),
        ("--status suspended", 0),
        ("--org 'example ltd'", 2),
        ("--org ada@example.com --query team", 0),
        ("--query 'example ada'", 2),
    ] {
        assert_eq!(desk.items(&format!("license list {filter}")).len(), many, "{filter}");
    }
    let group = key.split('-').nth(1).unwrap();
    assert_eq!(desk.items(&format!("license list --query {group}"))[0]["license_key"], *key);
    assert!(row(&list, &key).contains(ADA), "{list}");
    // An address that has two of them names neither.
    desk.refuses("license show ada@example.com", 2, &key);

    // By key in any case, and by id.
    let found = desk.json(&format!("license show {}", key.to_lowercase()));
    assert_eq!(found["license_key"], *key);
    let id = text(&found["license_id"]);
    assert_eq!(desk.json(&format!("license show {id}"))["license_key"], *key);
    desk.refuses("license show CODITECT-0000-0000-0000-0000-0000", 3, "there is no licence");
    desk.refuses("license show 0196b1a2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", 3, "(not_found)");

    // Through its life.
    assert!(
        desk.says(&format!("license suspend {key} --reason 'not paid'")).contains("is suspended")
    );
    let shown = desk.says(&format!("license show {key}"));
    assert!(row(&shown, "Status").contains("suspended by an operator"), "{shown}");
    desk.refuses(&format!("license suspend {key}"), 5, "(license_state)");
    assert!(desk.says(&format!("license reinstate {key}")).contains("works again"));
    assert!(desk.says(&format!("license extend {key} --until never")).contains("no end"));
    assert_eq!(
        desk.json(&format!("license extend {key} --until 2031-12-31"))["expiry_date"],
        "2031-12-31T23:59:59Z"
    );
    assert!(desk.says(&format!("license resize {key} --seats 2")).contains("has 2 seats now"));
    desk.refuses(&format!("license resize {key} --seats 0"), 2, "(validation_failed)");
    desk.refuses(&format!("license extend {key} --until tomorrow"), 2, "2030-01-31");

    let history = desk.items(&format!("license history {key}"));
    assert!(history.iter().all(|entry| entry["subject"] == *id), "{history:?}");
    assert!(history.len() >= 5, "{history:?}");
    assert!(desk.says(&format!("license history {key}")).contains("local"), "who did it");

    // The signed file: to standard output, or to a new file.
    let signed = desk.says(&format!("license file {key}"));
    assert!(signed.starts_with("-----BEGIN CODITECT LICENSE-----"), "{signed}");
    let file = desk.home.path().join("license.lic");
    let to_file = format!("license file {key} --out {}", file.display());
    assert_eq!(desk.run(&to_file).succeeded().out, "");
    assert!(fs::read_to_string(&file).unwrap().starts_with("-----BEGIN CODITECT LICENSE-----"));
    desk.refuses(&to_file, 1, "is there already, and nothing is replaced");
    desk.refuses(&format!("license resize {key} --seats ten"), 2, "write a whole number");

    // Revoking wants consent, and is for good.
    desk.refuses(&format!("license revoke {other}"), 2, &other);
    assert_eq!(desk.json(&format!("license show {other}"))["status"], "active");
    assert!(desk.says(&format!("license revoke {other} --yes")).contains("is revoked"));
    assert_eq!(desk.json("license show ada@example.com")["license_key"], *key, "the one in force");
    assert!(desk.says("license resend ada@example.com").contains(ADA));
    desk.refuses(&format!("license reinstate {other}"), 5, "(license_state)");
    key
}

async fn seats(desk: &Desk, key: &str) {
    let client = desk.server.client();
    let ask = |machine: &str| json!({"license_key": key, "hardware_id": machine});
    let nobody = desk.run(&format!("license sessions {key}")).succeeded();
    assert!(nobody.err.contains("Nobody holds a seat"), "{}", nobody.err);
    for machine in ["ada-laptop", "ada-desktop"] {
        client.post("/api/v1/licenses/activate", ask(machine)).await.expect(&[201]);
        client.post("/api/v1/licenses/acquire", ask(machine)).await.expect(&[201]);
    }
    assert!(row(&desk.says("license list"), key).contains("2/2"));
    assert!(desk.says(&format!("license sessions {key}")).contains("ada-laptop"));
    assert_eq!(desk.items("seat list").len(), 2);
    assert!(desk.says("seat list").contains("ada-desktop"));

    assert!(desk.says("seat evict ada-laptop").contains("ada-laptop"));
    assert_eq!(desk.items("seat list").len(), 1);
    let session = text(&desk.items("seat list")[0]["session_id"]);
    desk.json(&format!("seat evict {session} --license {key}"));
    assert!(desk.items("seat list").is_empty());
    desk.refuses(&format!("seat evict {session}"), 3, "there is no seat");

    assert!(desk.says(&format!("license activations {key}")).contains("ada-desktop"));
    assert!(desk.says(&format!("license deactivate {key} ada-desktop")).contains("unbound"));
    assert_eq!(desk.items(&format!("license activations {key}")).len(), 1);
    desk.refuses(&format!("license deactivate {key} ada-desktop"), 3, "no machine ada-desktop");
}

fn billing(desk: &Desk) {
    assert!(desk.run("subscription list").succeeded().err.contains("payment record"));
    let paid = desk.says("payment record --org ada@example.com --plan Team --interval year --amount 990 --currency EUR --reference 'PO 4711'");
    assert!(row(&paid, "Amount").ends_with("EUR 990.00"), "{paid}");
    let key = row(&paid, "Licence key").split_whitespace().last().unwrap().to_owned();
    let list = desk.says("subscription list");
    assert!(row(&list, "Team").contains("active"), "{list}");
    let id = text(&desk.items("subscription list")[0]["subscription_id"]);

    // By the customer, by the licence it pays for, by its id.
    let again = desk.json("payment record --subscription ada@example.com --reference 'PO 4712'");
    assert_eq!(again["payment"]["amount_cents"], 99_000);
    assert!(desk.says("payment list").contains("PO 4712"));
    assert_eq!(desk.items("payment list").len(), 2);
    assert_eq!(desk.items("payment list --org ada@example.com").len(), 2);
    assert!(desk.items(&format!("payment list --org {OPERATOR}")).is_empty());
    assert!(row(&desk.says("payment list"), "PO 4711").contains(ADA));
    assert_eq!(desk.items("subscription list --status active --org ada@example.com").len(), 1);
    assert!(desk.items("subscription list --status canceled").is_empty());
    assert!(desk.says(&format!("subscription cancel {key}")).contains("ends on"));
    assert!(row(&desk.says("subscription list"), "Team").contains("active, ends"));
    assert!(desk.says(&format!("subscription resume {id}")).contains("goes on"));
    desk.refuses("subscription cancel ada@example.com --now", 2, "Add --yes");
    assert!(desk.says("subscription cancel ada@example.com --now --yes").contains("ended"));
    assert_eq!(desk.json(&format!("license show {key}"))["subscription_id"], *id);

    let ordered = desk.json("payment record --org ada@example.com --plan Team --kind purchase-order --reference 'PO 4713' --due-days 60");
    assert_eq!(ordered["payment"]["kind"], "purchase_order");
    let order = text(&ordered["payment_id"]);
    assert!(row(&desk.says("payment list"), "PO 4713").contains("purchase order, due"));
    assert!(desk.says(&format!("payment settle {order}")).contains("active"));
    assert!(row(&desk.says("payment list"), "PO 4713").contains("purchase order, settled"));
    desk.refuses(&format!("payment settle {order}"), 5, "no open purchase order");
    desk.refuses("subscription resume nobody@example.com", 3, "nobody@example.com");
    desk.refuses("payment record --subscription ada@example.com --amount 1", 2, "--currency");
    desk.refuses("payment record --org ada@example.com", 2, "--plan");
}
