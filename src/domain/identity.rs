//! Who somebody is at another service, and the issuers that organisations name for their members.

use serde::{Deserialize, Serialize};

use super::ids::{IdentityId, OrgId, UserId};
use super::organisation::Role;
use super::time::Timestamp;
use super::user::Email;

/// An account at an issuer that signs somebody in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Identifies it.
    pub identity_id: IdentityId,
    /// Whom it signs in.
    pub user_id: UserId,
    /// The organisation whose issuer it is; none: one of the settings.
    pub org_id: Option<OrgId>,
    /// The issuer's name in the settings; empty for an organisation's.
    pub provider: String,
    /// The issuer's `iss`.
    pub issuer: String,
    /// The issuer's name for the person, which is never another's.
    pub subject: String,
    /// The address that the issuer told last, where it did.
    pub email: Option<Email>,
    /// Since when it signs in.
    pub linked_at: Timestamp,
    /// When it did last.
    pub last_used_at: Timestamp,
}

/// The issuer that an organisation names for its members.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sso {
    /// Whose.
    pub org_id: OrgId,
    /// The issuer's `iss`.
    pub issuer: String,
    /// This server, as the issuer knows it.
    pub client_id: String,
    /// The client's secret, sealed under the master key.
    pub sealed_secret: Option<Vec<u8>>,
    /// What is asked of the issuer.
    pub scopes: String,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
    /// What groups make of a person; the first that fits counts.
    pub groups: Vec<GroupRole>,
    /// What everybody else is; none: they do not belong to the organisation.
    pub default_role: Option<Role>,
    /// When it was set last.
    pub changed_at: Timestamp,
}

/// What a group makes of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRole {
    /// The group, as the issuer calls it.
    pub group: String,
    /// The role.
    pub role: Role,
}

impl Sso {
    /// What somebody in these groups is in the organisation; none: nothing.
    pub fn role_of(&self, groups: &[String]) -> Option<Role> {
        let fits = |rule: &&GroupRole| groups.contains(&rule.group);
        self.groups.iter().find(fits).map(|rule| rule.role).or(self.default_role)
    }
}

/// An identity that waits for whoever reads the address to confirm it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingIdentity {
    /// The organisation whose issuer it is.
    pub org_id: OrgId,
    /// The issuer's `iss`.
    pub issuer: String,
    /// The issuer's name for the person.
    pub subject: String,
    /// The address that the issuer told, to which the link was mailed.
    pub email: Email,
    /// The person's name.
    pub full_name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_that_fits_counts_and_then_the_default() {
        let rule = |group: &str, role| GroupRole { group: group.to_owned(), role };
        let mut sso = Sso {
            org_id: OrgId(uuid::Uuid::nil()),
            issuer: String::new(),
            client_id: String::new(),
            sealed_secret: None,
            scopes: String::new(),
            groups_claim: "groups".to_owned(),
            groups: vec![rule("it", Role::Admin), rule("staff", Role::Member)],
            default_role: None,
            changed_at: Timestamp(0),
        };
        let of = |sso: &Sso, groups: &[&str]| {
            sso.role_of(&groups.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&sso, &["staff", "it"]), Some(Role::Admin));
        assert_eq!(of(&sso, &["staff"]), Some(Role::Member));
        assert_eq!(of(&sso, &["IT"]), None, "groups are compared as they are written");
        sso.default_role = Some(Role::Billing);
        assert_eq!(of(&sso, &[]), Some(Role::Billing));
    }
}
