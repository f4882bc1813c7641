//! The issuer that an organisation names for its members.
//!
//! Its owner decides what that issuer says. So its word about an address is worth nothing here: whoever it
//! names is bound to it only after a link that was mailed to the address was followed, and operators of the
//! appliance are never. From then on it signs that person in, and its groups say what they are in the
//! organisation, at each sign-in anew; owners it neither makes nor unmakes.

use std::sync::Arc;

use reqwest::Url;
use serde_json::json;

use super::accounts::{IDENTITIES_MAX, give_over, local_part, new_account, open, room_for_another};
use super::{Realm, Services, Settings};
use crate::config::Secret;
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result};
use crate::domain::identity::{GroupRole, Identity, PendingIdentity, Sso};
use crate::domain::ids::{IdentityId, OrgId, UserId};
use crate::domain::organisation::{Membership, Organisation, Permission, Role};
use crate::domain::plan::check_text;
use crate::domain::time::{DAY_MS, Timestamp};
use crate::identity::oidc::{Claims, Issuer};
use crate::identity::tokens;
use crate::services::accounts::Person;
use crate::services::orgs::{End, end_membership, join, place, set_role};
use crate::services::provisioning::groups_of;
use crate::services::second_factor::Check;
use crate::services::sign_in::{Grant, SignedIn};
use crate::services::throttles::{Mailing, OrgWork};
use crate::services::{Actor, Caller, Ctx, letters};
use crate::store::{self, Read, WriteTx, identities, users};

/// How long a mailed link confirms.
const CONFIRM_MS: i64 = DAY_MS;
const GROUPS_MAX: usize = 100;
const TEXT_CHARS_MAX: usize = 500;
const SCOPES: &str = "openid email profile";

/// What an owner says of the organisation's issuer.
pub struct SsoInput {
    /// Its `iss`.
    pub issuer: String,
    /// This server, as the issuer knows it.
    pub client_id: String,
    /// The client's secret; left out: the one that is there, where issuer and client stay the same.
    pub client_secret: Option<String>,
    /// What is asked of the issuer; left out: `openid email profile`.
    pub scopes: Option<String>,
    /// The claim that lists groups; left out: `groups`.
    pub groups_claim: Option<String>,
    /// What groups make of a person.
    pub groups: Vec<GroupRole>,
    /// What everybody else is.
    pub default_role: Option<Role>,
}

/// The issuer as it may be shown.
pub struct SsoShown {
    /// All but the secret.
    pub sso: Sso,
    /// Where members begin to sign in.
    pub start_url: String,
    /// Where the issuer is to send them back.
    pub redirect_uri: String,
}

/// What the issuer of an organisation has to know of this server, whether one is named yet or not.
pub struct SsoAddresses {
    /// Whether one is.
    pub set: bool,
    /// Where members begin to sign in.
    pub start_url: String,
    /// Where the issuer is to send them back.
    pub redirect_uri: String,
}

