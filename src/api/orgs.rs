//! Organisations, who belongs to them, and invitations.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Anybody, From, Person, path_id};
use super::json::{Created, Json};
use super::wire::{Done, Time, list, page_request};
use super::{Answer, Tag};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::organisation;
use crate::services::Services;
use crate::services::invitations::{Newcomer, Shown};
use crate::services::orgs::{self, OrgChange};

/// The calls about organisations.
pub struct Orgs {
    /// The operations.
    pub services: Arc<Services>,
}

/// What a person is in an organisation.
#[derive(Clone, Copy, Enum, Serialize, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, including giving it away.
    Owner,
    /// Everything but that.
    Admin,
    /// The money alone.
    Billing,
    /// Its licences to use, and own machines and seats.
    Member,
}

impl std::convert::From<organisation::Role> for Role {
    fn from(role: organisation::Role) -> Self {
        match role {
            organisation::Role::Owner => Self::Owner,
            organisation::Role::Admin => Self::Admin,
            organisation::Role::Billing => Self::Billing,
            organisation::Role::Member => Self::Member,
        }
    }
}

impl std::convert::From<Role> for organisation::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Billing => Self::Billing,
            Role::Member => Self::Member,
        }
    }
}

/// An organisation, as one of its members sees it.
#[derive(Object, Serialize)]
pub struct Membership {
    /// Identifies the organisation.
    org_id: Uuid,
    /// What people call it.
    name: String,
    /// Whether it was made for one person at registration.
    personal: bool,
    /// What you are there.
    role: Role,
    /// What that lets you do: `org.read`, `org.manage`, `teams.manage`, `org.own`, `licenses.read`, `licenses.manage`,
    /// `seats.read`, `billing.read`, `billing.manage`.
    permissions: Vec<String>,
    /// Whether people act for it only with an account that has a second factor.
    require_second_factor: bool,
    /// Once it is to be deleted: until when its owner can take that back.
    deletion_due_at: Option<Time>,
    /// When it was made.
    created_at: Time,
}

impl std::convert::From<(organisation::Organisation, organisation::Role)> for Membership {
    fn from((org, role): (organisation::Organisation, organisation::Role)) -> Self {
        let may = organisation::Permission::ALL.into_iter().filter(|each| role.may(*each));
        Self {
            org_id: org.org_id.0,
            name: org.name,
            personal: org.personal,
            role: role.into(),
            permissions: may.map(|each| each.as_str().to_owned()).collect(),
            require_second_factor: org.require_second_factor,
            deletion_due_at: org.deletion.map(|deletion| deletion.due_at.into()),
            created_at: org.created_at.into(),
        }
    }
}

/// The organisations that a person belongs to.
#[derive(Object, Serialize)]
pub struct Memberships {
    /// The person's own first.
    items: Vec<Membership>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// Somebody who belongs to an organisation.
#[derive(Object, Serialize)]
pub struct Member {
    /// The person.
    user_id: Uuid,
    /// The person's address.
    email: String,
    /// The person's name.
    full_name: String,
    /// What the person is there.
    role: Role,
    /// Since when.
    joined_at: Time,
    /// When the person's account was closed.
    deactivated_at: Option<Time>,
    /// Whether the person's account has a second factor; null unless you may require one.
    second_factor: Option<bool>,
}

impl std::convert::From<orgs::Member> for Member {
    fn from(seen: orgs::Member) -> Self {
        let orgs::Member { membership: member, user, second_factor } = seen;
        Self {
            second_factor,
            user_id: user.user_id.0,
            email: user.email.as_str().to_owned(),
            full_name: user.full_name,
            role: member.role.into(),
            joined_at: member.joined_at.into(),
            deactivated_at: user.deactivated_at.map(Time),
        }
    }
}

/// A name for an organisation.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct OrgName {
    /// 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: String,
}

/// What is to change of an organisation; what is left out stays.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ChangeOrg {
    /// 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    name: Option<String>,
    /// Whether people act for it only with an account that has a second factor. Your own must have one.
    require_second_factor: Option<bool>,
}

/// Which organisation is to be deleted.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct DeleteOrg {
    /// Its name, to show that this one is meant.
    #[oai(validator(max_length = 200))]
    name: String,
}

/// What a member is to be.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// `admin`, `billing` or `member`; an organisation is given away by its own call.
    role: Role,
}

/// Who is to own an organisation.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// A member.
    user_id: Uuid,
}

/// Whom to ask to join.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Receives the invitation, and can alone accept it.
    #[oai(validator(max_length = 254))]
    email: String,
    /// `admin`, `billing` or `member`.
    role: Role,
}

/// Somebody who was asked to join and has not answered.
#[derive(Object, Serialize)]
pub struct Invitation {
    /// Identifies the invitation.
    invitation_id: Uuid,
    /// The organisation.
    org_id: Uuid,
    /// Who was asked.
    email: String,
    /// As what.
    role: Role,
    /// Who asked.
    invited_by: Uuid,
    /// When.
    created_at: Time,
    /// When it was mailed last.
    sent_at: Time,
    /// When its link stops working.
    expires_at: Time,
}

