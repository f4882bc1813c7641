//! `/orgs/{org_id}/domains`: a domain that is proved to be an organisation's, and who joins by it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::orgs::Company;
use crate::support::name_server::NameServer;
use crate::support::{Answer, Client, DAY, Person, Setup, TestApp, items, members, text};

const ANN: &str = "ann@example.com";
const DOMAIN: &str = "loom.example";

/// Ann's organisation, and a name server that knows what the test has it know.
struct Loom {
    company: Company,
    names: NameServer,
}

impl Loom {
    async fn new() -> Self {
        let names = NameServer::start();
        let app = Setup::usual().set("ORGS_DNS_SERVER", &names.address.to_string()).start().await;
        let ann = app.customer(ANN).await;
        let org_id = ann.user["org_id"].clone();
        Self { company: Company { app, ann, org_id }, names }
    }

    fn app(&self) -> &TestApp {
        &self.company.app
    }

    fn path(&self, rest: &str) -> String {
        self.company.path(&format!("/domains{rest}"))
    }

    async fn add(&self, domain: &str) -> Answer {
        self.company.ann.post(&self.path(""), json!({"domain": domain})).await
    }

    async fn verify(&self, person: &Client, domain: &str) -> Answer {
        person.post_nothing(&self.path(&format!("/{domain}/verify"))).await
    }

    async fn auto_join(&self, role: &str) -> Answer {
        let path = self.path(&format!("/{DOMAIN}"));
        self.company.ann.patch(&path, json!({"auto_join": role})).await
    }

    /// The domain added and its proof written.
    async fn written(&self) -> Value {
        let added = self.add(DOMAIN).await.ok(201);
        let (name, value) = (text(&added["record_name"]), text(&added["record_value"]));
        self.names.says(&name, &["v=spf1 -all", &value]);
        added
    }

    /// People with an address there join as members.
    async fn joining() -> Self {
        let loom = Self::new().await;
        loom.written().await;
        loom.verify(&loom.company.ann, DOMAIN).await.ok(200);
        loom.auto_join("member").await.ok(200);
        loom
    }

    async fn orgs_of(&self, person: &Person) -> usize {
        items(&person.get("/api/v1/orgs").await.ok(200)).len()
    }

    async fn domain(&self, person: &Client) -> Value {
        items(&person.get(&self.path("")).await.ok(200))[0].clone()
    }
}

// ---- proving it ---------------------------------------------------------------------------------

#[tokio::test]
async fn a_record_that_only_its_owner_can_write_proves_a_domain() {
    let loom = Loom::new().await;
    let added = loom.add("Loom.Example.").await.ok(201);
    assert_eq!(
        members(&added),
        [
            "auto_join",
            "checked_at",
            "created_at",
            "domain",
            "org_id",
            "record_name",
            "record_value",
            "verified_at",
            "verified_by_hand"
        ]
    );
    assert_eq!((&added["domain"], &added["auto_join"]), (&json!(DOMAIN), &json!("off")));
    assert_eq!(added["record_name"], "_coditect.loom.example");
    // Added again it is the same one, with the same proof.
    assert_eq!(loom.add(DOMAIN).await.ok(201), added);
    let ann = &loom.company.ann;
    let refused = loom.verify(ann, DOMAIN).await.refused(409, "domain_unproven");
    assert!(text(&refused["detail"]).contains(&text(&added["record_value"])), "{refused}");
    loom.auto_join("member").await.refused(409, "domain_unproven");
    loom.names.says("_coditect.loom.example", &["coditect-verification=of-somebody-else"]);
    loom.verify(ann, DOMAIN).await.refused(409, "domain_unproven");
    loom.written().await;
    let verified = loom.verify(ann, DOMAIN).await.ok(200);
    assert_ne!(verified["verified_at"], Value::Null);
    loom.app().mail_to(ANN, "loom.example belongs to Loom Ltd").await;
    loom.auto_join("admin").await.refused_field("auto_join");
    let audited = loom.app().audited().await;
    for action in ["domain.added", "domain.verified"] {
        assert!(audited.contains(&action.to_owned()), "{action}");
    }
}

#[tokio::test]
async fn what_is_no_domain_or_everybodys_is_refused() {
    let loom = Loom::new().await;
    for domain in ["", "localhost", "192.0.2.1", "a b.example", "gmail.com", "GMX.de"] {
        loom.add(domain).await.refused_field("domain");
    }
    let umlaut = loom.add("Bücher.example").await.ok(201);
    assert_eq!(umlaut["domain"], "xn--bcher-kva.example");
}

