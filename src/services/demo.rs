//! Sample data, made by the same operations as real data.

use std::collections::BTreeMap;

use super::accounts::{NewProfile, RegisterInput};
use super::licenses::IssueInput;
use super::plans::PlanInput;
use super::subscriptions::{PaymentInput, PaymentOutcome, book};
use super::{Actor, Ctx, Services};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::PlanId;
use crate::domain::page::PageRequest;
use crate::domain::payment::PaymentKind;
use crate::domain::plan::Feature;
use crate::domain::subscription::Interval;
use crate::domain::time::DAY_MS;
use crate::domain::user::Email;
use crate::identity::tokens;
use crate::store::{WriteTx, logs, users};

/// The demo's operator.
const OPERATOR: &str = "operator@demo.example";
/// Where the database notes that it was made for the demo: the licence whose seats come and go.
const MARK: &str = "demo_license_key";
/// The demo's customer.
const CUSTOMER: &str = "ada@customer.example";
/// Who else buys there: the plan, how long ago in days, and how many months were paid since.
const SALES: [(&str, &str, &str, u32, u32); 8] = [
    ("bruno@nordwind.example", "Bruno Keller", "Team", 300, 11),
    ("chiara@studio-lume.example", "Chiara Lombardi", "Solo", 262, 10),
    ("dev@kiwi-robotics.example", "Devika Rao", "Team", 221, 8),
    ("emil@fjordlab.example", "Emil Sørensen", "Studio", 170, 6),
    ("fatima@atlas-survey.example", "Fatima El-Amrani", "Solo", 131, 2),
    ("grace@hollowaybooks.example", "Grace Holloway", "Team", 75, 3),
    ("hana@tidewater.example", "Hana Sato", "Solo", 33, 1),
    ("ivo@brickyard.example", "Ivo Novak", "Studio", 6, 1),
];

/// How to get into the demo.
pub struct DemoAccess {
    /// The operator's address.
    pub email: String,
    /// The operator's password, made anew at each start.
    pub password: String,
    /// A licence with seats that come and go.
    pub license_key: String,
}

impl Services {
    /// Whether this is a demo's data.
    pub fn is_demo(&self) -> Result<bool> {
        Ok(self.store.read(|tx| logs::fact(tx, MARK))?.is_some())
    }

    /// Makes the sample data where it is missing; the operator gets a fresh password either way.
    ///
    /// # Errors
    /// When there is data that is not a demo's: samples do not belong among it.
    pub async fn prepare_demo(&self) -> Result<DemoAccess> {
        let known = self.store.read(|tx| logs::fact(tx, MARK))?;
        let anybody = self.store.read(|tx| users::list(tx, &PageRequest::first()))?;
        if known.is_none() && !anybody.items.is_empty() {
            return Err(Error::internal(
                "this data folder holds accounts that are not a demo's; --demo needs a folder of \
                 its own, which --data names",
            ));
        }
        let password = tokens::secret(&self.entropy, "demo-");
        self.demo_operator(password.clone()).await?;
        let license_key = match known {
            Some(license_key) if !license_key.is_empty() => license_key,
            _ => self.demo_records(&Actor::of_the_computer()).await?,
        };
        Ok(DemoAccess { email: OPERATOR.to_owned(), password, license_key })
    }

    async fn demo_operator(&self, password: String) -> Result<()> {
        let email = Email::parse(OPERATOR)?;
        let known = self.store.read(|tx| users::by_email(tx, &email))?;
        let Some(user) = known else {
            // From here on it is a demo, also when it ends before it is whole.
            self.commit(|tx| logs::put_fact(tx, MARK, "")).await?;
            self.make_operator(demo_person(OPERATOR, "Olga Operator", password)).await?;
            return Ok(());
        };
        let password_hash = self.hasher.hash(password).await?;
        self.commit(move |tx| {
            let mut user = users::get(tx, user.user_id)?;
            user.password_hash = Some(password_hash);
            users::update(tx, &user)
        })
        .await
    }

