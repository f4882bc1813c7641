//! `/admin/analytics`: what the business is worth, and what happened to that.

use std::collections::BTreeMap;

use coditect::domain::page::PageRequest;
use coditect::domain::subscription::{Subscription, SubscriptionStatus};
use coditect::services::Services;
use coditect::store::{self, analytics, subscriptions};
use serde_json::{Value, json};

use crate::support::{Client, DAY, Person, TestApp, figures_and_recounted, items, members, text};

const PATH: &str = "/api/v1/admin/analytics";

/// The operator, with a key that does not end while time passes.
async fn operator(app: &TestApp) -> Client {
    let person = app.operator().await;
    let key = person.post("/api/v1/api-keys", json!({"name": "figures"})).await.ok(201);
    app.anyone.with_bearer(&text(&key["secret"]))
}

async fn plan(operator: &Client, name: &str, monthly: i64, currency: &str) -> Value {
    let plan = json!({
        "plan_name": name, "max_concurrent_seats": 5, "monthly_price_cents": monthly,
        "yearly_price_cents": monthly * 10, "currency": currency, "trial_duration_days": 14,
    });
    operator.post("/api/v1/admin/plans", plan).await.ok(201)
}

async fn start_trial(customer: &Client, plan: &Value) -> Value {
    let body = json!({"plan_id": plan["plan_id"]});
    customer.post("/api/v1/subscriptions/trial", body).await.ok(201)["subscription"].clone()
}

async fn buy(operator: &Client, whose: &Person, plan: &Value, interval: &str) -> Value {
    let body =
        json!({"org_id": whose.user["org_id"], "plan_id": plan["plan_id"], "interval": interval});
    operator.post("/api/v1/admin/payments", body).await.ok(201)["subscription"].clone()
}

async fn pay(operator: &Client, subscription: &Value, periods: u32) -> Value {
    let id = &subscription["subscription_id"];
    let body = json!({"subscription_id": id, "periods": periods});
    operator.post("/api/v1/admin/payments", body).await.ok(201)
}

async fn act(operator: &Client, subscription: &Value, act: &str, body: Value) -> Value {
    let id = text(&subscription["subscription_id"]);
    operator.post(&format!("/api/v1/subscriptions/{id}/{act}"), body).await.ok(200)
}

async fn figures(operator: &Client) -> Value {
    operator.get(PATH).await.ok(200)
}

/// The figures of the one currency that there is.
async fn euros(operator: &Client) -> Value {
    let all = figures(operator).await;
    let [money] = all["currencies"].as_array().unwrap().as_slice() else { panic!("one: {all}") };
    assert_eq!(money["currency"], "EUR");
    money.clone()
}

fn last(money: &Value) -> &Value {
    money["months"].as_array().unwrap().last().unwrap()
}

/// The movements of a month that are not nothing: how many, and minor units per month.
fn moved(month: &Value) -> Vec<(&'static str, u64, i64)> {
    let names = ["new", "reactivation", "expansion", "contraction", "churn"];
    let of =
        |name| (month[name]["count"].as_u64().unwrap(), month[name]["mrr_cents"].as_i64().unwrap());
    let told = names.into_iter().map(|name| (name, of(name)));
    told.filter(|(_, (count, _))| *count > 0).map(|(name, (n, cents))| (name, n, cents)).collect()
}

#[tokio::test]
async fn before_the_first_sale_there_is_no_money_and_everything_else_is_nothing() {
    let app = TestApp::start().await;
    let all = figures(&operator(&app).await).await;
    assert_eq!(members(&all), ["currencies", "generated_at", "seats", "subscriptions", "trials"]);
    assert_eq!(all["currencies"], json!([]));
    assert_eq!(all["seats"], json!({"sold": 0, "now": 0, "peak": 0, "denials": 0}));
    let months = all["trials"]["months"].as_array().unwrap();
    let (first, end) = (&months[0]["month"], &months[11]["month"]);
    assert_eq!((months.len(), first, end), (12, &json!("2029-02"), &json!("2030-01")));
    assert_eq!(all["trials"]["conversion"], json!(null));
}