#[tokio::test]
async fn a_domain_belongs_to_one_organisation() {
    let loom = Loom::joining().await;
    let bob = loom.app().customer("bob@spin.example").await;
    let his = format!("/api/v1/orgs/{}/domains", text(&bob.user["org_id"]));
    let added = bob.post(&his, json!({"domain": DOMAIN})).await.ok(201);
    loom.names.says("_coditect.loom.example", &[&text(&added["record_value"])]);
    let verify = format!("{his}/{DOMAIN}/verify");
    bob.post_nothing(&verify).await.refused(409, "domain_taken");
    // Given up by the one, it can be the other's.
    loom.company.ann.delete(&loom.path(&format!("/{DOMAIN}"))).await.ok(200);
    bob.post_nothing(&verify).await.ok(200);
}

#[tokio::test]
async fn where_no_name_server_answers_an_operator_confirms_it() {
    let loom = Loom::new().await;
    loom.add(DOMAIN).await.ok(201);
    loom.names.fails(true);
    let away = loom.verify(&loom.company.ann, DOMAIN).await;
    assert!(away.retry_after() > 0);
    away.refused(503, "names_unavailable");
    let operator = loom.app().operator().await;
    let by_hand =
        format!("/api/v1/admin/orgs/{}/domains/{DOMAIN}/verify", text(&loom.company.org_id));
    loom.company.ann.post_nothing(&by_hand).await.refused(403, "forbidden");
    let confirmed = operator.post_nothing(&by_hand).await.ok(200);
    assert_eq!(confirmed["verified_by_hand"], true);
    let told = async || {
        let log = loom.app().audit().await;
        log.iter().filter(|entry| entry["action"] == "domain.verified").count()
    };
    assert_eq!(told().await, 1);
    operator.post_nothing(&by_hand).await.ok(200);
    assert_eq!(told().await, 1, "nothing has changed");
    loom.auto_join("billing").await.ok(200);
    // Nobody looks for a record.
    loom.app().advance(DAY * 60).await;
    let ann = loom.app().sign_in(ANN).await;
    assert_eq!(loom.domain(&ann).await["auto_join"], "billing");
    // Its owner does, and finds it: no operator's word is needed any more.
    loom.names.fails(false);
    let claim = loom.domain(&ann).await;
    loom.names.says(&text(&claim["record_name"]), &[&text(&claim["record_value"])]);
    let proved = loom.verify(&ann, DOMAIN).await.ok(200);
    assert_eq!(proved["verified_by_hand"], false);
    assert_eq!(told().await, 2);
}

#[tokio::test]
async fn a_proof_that_is_gone_for_days_ends_it_and_one_that_stumbles_does_not() {
    let loom = Loom::joining().await;
    loom.names.fails(true);
    loom.app().advance(DAY * 10).await;
    let ann = loom.app().sign_in(ANN).await;
    assert_eq!(loom.domain(&ann).await["auto_join"], "member", "nobody could be asked");
    loom.names.fails(false);
    loom.names.says("_coditect.loom.example", &[]);
    loom.app().advance(DAY * 2).await;
    let ann = loom.app().sign_in(ANN).await;
    assert_eq!(loom.domain(&ann).await["auto_join"], "member", "it was not found twice");
    for _ in 0..2 {
        loom.app().advance(DAY).await;
    }
    let ann = loom.app().sign_in(ANN).await;
    let lost = loom.domain(&ann).await;
    assert_eq!((&lost["auto_join"], &lost["verified_at"]), (&json!("off"), &Value::Null));
    loom.app().mail_to(ANN, "no longer proved").await;
    let bob = loom.app().customer("bob@loom.example").await;
    assert_eq!(loom.orgs_of(&bob).await, 1);
}

// ---- joining ------------------------------------------------------------------------------------

#[tokio::test]
async fn whoever_verifies_an_address_there_joins() {
    let loom = Loom::joining().await;
    let bob = loom.app().customer("bob@loom.example").await;
    assert_eq!(loom.orgs_of(&bob).await, 2);
    assert_eq!(loom.company.role_of(&bob).await, "member");
    // One mail says so, and asks nobody to buy what there is already.
    let welcome = loom.app().mail_to("bob@loom.example", "Welcome").await;
    for part in [&welcome.text, &welcome.html] {
        assert!(part.contains("Loom Ltd") && !part.contains("trial"), "{part}");
    }
    let subjects = loom.app().subjects_to("bob@loom.example").await;
    assert!(!subjects.iter().any(|it| it.contains("You belong to")), "{subjects:?}");
    // Neither is of the domain.
    for other in ["eve@sub.loom.example", "eve@notloom.example"] {
        let eve = loom.app().customer(other).await;
        assert_eq!(loom.orgs_of(&eve).await, 1, "{other}");
        assert!(loom.app().mail_to(other, "Welcome").await.text.contains("trial"), "{other}");
    }
    // An address that nobody has shown to read joins nothing.
    loom.app().register("cleo@loom.example").await.ok(201);
    let all = loom.company.ann.get(&loom.company.path("/members")).await.ok(200);
    assert_eq!(items(&all).len(), 2);
}