impl Services {
    /// Where members of an organisation go to sign in, and come back to.
    pub fn sso_addresses(&self, actor: &Actor, id: OrgId) -> Result<SsoAddresses> {
        let set = self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgManage)?;
            Ok(store::org(tx, id).sso()?.is_some())
        })?;
        let (start_url, redirect_uri) = self.addresses(id);
        Ok(SsoAddresses { set, start_url, redirect_uri })
    }

    /// The issuer that an organisation names.
    ///
    /// # Errors
    /// `NotFound` where it names none.
    pub fn sso(&self, actor: &Actor, id: OrgId) -> Result<SsoShown> {
        let sso = self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgManage)?;
            store::org(tx, id).sso()
        })?;
        sso.map(|sso| self.shown(sso)).ok_or_else(|| Error::not_found("single sign-on"))
    }

    /// Names the issuer that an organisation's members sign in through, once it answers.
    ///
    /// # Errors
    /// A field error for what cannot be used, an issuer that does not answer among it.
    pub async fn set_sso(&self, actor: &Actor, id: OrgId, input: SsoInput) -> Result<SsoShown> {
        actor.refuse_programs()?;
        let now = self.clock.now().wall;
        let (before, directory) = self.store.read(|tx| {
            place(tx, actor, id, Permission::OrgOwn)?;
            let org = store::org(tx, id);
            Ok((org.sso()?, org.has_directory(now)?))
        })?;
        self.throttles.check_org_work(id, OrgWork::Issuer)?;
        let secret = input.client_secret.clone().filter(|secret| !secret.is_empty());
        let ctx = self.ctx_of(actor);
        let mut sso = checked(id, input, directory)?;
        sso.changed_at = ctx.now;
        sso.sealed_secret = match secret {
            Some(secret) => {
                Some(self.master.seal(&ctx.entropy, &sealed_for(id), secret.as_bytes()))
            }
            // Another issuer must not be told the secret of the one before.
            None => before
                .filter(|it| (&it.issuer, &it.client_id) == (&sso.issuer, &sso.client_id))
                .and_then(|it| it.sealed_secret),
        };
        self.issuer_of(&sso)?.check().await.map_err(|why| {
            Error::invalid("issuer", format!("must be an issuer that answers: {why}"))
        })?;
        let (actor, stored) = (actor.clone(), sso.clone());
        self.commit(move |tx| {
            let (org, _) = place(tx, &actor, id, Permission::OrgOwn)?;
            org.require_staying()?;
            let was = store::org(tx, id).sso()?.map_or(json!({}), |was| json!(was));
            identities::put_sso(tx, &stored)?;
            let told = [("issuer", stored.issuer.clone())];
            ctx.audit_change(tx, Some(id), "org.sso_set", id, told, &was, &stored)
        })
        .await?;
        Ok(self.shown(sso))
    }

    /// Takes the issuer away: nobody is signed in through it any more. Who belongs to the organisation stays.
    pub async fn remove_sso(&self, actor: &Actor, id: OrgId) -> Result<()> {
        actor.refuse_programs()?;
        let (ctx, actor) = (self.ctx_of(actor), actor.clone());
        self.commit(move |tx| {
            place(tx, &actor, id, Permission::OrgOwn)?;
            if !identities::remove_sso(tx, id)? {
                return Err(Error::not_found("single sign-on"));
            }
            ctx.audit(tx, Some(id), "org.sso_removed", id, [])
        })
        .await
    }

    fn shown(&self, sso: Sso) -> SsoShown {
        let (start_url, redirect_uri) = self.addresses(sso.org_id);
        SsoShown { sso, start_url, redirect_uri }
    }

    fn addresses(&self, id: OrgId) -> (String, String) {
        let realm = Realm::Org(id);
        let start_url = format!("{}/api/v1/auth/oidc/{}/start", self.public_url(), realm.path());
        (start_url, self.redirect_uri(&realm))
    }

    /// The issuer that an organisation names, and what is asked of it.
    pub(super) fn org_issuer(&self, id: OrgId) -> Result<Option<(Arc<Issuer>, String)>> {
        let Some(sso) = self.store.read(|tx| store::org(tx, id).sso())? else { return Ok(None) };
        let key = tokens::digest(&serde_json::to_string(&sso).map_err(Error::internal)?);
        if let Some(issuer) = self.oidc.org_issuers.get(&key) {
            return Ok(Some((issuer, sso.scopes)));
        }
        let issuer = Arc::new(self.issuer_of(&sso)?);
        self.oidc.org_issuers.insert(key, Arc::clone(&issuer));
        Ok(Some((issuer, sso.scopes)))
    }

    fn issuer_of(&self, sso: &Sso) -> Result<Issuer> {
        let open = |sealed: &Vec<u8>| -> Result<Secret> {
            let plain =
                self.master.open(&sealed_for(sso.org_id), sealed).map_err(Error::internal)?;
            let text = std::str::from_utf8(&plain).map_err(Error::internal)?;
            Ok(Secret::new(text))
        };
        let settings = Settings {
            issuer: sso.issuer.clone(),
            aliases: Vec::new(),
            client_id: sso.client_id.clone(),
            audiences: Vec::new(),
            client_secret: sso.sealed_secret.as_ref().map(open).transpose()?,
            jwks_url: None,
            auth_time: false,
            groups_claim: Some(sso.groups_claim.clone()),
        };
        Ok(Issuer::new(settings, self.oidc.org_http.clone(), self.clock.clone()))
    }

    /// Signs in whoever an organisation's issuer names, where that person has agreed to it.
    pub(super) async fn enter_org(
        &self,
        caller: &Caller,
        id: OrgId,
        claims: &Claims,
        totp: Option<String>,
    ) -> Result<SignedIn> {
        let mut ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        let known = self.store.read(|tx| {
            let sso = current(tx, id, claims)?;
            let known = identities::by_subject(tx, Some(id), &sso.issuer, claims.subject())?;
            known.map(|known| users::get(tx, known.user_id)).transpose()
        })?;
        let Some(user) = known else { return Err(self.ask_to_confirm(&ctx, id, claims).await?) };
        self.require_open(&ctx, &user)?;
        ctx.by = By::User(user.user_id);
        let (check, claims) = (Check::new(self, caller), claims.clone());
        let grant = Grant::new(&ctx, caller).through(Realm::Org(id).audited()).of_org(id);
        let answer = self
            .commit(move |tx| {
                let sso = current(tx, id, &claims)?;
                let known = identities::by_subject(tx, Some(id), &sso.issuer, claims.subject())?;
                let mut known = known.ok_or_else(|| Error::not_found("identity"))?;
                let user = users::get(tx, known.user_id)?;
                open(&user)?;
                if user.operator {
                    return Err(no_operators());
                }
                let Some(role) = role_in(tx, &sso, &claims, Some(user.user_id), ctx.now)? else {
                    leave(&ctx, tx, id, &user)?;
                    return Ok(Err(in_no_group()));
                };
                let asked = match check.at_sign_in(&ctx, tx, &user, totp.as_deref())? {
                    Ok(asked) => asked,
                    Err(refused) => return Ok(Err(refused)),
                };
                become_member(&ctx, tx, id, user.user_id, role)?;
                known.last_used_at = ctx.now;
                known.email = claims.email().or(known.email);
                identities::put(tx, &known)?;
                grant.with_code(asked).begin(&ctx, tx, user).map(Ok)
            })
            .await?;
        let (user, granted) = answer?;
        self.signed_in(user, granted)
    }

    /// Mails the address that the issuer tells a link to agree with. Whose account it is, or whether there is
    /// one, the answer does not tell.
    async fn ask_to_confirm(&self, ctx: &Ctx, id: OrgId, claims: &Claims) -> Result<Error> {
        let Some(email) = claims.email() else {
            let text =
                "Your organisation's issuer tells no e-mail address of yours. Ask whoever runs it.";
            return Ok(Error::new(Code::IdentityUnverified, text));
        };
        self.throttles.check_mailing(Mailing::Identified(&email))?;
        let (ctx, claims) = (ctx.clone(), claims.clone());
        let told = Error::new(
            Code::IdentityUnconfirmed,
            format!(
                "A mail is on its way to {}. Follow the link in it once; then sign in here again.",
                email.as_str()
            ),
        );
        self.commit(move |tx| {
            let sso = current(tx, id, &claims)?;
            let theirs = users::by_email(tx, &email)?;
            let user_id = theirs.as_ref().map(|user| user.user_id);
            if role_in(tx, &sso, &claims, user_id, ctx.now)?.is_none() {
                return Ok(in_no_group());
            }
            let org = store::org(tx, id).organisation()?;
            let never =
                |user: &crate::domain::user::User| user.operator || user.deactivated_at.is_some();
            if theirs.as_ref().is_some_and(never) {
                return Ok(told);
            }
            let token = tokens::secret(&ctx.entropy, "");
            let end = ctx.now + CONFIRM_MS;
            let pending = PendingIdentity {
                org_id: id,
                issuer: sso.issuer,
                subject: claims.subject().to_owned(),
                full_name: claims.name().unwrap_or_else(|| local_part(&email)),
                email: email.clone(),
            };
            identities::put_pending(tx, &tokens::digest(&token), end, &pending)?;
            let link = format!("{}/confirm-identity?token={token}", ctx.public_url());
            let message = letters::confirm_identity(&org, link, end);
            let cause = "identity.confirmation_asked";
            ctx.audit(tx, Some(id), cause, id, [("email", email.as_str().to_owned())])?;
            ctx.queue_mail(tx, Some(id), email.as_str(), cause, &message)?;
            Ok(told)
        })
        .await
    }

    /// What the holder of a mailed link agrees to.
    pub fn look_at_identity(
        &self,
        caller: &Caller,
        token: &str,
    ) -> Result<(Organisation, PendingIdentity)> {
        self.throttles.check_address(caller.address)?;
        let (hash, now) = (tokens::digest(token), self.clock.now().wall);
        self.store.read(|tx| {
            let (_, pending) = identities::pending(tx, &hash)?
                .filter(|(end, _)| *end > now)
                .ok_or_else(not_good)?;
            let org = store::org(tx, pending.org_id).organisation()?;
            Ok((org, pending))
        })
    }

    /// Lets an organisation's issuer sign in to the account of the address that the link was mailed to; one
    /// is made where there is none.
    ///
    /// # Errors
    /// `InvalidToken`; `Forbidden` where no account is made, and for operators.
    pub async fn confirm_identity(&self, caller: &Caller, token: &str) -> Result<Organisation> {
        self.throttles.check_address(caller.address)?;
        let hash = tokens::digest(token);
        let ctx = self.ctx(By::Anonymous).of(By::Anonymous, caller);
        self.commit(move |tx| {
            let (_, pending) = identities::take_pending(tx, &hash)?
                .filter(|(end, _)| *end > ctx.now)
                .ok_or_else(not_good)?;
            let id = pending.org_id;
            let sso = store::org(tx, id).sso()?.filter(|sso| sso.issuer == pending.issuer);
            sso.ok_or_else(not_good)?;
            let org = store::org(tx, id).organisation()?;
            let known = identities::by_subject(tx, Some(id), &pending.issuer, &pending.subject)?;
            if known.is_some() {
                return Err(not_good());
            }
            let user = match users::by_email(tx, &pending.email)? {
                Some(user) => {
                    open(&user)?;
                    if user.operator {
                        return Err(no_operators());
                    }
                    if user.email_verified {
                        user
                    } else {
                        give_over(&ctx, tx, user, pending.full_name)?
                    }
                }
                None if !ctx.config.auth.open_registration => {
                    let text = "Registration is closed here; ask the vendor for an account, then sign in again.";
                    return Err(Error::new(Code::Forbidden, text));
                }
                None => {
                    let person = Person::without_password(pending.email.clone(), pending.full_name);
                    new_account(&ctx, tx, person, Some(&org))?
                }
            };
            room_for_another(identities::of_user(tx, user.user_id, IDENTITIES_MAX)?.len())?;
            let identity = Identity {
                identity_id: IdentityId(ctx.record_id()),
                user_id: user.user_id,
                org_id: Some(id),
                provider: String::new(),
                issuer: pending.issuer.clone(),
                subject: pending.subject,
                email: Some(pending.email),
                linked_at: ctx.now,
                last_used_at: ctx.now,
            };
            identities::put(tx, &identity)?;
            let ctx = Ctx { by: By::User(user.user_id), ..ctx };
            let told = [("provider", Realm::Org(id).audited()), ("issuer", pending.issuer)];
            ctx.audit(tx, Some(user.personal_org), "identity.linked", user.user_id, told)?;
            Ok(org)
        })
        .await
    }
}