#[tokio::test]
async fn a_subscription_is_worth_its_price_from_the_payment_on_and_a_trial_nothing() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let team = plan(&operator, "Team", 4_900, "EUR").await;
    let ann = app.customer("ann@example.com").await;
    let trial = start_trial(&ann, &team).await;
    let all = figures(&operator).await;
    assert_eq!(all["currencies"], json!([]), "a trial is worth nothing");
    assert_eq!(all["trials"]["running"], 1);
    assert_eq!(all["subscriptions"]["trialing"], 1);
    pay(&operator, &trial, 1).await;
    let money = euros(&operator).await;
    assert_eq!((&money["mrr_cents"], &money["arr_cents"]), (&json!(4_900), &json!(58_800)));
    assert_eq!((&money["customers"], &money["arpu_cents"]), (&json!(1), &json!(4_900)));
    assert_eq!(moved(last(&money)), [("new", 1, 4_900)]);
    assert_eq!(
        (&last(&money)["revenue_cents"], &last(&money)["payments"]),
        (&json!(4_900), &json!(1))
    );

    // A year costs ten months.
    let bob = app.customer("bob@example.com").await;
    buy(&operator, &bob, &team, "year").await;
    let money = euros(&operator).await;
    assert_eq!(money["arr_cents"], 58_800 + 49_000);
    assert_eq!(money["mrr_cents"], 8_983, "107,800 a year, rounded once");
    assert_eq!((&money["customers"], &money["arpu_cents"]), (&json!(2), &json!(4_492)));
    assert_eq!(last(&money)["revenue_cents"], 4_900 + 49_000);
    let all = figures(&operator).await;
    assert_eq!((&all["trials"]["started"], &all["trials"]["converted"]), (&json!(1), &json!(1)));
    assert_eq!(all["trials"]["conversion"], 1.0);
    assert_eq!(all["seats"]["sold"], 10);
    let [plan] = money["plans"].as_array().unwrap().as_slice() else { panic!("one: {money}") };
    assert_eq!((&plan["plan_name"], &plan["subscriptions"]), (&json!("Team"), &json!(2)));
    assert_eq!(
        plan["revenue"][11],
        json!({"month": "2030-01", "revenue_cents": 53_900, "payments": 2})
    );
}

#[tokio::test]
async fn growing_shrinking_leaving_and_coming_back_have_names() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let (solo, team) =
        (plan(&operator, "Solo", 1_000, "EUR").await, plan(&operator, "Team", 3_000, "EUR").await);
    let ann = app.customer("ann@example.com").await;
    let first = buy(&operator, &ann, &solo, "month").await;
    act(&operator, &first, "change-plan", json!({"plan_id": team["plan_id"], "quantity": 2})).await;
    act(&operator, &first, "change-plan", json!({"quantity": 1})).await;
    let money = euros(&operator).await;
    assert_eq!(
        moved(last(&money)),
        [("new", 1, 1_000), ("expansion", 1, 5_000), ("contraction", 1, 3_000)]
    );
    assert_eq!(money["mrr_cents"], 3_000);

    // One more is an expansion, and less of one is no churn: it is one customer.
    let second = buy(&operator, &ann, &solo, "month").await;
    act(&operator, &second, "cancel", json!({"at_period_end": false})).await;
    let money = euros(&operator).await;
    assert_eq!(
        moved(last(&money)),
        [("new", 1, 1_000), ("expansion", 2, 6_000), ("contraction", 2, 4_000)]
    );
    assert_eq!(money["customers"], 1);

    // An end that was asked for counts when it comes.
    act(&operator, &first, "cancel", json!({"at_period_end": true})).await;
    let money = euros(&operator).await;
    assert_eq!(money["ending"], json!({"count": 1, "mrr_cents": 3_000}));
    assert_eq!(money["mrr_cents"], 3_000);
    app.advance(32 * DAY).await;
    let money = euros(&operator).await;
    assert_eq!((&money["mrr_cents"], &money["arpu_cents"]), (&json!(0), &json!(null)));
    assert_eq!(moved(last(&money)), [("churn", 1, 3_000)]);
    assert_eq!(
        (&last(&money)["customer_churn"], &last(&money)["revenue_churn"]),
        (&json!(1.0), &json!(1.0))
    );
    let before = &money["months"][10];
    assert_eq!(
        (&before["month"], &before["mrr_cents"], &before["customers"]),
        (&json!("2030-01"), &json!(3_000), &json!(1))
    );

    buy(&operator, &ann, &solo, "month").await;
    let money = euros(&operator).await;
    assert_eq!(moved(last(&money)), [("reactivation", 1, 1_000), ("churn", 1, 3_000)]);
}

