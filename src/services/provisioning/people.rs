//! People, as an organisation's directory has them.

use std::collections::BTreeSet;

use super::groups::settle_role;
use super::{Directory, Found, Part, Services};
use crate::domain::email_domain::Domain;
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::organisation::{Membership, Organisation, Role};
use crate::domain::provisioning::{
    Attribute, Condition, DirectoryName, DirectoryPerson, PersonChange,
};
use crate::domain::team::Team;
use crate::domain::time::{HOUR_MS, Timestamp};
use crate::domain::user::{Email, LinkPurpose, User};
use crate::services::accounts::{Person, add_account, give_link, mail_link};
use crate::services::oidc::accounts::{IDENTITIES_MAX, local_part, take_from_others};
use crate::services::orgs::{End, end_membership, join, owner_stays, tell_removed};
use crate::services::throttles::Mailing;
use crate::services::{Ctx, letters};
use crate::store::orgs::OF_USER_MAX;
use crate::store::provisioning::PROVISIONED_MAX;
use crate::store::{self, Read, WriteTx, email_domains, identities, orgs, provisioning, users};

/// People who are looked through for a filter that no index answers.
const LOOKED_THROUGH_MAX: usize = 2_000;

/// Somebody whom a directory wants to belong to its organisation.
pub struct PersonInput {
    /// The address.
    pub user_name: String,
    /// All else that it says.
    pub said: PersonChange,
}

/// Somebody as a directory sees them.
pub struct PersonSeen {
    /// The account.
    pub user: User,
    /// What they are in the organisation; none: they do not belong to it.
    pub membership: Option<Membership>,
    /// What the directory has said of them; none: nothing yet.
    pub said: Option<DirectoryPerson>,
    /// The directory's groups that they are in.
    pub groups: Vec<Team>,
}

impl PersonSeen {
    /// Whether they belong to the organisation and can sign in.
    pub fn active(&self) -> bool {
        self.membership.is_some() && self.user.deactivated_at.is_none()
    }

    /// When the directory's organisation first knew them, and when what it knows last changed.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        let joined = self.membership.as_ref().map_or(self.user.created_at, |it| it.joined_at);
        self.said.as_ref().map_or((joined, joined), |said| (said.created_at, said.changed_at))
    }
}

impl Services {
    /// Somebody of the organisation.
    ///
    /// # Errors
    /// `NotFound` for whoever neither belongs to it nor was provisioned.
    pub fn provisioned_person(&self, directory: &Directory, id: UserId) -> Result<PersonSeen> {
        self.store.read(|tx| seen(tx, directory.org_id, id))
    }

    /// Those of whom all of this holds.
    pub fn provisioned_people(
        &self,
        directory: &Directory,
        wanted: &[Condition],
        part: Part,
    ) -> Result<Found<PersonSeen>> {
        let id = directory.org_id;
        self.store.read(|tx| {
            let mut found = candidates(tx, id, wanted)?;
            if !wanted.is_empty() && found.len() > LOOKED_THROUGH_MAX {
                let text = format!(
                    "There are more than {LOOKED_THROUGH_MAX} people to look through: name userName, externalId or id as well."
                );
                return Err(Error::new(Code::InvalidFilter, text));
            }
            if !wanted.is_empty() {
                let mut kept = BTreeSet::new();
                for user_id in found {
                    if fits(&seen(tx, id, user_id)?, wanted) {
                        kept.insert(user_id);
                    }
                }
                found = kept;
            }
            let total = found.len();
            let some = found.into_iter().skip(part.skip).take(part.count);
            let items = some.map(|user_id| seen(tx, id, user_id)).collect::<Result<_>>()?;
            Ok(Found { total, items })
        })
    }