impl std::convert::From<organisation::Invitation> for Invitation {
    fn from(invitation: organisation::Invitation) -> Self {
        Self {
            invitation_id: invitation.invitation_id.0,
            org_id: invitation.org_id.0,
            email: invitation.email.as_str().to_owned(),
            role: invitation.role.into(),
            invited_by: invitation.invited_by.0,
            created_at: invitation.created_at.into(),
            sent_at: invitation.sent_at.into(),
            expires_at: invitation.expires_at.into(),
        }
    }
}

/// Open invitations.
#[derive(Object, Serialize)]
pub struct Invitations {
    /// Oldest first.
    items: Vec<Invitation>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// The token of a mailed invitation.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct InvitationToken {
    /// What follows `token=` in the link.
    #[oai(validator(max_length = 200))]
    token: String,
}

/// What an invitation asks.
#[derive(Object, Serialize)]
pub struct ShownInvitation {
    /// The organisation's name.
    org_name: String,
    /// Who was asked.
    email: String,
    /// As what.
    role: Role,
    /// When the link stops working.
    expires_at: Time,
    /// Whether the address has an account, to sign in with before accepting.
    has_account: bool,
}

impl std::convert::From<Shown> for ShownInvitation {
    fn from(shown: Shown) -> Self {
        Self {
            org_name: shown.organisation.name,
            email: shown.invitation.email.as_str().to_owned(),
            role: shown.invitation.role.into(),
            expires_at: shown.invitation.expires_at.into(),
            has_account: shown.has_account,
        }
    }
}

/// The answer to an invitation.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvitation {
    /// What follows `token=` in the link.
    #[oai(validator(max_length = 200))]
    token: String,
    /// For whoever has no account yet; 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    full_name: Option<String>,
    /// For whoever has no account yet; at most 256 characters that cannot be guessed, and at least 15 unless the settings say otherwise.
    #[oai(validator(min_length = 8, max_length = 256))]
    password: Option<String>,
}

list! {
    /// A page of members.
    MemberList of Member;
}

#[OpenApi(prefix_path = "/api/v1", tag = "Tag::Organisations")]
impl Orgs {
    /// Your organisations
    ///
    /// The one that a request is for is named by the header `Coditect-Organisation`; without it a request
    /// is for your own, or for the one that an API key was made for.
    #[oai(path = "/orgs", method = "get", operation_id = "list_orgs")]
    async fn list_orgs(&self, person: Person) -> Answer<Json<Memberships>> {
        let items = self.services.my_orgs(&person.0)?.into_iter().map(Membership::from).collect();
        Ok(Json(Memberships { items, next_cursor: None }))
    }

    /// Make an organisation
    ///
    /// You own it.
    #[oai(path = "/orgs", method = "post", operation_id = "create_org")]
    async fn create_org(&self, person: Person, body: Json<OrgName>) -> Answer<Created<Membership>> {
        let org = self.services.create_org(&person.0, &body.0.name).await?;
        Ok(Created((org, organisation::Role::Owner).into()))
    }

    /// One organisation
    #[oai(path = "/orgs/:org_id", method = "get", operation_id = "get_org")]
    async fn get_org(&self, person: Person, org_id: Path<String>) -> Answer<Json<Membership>> {
        Ok(Json(self.services.org(&person.0, org(&org_id)?)?.into()))
    }

    /// Rename an organisation, or require a second factor
    ///
    /// Where one is required, members whose account has none are refused with 403 `mfa_enrolment_required`
    /// until they set it up. API keys are not concerned.
    #[oai(path = "/orgs/:org_id", method = "patch", operation_id = "change_org")]
    async fn change_org(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<ChangeOrg>,
    ) -> Answer<Json<Membership>> {
        let (id, Json(ChangeOrg { name, require_second_factor })) = (org(&org_id)?, body);
        let change = OrgChange { name, require_second_factor };
        Ok(Json(self.services.change_org(&person.0, id, change).await?.into()))
    }

    /// Delete an organisation
    ///
    /// For its owner who has signed in, and operators. It is erased after `orgs.deletion_wait_days`; until
    /// then its licences work as before, nothing is added to it, and `POST /orgs/{org_id}/restore` takes
    /// that back. Cancel first what Stripe bills. The one that was made for you at registration goes with
    /// your account.
    #[oai(path = "/orgs/:org_id", method = "delete", operation_id = "delete_org")]
    async fn delete_org(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<DeleteOrg>,
    ) -> Answer<Json<Membership>> {
        let id = org(&org_id)?;
        Ok(Json(self.services.delete_org(&person.0, id, body.0.name).await?.into()))
    }

    /// Give an organisation to another member
    ///
    /// You are an admin of it from then on.
    #[oai(path = "/orgs/:org_id/transfer", method = "post", operation_id = "transfer_org")]
    async fn transfer_org(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<Transfer>,
    ) -> Answer<Json<Membership>> {
        let (id, user_id) = (org(&org_id)?, UserId(body.0.user_id));
        Ok(Json(self.services.transfer_org(&person.0, id, user_id).await?.into()))
    }

