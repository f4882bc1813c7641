//! Licences: issued, changed by operators, moved by time, activated by machines.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::changes;
use super::customers::license_recipient;
use super::customers::{Customer, Owned, customer, with_customers};
use super::license_news::keep_newest;
use super::{Actor, Caller, Ctx, Services};
use crate::domain::audit::By;
use crate::domain::error::{Code, Error, Result, found};
use crate::domain::ids::{ActivationId, LicenseId, OrgId, UserId};
use crate::domain::job::{Job, Work};
use crate::domain::license::{Activation, Afterwards, License, LicenseStatus};
use crate::domain::organisation::Permission;
use crate::domain::page::{Page, PageRequest};
use crate::domain::plan::{
    Features, Plan, check_activations, check_features, check_seats, check_text,
};
use crate::domain::search::query_words;
use crate::domain::subscription::Subscription;
use crate::domain::time::Timestamp;
use crate::signing::license_key;
use crate::store::search::LicenseWord;
use crate::store::{self, Read, WriteTx, jobs, licenses, search, users};

/// What a new licence grants.
pub(super) struct NewLicense {
    pub org_id: OrgId,
    pub user_id: UserId,
    pub subscription: Option<Subscription>,
    pub plan: Option<Plan>,
    pub plan_name: String,
    pub features: Features,
    pub max_concurrent_seats: u32,
    pub max_activations: Option<u32>,
    pub expiry_date: Option<Timestamp>,
}

impl NewLicense {
    /// What the plan grants, to this organisation.
    pub(super) fn of_plan(plan: &Plan, org_id: OrgId, user_id: UserId) -> Self {
        Self {
            org_id,
            user_id,
            subscription: None,
            plan: Some(plan.clone()),
            plan_name: plan.plan_name.clone(),
            features: plan.features.clone(),
            max_concurrent_seats: plan.max_concurrent_seats,
            max_activations: plan.max_activations,
            expiry_date: None,
        }
    }
}

/// Which licences an operator looks for.
#[derive(Default)]
pub struct LicenseFilter {
    /// Words of keys, addresses, names and machines; empty: all.
    pub q: String,
    /// Of this status.
    pub status: Option<LicenseStatus>,
    /// Of this organisation.
    pub org_id: Option<OrgId>,
}

/// A licence as an operator issues it.
pub struct IssueInput {
    /// For whom: an organisation, or the personal one of ...
    pub org_id: Option<OrgId>,
    /// ... this account.
    pub email: Option<String>,
    /// What it starts from.
    pub plan_id: Option<crate::domain::ids::PlanId>,
    /// Seats; none: the plan's.
    pub max_concurrent_seats: Option<u32>,
    /// Machines; none: the plan's.
    pub max_activations: Option<u32>,
    /// Until when; none: without end.
    pub expiry_date: Option<Timestamp>,
    /// What else it grants; none: what the plan does.
    pub features: Option<Features>,
}

/// A licensed application's machine.
pub struct ActivateInput {
    /// The credential.
    pub license_key: String,
    /// What the application knows the machine by; 1 to 256 characters.
    pub hardware_id: String,
    /// For people.
    pub machine_name: Option<String>,
    /// For people.
    pub platform: Option<String>,
    /// The application's own notes.
    pub metadata: BTreeMap<String, String>,
}

/// What an activation answers.
pub struct Activated {
    /// The machine.
    pub activation: Activation,
    /// The licence it is bound to.
    pub license: License,
    /// Whether the machine was not bound before.
    pub fresh: bool,
}

/// An operator's act on a licence.
#[derive(Clone, Debug)]
pub enum LicenseAct {
    /// Stop it working, for this reason.
    Suspend(String),
    /// Lift an operator's suspension.
    Reinstate,
    /// Take it back for good.
    Revoke,
    /// Move its end; none removes it.
    Extend(Option<Timestamp>),
    /// Change its seats.
    Resize(u32),
}

impl Services {
    /// The organisation's licences.
    pub fn licenses(&self, actor: &Actor, request: &PageRequest) -> Result<Page<License>> {
        let org_id = actor.org(Permission::LicensesRead)?;
        self.store.read(|tx| store::org(tx, org_id).licenses(request))
    }