    /// Lets somebody belong to the organisation, with a new account where the address has none.
    ///
    /// # Errors
    /// A field error on `userName` for an address at a domain that is not the organisation's; `EmailTaken` for
    /// somebody who is there already; `MemberState` for whoever cannot be provisioned.
    pub async fn provision_person(
        &self,
        directory: &Directory,
        input: PersonInput,
    ) -> Result<PersonSeen> {
        let email = address(&input.user_name)?;
        let id = directory.org_id;
        let may_mail = self.throttles.check_mailing(Mailing::Provisioned(id, &email)).is_ok();
        let (ctx, directory) = (self.ctx_of_directory(directory), directory.clone());
        self.commit(move |tx| {
            directory.require_good(tx)?;
            let mut said = DirectoryPerson {
                org_id: id,
                user_id: UserId(ctx.record_id()),
                external_id: None,
                name: DirectoryName::default(),
                display_name: None,
                active: true,
                made_account: false,
                created_at: ctx.now,
                changed_at: ctx.now,
            };
            input.said.apply(&mut said);
            said.check()?;
            require_own_domain(tx, id, &email)?;
            let known = users::by_email(tx, &email)?;
            if let Some(user) = &known
                && is_there(tx, id, user.user_id)?
            {
                return Err(Error::new(
                    Code::EmailTaken,
                    "Somebody with this userName is there already; look them up with a filter and change them.",
                ));
            }
            if store::org(tx, id).provisioned_count()? >= PROVISIONED_MAX {
                let text = format!("There are {PROVISIONED_MAX} people; delete some who have left.");
                return Err(Error::new(Code::MemberState, text));
            }
            let user = match known {
                Some(user) => existing(&ctx, tx, user, &mut said)?,
                None => new(&ctx, tx, email, &mut said)?,
            };
            said.user_id = user.user_id;
            provisioning::put(tx, &said)?;
            ctx.audit(tx, Some(id), "member.provisioned", user.user_id, [])?;
            if said.active {
                enter(&ctx, tx, id, &user, &said, may_mail)?;
            }
            seen(tx, id, user.user_id)
        })
        .await
    }

    /// Changes what the directory says of somebody. Whoever is active from then on belongs to the
    /// organisation; whoever is not does not.
    ///
    /// # Errors
    /// `ReadOnly` for another address where the account was not made for the directory; `MemberState`
    /// for the owner, who stays, and for operators.
    pub async fn change_provisioned_person(
        &self,
        directory: &Directory,
        user_id: UserId,
        change: PersonChange,
    ) -> Result<PersonSeen> {
        let email = change.user_name.as_deref().map(address).transpose()?;
        let may_mail = self.may_mail(directory.org_id, user_id, email.as_ref(), change.active)?;
        let (ctx, directory) = (self.ctx_of_directory(directory), directory.clone());
        self.commit(move |tx| {
            if change.active == Some(false) {
                directory.require_token(tx)?;
            } else {
                directory.require_good(tx)?;
            }
            let id = directory.org_id;
            let before = seen(tx, id, user_id)?;
            let was_active = before.membership.is_some();
            let was = before.said.unwrap_or_else(|| DirectoryPerson {
                org_id: id,
                user_id,
                external_id: None,
                name: DirectoryName::default(),
                display_name: None,
                active: was_active,
                made_account: false,
                created_at: ctx.now,
                changed_at: ctx.now,
            });
            let mut said = was.clone();
            change.apply(&mut said);
            said.check()?;
            let mut user = before.user;
            if let Some(email) = email.filter(|email| *email != user.email) {
                rename(&ctx, tx, &mut user, email, &said, may_mail)?;
                said.changed_at = ctx.now;
            }
            let returns = change.active == Some(true) && !was_active;
            let stays = was_active && change.active != Some(false);
            // What the person has changed since stays; and whoever leaves does, whatever else is said.
            let named = returns || (stays && said.full_name() != was.full_name());
            let full_name = said.full_name().filter(|_| said.made_account && named);
            if let Some(full_name) = full_name.filter(|it| *it != user.full_name) {
                refuse_operators(&user)?;
                require_own_domain(tx, id, &user.email)?;
                let before = user.clone();
                user.full_name = full_name;
                users::update(tx, &user)?;
                ctx.audit_change(tx, Some(id), "user.renamed", user_id, [], &before, &user)?;
            }
            if said != was {
                said.changed_at = ctx.now;
                ctx.audit_change(tx, Some(id), "member.provisioned", user_id, [], &was, &said)?;
            }
            provisioning::put(tx, &said)?;
            match change.active {
                Some(true) if !was_active => {
                    require_own_domain(tx, id, &user.email)?;
                    enter(&ctx, tx, id, &user, &said, may_mail)?;
                }
                Some(false) => leave(&ctx, tx, id, &user, may_mail)?,
                _ => {}
            }
            seen(tx, id, user_id)
        })
        .await
    }