    /// Who belongs to an organisation
    #[oai(path = "/orgs/:org_id/members", method = "get", operation_id = "list_members")]
    async fn list_members(
        &self,
        person: Person,
        org_id: Path<String>,
        limit: Query<Option<u32>>,
        cursor: Query<Option<String>>,
    ) -> Answer<Json<MemberList>> {
        let request = page_request(limit.0, cursor.0.as_deref())?;
        let page = self.services.members(&person.0, org(&org_id)?, &request)?;
        Ok(Json(MemberList::of(page, Member::from)))
    }

    /// Change a member's role
    #[oai(path = "/orgs/:org_id/members/:user_id", method = "patch", operation_id = "change_role")]
    async fn change_role(
        &self,
        person: Person,
        org_id: Path<String>,
        user_id: Path<String>,
        body: Json<ChangeRole>,
    ) -> Answer<Json<Member>> {
        let (id, user_id) = (org(&org_id)?, path_id(&user_id.0, "member")?);
        let role = body.0.role.into();
        Ok(Json(self.services.change_role(&person.0, id, user_id, role).await?.into()))
    }

    /// Remove a member, or leave
    ///
    /// Your own id is how you leave. What the person bought stays with the organisation.
    #[oai(
        path = "/orgs/:org_id/members/:user_id",
        method = "delete",
        operation_id = "remove_member"
    )]
    async fn remove_member(
        &self,
        person: Person,
        org_id: Path<String>,
        user_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, user_id) = (org(&org_id)?, path_id(&user_id.0, "member")?);
        self.services.remove_member(&person.0, id, user_id).await?;
        Ok(Json(Done::new("removed")))
    }

    /// Open invitations
    #[oai(path = "/orgs/:org_id/invitations", method = "get", operation_id = "list_invitations")]
    async fn list_invitations(
        &self,
        person: Person,
        org_id: Path<String>,
    ) -> Answer<Json<Invitations>> {
        let open = self.services.invitations(&person.0, org(&org_id)?)?;
        let items = open.into_iter().map(Invitation::from).collect();
        Ok(Json(Invitations { items, next_cursor: None }))
    }

    /// Ask somebody to join
    ///
    /// The link in the mail works for seven days, for this address alone.
    #[oai(path = "/orgs/:org_id/invitations", method = "post", operation_id = "invite")]
    async fn invite(
        &self,
        person: Person,
        org_id: Path<String>,
        body: Json<Invite>,
    ) -> Answer<Created<Invitation>> {
        let (id, Invite { email, role }) = (org(&org_id)?, body.0);
        let invited = self.services.invite(&person.0, id, &email, role.into()).await?;
        Ok(Created(invited.into()))
    }

    /// Mail an invitation once more
    ///
    /// With a new link; the one before is good no longer.
    #[oai(
        path = "/orgs/:org_id/invitations/:invitation_id/resend",
        method = "post",
        operation_id = "resend_invitation"
    )]
    async fn resend_invitation(
        &self,
        person: Person,
        org_id: Path<String>,
        invitation_id: Path<String>,
    ) -> Answer<Json<Invitation>> {
        let (id, invitation) = (org(&org_id)?, path_id(&invitation_id.0, "invitation")?);
        Ok(Json(self.services.resend_invitation(&person.0, id, invitation).await?.into()))
    }

    /// Take an invitation back
    #[oai(
        path = "/orgs/:org_id/invitations/:invitation_id",
        method = "delete",
        operation_id = "revoke_invitation"
    )]
    async fn revoke_invitation(
        &self,
        person: Person,
        org_id: Path<String>,
        invitation_id: Path<String>,
    ) -> Answer<Json<Done>> {
        let (id, invitation) = (org(&org_id)?, path_id(&invitation_id.0, "invitation")?);
        self.services.revoke_invitation(&person.0, id, invitation).await?;
        Ok(Json(Done::new("revoked")))
    }

    /// What a mailed invitation asks
    #[oai(path = "/invitations/look", method = "post", operation_id = "look_at_invitation")]
    async fn look_at_invitation(
        &self,
        from: From,
        body: Json<InvitationToken>,
    ) -> Answer<Json<ShownInvitation>> {
        Ok(Json(self.services.look_at_invitation(&from.0, &body.0.token)?.into()))
    }

    /// Accept an invitation
    ///
    /// Signed in as the person with the invited address, or with a name and a password for a new account.
    #[oai(path = "/invitations/accept", method = "post", operation_id = "accept_invitation")]
    async fn accept_invitation(
        &self,
        who: Anybody,
        from: From,
        body: Json<AcceptInvitation>,
    ) -> Answer<Json<Membership>> {
        let Json(AcceptInvitation { token, full_name, password }) = body;
        let newcomer =
            full_name.zip(password).map(|(full_name, password)| Newcomer { full_name, password });
        let accepted =
            self.services.accept_invitation(who.0.as_ref(), &from.0, &token, newcomer).await?;
        Ok(Json(accepted.into()))
    }
}

fn org(id: &Path<String>) -> Result<OrgId, super::Problem> {
    path_id(&id.0, "organisation")
}
