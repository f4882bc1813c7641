//! What is told by mail of what happened.

use std::net::IpAddr;

use crate::domain::email_domain::{Domain, OrgDomain};
use crate::domain::license::{License, LicenseStatus};
use crate::domain::organisation::{Invitation, Organisation, Role};
use crate::domain::payment::{Payment, PaymentKind};
use crate::domain::plan::is_invisible;
use crate::domain::provisioning::ProvisioningToken;
use crate::domain::subscription::{Interval, Step, Subscription, SubscriptionStatus};
use crate::domain::time::Timestamp;
use crate::domain::user::{Login, User};
use crate::mail::messages::{
    AccountChanged, AccountCreated, AddressChanged, AddressCorrected, AddressGiven, CodesRefused,
    ConfirmIdentity, GraceEnding, GraceStarted, IdentityLinked, LicenseDelivered, LicenseExpired,
    LicenseReinstated, LicenseRevoked, LicenseSuspended, MemberRemoved, NewSignIn, OrderReceived,
    OrgJoined, OrgTransferred, PasskeyChanged, PasswordChanged, PasswordReset, PaymentRecorded,
    ProvisioningTokenMade, RecoveryCodeUsed, SecondFactorChanged, SecondFactorRequired,
    SubscriptionConfirmed, SubscriptionEnded, TrialEnded, TrialEnding, TrialStarted, VerifyEmail,
    Welcome, shorten_key,
};
use crate::mail::{Message, messages};

pub(super) fn verify_email(link: String, expires_at: Timestamp) -> Message {
    VerifyEmail { link, expires_at }.into()
}

/// That there is an account, for the people of this organisation or at the vendor's wish.
pub(super) fn account_created(
    user: &User,
    org: Option<&Organisation>,
    link: String,
    expires_at: Timestamp,
) -> Message {
    let org_name = org.map(|org| shown_name(&org.name));
    AccountCreated { org_name, email: user.email.as_str().to_owned(), link, expires_at }.into()
}

pub(super) fn password_reset(link: String, expires_at: Timestamp) -> Message {
    PasswordReset { link, expires_at }.into()
}

/// That there is another password, or the `first` where there was none.
pub(super) fn password_changed(
    user: &User,
    changed_at: Timestamp,
    first: bool,
    other_ways: bool,
) -> Message {
    let full_name = user.full_name.clone();
    PasswordChanged { full_name, changed_at, first, other_ways }.into()
}

pub(super) fn invitation(
    org: &Organisation,
    inviter: Option<&User>,
    invitation: &Invitation,
    link: String,
) -> Message {
    let invited_by = inviter.map_or("The vendor", |user| user.full_name.as_str());
    messages::Invitation {
        org_name: shown_name(&org.name),
        invited_by: shown_name(invited_by),
        role: invitation.role.as_str().to_owned(),
        link,
        expires_at: invitation.expires_at,
    }
    .into()
}

/// What has become of the wish to delete an organisation: `asked`, `taken_back` or `done`.
pub(super) fn org_deletion(
    user: &User,
    org: &Organisation,
    change: &str,
    due_at: Timestamp,
) -> Message {
    let (full_name, org_name) = (user.full_name.clone(), shown_name(&org.name));
    messages::OrgDeletion { full_name, org_name, change: change.to_owned(), due_at }.into()
}

/// That an organisation was given away, to one of the two: whoever `received` it, or has `given` it.
pub(super) fn org_transferred(
    user: &User,
    org: &Organisation,
    change: &str,
    other: &User,
    changed_at: Timestamp,
) -> Message {
    let (full_name, org_name) = (user.full_name.clone(), shown_name(&org.name));
    let (change, other) = (change.to_owned(), shown_name(&other.full_name));
    OrgTransferred { full_name, org_name, change, other, changed_at }.into()
}