    /// Whether a mail that this change leads to is not one too many for the person. What changes nothing
    /// leads to none, and counts for nothing.
    fn may_mail(
        &self,
        id: OrgId,
        user_id: UserId,
        email: Option<&Email>,
        active: Option<bool>,
    ) -> Result<bool> {
        let person = self.store.read(|tx| seen(tx, id, user_id))?;
        let moves = active.is_some_and(|active| active != person.membership.is_some());
        let mailing = match email {
            Some(email) if *email != person.user.email => Mailing::Renamed(id, user_id),
            _ if moves => Mailing::Moved(id, user_id),
            _ => return Ok(false),
        };
        Ok(self.throttles.check_mailing(mailing).is_ok())
    }

    /// Forgets somebody, who does not belong to the organisation any more. The account stays theirs.
    ///
    /// # Errors
    /// `MemberState` for the owner and for operators.
    pub async fn remove_provisioned_person(
        &self,
        directory: &Directory,
        user_id: UserId,
    ) -> Result<()> {
        let may_mail = self.may_mail(directory.org_id, user_id, None, Some(false))?;
        let (ctx, directory) = (self.ctx_of_directory(directory), directory.clone());
        self.commit(move |tx| {
            directory.require_token(tx)?;
            let id = directory.org_id;
            let person = seen(tx, id, user_id)?;
            leave(&ctx, tx, id, &person.user, may_mail)?;
            for team in store::org(tx, id).all_teams()? {
                provisioning::let_go(tx, id, team.team_id, user_id)?;
            }
            if provisioning::remove(tx, id, user_id)? {
                ctx.audit(tx, Some(id), "member.unprovisioned", user_id, [])?;
            }
            Ok(())
        })
        .await
    }
}

/// Somebody, where they belong to the organisation or were provisioned.
fn seen(tx: &impl Read, id: OrgId, user_id: UserId) -> Result<PersonSeen> {
    let org = store::org(tx, id);
    let (membership, said) = (org.membership(user_id)?, org.provisioned(user_id)?);
    if membership.is_none() && said.is_none() {
        return Err(Error::not_found("user"));
    }
    let groups = groups_of(tx, id, user_id)?;
    Ok(PersonSeen { user: users::get(tx, user_id)?, membership, said, groups })
}

/// The directory's groups that somebody who belongs to the organisation is in.
pub(in crate::services) fn groups_of(
    tx: &impl Read,
    id: OrgId,
    user_id: UserId,
) -> Result<Vec<Team>> {
    let mut mine = store::org(tx, id).teams_of(user_id)?;
    mine.retain(|team| team.directory.is_some());
    Ok(mine)
}

fn is_there(tx: &impl Read, id: OrgId, user_id: UserId) -> Result<bool> {
    let org = store::org(tx, id);
    Ok(org.membership(user_id)?.is_some() || org.provisioned(user_id)?.is_some())
}

/// Those of whom it may hold: looked up by the first condition that leads to few.
fn candidates(tx: &impl Read, id: OrgId, wanted: &[Condition]) -> Result<BTreeSet<UserId>> {
    let org = store::org(tx, id);
    for condition in wanted {
        let found: Vec<UserId> = match condition.attribute {
            Attribute::Id => condition.value.parse().into_iter().collect(),
            Attribute::UserName | Attribute::Email => match Email::parse(&condition.value) {
                Ok(email) => {
                    users::by_email(tx, &email)?.map(|it| it.user_id).into_iter().collect()
                }
                Err(_) => Vec::new(),
            },
            Attribute::ExternalId => org.provisioned_as(&condition.value)?,
            // People have no members.
            Attribute::Member => Vec::new(),
            Attribute::DisplayName | Attribute::Active => continue,
        };
        let mut there = BTreeSet::new();
        for user_id in found {
            if is_there(tx, id, user_id)? {
                there.insert(user_id);
            }
        }
        return Ok(there);
    }
    org.people()
}