#[tokio::test]
async fn whoever_was_there_before_joins_at_the_next_sign_in() {
    let loom = Loom::new().await;
    let bob = loom.app().customer("bob@loom.example").await;
    loom.written().await;
    loom.verify(&loom.company.ann, DOMAIN).await.ok(200);
    loom.app().sign_in("bob@loom.example").await;
    assert_eq!(loom.orgs_of(&bob).await, 1, "a domain alone brings nobody in");
    loom.auto_join("billing").await.ok(200);
    loom.app().sign_in("bob@loom.example").await;
    assert_eq!(loom.company.role_of(&bob).await, "billing");
    loom.app().sign_in("bob@loom.example").await;
    let told = loom.app().mail_to("bob@loom.example", "You belong to Loom Ltd").await;
    assert!(told.text.contains("as billing") && told.text.contains(DOMAIN), "{}", told.text);
    let subjects = loom.app().subjects_to("bob@loom.example").await;
    assert_eq!(subjects.iter().filter(|it| it.contains("You belong to")).count(), 1, "once");
    loom.auto_join("off").await.ok(200);
    let cleo = loom.app().customer("cleo@loom.example").await;
    assert_eq!(loom.orgs_of(&cleo).await, 1);
}

#[tokio::test]
async fn whoever_left_or_was_removed_is_not_brought_back() {
    let loom = Loom::joining().await;
    let bob = loom.app().customer("bob@loom.example").await;
    let cleo = loom.app().customer("cleo@loom.example").await;
    let place =
        |person: &Person| loom.company.path(&format!("/members/{}", text(&person.user["user_id"])));
    loom.company.ann.delete(&place(&bob)).await.ok(200);
    cleo.delete(&place(&cleo)).await.ok(200);
    for email in ["bob@loom.example", "cleo@loom.example"] {
        let again = loom.app().sign_in(email).await;
        assert_eq!(loom.orgs_of(&again).await, 1, "{email}");
    }
    // Who is invited comes back.
    let token = {
        loom.company.invite("bob@loom.example", "admin").await.ok(201);
        loom.company.token("bob@loom.example").await
    };
    bob.post("/api/v1/invitations/accept", json!({"token": token})).await.ok(200);
    assert_eq!(loom.company.role_of(&bob).await, "admin");
}

#[tokio::test]
async fn nobody_joins_what_is_to_be_deleted_and_erased_the_domain_is_free() {
    let loom = Loom::joining().await;
    let bob = loom.app().customer("bob@loom.example").await;
    let ann = &loom.company.ann;
    let to_bob = json!({"user_id": bob.user["user_id"]});
    let given = ann.post(&loom.company.path("/transfer"), to_bob).await.ok(200);
    let name = json!({"name": given["name"]});
    bob.with_body(Method::DELETE, &loom.company.path(""), &name).await.ok(200);
    let cleo = loom.app().customer("cleo@loom.example").await;
    assert_eq!(loom.orgs_of(&cleo).await, 1);
    loom.app().advance(DAY * 31).await;
    let dora = loom.app().customer("dora@loom.example").await;
    let hers = format!("/api/v1/orgs/{}/domains", text(&dora.user["org_id"]));
    let added = dora.post(&hers, json!({"domain": DOMAIN})).await.ok(201);
    loom.names.says("_coditect.loom.example", &[&text(&added["record_value"])]);
    dora.post_nothing(&format!("{hers}/{DOMAIN}/verify")).await.ok(200);
}

#[tokio::test]
async fn members_do_not_decide_who_joins() {
    let loom = Loom::joining().await;
    let bob = loom.app().customer("bob@loom.example").await;
    bob.get(&loom.path("")).await.refused(403, "forbidden");
    bob.post(&loom.path(""), json!({"domain": "x.example"})).await.refused(403, "forbidden");
    loom.verify(&bob, DOMAIN).await.refused(403, "forbidden");
    bob.delete(&loom.path(&format!("/{DOMAIN}"))).await.refused(403, "forbidden");
}