/// That somebody joined by a domain.
pub(super) fn org_joined(
    user: &User,
    org: &Organisation,
    domain: &Domain,
    role: Role,
    joined_at: Timestamp,
) -> Message {
    let (full_name, org_name) = (user.full_name.clone(), shown_name(&org.name));
    let (domain, role) = (domain.as_str().to_owned(), role.as_str().to_owned());
    OrgJoined { full_name, org_name, domain, role, joined_at }.into()
}

/// That others took somebody out.
pub(super) fn member_removed(user: &User, org: &Organisation, removed_at: Timestamp) -> Message {
    let (full_name, org_name) = (user.full_name.clone(), shown_name(&org.name));
    MemberRemoved { full_name, org_name, removed_at }.into()
}

/// That an organisation asks for a second factor.
pub(super) fn second_factor_required(
    user: &User,
    org: &Organisation,
    required_at: Timestamp,
) -> Message {
    let (full_name, org_name) = (user.full_name.clone(), shown_name(&org.name));
    SecondFactorRequired { full_name, org_name, required_at }.into()
}

/// What became of an account; see [`AccountChanged`] for the changes there are.
pub(super) fn account_changed(user: &User, change: &str, changed_at: Timestamp) -> Message {
    let (full_name, change) = (user.full_name.clone(), change.to_owned());
    AccountChanged { full_name, change, changed_at }.into()
}

/// To the address that an account had, that an operator has given it another.
pub(super) fn address_corrected(changed_at: Timestamp) -> Message {
    AddressCorrected { changed_at }.into()
}

/// To the address that an operator has given to an account.
pub(super) fn address_given(user: &User, link: String, expires_at: Timestamp) -> Message {
    AddressGiven { email: user.email.as_str().to_owned(), link, expires_at }.into()
}

/// What has become of a domain: `verified` or `lost`.
pub(super) fn org_domain(
    user: &User,
    org: &Organisation,
    domain: &OrgDomain,
    change: &str,
) -> Message {
    messages::OrgDomain {
        full_name: user.full_name.clone(),
        org_name: shown_name(&org.name),
        domain: domain.domain.as_str().to_owned(),
        change: change.to_owned(),
        record_name: domain.record_name(),
        record_value: domain.record_value(),
    }
    .into()
}

/// That there is a new token, and who made it.
pub(super) fn provisioning_token_made(
    user: &User,
    org: &Organisation,
    maker: Option<&User>,
    token: &ProvisioningToken,
) -> Message {
    ProvisioningTokenMade {
        full_name: user.full_name.clone(),
        org_name: shown_name(&org.name),
        name: shown_name(&token.name),
        made_by: shown_name(maker.map_or("the vendor", |maker| maker.full_name.as_str())),
        made_at: token.created_at,
        expires_at: token.expires_at,
    }
    .into()
}

/// That an organisation's directory gave the account another address.
pub(super) fn address_changed(user: &User, org: &Organisation, changed_at: Timestamp) -> Message {
    let (full_name, email) = (user.full_name.clone(), user.email.as_str().to_owned());
    AddressChanged { full_name, org_name: shown_name(&org.name), email, changed_at }.into()
}

/// A name that somebody else is shown: short, and no way to put an address into their mail.
fn shown_name(name: &str) -> String {
    let harmless = |c| if matches!(c, '/' | ':' | '@' | '<' | '>') { ' ' } else { c };
    let name: String = name.chars().filter(|c| !is_invisible(*c)).map(harmless).take(60).collect();
    let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.is_empty() { "without a name".to_owned() } else { name }
}

pub(super) fn identity_linked(
    user: &User,
    provider: &str,
    because: &str,
    linked_at: Timestamp,
) -> Message {
    let (full_name, provider) = (user.full_name.clone(), shown_name(provider));
    IdentityLinked { full_name, provider, because: because.to_owned(), linked_at }.into()
}

pub(super) fn confirm_identity(org: &Organisation, link: String, expires_at: Timestamp) -> Message {
    ConfirmIdentity { org_name: shown_name(&org.name), link, expires_at }.into()
}

pub(super) fn welcome(user: &User, org: Option<&Organisation>, belongs: bool) -> Message {
    let (full_name, email) = (user.full_name.clone(), user.email.as_str().to_owned());
    Welcome { full_name, email, org_name: org.map(|org| shown_name(&org.name)), belongs }.into()
}