fn fits(person: &PersonSeen, wanted: &[Condition]) -> bool {
    let said = person.said.as_ref();
    wanted.iter().all(|Condition { attribute, value }| match attribute {
        Attribute::Id => person.user.user_id.to_string() == *value,
        Attribute::UserName | Attribute::Email => {
            Email::parse(value).is_ok_and(|email| email == person.user.email)
        }
        Attribute::ExternalId => {
            said.and_then(|said| said.external_id.as_ref()).is_some_and(|it| it == value)
        }
        Attribute::DisplayName => {
            let shown = match said {
                Some(said) => said.display_name.as_deref(),
                None => Some(person.user.full_name.as_str()),
            };
            shown.is_some_and(|shown| shown.to_lowercase() == value.to_lowercase())
        }
        Attribute::Active => person.active().to_string() == *value,
        Attribute::Member => false,
    })
}

fn address(user_name: &str) -> Result<Email> {
    let text = "must be the person's e-mail address, such as name@example.com";
    Email::parse(user_name).map_err(|_| Error::invalid("userName", text))
}

/// Refuses addresses at domains that the organisation has not shown to be its own.
fn require_own_domain(tx: &impl Read, id: OrgId, email: &Email) -> Result<()> {
    let owner = match Domain::of(email) {
        Some(domain) => email_domains::owner_of(tx, &domain)?,
        None => None,
    };
    if owner == Some(id) {
        return Ok(());
    }
    let domain = email.as_str().rsplit('@').next().unwrap_or_default();
    let text = format!(
        "{domain} is not a domain that this organisation has proved to be its own. Prove it first, or provision an address at one that is"
    );
    Err(Error::invalid("userName", text))
}

fn refuse_operators(user: &User) -> Result<()> {
    if user.operator {
        let text = "Whoever runs this appliance is not provisioned by a directory.";
        return Err(Error::new(Code::MemberState, text));
    }
    Ok(())
}

/// An account that there is, taken on. One whose address nobody has confirmed may have been made by
/// somebody else beforehand: nothing that they put there stays.
fn existing(
    ctx: &Ctx,
    tx: &mut WriteTx,
    mut user: User,
    said: &mut DirectoryPerson,
) -> Result<User> {
    refuse_operators(&user)?;
    if user.deactivated_at.is_some() {
        let text = "The account of this address is closed; ask whoever runs this server.";
        return Err(Error::new(Code::MemberState, text));
    }
    if user.email_verified {
        return Ok(user);
    }
    let before = user.clone();
    said.made_account = true;
    user.full_name = said.full_name().unwrap_or_else(|| local_part(&user.email));
    take_from_others(ctx, tx, &mut user)?;
    let org_id = Some(user.personal_org);
    ctx.audit_change(tx, org_id, "user.given_over", user.user_id, [], &before, &user)?;
    Ok(user)
}

/// A new account, without a password; that the address is theirs the person shows later.
fn new(ctx: &Ctx, tx: &mut WriteTx, email: Email, said: &mut DirectoryPerson) -> Result<User> {
    if !ctx.config.auth.open_registration {
        let text = "Nobody has an account with this address, and none is made here by whoever asks: let the vendor make it first.";
        return Err(Error::new(Code::MemberState, text));
    }
    said.made_account = true;
    let full_name = said.full_name().unwrap_or_else(|| local_part(&email));
    add_account(ctx, tx, Person::without_password(email, full_name), "user.created", false)
}

/// Mails somebody with a new account a link to choose a password with, unless they are to sign in through
/// the organisation's issuer.
fn tell_new(ctx: &Ctx, tx: &mut WriteTx, id: OrgId, user: &User) -> Result<()> {
    let org = store::org(tx, id);
    if org.sso()?.is_some() {
        return Ok(());
    }
    let organisation = org.organisation()?;
    let expires_at = ctx.now + i64::from(ctx.config.auth.verification_hours) * HOUR_MS;
    let link = give_link(ctx, tx, user, LinkPurpose::ResetPassword, expires_at)?;
    let message = letters::account_created(user, Some(&organisation), link, expires_at);
    let address = user.email.as_str();
    ctx.queue_mail(tx, Some(user.personal_org), address, "user.created", &message)
}