    /// All licences that a filter keeps, newest first, for operators.
    pub fn all_licenses(
        &self,
        actor: &Actor,
        filter: &LicenseFilter,
        request: &PageRequest,
    ) -> Result<Page<Owned<License>>> {
        actor.require_operator()?;
        let words: Vec<LicenseWord> = query_words(&filter.q)?
            .into_iter()
            .map(|word| {
                let holding = self.desk.licenses_of_machines(&word);
                (word, holding)
            })
            .collect();
        let now = self.clock.now().wall;
        let keep = |license: &License| {
            filter.status.is_none_or(|status| license.status_at(now) == status)
                && filter.org_id.is_none_or(|org_id| license.org_id == org_id)
        };
        self.store.read(|tx| {
            let mut page = match (words.is_empty(), filter.org_id, filter.status) {
                (false, _, _) => search::licenses(tx, &words, request, keep)?,
                (true, Some(org_id), _) => store::org(tx, org_id).licenses_where(request, keep)?,
                (true, None, Some(status)) => licenses::list_noted(tx, status, request)?,
                (true, None, None) => licenses::list(tx, request)?,
            };
            // Time may have moved a licence on since its status was noted.
            page.items.retain(keep);
            with_customers(tx, page, |license| (license.org_id, Some(license.user_id)))
        })
    }

    /// Whose a licence is, for an operator; nothing for others, who know.
    pub fn customer_of(&self, actor: &Actor, license: &License) -> Result<Option<Customer>> {
        if !actor.operator {
            return Ok(None);
        }
        self.store.read(|tx| customer(tx, license.org_id, Some(license.user_id)))
    }

