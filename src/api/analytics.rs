//! The figures of the business. `assets/handbook/analytics.md` says what each of them means.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Serialize;
use uuid::Uuid;

use super::auth::Person;
use super::csv::{Cell, Csv, JsonOrCsv};
use super::wire::Time;
use super::{Answer, Tag};
use crate::domain::analytics::{Tally, Trials, monthly, per_customer};
use crate::services::Services;
use crate::services::analytics as figures;

/// Months that are told when nobody says how many.
const MONTHS_USUAL: u32 = 12;

/// The calls about figures.
pub struct Figures {
    /// The operations.
    pub services: Arc<Services>,
}

/// How figures are answered.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AnalyticsFormat {
    /// All of them.
    Json,
    /// One table of them.
    Csv,
}

/// Which table.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AnalyticsTable {
    /// Recurring revenue, its movements and what came in, by month and currency.
    Months,
    /// What came in, by month, currency and plan.
    Plans,
    /// Trials by the month in which they began.
    Trials,
}

/// The figures of the business.
#[derive(Object, Serialize)]
pub struct Analytics {
    /// When they were read.
    generated_at: Time,
    /// Money, each currency for itself; unlike currencies are never added.
    currencies: Vec<CurrencyFigures>,
    /// How many subscriptions have which status now.
    subscriptions: BTreeMap<String, u64>,
    /// Trials.
    trials: TrialFigures,
    /// Seats.
    seats: SeatFigures,
}

/// Money in one currency, in its minor units.
#[derive(Object, Serialize)]
pub struct CurrencyFigures {
    /// ISO 4217.
    currency: String,
    /// Monthly recurring revenue now.
    mrr_cents: i64,
    /// The same per year, exactly.
    arr_cents: i64,
    /// Organisations that it comes from.
    customers: u64,
    /// Recurring revenue per month and customer; null without customers.
    arpu_cents: Option<i64>,
    /// Subscriptions that it comes from.
    subscriptions: u64,
    /// Those of them that are in grace: at risk.
    past_due: Recurring,
    /// Those of them that end with their period, as was asked.
    ending: Recurring,
    /// Those that do not count any more because grace passed unpaid; paying brings them back.
    unpaid: Recurring,
    /// Invoices of the payment provider that wait to be paid.
    open_invoices: OpenAmount,
    /// The months, oldest first; the last one is not over.
    months: Vec<MonthFigures>,
    /// Plans that are worth something now, or brought something in these months.
    plans: Vec<PlanFigures>,
}

/// How many subscriptions, and their recurring revenue.
#[derive(Object, Serialize)]
pub struct Recurring {
    /// Subscriptions.
    count: u64,
    /// Minor units per month.
    mrr_cents: i64,
}

/// How many, and how much together.
#[derive(Object, Serialize)]
pub struct OpenAmount {
    /// How many.
    count: u64,
    /// Minor units.
    amount_cents: i64,
}

/// A change of recurring revenue.
#[derive(Object, Serialize)]
pub struct RecurringChange {
    /// Changes of that kind; of `new`, `reactivation` and `churn`: as many customers.
    count: u64,
    /// Minor units per month, never below 0: the name tells the direction.
    mrr_cents: i64,
}

/// One calendar month in UTC, in one currency.
#[derive(Object, Serialize)]
pub struct MonthFigures {
    /// Such as 2026-11.
    month: String,
    /// Recurring revenue at its end, or now.
    mrr_cents: i64,
    /// The same per year, exactly.
    arr_cents: i64,
    /// Customers at its end, or now.
    customers: u64,
    /// Customers who came to be.
    new: RecurringChange,
    /// Customers who came back.
    reactivation: RecurringChange,
    /// Customers who pay more.
    expansion: RecurringChange,
    /// Customers who pay less.
    contraction: RecurringChange,
    /// Customers who were lost.
    churn: RecurringChange,
    /// The share of the customers of its beginning that was lost in it, 0 to 1; null when there were none.
    customer_churn: Option<f64>,
    /// The share of the recurring revenue of its beginning that was lost with them; null when there was none.
    revenue_churn: Option<f64>,
    /// Minor units that came in, less what of them was given back since.
    revenue_cents: u64,
    /// Payments.
    payments: u64,
}

/// One plan in one currency.
#[derive(Object, Serialize)]
pub struct PlanFigures {
    /// Which.
    plan_id: Uuid,
    /// As it is called today.
    plan_name: String,
    /// Its recurring revenue now.
    mrr_cents: i64,
    /// Subscriptions that it comes from.
    subscriptions: u64,
    /// What came in for it, as many months as there are.
    revenue: Vec<PlanMonth>,
}