    async fn demo_records(&self, actor: &Actor) -> Result<String> {
        let mut plans = BTreeMap::new();
        for (name, seats, price, days) in
            [("Solo", 1, 1_900, 14), ("Team", 12, 14_900, 14), ("Studio", 60, 59_900, 30)]
        {
            let plan = self.create_plan(actor, demo_plan(name, seats, price, days)).await?;
            plans.insert(name, plan.plan_id);
        }
        for sale in SALES {
            self.demo_sale(actor, sale, plans.get(sale.2).copied()).await?;
        }
        let customer =
            demo_person(CUSTOMER, "Ada Customer", tokens::secret(&self.entropy, "demo-"));
        match self.register(&actor.caller, customer).await {
            Err(error) if error.code != Code::EmailTaken => return Err(error),
            _ => {}
        }
        let input = IssueInput {
            org_id: None,
            email: Some(CUSTOMER.to_owned()),
            plan_id: plans.get("Team").copied(),
            max_concurrent_seats: None,
            max_activations: None,
            expiry_date: None,
            features: None,
        };
        let license_key = self.issue_license(actor, input).await?.license_key;
        let mark = license_key.clone();
        self.commit(move |tx| logs::put_fact(tx, MARK, &mark)).await?;
        Ok(license_key)
    }

    /// A customer, and payments of some time ago, one a month.
    async fn demo_sale(
        &self,
        actor: &Actor,
        (email, name, _, days_ago, months): (&str, &str, &str, u32, u32),
        plan_id: Option<PlanId>,
    ) -> Result<()> {
        let customer = demo_person(email, name, tokens::secret(&self.entropy, "demo-"));
        let org_id = match self.register(&actor.caller, customer).await {
            Err(error) if error.code == Code::EmailTaken => return Ok(()),
            registered => registered?.personal_org,
        };
        let ctx = self.ctx_of(actor);
        let began = ctx.now + -i64::from(days_ago) * DAY_MS;
        let sale = move |tx: &mut WriteTx<'_>| {
            let mut outcome = None::<PaymentOutcome>;
            for month in 0..months {
                let ctx = Ctx { now: began.plus_months(month).min(ctx.now), ..ctx.clone() };
                let paid = outcome.as_ref().map(|it| it.subscription.subscription_id);
                let input = PaymentInput {
                    subscription_id: paid,
                    org_id: Some(org_id).filter(|_| paid.is_none()),
                    plan_id: plan_id.filter(|_| paid.is_none()),
                    interval: Interval::Month,
                    amount_cents: None,
                    currency: None,
                    periods: 1,
                    reference: String::new(),
                    kind: PaymentKind::Payment,
                    due_days: None,
                };
                outcome = Some(book(&ctx, tx, None, input)?);
            }
            Ok(outcome)
        };
        self.commit_license(sale, |it| it.as_ref().map(|it| &it.license)).await.map(drop)
    }
}

fn demo_person(email: &str, full_name: &str, password: String) -> RegisterInput {
    RegisterInput {
        profile: NewProfile {
            email: email.to_owned(),
            full_name: full_name.to_owned(),
            company_name: Some("Sample Company".to_owned()),
        },
        password,
    }
}

fn demo_plan(
    name: &str,
    seats: u32,
    monthly_price_cents: i64,
    trial_duration_days: u32,
) -> PlanInput {
    PlanInput {
        plan_name: name.to_owned(),
        description: format!("{seats} concurrent seats, updates and support."),
        max_concurrent_seats: seats,
        max_activations: None,
        monthly_price_cents,
        stripe_monthly_price_id: None,
        stripe_yearly_price_id: None,
        position: 0,
        yearly_price_cents: Some(monthly_price_cents * 10),
        currency: "EUR".to_owned(),
        trial_duration_days,
        features: [
            ("export".to_owned(), Feature::Flag(true)),
            ("projects".to_owned(), Feature::Limit(i64::from(seats) * 5)),
        ]
        .into(),
        public: true,
    }
}
