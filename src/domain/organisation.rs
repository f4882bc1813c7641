//! Organisations: the tenants. Every record belongs to exactly one.
//!
//! What each role may do there, whole:
//!
//! | permission | owner | admin | billing | member |
//! | --- | --- | --- | --- | --- |
//! | `org.read`: its name, who belongs to it | yes | yes | yes | yes |
//! | `licenses.read`: its licences, and one's own machines and seats | yes | yes | | yes |
//! | `seats.read`: everybody's machines and seats | yes | yes | | |
//! | `licenses.manage`: unbind machines, take back seats | yes | yes | | |
//! | `billing.read`: subscriptions, payments, invoices | yes | yes | yes | |
//! | `billing.manage`: buy, change, cancel | yes | yes | yes | |
//! | `org.manage`: rename, require a second factor, invite, change roles, remove members | yes | yes | | |
//! | `teams.manage`: teams, what they may use, projects | yes | yes | | |
//! | `org.own`: give it away, export it, delete it, name the issuer its members sign in through | yes | | | |

use serde::{Deserialize, Serialize};

use super::error::{Code, Error, Result};
use super::ids::{InvitationId, OrgId, UserId};
use super::subscription::{Subscription, SubscriptionStatus};
use super::time::Timestamp;
use super::user::Email;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organisation {
    /// Identifies the organisation.
    pub org_id: OrgId,
    /// What people call it.
    pub name: String,
    /// Whether it was made for one person at registration.
    pub personal: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether people act for it only with an account that has a second factor.
    #[serde(default)]
    pub require_second_factor: bool,
    /// When its members were last to be told that it does; kept while it does not.
    #[serde(default)]
    pub second_factor_since: Option<Timestamp>,
    /// Set once its owner wants it deleted.
    #[serde(default)]
    pub deletion: Option<Deletion>,
}

/// An organisation is deleted some time after that was asked for, so that a mistake can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// By whom; nobody has an account over the local socket.
    pub asked_by: Option<UserId>,
    /// Until when it can be taken back.
    pub due_at: Timestamp,
    /// Since when it is being erased; nothing takes that back.
    #[serde(default)]
    pub begun_at: Option<Timestamp>,
}

/// What is kept of an organisation that was erased: whose the payments were that the books still have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedOrg {
    /// What it was known by.
    pub org_id: OrgId,
    /// What people called it.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was erased.
    pub erased_at: Timestamp,
}

impl Organisation {
    /// A new one.
    pub fn new(org_id: OrgId, name: String, personal: bool, created_at: Timestamp) -> Self {
        Self {
            org_id,
            name,
            personal,
            created_at,
            require_second_factor: false,
            second_factor_since: None,
            deletion: None,
        }
    }

    /// Asks for its deletion after a time; until when it can be taken back.
    ///
    /// # Errors
    /// `OrgState` for one that was made for a person at registration, and one that is to be deleted
    /// already.
    pub fn ask_deletion(
        &mut self,
        now: Timestamp,
        asked_by: Option<UserId>,
        wait_days: u32,
    ) -> Result<Timestamp> {
        self.require_staying()?;
        if self.personal {
            return Err(Error::new(
                Code::OrgState,
                "This organisation was made for one person at registration, and goes with that person's account.",
            ));
        }
        let due_at = now.plus_days(wait_days);
        self.deletion = Some(Deletion { asked_at: now, asked_by, due_at, begun_at: None });
        Ok(due_at)
    }

    /// Takes back that it is to be deleted.
    ///
    /// # Errors
    /// `OrgState` when it is not to be, and once erasing it has begun.
    pub fn stay(&mut self) -> Result<()> {
        let Some(deletion) = &self.deletion else {
            return Err(Error::new(Code::OrgState, "This organisation is not to be deleted."));
        };
        if deletion.begun_at.is_some() {
            let text = "Erasing it has begun, so the deletion cannot be taken back any more.";
            return Err(Error::new(Code::OrgState, text));
        }
        self.deletion = None;
        Ok(())
    }