    /// Mails a licence's key and file to its owner once more, for operators.
    pub async fn resend_license(&self, actor: &Actor, id: LicenseId) -> Result<()> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        let who = actor.clone();
        self.commit(actor.guarded(move |tx| {
            let license = visible(tx, &who, id, Permission::LicensesRead)?;
            let user = license_recipient(tx, license.org_id, license.user_id)?;
            let org_id = Some(license.org_id);
            let told = [("to", user.email.as_str().to_owned())];
            ctx.audit(tx, org_id, "license.resent", id, told)?;
            let message = super::letters::license_delivered(&user, &license);
            ctx.queue_mail(tx, org_id, user.email.as_str(), "license.resent", &message)
        }))
        .await
    }

    /// One licence: of the actor's organisation, or any for an operator.
    pub fn license(&self, actor: &Actor, id: LicenseId) -> Result<License> {
        self.store.read(|tx| visible(tx, actor, id, Permission::LicensesRead))
    }

    /// The machines bound to a licence the actor may see; one's own where the role shows no others.
    pub fn activations(
        &self,
        actor: &Actor,
        id: LicenseId,
        request: &PageRequest,
    ) -> Result<Page<Activation>> {
        self.store.read(|tx| {
            let license = visible(tx, actor, id, Permission::LicensesRead)?;
            let mut page = store::org(tx, license.org_id).activations(id, request)?;
            if !actor.may(Permission::SeatsRead) {
                page.items.retain(|activation| activation.user_id == Some(actor.user_id));
            }
            Ok(page)
        })
    }

    /// Unbinds a machine and takes the seat it may hold.
    pub async fn deactivate(
        &self,
        actor: &Actor,
        id: LicenseId,
        activation_id: ActivationId,
    ) -> Result<()> {
        let bound = self.store.read(|tx| {
            let license = visible(tx, actor, id, Permission::LicensesManage)?;
            store::org(tx, license.org_id).activation_by_id(id, activation_id)
        })?;
        // First, so that whoever has to ask again after a failure still finds the activation.
        self.evict_machine(id, &bound.hardware_id).await?;
        let ctx = self.ctx_of(actor);
        let who = actor.clone();
        self.commit(actor.guarded(move |tx| {
            let license = visible(tx, &who, id, Permission::LicensesManage)?;
            let activation = store::org(tx, license.org_id).activation_by_id(id, activation_id)?;
            licenses::remove_activation(tx, &activation)?;
            let told = [("activation", activation_id.to_string())];
            ctx.audit(tx, Some(license.org_id), "license.deactivated", id, told)
        }))
        .await
    }

    /// Issues a licence that no subscription pays for.
    pub async fn issue_license(&self, actor: &Actor, input: IssueInput) -> Result<License> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        if input.expiry_date.is_some_and(|expiry| expiry <= ctx.now) {
            return Err(Error::invalid("expiry_date", "must be in the future"));
        }
        self.commit(actor.guarded(move |tx| {
            let (org_id, user_id) = licensee(tx, input.org_id, input.email.as_deref())?;
            store::org(tx, org_id).organisation()?.require_staying()?;
            let plan =
                input.plan_id.map(|id| super::subscriptions::plan_on_sale(tx, id)).transpose()?;
            let mut new = match &plan {
                Some(plan) => NewLicense::of_plan(plan, org_id, user_id),
                None => NewLicense {
                    org_id,
                    user_id,
                    subscription: None,
                    plan: None,
                    plan_name: "Custom".to_owned(),
                    features: Features::new(),
                    max_concurrent_seats: 0,
                    max_activations: None,
                    expiry_date: None,
                },
            };
            new.expiry_date = input.expiry_date;
            new.max_concurrent_seats =
                input.max_concurrent_seats.unwrap_or(new.max_concurrent_seats);
            new.max_activations = input.max_activations.or(new.max_activations);
            new.features = input.features.unwrap_or(new.features);
            check_seats("max_concurrent_seats", new.max_concurrent_seats)?;
            check_activations(new.max_activations)?;
            check_features(&new.features)?;
            insert(&ctx, tx, new)
        }))
        .await
    }

    /// Does an operator's act, audits and mails it, and tells the seat engine.
    pub async fn act_on_license(
        &self,
        actor: &Actor,
        id: LicenseId,
        act: LicenseAct,
    ) -> Result<License> {
        actor.require_operator()?;
        let ctx = self.ctx_of(actor);
        let change = actor.guarded(move |tx| perform(&ctx, tx, id, &act));
        self.commit_license(change, |license| Some(license)).await
    }

    /// Notices that time has changed a licence that no subscription pays for, and removes the job.
    pub async fn license_due(&self, job: &Job, org_id: OrgId, id: LicenseId) -> Result<()> {
        let ctx = self.ctx(By::System);
        let job = job.clone();
        let change = move |tx: &mut WriteTx<'_>| {
            if !jobs::remove(tx, &job)? {
                return Ok(None);
            }
            // It may have gone with its organisation.
            let Some(mut license) = found(store::org(tx, org_id).license(id))? else {
                return Ok(None);
            };
            settle(&ctx, tx, &mut license, None)?;
            Ok(Some(license))
        };
        self.commit_license(change, Option::as_ref).await?;
        Ok(())
    }

    /// Binds a machine to the licence its application presents the key of. Where somebody has signed
    /// in, who belongs to the licence's organisation, it is that person's machine.
    pub async fn activate(
        &self,
        caller: &Caller,
        who: Option<UserId>,
        input: ActivateInput,
    ) -> Result<Activated> {
        let key = Self::recognise_key(&input.license_key)?;
        check_machine(&input)?;
        let by = who.map_or(By::Anonymous, By::User);
        let ctx = self.ctx(By::Anonymous).of(by, caller);
        self.commit(move |tx| {
            let license = licenses::by_key(tx, &key)?.ok_or_else(unknown_key)?;
            license.status_at(ctx.now).require_usable()?;
            let org = store::org(tx, license.org_id);
            let whose = match who {
                Some(user_id) => org.membership(user_id)?.map(|member| member.user_id),
                None => None,
            };
            bind(&ctx, tx, license, whose, input)
        })
        .await
    }

    /// The licence of a key, for applications.
    ///
    /// # Errors
    /// `LicenseNotFound`, whose detail tells a typing slip from an unknown key.
    pub fn license_by_key(&self, text: &str) -> Result<License> {
        let key = Self::recognise_key(text)?;
        self.store.read(|tx| licenses::by_key(tx, &key))?.ok_or_else(unknown_key)
    }

    /// The licence of a key, for looking at: one that was read within the last second, unless it
    /// has changed since. A change replaces what is kept before its answer is sent.
    pub(super) fn license_seen(&self, text: &str) -> Result<Arc<License>> {
        let license_id = self.license_id_of(text)?;
        if let Some(license) = self.licenses_seen.get(&license_id) {
            return Ok(license);
        }
        Ok(keep_newest(&self.licenses_seen, &Arc::new(self.load_license(license_id)?)))
    }

    /// The key in its stored form.
    pub(super) fn recognise_key(text: &str) -> Result<String> {
        license_key::normalise(text)
            .map_err(|slip| Error::new(Code::LicenseNotFound, slip.to_string()))
    }
}