/// What came in for a plan in a month.
#[derive(Object, Serialize)]
pub struct PlanMonth {
    /// Such as 2026-11.
    month: String,
    /// Minor units, less what was given back since.
    revenue_cents: i64,
    /// Payments.
    payments: u64,
}

/// What has come of trials.
#[derive(Object, Serialize)]
pub struct TrialFigures {
    /// Began in these months.
    started: u64,
    /// Of those, run now, or their grace does.
    running: u64,
    /// Of those, became subscriptions that are paid.
    converted: u64,
    /// Of those, ended unpaid.
    ended: u64,
    /// The share of those that began that converted so far, 0 to 1; null when none began.
    conversion: Option<f64>,
    /// The same by the month in which they began, oldest first.
    months: Vec<TrialMonth>,
}

/// What has come of the trials that began in one month.
#[derive(Object, Serialize)]
pub struct TrialMonth {
    /// Such as 2026-11.
    month: String,
    /// Began in it.
    started: u64,
    /// Of those, run now, or their grace does.
    running: u64,
    /// Of those, became subscriptions that are paid.
    converted: u64,
    /// Of those, ended unpaid.
    ended: u64,
    /// The share that converted so far, 0 to 1; null when none began.
    conversion: Option<f64>,
}

/// Seats.
#[derive(Object, Serialize)]
pub struct SeatFigures {
    /// Seats of the licences that work: active or in grace.
    sold: u64,
    /// Held now.
    now: u64,
    /// The most held at once since the start.
    peak: u64,
    /// Refused since the start because every seat was held.
    denials: u64,
}

impl From<Tally> for Recurring {
    fn from(tally: Tally) -> Self {
        Self { count: tally.count, mrr_cents: monthly(tally.cents) }
    }
}

impl From<Tally> for RecurringChange {
    fn from(tally: Tally) -> Self {
        Self { count: tally.count, mrr_cents: monthly(tally.cents) }
    }
}

impl From<figures::Analytics> for Analytics {
    fn from(found: figures::Analytics) -> Self {
        let months = &found.months;
        let all = found.trials.iter().fold(Trials::default(), |sum, month| sum.and(*month));
        let by_month = months.iter().zip(&found.trials).map(|(month, trials)| TrialMonth {
            month: month.clone(),
            started: trials.started(),
            running: trials.running,
            converted: trials.converted,
            ended: trials.ended,
            conversion: trials.conversion(),
        });
        let by_status = found.subscriptions.iter();
        Self {
            generated_at: Time(found.at),
            trials: TrialFigures {
                started: all.started(),
                running: all.running,
                converted: all.converted,
                ended: all.ended,
                conversion: all.conversion(),
                months: by_month.collect(),
            },
            subscriptions: by_status.map(|(status, n)| (status.as_str().to_owned(), *n)).collect(),
            seats: SeatFigures {
                sold: found.seats.sold,
                now: found.seats.now,
                peak: found.seats.peak,
                denials: found.seats.denials,
            },
            currencies: found
                .currencies
                .into_iter()
                .map(|currency| CurrencyFigures::of(currency, months))
                .collect(),
        }
    }
}

impl CurrencyFigures {
    fn of(found: figures::CurrencyFigures, months: &[String]) -> Self {
        let standing = found.standing;
        Self {
            currency: found.currency,
            mrr_cents: monthly(standing.worth.cents),
            arr_cents: standing.worth.cents,
            customers: found.customers,
            arpu_cents: per_customer(standing.worth.cents, found.customers),
            subscriptions: standing.worth.count,
            past_due: standing.past_due.into(),
            ending: standing.ending.into(),
            unpaid: standing.unpaid.into(),
            open_invoices: OpenAmount {
                count: found.open_invoices.count,
                amount_cents: found.open_invoices.cents,
            },
            months: months.iter().zip(&found.months).map(MonthFigures::of).collect(),
            plans: found.plans.into_iter().map(|plan| PlanFigures::of(plan, months)).collect(),
        }
    }
}

impl MonthFigures {
    fn of((month, found): (&String, &figures::MonthFigures)) -> Self {
        let moved = found.movements;
        Self {
            month: month.clone(),
            mrr_cents: monthly(found.worth_cents),
            arr_cents: found.worth_cents,
            customers: found.customers,
            new: moved.new.into(),
            reactivation: moved.reactivation.into(),
            expansion: moved.expansion.into(),
            contraction: moved.contraction.into(),
            churn: moved.churn.into(),
            customer_churn: found.customer_churn(),
            revenue_churn: found.revenue_churn(),
            revenue_cents: found.revenue_cents,
            payments: found.payments,
        }
    }
}