    /// Begins to erase it, where its time has come; whether it has.
    pub fn begin_erasing(&mut self, now: Timestamp) -> bool {
        match &mut self.deletion {
            Some(deletion) if deletion.due_at <= now => {
                deletion.begun_at.get_or_insert(now);
                true
            }
            _ => false,
        }
    }

    /// Refuses to add something to one that is to be deleted.
    ///
    /// # Errors
    /// `OrgState`.
    pub fn require_staying(&self) -> Result<()> {
        let Some(deletion) = &self.deletion else { return Ok(()) };
        let text = format!(
            "This organisation is to be deleted after {}. Its owner can take that back before: POST /api/v1/orgs/{}/restore.",
            deletion.due_at, self.org_id
        );
        Err(Error::new(Code::OrgState, text))
    }
}

/// Refuses to delete an organisation that has this subscription.
///
/// # Errors
/// `OrgState` while Stripe goes on billing it, or a purchase order for it is open.
pub fn require_unbound(subscription: &Subscription) -> Result<()> {
    let ended = subscription.status == SubscriptionStatus::Canceled;
    if subscription.is_billed() && !ended && !subscription.cancel_at_period_end {
        let text = format!(
            "Stripe bills the subscription to {}: cancel it first (POST /api/v1/subscriptions/{}/cancel).",
            subscription.plan_name, subscription.subscription_id
        );
        return Err(Error::new(Code::OrgState, text));
    }
    if subscription.owed.is_some() {
        let text = format!(
            "A purchase order for the subscription to {} is open: have the vendor settle or withdraw it first.",
            subscription.plan_name
        );
        return Err(Error::new(Code::OrgState, text));
    }
    Ok(())
}

/// Whether an organisation can be erased while it has this subscription: what Stripe still runs could
/// be resumed there, and would bill nobody.
pub fn is_over(subscription: &Subscription) -> bool {
    let ended = subscription.status == SubscriptionStatus::Canceled;
    subscription.owed.is_none() && (ended || !subscription.is_billed())
}

/// What a person is in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, including giving the organisation away and deleting it. There is one.
    Owner,
    /// Everything but ownership.
    Admin,
    /// Money only.
    Billing,
    /// Licences to use, and own seats only.
    Member,
}

/// What a role may allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See the organisation and who belongs to it.
    OrgRead,
    /// Rename it, require a second factor, invite, change roles, remove members.
    OrgManage,
    /// Make, change and delete teams and projects.
    TeamsManage,
    /// Give it away, export it, delete it, name the issuer its members sign in through.
    OrgOwn,
    /// See its licences, and one's own machines and seats.
    LicensesRead,
    /// Unbind machines and take back seats.
    LicensesManage,
    /// See everybody's machines and seats.
    SeatsRead,
    /// See subscriptions, payments and invoices.
    BillingRead,
    /// Buy, change and cancel.
    BillingManage,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 9] = [
        Self::OrgRead,
        Self::OrgManage,
        Self::TeamsManage,
        Self::OrgOwn,
        Self::LicensesRead,
        Self::LicensesManage,
        Self::SeatsRead,
        Self::BillingRead,
        Self::BillingManage,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrgRead => "org.read",
            Self::OrgManage => "org.manage",
            Self::TeamsManage => "teams.manage",
            Self::OrgOwn => "org.own",
            Self::LicensesRead => "licenses.read",
            Self::LicensesManage => "licenses.manage",
            Self::SeatsRead => "seats.read",
            Self::BillingRead => "billing.read",
            Self::BillingManage => "billing.manage",
        }
    }
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Billing, Self::Member];

    /// Whether whoever has the role may do that.
    pub fn may(self, permission: Permission) -> bool {
        use Permission as P;
        match self {
            Self::Owner => true,
            Self::Admin => permission != P::OrgOwn,
            Self::Billing => {
                matches!(permission, P::OrgRead | P::BillingRead | P::BillingManage)
            }
            Self::Member => matches!(permission, P::OrgRead | P::LicensesRead),
        }
    }

    /// Whether whoever has this role may make somebody of that one, or somebody of that one into
    /// something else. Ownership changes hands by being given away alone.
    pub fn grants(self, role: Self) -> bool {
        self.may(Permission::OrgManage) && role != Self::Owner
    }

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Billing => "billing",
            Self::Member => "member",
        }
    }
}