pub(super) fn unknown_key() -> Error {
    Error::new(
        Code::LicenseNotFound,
        "No licence has this key. It is well formed, so it is not a typing slip.",
    )
}

/// A licence of the actor's organisation, where the role allows that; any for an operator.
pub(super) fn visible(
    tx: &impl Read,
    actor: &Actor,
    id: LicenseId,
    permission: Permission,
) -> Result<License> {
    let org_id = if actor.operator { licenses::org_of(tx, id)? } else { actor.org(permission)? };
    store::org(tx, org_id).license(id)
}

/// Stores a new licence with a fresh key, mails it, and plans the look at its end.
pub(super) fn insert(ctx: &Ctx, tx: &mut WriteTx, new: NewLicense) -> Result<License> {
    let mut license = License {
        license_id: LicenseId(ctx.record_id()),
        org_id: new.org_id,
        user_id: new.user_id,
        license_key: fresh_key(ctx, tx)?,
        subscription_id: new.subscription.as_ref().map(|s| s.subscription_id),
        plan_id: new.plan.as_ref().map(|plan| plan.plan_id),
        plan_name: new.plan_name,
        features: new.features,
        max_concurrent_seats: new.max_concurrent_seats,
        max_activations: new.max_activations,
        issued_at: ctx.now,
        expiry_date: new.expiry_date,
        grace_ends_at: None,
        afterwards: Afterwards::Expired,
        inactive: false,
        suspended: None,
        revoked_at: None,
        revision: 1,
        noted_status: LicenseStatus::Active,
        updated_at: ctx.now,
    };
    if let Some(subscription) = &new.subscription {
        license.follow(subscription, ctx.config.license.grace_days);
    }
    license.noted_status = license.status_at(ctx.now);
    licenses::insert(tx, &license, &license_key::index_form(&license.license_key))?;
    plan_next_change(ctx, tx, &license)?;
    let told =
        [("plan", license.plan_name.clone()), ("seats", license.max_concurrent_seats.to_string())];
    let (org_id, id) = (Some(license.org_id), license.license_id);
    ctx.audit_change(tx, org_id, "license.issued", id, told, &json!({}), &license)?;
    let user = license_recipient(tx, license.org_id, license.user_id)?;
    let message = super::letters::license_delivered(&user, &license);
    ctx.queue_mail(tx, Some(license.org_id), user.email.as_str(), "license.issued", &message)?;
    Ok(license)
}

/// A key that no licence has. With the shortest template allowed a collision is possible, so it is looked up.
fn fresh_key(ctx: &Ctx, tx: &WriteTx) -> Result<String> {
    let template =
        license_key::Template::parse(&ctx.config.license.key_template).map_err(Error::internal)?;
    for _ in 0..16 {
        let key = template.generate(&ctx.entropy, ctx.now.year());
        if licenses::by_key(tx, &license_key::index_form(&key))?.is_none() {
            return Ok(key);
        }
    }
    Err(Error::internal(
        "sixteen fresh licence keys were all taken; license.key_template leaves too little room",
    ))
}

/// Gives the licence the dates of the subscription that pays for it, and notes the change.
pub(super) fn follow(
    ctx: &Ctx,
    tx: &mut WriteTx,
    subscription: &Subscription,
) -> Result<Option<License>> {
    adopt(ctx, tx, subscription, None)
}