#[tokio::test]
async fn grace_is_at_risk_and_what_is_unpaid_after_it_is_lost_until_it_is_paid() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let team = plan(&operator, "Team", 3_000, "EUR").await;
    let ann = app.customer("ann@example.com").await;
    let paid = buy(&operator, &ann, &team, "month").await;
    let bob = app.customer("bob@example.com").await;
    start_trial(&bob, &team).await;
    app.advance(16 * DAY).await;
    let money = euros(&operator).await;
    assert_eq!(
        money["past_due"],
        json!({"count": 0, "mrr_cents": 0}),
        "a trial is no money at risk"
    );
    app.advance(16 * DAY).await;
    let all = figures(&operator).await;
    assert_eq!(all["trials"]["ended"], 1);
    assert_eq!(all["trials"]["months"][10]["conversion"], 0.0);
    let money = euros(&operator).await;
    assert_eq!(money["past_due"], json!({"count": 1, "mrr_cents": 3_000}));
    assert_eq!(money["mrr_cents"], 3_000, "grace counts");
    assert_eq!(all["seats"]["sold"], 5, "a licence in grace works");
    app.advance(8 * DAY).await;
    let money = euros(&operator).await;
    assert_eq!(money["unpaid"], json!({"count": 1, "mrr_cents": 3_000}));
    assert_eq!((&money["past_due"]["count"], &money["mrr_cents"]), (&json!(0), &json!(0)));
    assert_eq!(moved(last(&money)), [("churn", 1, 3_000)]);
    assert_eq!(figures(&operator).await["seats"]["sold"], 0);
    pay(&operator, &paid, 1).await;
    let money = euros(&operator).await;
    assert_eq!(moved(last(&money)), [("reactivation", 1, 3_000), ("churn", 1, 3_000)]);
    assert_eq!(money["unpaid"]["count"], 0);
}

#[tokio::test]
async fn a_new_price_of_a_plan_is_for_new_customers() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let team = plan(&operator, "Team", 1_000, "EUR").await;
    let ann = app.customer("ann@example.com").await;
    let hers = buy(&operator, &ann, &team, "month").await;
    let path = format!("/api/v1/admin/plans/{}", text(&team["plan_id"]));
    operator.patch(&path, json!({"monthly_price_cents": 2_000})).await.ok(200);
    assert_eq!(euros(&operator).await["mrr_cents"], 1_000, "what was sold keeps its price");
    act(&operator, &hers, "change-plan", json!({"quantity": 3})).await;
    assert_eq!(euros(&operator).await["mrr_cents"], 3_000);
    let payment = &pay(&operator, &hers, 2).await["payment"];
    assert_eq!(payment["amount_cents"], 6_000, "two periods, three times, at its own price");
    buy(&operator, &app.customer("bob@example.com").await, &team, "month").await;
    assert_eq!(euros(&operator).await["mrr_cents"], 5_000);
    operator.post_nothing(&format!("{path}/archive")).await.ok(200);
    assert_eq!(euros(&operator).await["mrr_cents"], 5_000);
}