pub(super) fn second_factor_changed(user: &User, change: &str, changed_at: Timestamp) -> Message {
    let full_name = user.full_name.clone();
    SecondFactorChanged { full_name, change: change.to_owned(), changed_at }.into()
}

pub(super) fn passkey_changed(
    user: &User,
    name: &str,
    change: &str,
    changed_at: Timestamp,
) -> Message {
    let full_name = user.full_name.clone();
    let (name, change) = (name.to_owned(), change.to_owned());
    PasskeyChanged { full_name, name, change, changed_at }.into()
}

pub(super) fn recovery_code_used(
    user: &User,
    used_at: Timestamp,
    address: IpAddr,
    left: usize,
) -> Message {
    let (full_name, address) = (user.full_name.clone(), address.to_string());
    RecoveryCodeUsed { full_name, used_at, address, left: left as u32 }.into()
}

pub(super) fn codes_refused(user: &User, refused_at: Timestamp, address: IpAddr) -> Message {
    let (full_name, address) = (user.full_name.clone(), address.to_string());
    CodesRefused { full_name, refused_at, address }.into()
}

pub(super) fn new_sign_in(user: &User, login: &Login) -> Message {
    NewSignIn {
        full_name: user.full_name.clone(),
        signed_in_at: login.created_at,
        address: login.address.clone(),
        user_agent: login.user_agent.chars().take(60).collect(),
    }
    .into()
}

/// Without the signed file: it is made when the message is sent, since it may have to wait
/// for the signing key.
pub(super) fn license_delivered(user: &User, license: &License) -> Message {
    LicenseDelivered {
        full_name: user.full_name.clone(),
        plan_name: license.plan_name.clone(),
        license_key: license.license_key.clone(),
        max_concurrent_seats: license.max_concurrent_seats,
        expiry_date: license.expiry_date,
        signed_license: String::new(),
    }
    .into()
}

pub(super) fn trial_started(user: &User, subscription: &Subscription) -> Message {
    TrialStarted {
        full_name: user.full_name.clone(),
        plan_name: subscription.plan_name.clone(),
        trial_end: subscription.current_period_end,
    }
    .into()
}

pub(super) fn payment_recorded(
    user: &User,
    payment: &Payment,
    subscription: &Subscription,
) -> Message {
    PaymentRecorded {
        full_name: user.full_name.clone(),
        plan_name: subscription.plan_name.clone(),
        amount_cents: payment.amount_cents,
        currency: payment.currency.clone(),
        reference: payment.reference.clone(),
        current_period_end: subscription.current_period_end,
        credit: payment.kind == PaymentKind::Credit,
    }
    .into()
}

pub(super) fn order_received(
    user: &User,
    payment: &Payment,
    subscription: &Subscription,
    due_at: Timestamp,
) -> Message {
    OrderReceived {
        full_name: user.full_name.clone(),
        plan_name: subscription.plan_name.clone(),
        amount_cents: payment.amount_cents,
        currency: payment.currency.clone(),
        reference: payment.reference.clone(),
        due_at,
        current_period_end: subscription.current_period_end,
    }
    .into()
}