/// As [`follow`]; with a plan, the licence becomes one of that plan.
pub(super) fn adopt(
    ctx: &Ctx,
    tx: &mut WriteTx,
    subscription: &Subscription,
    plan: Option<&Plan>,
) -> Result<Option<License>> {
    let found = store::org(tx, subscription.org_id)
        .license_of_subscription(subscription.subscription_id)?;
    let Some(mut license) = found else {
        return Ok(None);
    };
    if let Some(plan) = plan {
        license.plan_id = Some(plan.plan_id);
        license.plan_name.clone_from(&plan.plan_name);
        license.features.clone_from(&plan.features);
        license.max_activations = plan.max_activations;
        license.max_concurrent_seats =
            plan.max_concurrent_seats.saturating_mul(subscription.quantity);
    }
    license.follow(subscription, ctx.config.license.grace_days);
    settle(ctx, tx, &mut license, None)?;
    Ok(Some(license))
}

/// Writes a changed licence as its next revision. Audited is the act, or else what has changed; a new
/// status is mailed where no step of the subscription has told it already.
fn settle(
    ctx: &Ctx,
    tx: &mut WriteTx,
    license: &mut License,
    act: Option<(&str, String)>,
) -> Result<()> {
    let was = store::org(tx, license.org_id).license(license.license_id)?;
    let (before, status) = (license.noted_status, license.status_at(ctx.now));
    license.noted_status = status;
    license.revision += 1;
    license.updated_at = ctx.now;
    licenses::update(tx, license)?;
    let by_itself = format!("license.{}", status.as_str());
    let mut details = Vec::new();
    if before != status {
        details.push(("status_before", before.as_str().to_owned()));
    }
    let action = match act {
        Some((action, detail)) => {
            details.extend([("status", status.as_str().to_owned()), ("detail", detail)]);
            action
        }
        None if before != status => &by_itself,
        None => "license.changed",
    };
    if !details.is_empty() || !changes::between(&was, license)?.is_empty() {
        let (org_id, id) = (Some(license.org_id), license.license_id);
        ctx.audit_change(tx, org_id, action, id, details, &was, license)?;
    }
    if before == status {
        return Ok(());
    }
    let user = license_recipient(tx, license.org_id, license.user_id)?;
    if let Some(message) = super::letters::status_changed(&user, license, before, ctx.now) {
        ctx.queue_mail(
            tx,
            Some(license.org_id),
            user.email.as_str(),
            &format!("license.{}", status.as_str()),
            &message,
        )?;
    }
    Ok(())
}

/// A licence with a subscription is looked at by the subscription's own job.
fn plan_next_change(ctx: &Ctx, tx: &mut WriteTx, license: &License) -> Result<()> {
    match license.next_change_after(ctx.now) {
        Some(due) if license.subscription_id.is_none() => {
            let work = Work::LicenseDue { org_id: license.org_id, license_id: license.license_id };
            ctx.plan_job(tx, due, work)
        }
        _ => Ok(()),
    }
}

pub(super) fn perform(
    ctx: &Ctx,
    tx: &mut WriteTx,
    id: LicenseId,
    act: &LicenseAct,
) -> Result<License> {
    let org_id = licenses::org_of(tx, id)?;
    let mut license = store::org(tx, org_id).license(id)?;
    let (action, detail) = match act {
        LicenseAct::Suspend(reason) => {
            check_text("reason", reason, 0, 500)?;
            license.suspend(ctx.now, reason)?;
            ("license.suspended", reason.clone())
        }
        LicenseAct::Reinstate => {
            license.reinstate()?;
            ("license.reinstated", String::new())
        }
        LicenseAct::Revoke => {
            license.revoke(ctx.now)?;
            ("license.revoked", String::new())
        }
        LicenseAct::Extend(expiry) => {
            if expiry.is_some_and(|expiry| expiry <= ctx.now) {
                return Err(Error::invalid("expiry_date", "must be in the future"));
            }
            license.extend(*expiry)?;
            (
                "license.extended",
                expiry.map_or("without end".to_owned(), |expiry| expiry.to_string()),
            )
        }
        LicenseAct::Resize(seats) => {
            check_seats("max_concurrent_seats", *seats)?;
            let before = license.max_concurrent_seats;
            license.resize(*seats)?;
            ("license.resized", format!("{before} -> {seats}"))
        }
    };
    if matches!(act, LicenseAct::Extend(_) | LicenseAct::Reinstate) {
        plan_next_change(ctx, tx, &license)?;
    }
    settle(ctx, tx, &mut license, Some((action, detail)))?;
    Ok(license)
}