#[tokio::test]
async fn unlike_currencies_are_never_added() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let (euro, yen) = (
        plan(&operator, "Team", 4_900, "EUR").await,
        plan(&operator, "チーム", 8_000, "JPY").await,
    );
    let ann = app.customer("ann@example.com").await;
    let subscription = buy(&operator, &ann, &euro, "month").await;
    buy(&operator, &app.customer("bob@example.com").await, &yen, "month").await;
    let all = figures(&operator).await;
    let told = |all: &Value| -> Vec<(String, i64, u64)> {
        let money = all["currencies"].as_array().unwrap().iter();
        money
            .map(|each| {
                let mrr = each["mrr_cents"].as_i64().unwrap();
                (text(&each["currency"]), mrr, each["customers"].as_u64().unwrap())
            })
            .collect()
    };
    assert_eq!(told(&all), [("EUR".to_owned(), 4_900, 1), ("JPY".to_owned(), 8_000, 1)]);
    // Who changes the currency is lost in the one and new in the other.
    act(&operator, &subscription, "change-plan", json!({"plan_id": yen["plan_id"]})).await;
    let all = figures(&operator).await;
    assert_eq!(told(&all), [("EUR".to_owned(), 0, 0), ("JPY".to_owned(), 16_000, 2)]);
    assert_eq!(moved(last(&all["currencies"][0])), [("new", 1, 4_900), ("churn", 1, 4_900)]);
    assert_eq!(moved(last(&all["currencies"][1])), [("new", 2, 16_000)]);
}

#[tokio::test]
async fn figures_are_for_operators_and_of_1_to_36_months() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    app.anyone.get(PATH).await.refused(401, "unauthenticated");
    let ann = app.customer("ann@example.com").await;
    ann.get(PATH).await.refused(403, "forbidden");
    ann.get(&format!("{PATH}?format=csv")).await.refused(403, "forbidden");
    for months in [1, 36] {
        let all = operator.get(&format!("{PATH}?months={months}")).await.ok(200);
        assert_eq!(all["trials"]["months"].as_array().unwrap().len(), months);
    }
    for months in ["0", "37", "-1", "many"] {
        operator.get(&format!("{PATH}?months={months}")).await.refused_field("months");
    }
    operator.get(&format!("{PATH}?format=xml")).await.refused_field("format");
    operator.get(&format!("{PATH}?format=csv&table=all")).await.refused_field("table");
}

