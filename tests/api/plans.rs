//! `/plans`: the catalogue.

use serde_json::{Value, json};

use crate::support::{Client, START, TestApp, items, members, text};

fn plan(name: &str) -> Value {
    json!({"plan_name": name, "max_concurrent_seats": 5, "monthly_price_cents": 4900, "currency": "EUR"})
}

/// The plan with one member changed.
fn with(name: &str, value: Value) -> Value {
    let mut plan = plan("Team");
    plan[name] = value;
    plan
}

async fn create(operator: &Client, plan: Value) -> crate::support::Answer {
    operator.post("/api/v1/admin/plans", plan).await
}

#[tokio::test]
async fn the_public_list_has_what_a_comparison_page_needs() {
    let app = TestApp::start().await;
    app.plan("Team", 5).await;
    let page = app.anyone.get("/api/v1/plans").await.ok(200);
    assert_eq!(members(&page), ["items", "next_cursor"]);
    let [plan] = items(&page) else { panic!("one plan: {page}") };
    let told = members(plan);
    for member in [
        "plan_id",
        "plan_name",
        "description",
        "max_concurrent_seats",
        "monthly_price_cents",
        "yearly_price_cents",
        "currency",
        "trial_duration_days",
        "features",
        "max_activations",
    ] {
        assert!(told.contains(&member), "{member}");
    }
    assert_eq!((&plan["plan_name"], &plan["max_concurrent_seats"]), (&json!("Team"), &json!(5)));
    assert_eq!((&plan["monthly_price_cents"], &plan["currency"]), (&json!(4900), &json!("EUR")));
    assert_eq!(plan["features"], json!({"export": true, "projects": 20, "support": "e-mail"}));
}

#[tokio::test]
async fn an_operator_adds_a_plan_and_what_is_left_out_has_its_default() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let made = create(&operator, plan("Team")).await.ok(201);
    assert_eq!((&made["trial_duration_days"], &made["features"]), (&json!(14), &json!({})));
    assert_eq!(
        (&made["yearly_price_cents"], &made["max_activations"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!((&made["created_at"], &made["public"]), (&json!(START), &json!(true)));
    assert!(app.audited().await.contains(&"plan.created".to_owned()));
}

#[tokio::test]
async fn a_plan_name_is_taken_whatever_the_case() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    create(&operator, plan("Team")).await.ok(201);
    create(&operator, plan("TEAM")).await.refused(409, "plan_name_taken");
    create(&operator, plan(" team ")).await.refused(409, "plan_name_taken");
}

#[tokio::test]
async fn a_plan_keeps_its_bounds() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    let many: serde_json::Map<String, Value> =
        (0..65).map(|nth| (format!("f{nth}"), json!(true))).collect();
    for (field, value) in [
        ("plan_name", json!("")),
        ("plan_name", json!("   ")),
        ("plan_name", json!("x".repeat(101))),
        ("plan_name", json!("two\nlines")),
        ("description", json!("x".repeat(2001))),
        ("max_concurrent_seats", json!(0)),
        ("max_concurrent_seats", json!(1_000_001)),
        ("max_concurrent_seats", json!(-1)),
        ("max_concurrent_seats", json!(1.5)),
        ("max_activations", json!(0)),
        ("monthly_price_cents", json!(-1)),
        ("monthly_price_cents", json!(100_000_000_001_i64)),
        ("monthly_price_cents", json!("4900")),
        ("yearly_price_cents", json!(-1)),
        ("currency", json!("eur")),
        ("currency", json!("EURO")),
        ("currency", json!("€€€")),
        ("trial_duration_days", json!(366)),
        ("features", json!(many)),
        ("features", json!({"": true})),
        ("features", json!({"name": "x".repeat(257)})),
    ] {
        create(&operator, with(field, value)).await.refused_field(field);
    }
    create(&operator, with("features", json!({"nested": {"no": 1}})))
        .await
        .refused(400, "validation_failed");
    assert!(items(&app.anyone.get("/api/v1/plans").await.ok(200)).is_empty());
}

#[tokio::test]
async fn a_plan_can_be_kept_out_of_the_public_list() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    create(&operator, with("public", json!(false))).await.ok(201);
    assert!(items(&app.anyone.get("/api/v1/plans").await.ok(200)).is_empty());
    assert_eq!(items(&operator.get("/api/v1/admin/plans").await.ok(200)).len(), 1);
}

#[tokio::test]
async fn a_plan_taken_from_sale_stays_with_its_subscribers() {
    let app = TestApp::start().await;
    let plan = app.plan("Team", 5).await;
    let ann = app.customer("ann@example.com").await;
    let body = json!({"plan_id": plan["plan_id"]});
    let trial = ann.post("/api/v1/subscriptions/trial", body.clone()).await.ok(201);
    let path = format!("/api/v1/admin/plans/{}/archive", text(&plan["plan_id"]));
    let archived = app.operator().await.post_nothing(&path).await.ok(200);
    assert_eq!(archived["archived_at"], START);
    assert!(items(&app.anyone.get("/api/v1/plans").await.ok(200)).is_empty());
    let bob = app.customer("bob@example.com").await;
    bob.post("/api/v1/subscriptions/trial", body).await.refused(409, "plan_unavailable");
    app.acquire(&trial["license"], "hw-1").await.ok(201);
    let payment = json!({"subscription_id": trial["subscription_id"]});
    app.operator().await.post("/api/v1/admin/payments", payment).await.ok(201);
}

#[tokio::test]
async fn lists_are_read_a_page_at_a_time() {
    let app = TestApp::start().await;
    let operator = app.operator().await;
    for nth in 0..7 {
        create(&operator, plan(&format!("Plan {nth}"))).await.ok(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for left in [4, 1, 0] {
        let page = app.anyone.get(&format!("/api/v1/plans?limit=3{cursor}")).await.ok(200);
        seen.extend(items(&page).iter().map(|plan| text(&plan["plan_name"])));
        assert_eq!(page["next_cursor"].is_null(), left == 0, "{page}");
        cursor = page["next_cursor"]
            .as_str()
            .map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
    }
    seen.sort();
    assert_eq!(seen, (0..7).map(|nth| format!("Plan {nth}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_page_has_1_to_200_items_and_a_cursor_comes_from_the_page_before() {
    let app = TestApp::start().await;
    for limit in ["0", "201", "4294967296", "-1", "ten", ""] {
        app.anyone.get(&format!("/api/v1/plans?limit={limit}")).await.refused_field("limit");
    }
    app.anyone.get("/api/v1/plans?limit=200").await.ok(200);
    for cursor in ["not base64!", "%00", &"A".repeat(2000)] {
        app.anyone
            .get(&format!("/api/v1/plans?cursor={cursor}"))
            .await
            .refused(400, "invalid_cursor");
    }
}