/// The organisation's issuer, where it is still the one that spoke: another one's subjects are others.
fn current(tx: &impl Read, id: OrgId, claims: &Claims) -> Result<Sso> {
    let sso = store::org(tx, id).sso()?.filter(|sso| sso.issuer == claims.issuer());
    sso.ok_or_else(|| Error::not_found("provider"))
}

/// What somebody is by the groups that the issuer tells, and those that the organisation's directory has
/// them in; none: nothing. Whoever the directory wants there is a member where no group says
/// more; whoever it has deactivated the issuer does not bring back.
fn role_in(
    tx: &impl Read,
    sso: &Sso,
    claims: &Claims,
    user_id: Option<UserId>,
    now: Timestamp,
) -> Result<Option<Role>> {
    let mut groups = claims.groups(&sso.groups_claim);
    let Some(user_id) = user_id else { return Ok(sso.role_of(&groups)) };
    let org = store::org(tx, sso.org_id);
    if org.is_deactivated(user_id, now)? {
        return Ok(None);
    }
    let (member, said) = (org.membership(user_id)?, org.provisioned(user_id)?);
    groups.extend(groups_of(tx, sso.org_id, user_id)?.into_iter().map(|team| team.name));
    let wanted = said.is_some_and(|said| said.active) && org.has_directory(now)?;
    let kept = member.filter(|_| wanted).map(|member| match member.role {
        Role::Owner => Role::Owner,
        _ => Role::Member,
    });
    Ok(sso.role_of(&groups).or(kept))
}