#[tokio::test]
async fn a_script_reads_the_same_figures_as_rows() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let team = plan(&operator, "=Team, \"large\"", 4_900, "EUR").await;
    let ann = app.customer("ann@example.com").await;
    buy(&operator, &ann, &team, "month").await;
    start_trial(&ann, &team).await;
    let csv = async |table: &str| {
        let answer = operator.get(&format!("{PATH}?months=2&format=csv&table={table}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "text/csv; charset=utf-8");
        let name = format!("attachment; filename=\"analytics-{table}-2030-01-15.csv\"");
        assert_eq!(answer.headers["content-disposition"], name.as_str());
        answer.text
    };
    assert_eq!(
        csv("months").await,
        "month,currency,mrr_cents,arr_cents,customers,new_cents,reactivation_cents,expansion_cents,\
         contraction_cents,churn_cents,new_customers,reactivated_customers,churned_customers,\
         customer_churn,revenue_churn,revenue_cents,payments\r\n\
         2029-12,EUR,0,0,0,0,0,0,0,0,0,0,0,,,0,0\r\n\
         2030-01,EUR,4900,58800,1,4900,0,0,0,0,1,0,0,,,4900,1\r\n"
    );
    let id = text(&team["plan_id"]);
    assert_eq!(
        csv("plans").await,
        format!(
            "month,currency,plan_id,plan_name,revenue_cents,payments\r\n\
             2029-12,EUR,{id},\"'=Team, \"\"large\"\"\",0,0\r\n\
             2030-01,EUR,{id},\"'=Team, \"\"large\"\"\",4900,1\r\n"
        )
    );
    assert_eq!(
        csv("trials").await,
        "month,started,running,converted,ended,conversion\r\n\
         2029-12,0,0,0,0,\r\n2030-01,1,1,0,0,0\r\n"
    );
}

// ---- long histories -------------------------------------------------------------------------------

/// Numbers that a seed determines (`SplitMix64`).
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Something that an operator or a customer may do; some of it is refused.
async fn happen(chance: &mut Chance, operator: &Client, people: &[Person], plans: &[Value]) {
    let (person, plan) = (chance.one_of(people), chance.one_of(plans));
    let interval = *chance.one_of(&["month", "year"]);
    let subscribed = operator.get("/api/v1/admin/subscriptions?limit=200").await.ok(200);
    let subscribed = items(&subscribed);
    let id = if subscribed.is_empty() {
        String::new()
    } else {
        text(&chance.one_of(subscribed)["subscription_id"])
    };
    let plan_id = &plan["plan_id"];
    let subscription = format!("/api/v1/subscriptions/{id}");
    let answer = match chance.below(9) {
        0 | 1 => person.post("/api/v1/subscriptions/trial", json!({"plan_id": plan_id})).await,
        2 => {
            let body =
                json!({"org_id": person.user["org_id"], "plan_id": plan_id, "interval": interval});
            operator.post("/api/v1/admin/payments", body).await
        }
        3 | 4 => {
            let body = json!({"subscription_id": id, "periods": 1 + chance.below(2)});
            operator.post("/api/v1/admin/payments", body).await
        }
        5 => {
            let body =
                json!({"plan_id": plan_id, "interval": interval, "quantity": 1 + chance.below(3)});
            operator.post(&format!("{subscription}/change-plan"), body).await
        }
        6 => {
            let body = json!({"at_period_end": chance.below(3) > 0});
            operator.post(&format!("{subscription}/cancel"), body).await
        }
        7 => operator.post_nothing(&format!("{subscription}/resume")).await,
        _ => {
            let price = 12 * (50 + chance.below(100));
            let path = format!("/api/v1/admin/plans/{}", text(plan_id));
            operator
                .patch(
                    &path,
                    json!({"monthly_price_cents": price, "yearly_price_cents": price * 10}),
                )
                .await
        }
    };
    assert!(answer.status < 500, "{}", answer.text);
}

fn all_subscriptions(services: &Services) -> Vec<Subscription> {
    let request = PageRequest { limit: 10_000, after: None };
    services.store.read(|tx| Ok(subscriptions::list(tx, &request)?.items)).unwrap()
}

/// The figures, computed without anything of the program's but its records.
fn check_against_records(services: &Services, all: &Value) {
    let subscriptions = all_subscriptions(services);
    let mut yearly: BTreeMap<String, i64> = BTreeMap::new();
    let mut customers = std::collections::BTreeSet::new();
    for it in &subscriptions {
        use SubscriptionStatus as Status;
        let counts = match it.status {
            Status::Active => true,
            Status::PastDue => it.first_active_at.is_some(),
            _ => false,
        };
        let price = it.price.as_ref().unwrap();
        let times = if it.interval.as_str() == "month" { 12 } else { 1 };
        if counts {
            customers.insert((price.currency.clone(), it.org_id));
            *yearly.entry(price.currency.clone()).or_default() +=
                price.amount_cents * times * i64::from(it.quantity);
        }
    }
    let mut came: BTreeMap<(String, String), i64> = BTreeMap::new();
    let request = PageRequest { limit: 10_000, after: None };
    for payment in
        services.store.read(|tx| subscriptions::list_payments(tx, &request)).unwrap().items
    {
        let month = payment.recorded_at.to_string()[..7].to_owned();
        *came.entry((month, payment.currency)).or_default() += payment.amount_cents;
    }
    for money in all["currencies"].as_array().unwrap() {
        let currency = text(&money["currency"]);
        assert_eq!(money["arr_cents"], yearly.get(&currency).copied().unwrap_or(0));
        let here = customers.iter().filter(|(of, _)| *of == currency).count();
        assert_eq!(money["customers"], here);
        let mut before = 0;
        for (place, month) in money["months"].as_array().unwrap().iter().enumerate() {
            let cents = |name: &str| month[name]["mrr_cents"].as_i64().unwrap();
            let won = cents("new") + cents("reactivation") + cents("expansion");
            // Prices are multiples of twelve: nothing is rounded.
            let after = before + won - cents("contraction") - cents("churn");
            assert_eq!(month["mrr_cents"], after, "{currency} {month}");
            before = after;
            let key = (text(&month["month"]), currency.clone());
            let revenue = came.remove(&key).unwrap_or(0);
            assert_eq!(month["revenue_cents"], revenue);
            let plans = money["plans"].as_array().unwrap().iter();
            let by_plan: i64 =
                plans.map(|plan| plan["revenue"][place]["revenue_cents"].as_i64().unwrap()).sum();
            assert_eq!(by_plan, revenue, "every payment is of a plan");
        }
        assert_eq!(money["mrr_cents"], before, "the movements are what all is worth");
    }
    assert!(came.is_empty(), "{came:?}");
    let trials = &all["trials"];
    let began: Vec<_> = subscriptions.iter().filter(|it| it.trial_started_at.is_some()).collect();
    assert_eq!(trials["started"], began.len());
    let converted = began.iter().filter(|it| it.first_active_at.is_some()).count();
    assert_eq!(trials["converted"], converted);
}

#[tokio::test]
async fn after_a_long_history_the_running_figures_are_those_of_the_records() {
    for seed in 0..2 {
        let mut chance = Chance(seed);
        let app = TestApp::start().await;
        let operator = operator(&app).await;
        let plans = [
            plan(&operator, "Solo", 1_200, "EUR").await,
            plan(&operator, "Team", 4_800, "EUR").await,
            plan(&operator, "Dollar", 3_600, "USD").await,
        ];
        let mut people = Vec::new();
        for name in ["ann", "bob", "cat", "dan", "eve"] {
            let person = app.customer(&format!("{name}@example.com")).await;
            let key = person.post("/api/v1/api-keys", json!({"name": "history"})).await.ok(201);
            people.push(person.with_key(&text(&key["secret"])));
        }
        for _ in 0..100 {
            happen(&mut chance, &operator, &people, &plans).await;
            if chance.below(3) == 0 {
                app.advance((1 + chance.below(15) as u32) * DAY).await;
            }
        }
        let before = operator.get(&format!("{PATH}?months=36")).await.ok(200);
        check_against_records(&app.services, &before);
        let (figures, recounted) = figures_and_recounted(&app.services).unwrap();
        assert_eq!(figures, recounted, "seed {seed}");
        assert!(figures.len() > 20, "there was a history: {figures:?}");
        let mut after = operator.get(&format!("{PATH}?months=36")).await.ok(200);
        after["generated_at"] = before["generated_at"].clone();
        assert_eq!(after, before);
    }
}

#[tokio::test]
async fn a_database_of_before_the_figures_gets_them_when_it_is_opened() {
    let app = TestApp::start().await;
    let operator = operator(&app).await;
    let team = plan(&operator, "Team", 1_200, "EUR").await;
    let (ann, bob, cat) = (
        app.customer("ann@example.com").await,
        app.customer("bob@example.com").await,
        app.customer("cat@example.com").await,
    );
    buy(&operator, &ann, &team, "year").await;
    let trial = start_trial(&bob, &team).await;
    start_trial(&cat, &team).await;
    app.advance(4 * DAY).await;
    pay(&operator, &trial, 1).await;
    act(&operator, &trial, "cancel", json!({"at_period_end": false})).await;
    app.advance(30 * DAY).await;
    let before = figures(&operator).await;
    // As a program that knew nothing of figures left it.
    let forget = |tx: &mut store::WriteTx<'_>| analytics::forget(tx);
    app.services.store.write(forget).await.unwrap();
    assert_eq!(figures(&operator).await["currencies"][0]["arr_cents"], json!(0));
    let app = app.restart().await;
    let mut after = figures(&operator_again(&app, &operator)).await;
    after["generated_at"] = before["generated_at"].clone();
    assert_eq!(after, before, "what is not told by records was not needed");
}

fn operator_again(app: &TestApp, operator: &Client) -> Client {
    app.anyone.with_bearer(&operator.bearer().unwrap())
}
