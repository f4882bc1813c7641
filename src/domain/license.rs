//! Licences and the machines bound to them.
//!
//! A licence's status is not a field that somebody sets: it follows from dates and
//! flags, so it is right at every instant whether or not a job has run yet. Jobs only
//! notice the change, to audit and mail it.

use serde::{Deserialize, Serialize};

use super::error::{Code, Error, Result};
use super::ids::{ActivationId, LicenseId, OrgId, PlanId, SubscriptionId, UserId};
use super::plan::Features;
use super::subscription::{Subscription, SubscriptionStatus};
use super::time::Timestamp;

/// Where a licence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenseStatus {
    /// Waits for the first payment of its subscription.
    Inactive,
    /// Works.
    Active,
    /// Works until `grace_period_ends_at`, and says so.
    Grace,
    /// Does not work until it is paid or reinstated.
    Suspended,
    /// Its time is over; an operator may extend it.
    Expired,
    /// Taken back for good.
    Revoked,
}

impl LicenseStatus {
    /// Every status, for counting.
    pub const ALL: [Self; 6] =
        [Self::Inactive, Self::Active, Self::Grace, Self::Suspended, Self::Expired, Self::Revoked];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Suspended => "suspended",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether seats may be taken and kept.
    pub fn usable(self) -> bool {
        matches!(self, Self::Active | Self::Grace)
    }

    /// The refusal that a licensed application is told, or nothing when it may go on.
    ///
    /// # Errors
    /// `LicenseInactive`, `LicenseSuspended`, `LicenseExpired` or `LicenseRevoked`.
    pub fn require_usable(self) -> Result<()> {
        let (code, detail) = match self {
            Self::Active | Self::Grace => return Ok(()),
            Self::Inactive => (
                Code::LicenseInactive,
                "This licence is not active yet: its first payment has not been recorded.",
            ),
            Self::Suspended => (
                Code::LicenseSuspended,
                "This licence is suspended. Its owner can pay what is due, or ask the vendor to reinstate it.",
            ),
            Self::Expired => (
                Code::LicenseExpired,
                "This licence has expired. Its owner can renew it with the vendor.",
            ),
            Self::Revoked => (
                Code::LicenseRevoked,
                "This licence was revoked by the vendor and will not work again.",
            ),
        };
        Err(Error::new(code, detail))
    }
}

/// A licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct License {
    /// Identifies the licence.
    pub license_id: LicenseId,
    /// Whose it is.
    pub org_id: OrgId,
    /// Who receives its mail.
    pub user_id: UserId,
    /// The bearer secret that applications present; unique.
    pub license_key: String,
    /// What pays for it; none when an operator issued it.
    pub subscription_id: Option<SubscriptionId>,
    /// The plan it came from.
    pub plan_id: Option<PlanId>,
    /// The plan's name when it was issued.
    pub plan_name: String,
    /// What it grants besides seats.
    pub features: Features,
    /// How many seats may be held at once.
    pub max_concurrent_seats: u32,
    /// How many machines may be activated; none: no limit.
    pub max_activations: Option<u32>,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// Until when it is active; none: without end.
    pub expiry_date: Option<Timestamp>,
    /// Until when it works after `expiry_date`; none: not at all.
    pub grace_ends_at: Option<Timestamp>,
    /// What follows when `expiry_date` and grace are over.
    pub afterwards: Afterwards,
    /// Set while the first payment is awaited.
    #[serde(default)]
    pub inactive: bool,
    /// An operator's suspension; no payment lifts it.
    #[serde(default)]
    pub suspended: Option<Suspension>,
    /// When it was taken back for good.
    #[serde(default)]
    pub revoked_at: Option<Timestamp>,
    /// Grows with every change: newer knowledge of a licence replaces older, never the reverse.
    pub revision: u64,
    /// The status that was last audited and mailed.
    pub noted_status: LicenseStatus,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a licence becomes when its dates are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Afterwards {
    /// Paying makes it work again.
    Suspended,
    /// It has run out.
    Expired,
}

/// An operator's suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub at: Timestamp,
    /// Why, in the operator's words.
    pub reason: String,
}

/// What suspends a licence, and so what lifts the suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuspendedBy {
    /// An operator, who may reinstate it.
    Operator,
    /// Want of a payment, which recording one lifts.
    Payment,
}

impl License {
    /// Where the licence stands at `now`.
    pub fn status_at(&self, now: Timestamp) -> LicenseStatus {
        self.standings()
            .iter()
            .rev()
            .find(|(from, _)| *from <= now)
            .map_or(LicenseStatus::Inactive, |(_, status)| *status)
    }

    /// Every status the licence will have if nothing is done to it, each with the instant it
    /// begins; in order, the first from the beginning of time.
    pub fn standings(&self) -> Vec<(Timestamp, LicenseStatus)> {
        let always = |status| vec![(Timestamp(i64::MIN), status)];
        if self.revoked_at.is_some() {
            return always(LicenseStatus::Revoked);
        }
        if self.suspended.is_some() {
            return always(LicenseStatus::Suspended);
        }
        if self.inactive {
            return always(LicenseStatus::Inactive);
        }
        let mut standings = always(LicenseStatus::Active);
        if let Some(expiry) = self.expiry_date {
            let over = match self.afterwards {
                Afterwards::Suspended => LicenseStatus::Suspended,
                Afterwards::Expired => LicenseStatus::Expired,
            };
            match self.grace_ends_at.filter(|ends| *ends > expiry) {
                Some(ends) => standings.extend([(expiry, LicenseStatus::Grace), (ends, over)]),
                None => standings.push((expiry, over)),
            }
        }
        standings
    }