/// A person in an organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The organisation.
    pub org_id: OrgId,
    /// The person.
    pub user_id: UserId,
    /// What the person may do there.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// Somebody who was asked to join an organisation and has not answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invitation {
    /// Identifies the invitation.
    pub invitation_id: InvitationId,
    /// The organisation.
    pub org_id: OrgId,
    /// To whom it was mailed; nobody else can accept it.
    pub email: Email,
    /// As what.
    pub role: Role,
    /// Who asks.
    pub invited_by: UserId,
    /// SHA-256 of the token that was mailed last.
    pub token_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was mailed last.
    pub sent_at: Timestamp,
    /// From when it is not good any more.
    pub expires_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table at the head of this file is what the code does.
    #[test]
    fn the_table_is_the_rule() {
        let rows: Vec<Vec<&str>> = include_str!("organisation.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .map(|row| row.split('|').map(str::trim).collect())
            .collect();
        assert_eq!(rows.len(), Permission::ALL.len());
        for permission in Permission::ALL {
            let named = |row: &&Vec<&str>| {
                row[0].split('`').next().is_some_and(|word| word == permission.as_str())
            };
            let row = rows.iter().find(named).unwrap_or_else(|| panic!("{permission:?}"));
            for (role, cell) in Role::ALL.into_iter().zip(&row[1..]) {
                assert_eq!(role.may(permission), *cell == "yes", "{role:?} {permission:?}");
            }
        }
    }

    /// What is done to an organisation, and when.
    #[derive(Clone, Debug)]
    enum Act {
        Ask(u32),
        Stay,
        Erase,
        Wait(u32),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            (0..60_u32).prop_map(Act::Ask),
            Just(Act::Stay),
            Just(Act::Erase),
            (1..40_u32).prop_map(Act::Wait),
        ];
        prop::collection::vec(act, 0..40)
    }

    proptest! {
        /// Nothing is erased before the time that was told when it was asked for, and nothing that was
        /// begun is taken back.
        #[test]
        fn what_is_erased_was_asked_for_and_waited_as_long_as_was_told(acts in acts()) {
            let id = OrgId(uuid::Uuid::from_u128(1));
            let mut org = Organisation::new(id, "Loom".to_owned(), false, Timestamp(0));
            let (mut now, mut told, mut begun) = (Timestamp(0), None, false);
            for act in acts {
                match act {
                    Act::Wait(days) => now = now.plus_days(days),
                    Act::Ask(days) => match org.ask_deletion(now, None, days) {
                        Ok(due) => {
                            prop_assert_eq!((told, due), (None, now.plus_days(days)));
                            told = Some(due);
                        }
                        Err(refused) => {
                            prop_assert_eq!(refused.code, Code::OrgState);
                            prop_assert!(told.is_some());
                        }
                    },
                    Act::Stay => {
                        let may = told.is_some() && !begun;
                        prop_assert_eq!(org.stay().is_ok(), may);
                        told = told.filter(|_| !may);
                    }
                    Act::Erase => {
                        let due = told.is_some_and(|due| due <= now);
                        prop_assert_eq!(org.begin_erasing(now), due);
                        begun |= due;
                    }
                }
                prop_assert_eq!(org.require_staying().is_err(), told.is_some());
            }
        }
    }

    #[test]
    fn nobody_makes_somebody_who_may_more() {
        for granting in Role::ALL {
            for granted in Role::ALL.into_iter().filter(|role| granting.grants(*role)) {
                for permission in Permission::ALL {
                    let more = granted.may(permission) && !granting.may(permission);
                    assert!(!more, "{granting:?} makes {granted:?}, who may {permission:?}");
                }
            }
        }
    }
}