/// Gives somebody another address. Both must be the organisation's, and the account must have been made
/// for its directory; that the new one is read by them the person shows again.
fn rename(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &mut User,
    email: Email,
    said: &DirectoryPerson,
    may_mail: bool,
) -> Result<()> {
    refuse_operators(user)?;
    if !said.made_account {
        let text = "userName: this account was not made by the directory, so its address is the person's own to keep. Deactivate this user, and provision the new address.";
        return Err(Error::new(Code::ReadOnly, text));
    }
    require_own_domain(tx, said.org_id, &user.email)?;
    require_own_domain(tx, said.org_id, &email)?;
    let role = store::org(tx, said.org_id).membership(user.user_id)?.map(|member| member.role);
    if role == Some(Role::Owner) {
        let text = "userName: the owner's address is not the directory's to change. Make somebody else the owner first.";
        return Err(Error::new(Code::ReadOnly, text));
    }
    if is_used_elsewhere(tx, said.org_id, user)? {
        let text = "userName: this account has a second factor, or opens more than this organisation, so its address is the person's own to keep. Deactivate this user, and provision the new address.";
        return Err(Error::new(Code::ReadOnly, text));
    }
    if !may_mail {
        let text = "userName: this address was changed several times within the hour.";
        return Err(Error::new(Code::RateLimited, text).retry_after(600));
    }
    let before = user.clone();
    user.email = email;
    user.email_verified = false;
    // Links that were mailed to the address before are good no longer.
    user.password_changed_at = ctx.now;
    users::change_address(tx, &before.email, user)?;
    let org_id = Some(said.org_id);
    ctx.audit_change(tx, org_id, "user.address_changed", user.user_id, [], &before, user)?;
    let org = store::org(tx, said.org_id).organisation()?;
    let message = letters::address_changed(user, &org, ctx.now);
    let personal = Some(user.personal_org);
    ctx.queue_mail(tx, personal, before.email.as_str(), "user.address_changed", &message)?;
    if said.active {
        mail_link(ctx, tx, user, LinkPurpose::VerifyEmail)?;
    }
    Ok(())
}

/// Whether an account opens something that whoever reads its mail, or speaks for its organisation, does not
/// open anyway: a change of its address must not be a way there.
fn is_used_elsewhere(tx: &impl Read, id: OrgId, user: &User) -> Result<bool> {
    let user_id = user.user_id;
    let elsewhere = |it: &(Organisation, Membership)| it.0.org_id != id && !it.0.personal;
    let mine = orgs::of_user(tx, user_id, user.personal_org, OF_USER_MAX)?;
    let linked = identities::of_user(tx, user_id, IDENTITIES_MAX)?;
    Ok(user.second_factor_since.is_some()
        || mine.iter().any(elsewhere)
        || linked.iter().any(|identity| identity.org_id != Some(id)))
}

/// Lets somebody belong to the organisation, to the teams that the directory has them in, and as what
/// follows from those.
fn enter(
    ctx: &Ctx,
    tx: &mut WriteTx,
    org_id: OrgId,
    user: &User,
    said: &DirectoryPerson,
    may_mail: bool,
) -> Result<()> {
    refuse_operators(user)?;
    if user.deactivated_at.is_some() {
        let text = "The account of this user is closed; ask whoever runs this server.";
        return Err(Error::new(Code::MemberState, text));
    }
    let user_id = user.user_id;
    let sso = store::org(tx, org_id).sso()?;
    let usual = sso.as_ref().and_then(|sso| sso.default_role).unwrap_or(Role::Member);
    join(ctx, tx, &Membership { org_id, user_id, role: usual, joined_at: ctx.now })?;
    settle_role(ctx, tx, org_id, sso.as_ref(), user_id)?;
    match user.password_hash {
        _ if user.email_verified || !said.made_account || !may_mail => Ok(()),
        Some(_) => mail_link(ctx, tx, user, LinkPurpose::VerifyEmail),
        None => tell_new(ctx, tx, org_id, user),
    }
}

/// Ends somebody's belonging to the organisation.
fn leave(ctx: &Ctx, tx: &mut WriteTx, id: OrgId, user: &User, may_mail: bool) -> Result<()> {
    let user_id = user.user_id;
    let Some(member) = store::org(tx, id).membership(user_id)? else { return Ok(()) };
    if member.role == Role::Owner || user.personal_org == id {
        return Err(owner_stays());
    }
    refuse_operators(user)?;
    end_membership(ctx, tx, &member, End::Removed)?;
    if may_mail { tell_removed(ctx, tx, id, user) } else { Ok(()) }
}
