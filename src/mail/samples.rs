//! One of each message, for previews and tests.

use super::Message;
#[allow(clippy::wildcard_imports, reason = "every message is named here")]
use super::messages::*;
use crate::domain::time::Timestamp;

const NOON: Timestamp = Timestamp(1_795_348_800_000);

/// One of each, to a customer of this name about a plan of that name.
#[allow(clippy::too_many_lines, reason = "there are many messages")]
pub fn samples(public_url: &str, full_name: &str, plan_name: &str) -> Vec<Message> {
    let license_key_hint = || shorten_key("CODITECT-7K2M-9QXT-4HVD-R3WN-8PZC");
    let link = |page: &str| {
        format!(
            "{public_url}/{page}?token=b7c1d2e3f4a5968778695a4b3c2d1e0fb7c1d2e3f4a5968778695a4b3c2d1e0f"
        )
    };
    vec![
        VerifyEmail { link: link("verify-email"), expires_at: NOON.plus_days(2) }.into(),
        AccountCreated {
            org_name: None,
            email: "zoe@example.com".to_owned(),
            link: link("reset-password"),
            expires_at: NOON.plus_days(2),
        }
        .into(),
        PasswordReset { link: link("reset-password"), expires_at: NOON + 3_600_000 }.into(),
        Invitation {
            org_name: "Loom Ltd".to_owned(),
            invited_by: "Ann Weaver".to_owned(),
            role: "admin".to_owned(),
            link: link("accept-invitation"),
            expires_at: NOON.plus_days(7),
        }
        .into(),
        OrgTransferred {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            change: "received".to_owned(),
            other: "Ann Weaver".to_owned(),
            changed_at: NOON,
        }
        .into(),
        OrgJoined {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            domain: "example.com".to_owned(),
            role: "member".to_owned(),
            joined_at: NOON,
        }
        .into(),
        MemberRemoved {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            removed_at: NOON,
        }
        .into(),
        OrgDomain {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            domain: "example.com".to_owned(),
            change: "lost".to_owned(),
            record_name: "_coditect.example.com".to_owned(),
            record_value: "coditect-verification=b7c1d2e3f4a59687".to_owned(),
        }
        .into(),
        ProvisioningTokenMade {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            name: "Entra ID".to_owned(),
            made_by: "Ann Weaver".to_owned(),
            made_at: NOON,
            expires_at: Some(NOON.plus_days(365)),
        }
        .into(),
        AddressChanged {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            email: "zoe.miller@example.com".to_owned(),
            changed_at: NOON,
        }
        .into(),
        SecondFactorRequired {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            required_at: NOON,
        }
        .into(),
        AddressCorrected { changed_at: NOON }.into(),
        AddressGiven {
            email: "zoe.miller@example.com".to_owned(),
            link: link("reset-password"),
            expires_at: NOON.plus_days(2),
        }
        .into(),
        OrgDeletion {
            full_name: full_name.to_owned(),
            org_name: "Loom Ltd".to_owned(),
            change: "asked".to_owned(),
            due_at: NOON.plus_days(30),
        }
        .into(),
        Welcome {
            full_name: full_name.to_owned(),
            email: "zoe@example.com".to_owned(),
            org_name: None,
            belongs: false,
        }
        .into(),
        NewSignIn {
            full_name: full_name.to_owned(),
            signed_in_at: NOON,
            address: "203.0.113.7".to_owned(),
            user_agent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Fir".to_owned(),
        }
        .into(),
        IdentityLinked {
            full_name: full_name.to_owned(),
            provider: "Google".to_owned(),
            because: "owner".to_owned(),
            linked_at: NOON,
        }
        .into(),
        ConfirmIdentity {
            org_name: "Loom Ltd".to_owned(),
            link: link("confirm-identity"),
            expires_at: NOON.plus_days(1),
        }
        .into(),
        PasswordChanged {
            full_name: full_name.to_owned(),
            changed_at: NOON,
            first: false,
            other_ways: true,
        }
        .into(),
        AccountChanged {
            full_name: full_name.to_owned(),
            change: "made_operator".to_owned(),
            changed_at: NOON,
        }
        .into(),
        SecondFactorChanged {
            full_name: full_name.to_owned(),
            change: "on".to_owned(),
            changed_at: NOON,
        }
        .into(),
        PasskeyChanged {
            full_name: full_name.to_owned(),
            name: "Blue key on the ring".to_owned(),
            change: "added".to_owned(),
            changed_at: NOON,
        }
        .into(),
        RecoveryCodeUsed {
            full_name: full_name.to_owned(),
            used_at: NOON,
            address: "203.0.113.7".to_owned(),
            left: 9,
        }
        .into(),
        CodesRefused {
            full_name: full_name.to_owned(),
            refused_at: NOON,
            address: "203.0.113.7".to_owned(),
        }
        .into(),
        LicenseDelivered {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            license_key: "CODITECT-7K2M-9QXT-4HVD-R3WN-8PZC".to_owned(),
            max_concurrent_seats: 25,
            expiry_date: Some(NOON.plus_months(12)),
            signed_license: String::new(),
        }
        .into(),
        SubscriptionConfirmed {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            quantity: 3,
            yearly: true,
            trialing: false,
            current_period_end: NOON.plus_months(12),
        }
        .into(),
        GraceEnding {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            grace_period_ends_at: NOON.plus_days(2),
        }
        .into(),
        TrialStarted {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            trial_end: NOON.plus_days(14),
        }
        .into(),
        TrialEnding {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            trial_end: NOON.plus_days(3),
            charged: false,
        }
        .into(),
        TrialEnded {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            grace_period_ends_at: NOON.plus_days(7),
        }
        .into(),
        GraceStarted {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            grace_period_ends_at: NOON.plus_days(7),
        }
        .into(),
        LicenseSuspended {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            license_key_hint: license_key_hint(),
            reason: None,
        }
        .into(),
        LicenseReinstated {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            license_key_hint: license_key_hint(),
            expiry_date: Some(NOON.plus_months(1)),
        }
        .into(),
        LicenseExpired {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            license_key_hint: license_key_hint(),
            expiry_date: NOON,
        }
        .into(),
        LicenseRevoked {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            license_key_hint: license_key_hint(),
        }
        .into(),
        OrderReceived {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            amount_cents: 49_900,
            currency: "EUR".to_owned(),
            reference: "PO 4711".to_owned(),
            due_at: NOON.plus_days(30),
            current_period_end: NOON.plus_months(12),
        }
        .into(),
        PaymentRecorded {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            amount_cents: 49_900,
            currency: "EUR".to_owned(),
            reference: "PO 7".to_owned(),
            current_period_end: NOON.plus_months(1),
            credit: false,
        }
        .into(),
        SubscriptionEnded {
            full_name: full_name.to_owned(),
            plan_name: plan_name.to_owned(),
            ended_at: NOON,
        }
        .into(),
    ]
}
