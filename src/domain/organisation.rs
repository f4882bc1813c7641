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
//! | `org.own`: give it away | yes | | | |

use serde::{Deserialize, Serialize};

use super::ids::{InvitationId, OrgId, UserId};
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
}

impl Organisation {
    /// A new one.
    pub fn new(org_id: OrgId, name: String, personal: bool, created_at: Timestamp) -> Self {
        Self { org_id, name, personal, created_at, require_second_factor: false }
    }
}

/// What a person is in an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, including giving the organisation away. There is one.
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
    /// Give it away.
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
    pub const ALL: [Self; 8] = [
        Self::OrgRead,
        Self::OrgManage,
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
