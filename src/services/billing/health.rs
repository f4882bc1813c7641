//! Whether the way to Stripe is in order, and what there needs an operator.

use std::time::Duration;

use crate::billing::{Failure, Stripe};
use crate::domain::audit::By;
use crate::domain::error::Result;
use crate::domain::ids::OrgId;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::services::Services;
use crate::services::doctor::check::Check;
use crate::services::overview::Attention;
use crate::store::{billing, logs};

/// In which mode the ids of Stripe that are stored were made.
const MODE: &str = "stripe.mode";
/// The last subscription that was paid for although there was one.
const SECOND: &str = "stripe.second_subscription";
/// How long that is shown.
const SECOND_SHOWN_MS: i64 = 30 * DAY_MS;
/// How long Stripe is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

impl Services {
    /// Forgets what Stripe made in another mode than that of the key which is set now: customers,
    /// payment pages, and the prices of plans. Live mode knows nothing of what was tried in test mode.
    pub async fn follow_stripe_mode(&self) -> Result<()> {
        let Some(stripe) = self.stripe.as_deref() else { return Ok(()) };
        let mode = mode(stripe);
        let before = self.store.read(|tx| logs::fact(tx, MODE))?;
        if before.as_deref() == Some(mode) {
            return Ok(());
        }
        let ctx = self.ctx(By::System);
        self.commit(move |tx| {
            if let Some(before) = before {
                let forgotten = billing::forget_all(tx)?;
                tracing::warn!(
                    before,
                    now = mode,
                    forgotten,
                    "the key of Stripe is of another mode"
                );
                let told = [("before", before), ("now", mode.to_owned())];
                ctx.audit(tx, None, "billing.mode_changed", "stripe", told)?;
            }
            logs::put_fact(tx, MODE, mode)
        })
        .await
    }

    /// Whether Stripe takes the key that is set; nothing where none is.
    pub(in crate::services) async fn check_stripe(&self) -> Option<Check> {
        let stripe = self.stripe.as_deref()?;
        let found = match tokio::time::timeout(PATIENCE, stripe.ping()).await {
            Ok(found) => found,
            Err(_) => Err(Failure::Away(format!("no answer within {} s", PATIENCE.as_secs()))),
        };
        Some(match found {
            Err(failure) => Check::problem(
                "stripe",
                failure.to_string(),
                "Look at STRIPE_SECRET_KEY and at the network; what Stripe tells is looked for again every hour",
            ),
            Ok(()) if self.config.stripe.webhook_secret.is_none() => Check::warning(
                "stripe",
                format!("the key works, in {} mode, but webhooks cannot be verified", mode(stripe)),
                "Set STRIPE_WEBHOOK_SECRET to the signing secret of the endpoint; until then what Stripe tells is looked for every hour",
            ),
            Ok(()) => Check::ok("stripe", format!("the key works, in {} mode", mode(stripe))),
        })
    }

    /// Notes that an organisation paid for a second subscription, for operators to see.
    pub(super) async fn note_second(
        &self,
        org_id: Option<OrgId>,
        stripe_id: &str,
        ended: bool,
    ) -> Result<()> {
        let (ctx, stripe_id) = (self.ctx(By::System), stripe_id.to_owned());
        self.commit(move |tx| {
            let seen = format!("{} {stripe_id}", ctx.now.0);
            // Every event about it leads here.
            if logs::fact(tx, SECOND)?.is_some_and(|seen| seen.ends_with(&stripe_id)) {
                return Ok(());
            }
            let told = [("ended", ended.to_string())];
            ctx.audit(tx, org_id, "billing.second_subscription", stripe_id, told)?;
            logs::put_fact(tx, SECOND, &seen)
        })
        .await
    }

    /// That there was one lately.
    pub(in crate::services) fn second_subscription_seen(
        &self,
        now: Timestamp,
    ) -> Result<Option<Attention>> {
        let seen = self.store.read(|tx| logs::fact(tx, SECOND))?;
        let lately = seen
            .as_deref()
            .and_then(|seen| seen.split_once(' '))
            .filter(|(at, _)| at.parse().is_ok_and(|at: i64| now.0 - at < SECOND_SHOWN_MS));
        Ok(lately.map(|(_, stripe_id)| Attention::second_subscription(stripe_id)))
    }
}

fn mode(stripe: &Stripe) -> &'static str {
    if stripe.livemode() { "live" } else { "test" }
}