fn licensee(tx: &impl Read, org_id: Option<OrgId>, email: Option<&str>) -> Result<(OrgId, UserId)> {
    match (org_id, email) {
        (Some(org_id), None) => Ok((org_id, store::org(tx, org_id).owner()?)),
        (None, Some(email)) => {
            let email = crate::domain::user::Email::parse(email)?;
            let user = users::by_email(tx, &email)?.ok_or_else(|| {
                let address = email.as_str();
                let text = format!("Nobody has an account with the address {address}. Make one (`coditect user create`, or Users in the admin page), or have its owner register; then the licence can be issued.");
                Error::new(Code::NotFound, text)
            })?;
            Ok((user.personal_org, user.user_id))
        }
        _ => Err(Error::invalid("org_id", "give either org_id or email: whom the licence is for")),
    }
}

/// Checks what an application says of its machine.
pub(super) fn check_hardware_id(hardware_id: &str) -> Result<()> {
    if !(1..=256).contains(&hardware_id.chars().count()) {
        return Err(Error::invalid("hardware_id", "must be 1 to 256 characters long"));
    }
    if hardware_id.chars().any(char::is_control) {
        return Err(Error::invalid("hardware_id", "must not contain control characters"));
    }
    Ok(())
}

/// At most 16 short notes.
pub(super) fn check_metadata(metadata: &BTreeMap<String, String>) -> Result<()> {
    let sound = metadata.len() <= 16
        && metadata.iter().all(|(name, value)| {
            (1..=64).contains(&name.chars().count()) && value.chars().count() <= 256
        });
    if sound {
        Ok(())
    } else {
        Err(Error::invalid(
            "metadata",
            "at most 16 entries, names of 1 to 64 characters, values of at most 256",
        ))
    }
}

fn check_machine(input: &ActivateInput) -> Result<()> {
    check_hardware_id(&input.hardware_id)?;
    check_metadata(&input.metadata)?;
    for (field, text) in [("machine_name", &input.machine_name), ("platform", &input.platform)] {
        if let Some(text) = text {
            check_text(field, text, 0, 128)?;
        }
    }
    Ok(())
}

fn bind(
    ctx: &Ctx,
    tx: &mut WriteTx,
    license: License,
    whose: Option<UserId>,
    input: ActivateInput,
) -> Result<Activated> {
    let known =
        store::org(tx, license.org_id).activation(license.license_id, &input.hardware_id)?;
    let fresh = known.is_none();
    if fresh
        && let Some(max) = license.max_activations
        && licenses::count_activations(tx, &license)? >= u64::from(max)
    {
        return Err(Error::new(
            Code::ActivationLimitReached,
            format!("All {max} machines of this licence are activated. Deactivate one first."),
        ));
    }
    let (activation_id, activated_at, known_as) = known.map_or_else(
        || (ActivationId(ctx.record_id()), ctx.now, None),
        |known| (known.activation_id, known.activated_at, known.user_id),
    );
    let activation = Activation {
        activation_id,
        license_id: license.license_id,
        org_id: license.org_id,
        hardware_id: input.hardware_id,
        user_id: whose.or(known_as),
        machine_name: input.machine_name,
        platform: input.platform,
        metadata: input.metadata,
        activated_at,
        last_seen_at: ctx.now,
    };
    licenses::put_activation(tx, &activation)?;
    if fresh {
        let details = [("activation", activation_id.to_string())];
        ctx.audit(tx, Some(license.org_id), "license.activated", license.license_id, details)?;
    }
    Ok(Activated { activation, license, fresh })
}
