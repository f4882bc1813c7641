//! Organisations: the tenants. Every record belongs to exactly one.

use serde::{Deserialize, Serialize};

use super::ids::{OrgId, UserId};
use super::time::Timestamp;

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
}

/// What a member may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, including giving the organisation away.
    Owner,
    /// Everything but ownership.
    Admin,
    /// Money only.
    Billing,
    /// Own seats only.
    Member,
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