    /// The next instant at which the status changes by itself.
    pub fn next_change_after(&self, now: Timestamp) -> Option<Timestamp> {
        self.standings().into_iter().map(|(from, _)| from).find(|from| *from > now)
    }

    /// What suspends it at `now`.
    pub fn suspended_by(&self, now: Timestamp) -> Option<SuspendedBy> {
        let by =
            if self.suspended.is_some() { SuspendedBy::Operator } else { SuspendedBy::Payment };
        (self.status_at(now) == LicenseStatus::Suspended).then_some(by)
    }

    /// The end of grace, told while it runs.
    pub fn grace_period_ends_at(&self, now: Timestamp) -> Option<Timestamp> {
        (self.status_at(now) == LicenseStatus::Grace).then_some(self.grace_ends_at).flatten()
    }

    /// Takes dates from the subscription that pays for it.
    pub fn follow(&mut self, subscription: &Subscription, grace_days: u32) {
        let end = subscription.works_until();
        self.expiry_date = Some(end);
        self.inactive = subscription.status == SubscriptionStatus::Incomplete;
        let ends_for_good = match subscription.status {
            SubscriptionStatus::Canceled => true,
            // What is owed can still be paid.
            SubscriptionStatus::PastDue | SubscriptionStatus::Unpaid => false,
            _ => subscription.cancel_at_period_end,
        };
        if ends_for_good {
            self.grace_ends_at = None;
            self.afterwards = Afterwards::Expired;
        } else {
            self.grace_ends_at =
                Some(subscription.grace_ends_at.unwrap_or_else(|| end.plus_days(grace_days)));
            self.afterwards = Afterwards::Suspended;
        }
    }

    /// Suspends it on an operator's word.
    ///
    /// # Errors
    /// `LicenseState` when it is revoked or suspended already.
    pub fn suspend(&mut self, now: Timestamp, reason: &str) -> Result<()> {
        self.require_not_revoked()?;
        if self.suspended.is_some() {
            return Err(Error::new(
                Code::LicenseState,
                "This licence is suspended already. Reinstate it first to suspend it for another reason.",
            ));
        }
        self.suspended = Some(Suspension { at: now, reason: reason.to_owned() });
        Ok(())
    }

    /// Lifts an operator's suspension.
    ///
    /// # Errors
    /// `LicenseState` when no operator suspended it, or it is revoked.
    pub fn reinstate(&mut self) -> Result<()> {
        self.require_not_revoked()?;
        if self.suspended.take().is_none() {
            return Err(Error::new(
                Code::LicenseState,
                "No operator suspended this licence. One that was suspended for want of payment is lifted by recording the payment.",
            ));
        }
        Ok(())
    }

    /// Takes it back for good.
    ///
    /// # Errors
    /// `LicenseState` when it is revoked already.
    pub fn revoke(&mut self, now: Timestamp) -> Result<()> {
        self.require_not_revoked()?;
        self.revoked_at = Some(now);
        Ok(())
    }

    /// Moves the end of a licence that no subscription pays for; `None` removes it.
    ///
    /// # Errors
    /// `LicenseState` when it is revoked or follows a subscription.
    pub fn extend(&mut self, expiry_date: Option<Timestamp>) -> Result<()> {
        self.require_not_revoked()?;
        if self.subscription_id.is_some() {
            return Err(Error::new(
                Code::LicenseState,
                "This licence follows its subscription; record a payment to move its end.",
            ));
        }
        self.expiry_date = expiry_date;
        Ok(())
    }

    /// Changes the number of seats. Below what is in use, holders finish and nobody is admitted.
    ///
    /// # Errors
    /// `LicenseState` when it is revoked.
    pub fn resize(&mut self, seats: u32) -> Result<()> {
        self.require_not_revoked()?;
        self.max_concurrent_seats = seats;
        Ok(())
    }

    fn require_not_revoked(&self) -> Result<()> {
        match self.revoked_at {
            Some(_) => {
                Err(Error::new(Code::LicenseState, "This licence was revoked; issue a new one."))
            }
            None => Ok(()),
        }
    }
}

/// A machine bound to a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activation {
    /// Identifies the activation.
    pub activation_id: ActivationId,
    /// The licence it is bound to.
    pub license_id: LicenseId,
    /// Whose licence that is.
    pub org_id: OrgId,
    /// What the application knows the machine by.
    pub hardware_id: String,
    /// Whose machine it is, where its application had somebody sign in.
    #[serde(default)]
    pub user_id: Option<UserId>,
    /// For people.
    pub machine_name: Option<String>,
    /// For people.
    pub platform: Option<String>,
    /// The application's own notes.
    pub metadata: std::collections::BTreeMap<String, String>,
    /// When.
    pub activated_at: Timestamp,
    /// When it was last activated again.
    pub last_seen_at: Timestamp,
}