impl PlanFigures {
    fn of(found: figures::PlanFigures, months: &[String]) -> Self {
        let by_month = months.iter().zip(&found.revenue).map(|(month, tally)| PlanMonth {
            month: month.clone(),
            revenue_cents: tally.cents,
            payments: tally.count,
        });
        Self {
            plan_id: found.plan_id.0,
            plan_name: found.plan_name,
            mrr_cents: monthly(found.standing.worth.cents),
            subscriptions: found.standing.worth.count,
            revenue: by_month.collect(),
        }
    }
}

impl Analytics {
    fn table(&self, table: AnalyticsTable) -> Csv {
        match table {
            AnalyticsTable::Months => self.by_month(),
            AnalyticsTable::Plans => self.by_plan(),
            AnalyticsTable::Trials => self.by_trial(),
        }
    }

    fn empty(&self, name: &str, columns: &[&str]) -> Csv {
        let day = self.generated_at.0.to_string();
        Csv::new(format!("analytics-{name}-{}", &day[..10]), columns)
    }

    fn by_month(&self) -> Csv {
        let mut table = self.empty(
            "months",
            &[
                "month",
                "currency",
                "mrr_cents",
                "arr_cents",
                "customers",
                "new_cents",
                "reactivation_cents",
                "expansion_cents",
                "contraction_cents",
                "churn_cents",
                "new_customers",
                "reactivated_customers",
                "churned_customers",
                "customer_churn",
                "revenue_churn",
                "revenue_cents",
                "payments",
            ],
        );
        for money in &self.currencies {
            for month in &money.months {
                table.row([
                    month.month.as_str().into(),
                    money.currency.as_str().into(),
                    month.mrr_cents.into(),
                    month.arr_cents.into(),
                    month.customers.into(),
                    month.new.mrr_cents.into(),
                    month.reactivation.mrr_cents.into(),
                    month.expansion.mrr_cents.into(),
                    month.contraction.mrr_cents.into(),
                    month.churn.mrr_cents.into(),
                    month.new.count.into(),
                    month.reactivation.count.into(),
                    month.churn.count.into(),
                    month.customer_churn.into(),
                    month.revenue_churn.into(),
                    month.revenue_cents.into(),
                    month.payments.into(),
                ]);
            }
        }
        table
    }

    fn by_plan(&self) -> Csv {
        let columns = ["month", "currency", "plan_id", "plan_name", "revenue_cents", "payments"];
        let mut table = self.empty("plans", &columns);
        for money in &self.currencies {
            for plan in &money.plans {
                for month in &plan.revenue {
                    table.row([
                        month.month.as_str().into(),
                        money.currency.as_str().into(),
                        Cell::Text(plan.plan_id.to_string()),
                        plan.plan_name.as_str().into(),
                        month.revenue_cents.into(),
                        month.payments.into(),
                    ]);
                }
            }
        }
        table
    }

    fn by_trial(&self) -> Csv {
        let columns = ["month", "started", "running", "converted", "ended", "conversion"];
        let mut table = self.empty("trials", &columns);
        for month in &self.trials.months {
            table.row([
                month.month.as_str().into(),
                month.started.into(),
                month.running.into(),
                month.converted.into(),
                month.ended.into(),
                month.conversion.into(),
            ]);
        }
        table
    }
}

#[OpenApi(prefix_path = "/api/v1/admin", tag = "Tag::Operator")]
impl Figures {
    /// The figures of the business
    ///
    /// Recurring revenue and its movements, what came in, trials and seats, for the last months and now. With
    /// `format=csv` one table of it, as `text/csv`.
    #[oai(path = "/analytics", method = "get", operation_id = "get_analytics")]
    async fn get_analytics(
        &self,
        person: Person,
        /// Calendar months, this one included; left out: 12.
        #[oai(validator(minimum(value = "1"), maximum(value = "36")))]
        months: Query<Option<u32>>,
        /// Left out: `json`.
        format: Query<Option<AnalyticsFormat>>,
        /// Which table of `format=csv`; left out: `months`.
        table: Query<Option<AnalyticsTable>>,
    ) -> Answer<JsonOrCsv<Analytics>> {
        let months = months.0.unwrap_or(MONTHS_USUAL);
        let found: Analytics = self.services.analytics(&person.0, months)?.into();
        if format.0 == Some(AnalyticsFormat::Csv) {
            return Ok(JsonOrCsv::Csv(found.table(table.0.unwrap_or(AnalyticsTable::Months))));
        }
        Ok(JsonOrCsv::Json(found))
    }
}
