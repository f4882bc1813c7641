//! Teams of an organisation, the licences that they may use, and projects that licences are grouped in.

use serde::{Deserialize, Serialize};

use super::error::{Code, Error, Result};
use super::ids::{LicenseId, OrgId, ProjectId, TeamId, UserId};
use super::provisioning::DirectoryGroup;
use super::time::Timestamp;

/// Some members of an organisation, under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Identifies the team.
    pub team_id: TeamId,
    /// The organisation.
    pub org_id: OrgId,
    /// What people call it; no other team of the organisation is called so.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Set while the organisation's directory says what it is called and who belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<DirectoryGroup>,
}

/// What a person is in a team.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TeamRole {
    /// Says who belongs to it, too.
    Maintainer,
    /// Belongs to it.
    Member,
}

impl TeamRole {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Maintainer => "maintainer",
            Self::Member => "member",
        }
    }
}

/// A person in a team.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamMember {
    /// The team.
    pub team_id: TeamId,
    /// The person, who belongs to the organisation.
    pub user_id: UserId,
    /// What the person is there.
    pub role: TeamRole,
    /// Since when.
    pub joined_at: Timestamp,
}

/// A team may use a licence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// The team.
    pub team_id: TeamId,
    /// The licence, of the same organisation.
    pub license_id: LicenseId,
    /// Seats that are the team's; 0: it may use it, and nothing is kept for it.
    pub seats_reserved: u32,
    /// Since when.
    pub granted_at: Timestamp,
}

/// Refuses to reserve more seats than a licence has. A licence that was made smaller keeps what is
/// reserved of it, since who pays decides how large it is; no more is reserved until it fits again.
///
/// # Errors
/// `LicenseState`.
pub fn require_room(seats: u32, reserved_for_others: u64, wanted: u32) -> Result<()> {
    let left = u64::from(seats).saturating_sub(reserved_for_others);
    if wanted == 0 || u64::from(wanted) <= left {
        return Ok(());
    }
    let text = format!(
        "This licence has {seats} seats, of which {reserved_for_others} are reserved for other teams: {left} can be."
    );
    Err(Error::new(Code::LicenseState, text))
}

/// A name under which licences are grouped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Identifies the project.
    pub project_id: ProjectId,
    /// The organisation.
    pub org_id: OrgId,
    /// What people call it; no other project of the organisation is called so.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when nothing is added to it.
    pub archived_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_fits_into_the_licence() {
        assert!(require_room(5, 0, 5).is_ok());
        assert!(require_room(5, 3, 2).is_ok());
        assert!(require_room(5, 3, 3).is_err());
        // It was made smaller: nothing more is reserved, and to use it needs no room.
        assert!(require_room(5, 9, 1).is_err());
        assert!(require_room(5, 9, 0).is_ok());
    }
}