/// What the issuer's groups make of somebody, done. An owner stays one.
fn become_member(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: OrgId,
    user_id: UserId,
    role: Role,
) -> Result<()> {
    let Some(member) = store::org(tx, id).membership(user_id)? else {
        return join(ctx, tx, &Membership { org_id: id, user_id, role, joined_at: ctx.now });
    };
    if member.role == Role::Owner || member.role == role {
        return Ok(());
    }
    set_role(ctx, tx, &member, role, Some("single sign-on")).map(drop)
}

/// Somebody whom no group makes anything does not belong to the organisation any more.
fn leave(ctx: &Ctx, tx: &mut WriteTx, id: OrgId, user: &crate::domain::user::User) -> Result<()> {
    let Some(member) = store::org(tx, id).membership(user.user_id)? else { return Ok(()) };
    if member.role == Role::Owner || user.personal_org == id {
        return Ok(());
    }
    end_membership(ctx, tx, &member, End::NoGroup)
}

/// What a sealed secret is and whose, so that it opens for nobody else.
pub(in crate::services) fn sealed_for(id: OrgId) -> Vec<u8> {
    format!("sso:{id}").into_bytes()
}

/// The settings, where they can be used. Without a rule for anybody all members would be sent away as they sign
/// in, unless the organisation's directory wants them there.
fn checked(org_id: OrgId, input: SsoInput, directory: bool) -> Result<Sso> {
    let url = Url::parse(&input.issuer).ok();
    let plain = url.is_some_and(|url| url.query().is_none() && url.fragment().is_none());
    if !plain || input.issuer.len() > TEXT_CHARS_MAX {
        return Err(Error::invalid(
            "issuer",
            "must be an address such as https://login.example.com",
        ));
    }
    check_text("client_id", &input.client_id, 1, TEXT_CHARS_MAX)?;
    let scopes = input.scopes.unwrap_or_else(|| SCOPES.to_owned());
    check_text("scopes", &scopes, 1, TEXT_CHARS_MAX)?;
    if !scopes.split(' ').any(|scope| scope == "openid") {
        return Err(Error::invalid(
            "scopes",
            "must be words separated by spaces, openid among them",
        ));
    }
    let groups_claim = input.groups_claim.unwrap_or_else(|| "groups".to_owned());
    check_text("groups_claim", &groups_claim, 1, 200)?;
    if input.groups.len() > GROUPS_MAX {
        return Err(Error::invalid("groups", format!("must be at most {GROUPS_MAX}")));
    }
    for rule in &input.groups {
        check_text("groups", &rule.group, 1, 200)?;
    }
    let owner = input.groups.iter().any(|rule| rule.role == Role::Owner);
    if owner || input.default_role == Some(Role::Owner) {
        let field = if owner { "groups" } else { "default_role" };
        return Err(Error::invalid(
            field,
            "must not make owners: ownership is given away by the owner alone",
        ));
    }
    if input.groups.is_empty() && input.default_role.is_none() && !directory {
        return Err(Error::invalid(
            "groups",
            "must name at least one group, or there must be a default role: all members would lose their place at their next sign-in",
        ));
    }
    Ok(Sso {
        org_id,
        issuer: input.issuer,
        client_id: input.client_id,
        sealed_secret: None,
        scopes,
        groups_claim,
        groups: input.groups,
        default_role: input.default_role,
        changed_at: crate::domain::time::Timestamp(0),
    })
}

fn in_no_group() -> Error {
    let text = "None of your groups belongs to this organisation, or its directory has deactivated you. Ask whoever manages its people.";
    Error::new(Code::Forbidden, text)
}

fn no_operators() -> Error {
    let text = "Operators of this appliance are not signed in by an organisation's issuer; sign in in another way.";
    Error::new(Code::Forbidden, text)
}

fn not_good() -> Error {
    Error::new(
        Code::InvalidToken,
        "This link is not good: it was used, has expired, or was never given. Sign in through the organisation again for another.",
    )
}