/// What a step of time is called in the audit log, and what is told of it. The end of grace is
/// told by the licence that it suspends.
pub(super) fn step_taken(
    step: Step,
    user: &User,
    subscription: &Subscription,
    now: Timestamp,
) -> (&'static str, Option<Message>) {
    let (full_name, plan_name) = (user.full_name.clone(), subscription.plan_name.clone());
    match step {
        Step::TrialEnding => {
            let trial_end = subscription.current_period_end;
            let charged = subscription.is_billed();
            let message = TrialEnding { full_name, plan_name, trial_end, charged };
            // Whoever slept over it has the end to tell.
            ("subscription.trial_ending", (now < trial_end).then(|| message.into()))
        }
        Step::GraceEnding => {
            let grace_period_ends_at =
                subscription.grace_ends_at.unwrap_or(subscription.current_period_end);
            let message = GraceEnding { full_name, plan_name, grace_period_ends_at };
            let soon = now < grace_period_ends_at;
            ("subscription.grace_ending", soon.then(|| message.into()))
        }
        Step::TrialEnded => {
            ("subscription.trial_ended", Some(grace_started(user, subscription, true)))
        }
        Step::PeriodEnded => {
            ("subscription.period_ended", Some(grace_started(user, subscription, false)))
        }
        Step::OrderOverdue => {
            ("subscription.order_overdue", Some(grace_started(user, subscription, false)))
        }
        Step::GraceEnded => ("subscription.grace_ended", None),
        Step::Canceled => ("subscription.ended", Some(subscription_ended(user, subscription))),
    }
}

/// A trial or a period that ended unpaid, be it that nobody paid or that a charge failed.
pub(super) fn grace_started(
    user: &User,
    subscription: &Subscription,
    after_trial: bool,
) -> Message {
    let (full_name, plan_name) = (user.full_name.clone(), subscription.plan_name.clone());
    let grace_period_ends_at =
        subscription.grace_ends_at.unwrap_or(subscription.current_period_end);
    if after_trial {
        TrialEnded { full_name, plan_name, grace_period_ends_at }.into()
    } else {
        GraceStarted { full_name, plan_name, grace_period_ends_at }.into()
    }
}

pub(super) fn subscription_confirmed(user: &User, subscription: &Subscription) -> Message {
    SubscriptionConfirmed {
        full_name: user.full_name.clone(),
        plan_name: subscription.plan_name.clone(),
        quantity: subscription.quantity,
        yearly: subscription.interval == Interval::Year,
        trialing: subscription.status == SubscriptionStatus::Trialing,
        current_period_end: subscription.current_period_end,
    }
    .into()
}

pub(super) fn subscription_ended(user: &User, subscription: &Subscription) -> Message {
    SubscriptionEnded {
        full_name: user.full_name.clone(),
        plan_name: subscription.plan_name.clone(),
        ended_at: subscription.canceled_at.unwrap_or(subscription.current_period_end),
    }
    .into()
}

/// What is told of a licence's new status. Grace, and the end of a subscription, are told by the
/// subscription's step.
pub(super) fn status_changed(
    user: &User,
    license: &License,
    before: LicenseStatus,
    now: Timestamp,
) -> Option<Message> {
    let full_name = user.full_name.clone();
    let plan_name = license.plan_name.clone();
    let license_key_hint = shorten_key(&license.license_key);
    match license.status_at(now) {
        LicenseStatus::Active if before == LicenseStatus::Inactive => None,
        LicenseStatus::Active => Some(
            LicenseReinstated {
                full_name,
                plan_name,
                license_key_hint,
                expiry_date: license.expiry_date,
            }
            .into(),
        ),
        LicenseStatus::Suspended => {
            let reason = license.suspended.as_ref().map(|suspension| suspension.reason.clone());
            Some(LicenseSuspended { full_name, plan_name, license_key_hint, reason }.into())
        }
        LicenseStatus::Revoked => {
            Some(LicenseRevoked { full_name, plan_name, license_key_hint }.into())
        }
        LicenseStatus::Expired if license.subscription_id.is_none() => {
            let expiry_date = license.expiry_date.unwrap_or(now);
            Some(LicenseExpired { full_name, plan_name, license_key_hint, expiry_date }.into())
        }
        LicenseStatus::Expired | LicenseStatus::Grace | LicenseStatus::Inactive => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_others_are_shown_holds_no_address_and_is_never_empty() {
        for (name, shown) in [
            ("Loom/Weave Ltd", "Loom Weave Ltd"),
            ("https://evil.test", "https evil.test"),
            ("Ev\u{202e}il", "Evil"),
            ("///", "without a name"),
            ("\u{3164}\u{2800}", "without a name"),
        ] {
            assert_eq!(shown_name(name), shown, "{name:?}");
        }
    }
}
