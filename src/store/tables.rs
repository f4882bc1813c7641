//! Every table there is. A row is a record of `domain`, encoded as JSON so that it
//! describes itself: a field added later with a default reads an old row.
//!
//! Tenant data is keyed by organisation first; such tables are read through
//! [`super::scope::Org`] alone, so that a query without a tenant cannot be written.

use super::table::Table;
use crate::domain::analytics::{Movement, Movements, Standing, Tally, Trials};
use crate::domain::api_key::ApiKey;
use crate::domain::audit::{AuditEntry, SignedHead};
use crate::domain::billing::{Checkout, Invoice, ProviderEvent};
use crate::domain::email_domain::OrgDomain;
use crate::domain::identity::{Identity, PendingIdentity, Sso};
use crate::domain::ids::{
    ActivationId, ApiKeyId, IdentityId, InvitationId, InvoiceId, JobId, LicenseId, LoginId, MailId,
    OrgId, PasskeyId, PaymentId, PlanId, ProjectId, ProvisioningTokenId, SubscriptionId, TeamId,
    UserId,
};
use crate::domain::job::Job;
use crate::domain::license::{Activation, License};
use crate::domain::mail::MailRecord;
use crate::domain::organisation::{ErasedOrg, Invitation, Membership, Organisation};
use crate::domain::passkey::Passkey;
use crate::domain::payment::Payment;
use crate::domain::plan::Plan;
use crate::domain::provisioning::{DirectoryPerson, ProvisioningToken};
use crate::domain::second_factor::SecondFactor;
use crate::domain::subscription::{Interval, Subscription};
use crate::domain::team::{Grant, Project, Team, TeamMember};
use crate::domain::time::Timestamp;
use crate::domain::user::{Link, Login, User};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

macro_rules! tables {
    ($($(#[doc = $doc:literal])+ $constant:ident = $name:literal: $key:ty => $row:ty;)+) => {
        $($(#[doc = $doc])+ pub(super) const $constant: Table<$key, $row> = Table::new($name);)+
    };
}

tables! {
    /// Single named values.
    FACTS = "facts": String => String;
    /// People.
    USERS = "users": UserId => User;
    /// The account of an address.
    USERS_BY_EMAIL = "users_by_email": String => UserId;
    /// Those of them who run the appliance.
    OPERATORS = "operators": UserId => bool;
    /// What there is of a person's second factor.
    SECOND_FACTORS = "second_factors": UserId => SecondFactor;
    /// A person's passkeys.
    PASSKEYS = "passkeys": (UserId, PasskeyId) => Passkey;
    /// The passkey of a credential id's hash.
    PASSKEYS_BY_CREDENTIAL = "passkeys_by_credential": Digest => (UserId, PasskeyId);
    /// Accounts at issuers that sign a person in.
    IDENTITIES = "identities": (UserId, IdentityId) => Identity;
    /// That of an issuer's subject, after the tenant whose issuer it is.
    IDENTITIES_BY_SUBJECT = "identities_by_subject": (String, String, String) => (UserId, IdentityId);
    /// Those that wait to be confirmed, with their end, under the hash of the mailed token.
    PENDING_IDENTITIES = "pending_identities": Digest => (Timestamp, PendingIdentity);
    /// The same in order of their end.
    PENDING_IDENTITIES_BY_END = "pending_identities_by_end": (Timestamp, Digest) => bool;
    /// The issuer that a tenant names for its members.
    ORG_SSO = "org_sso": OrgId => Sso;
    /// Tenants.
    ORGS = "orgs": OrgId => Organisation;
    /// Who owns a tenant. What was made before there was an index has no row here.
    ORG_OWNERS = "org_owners": OrgId => UserId;
    /// What is kept of tenants that were erased.
    ERASED_ORGS = "erased_orgs": OrgId => ErasedOrg;
    /// Who belongs to a tenant.
    MEMBERSHIPS = "memberships": (OrgId, UserId) => Membership;
    /// Where a person belongs, beside the personal organisation.
    MEMBERSHIPS_BY_USER = "memberships_by_user": (UserId, OrgId) => bool;
    /// Invitations to join a tenant.
    INVITATIONS = "invitations": (OrgId, InvitationId) => Invitation;
    /// The invitation of a token's hash.
    INVITATIONS_BY_HASH = "invitations_by_hash": Digest => (OrgId, InvitationId);
    /// Invitations in order of their end.
    INVITATIONS_BY_END = "invitations_by_end": (Timestamp, InvitationId) => OrgId;
    /// Invitations by the address they were mailed to. What was sent before there was an index has no row here.
    INVITATIONS_BY_EMAIL = "invitations_by_email": (String, OrgId, InvitationId) => bool;
    /// Domains that a tenant says are its own.
    ORG_DOMAINS = "org_domains": (OrgId, String) => OrgDomain;
    /// The tenant whose a domain is known to be.
    DOMAIN_ORGS = "domain_orgs": String => OrgId;
    /// Who left a tenant, and is brought back by no domain.
    ORG_LEAVERS = "org_leavers": (OrgId, UserId) => bool;
    /// Tokens that a tenant's directory presents, each with the hash of its secret.
    PROVISIONING_TOKENS = "provisioning_tokens": (OrgId, ProvisioningTokenId) => (Digest, ProvisioningToken);
    /// The token of a hash.
    PROVISIONING_TOKENS_BY_HASH = "provisioning_tokens_by_hash": Digest => (OrgId, ProvisioningTokenId);
    /// What a tenant's directory has said of people.
    PROVISIONED = "provisioned": (OrgId, UserId) => DirectoryPerson;
    /// The people of an id of the directory's own.
    PROVISIONED_BY_EXTERNAL_ID = "provisioned_by_external_id": (OrgId, String, UserId) => bool;
    /// People who have left, whom the directory has in a team still.
    HELD_TEAM_MEMBERS = "held_team_members": (OrgId, TeamId, UserId) => bool;
    /// Teams of a tenant.
    TEAMS = "teams": (OrgId, TeamId) => Team;
    /// Who belongs to a team.
    TEAM_MEMBERS = "team_members": (OrgId, TeamId, UserId) => TeamMember;
    /// The teams of a person.
    TEAM_MEMBERS_BY_USER = "team_members_by_user": (OrgId, UserId, TeamId) => bool;
    /// Licences that a team may use.
    TEAM_GRANTS = "team_grants": (OrgId, TeamId, LicenseId) => Grant;
    /// Seats of a licence that are reserved for a team.
    TEAM_GRANTS_BY_LICENSE = "team_grants_by_license": (OrgId, LicenseId, TeamId) => u32;
    /// Projects of a tenant.
    PROJECTS = "projects": (OrgId, ProjectId) => Project;
    /// Licences that are grouped in a project.
    PROJECT_LICENSES = "project_licenses": (OrgId, ProjectId, LicenseId) => bool;
    /// The project that a licence is grouped in.
    PROJECT_OF_LICENSE = "project_of_license": (OrgId, LicenseId) => ProjectId;
    /// Sign-ins of a person.
    LOGINS = "logins": (UserId, LoginId) => Login;
    /// Every refresh token ever given by a sign-in that has not ended, spent ones included.
    REFRESH_TOKENS = "refresh_tokens": Digest => (UserId, LoginId);
    /// The refresh tokens of one sign-in, so that they go with it.
    REFRESH_BY_LOGIN = "refresh_by_login": (LoginId, Digest) => bool;
    /// Sign-ins in order of their end.
    LOGINS_BY_END = "logins_by_end": (Timestamp, LoginId) => UserId;
    /// One-time links under the hash of their token.
    LINKS = "links": Digest => Link;
    /// Links in order of their end.
    LINKS_BY_END = "links_by_end": (Timestamp, Digest) => bool;
    /// Keys of a person for programs, each with the hash of its secret.
    API_KEYS = "api_keys": (UserId, ApiKeyId) => (Digest, ApiKey);
    /// The key of a hash.
    API_KEYS_BY_HASH = "api_keys_by_hash": Digest => (UserId, ApiKeyId);
    /// The catalogue.
    PLANS = "plans": PlanId => Plan;
    /// Plans under their lower-cased name.
    PLANS_BY_NAME = "plans_by_name": String => PlanId;
    /// Subscriptions of a tenant.
    SUBSCRIPTIONS = "subscriptions": (OrgId, SubscriptionId) => Subscription;
    /// Whose subscription it is.
    SUBSCRIPTION_ORGS = "subscription_orgs": SubscriptionId => OrgId;
    /// Plans whose trial a tenant has had.
    TRIALS = "trials": (OrgId, PlanId) => SubscriptionId;
    /// Licences of a tenant.
    LICENSES = "licenses": (OrgId, LicenseId) => License;
    /// Whose licence it is.
    LICENSE_ORGS = "license_orgs": LicenseId => OrgId;
    /// The licence of a key, in the form a typed one is brought into.
    LICENSES_BY_KEY = "licenses_by_key": String => (OrgId, LicenseId);
    /// The licence a subscription pays for.
    LICENSES_BY_SUBSCRIPTION = "licenses_by_subscription": SubscriptionId => LicenseId;
    /// Machines bound to a licence, under their hardware id.
    ACTIVATIONS = "activations": (OrgId, LicenseId, String) => Activation;
    /// The machine of an activation.
    ACTIVATIONS_BY_ID = "activations_by_id": (OrgId, ActivationId) => (LicenseId, String);
    /// Payments of a tenant.
    PAYMENTS = "payments": (OrgId, PaymentId) => Payment;
    /// A tenant's payment of a reference.
    PAYMENTS_BY_REFERENCE = "payments_by_reference": (OrgId, String) => PaymentId;
    /// Whose payment it is.
    PAYMENT_ORGS = "payment_orgs": PaymentId => OrgId;
    /// The provider's customer that stands for a tenant.
    BILLING_CUSTOMERS = "billing_customers": OrgId => String;
    /// The tenant of a provider's customer.
    BILLING_CUSTOMER_ORGS = "billing_customer_orgs": String => OrgId;
    /// Our subscription under the provider's id.
    BILLED_SUBSCRIPTIONS = "billed_subscriptions": String => (OrgId, SubscriptionId);
    /// What is subscribed to under the provider's id of its price.
    PLANS_BY_PRICE = "plans_by_price": String => (PlanId, Interval);
    /// The payment page that a tenant was sent to.
    CHECKOUTS = "checkouts": OrgId => Checkout;
    /// Invoices of a tenant.
    INVOICES = "invoices": (OrgId, InvoiceId) => Invoice;
    /// Whose invoice it is.
    INVOICE_ORGS = "invoice_orgs": InvoiceId => OrgId;
    /// The invoice of a provider's id.
    INVOICES_BY_STRIPE = "invoices_by_stripe": String => (OrgId, InvoiceId);
    /// The invoice that a provider's payment paid.
    INVOICES_BY_INTENT = "invoices_by_intent": String => (OrgId, InvoiceId);
    /// What the provider told, under the id of the event.
    PROVIDER_EVENTS = "provider_events": String => ProviderEvent;
    /// That, in the order in which it came.
    PROVIDER_EVENTS_BY_TIME = "provider_events_by_time": (Timestamp, String) => bool;
    /// Work to do, in order of its time.
    JOBS = "jobs": (Timestamp, JobId) => Job;
    /// Work that failed too often.
    JOBS_PARKED = "jobs_parked": JobId => Job;
    /// The e-mail log.
    MAILS = "mails": MailId => MailRecord;
    /// The audit log, in its order.
    AUDIT_LOG = "audit_log": u64 => AuditEntry;
    /// Its signed days, under the number of the last entry of each.
    AUDIT_HEADS = "audit_heads": u64 => SignedHead;
    /// The signing keys, private parts sealed.
    KEYS = "keys": String => serde_json::Value;
    /// Words under which an account is found; see `domain::search`.
    USER_WORDS = "user_words": (String, UserId) => bool;
    /// Words under which a tenant is found: its own and those of the people it was made for.
    ORG_WORDS = "org_words": (String, OrgId) => bool;
    /// Words under which a licence is found: its key and its machines.
    LICENSE_WORDS = "license_words": (String, LicenseId) => bool;
    /// Licences by the status last noted.
    LICENSES_BY_STATUS = "licenses_by_status": (String, LicenseId) => bool;
    /// Subscriptions by status.
    SUBSCRIPTIONS_BY_STATUS = "subscriptions_by_status": (String, SubscriptionId) => bool;
    /// The e-mail log by status.
    MAILS_BY_STATUS = "mails_by_status": (String, MailId) => bool;
    /// The audit log by the record that something was done to.
    AUDIT_LOG_BY_SUBJECT = "audit_log_by_subject": (String, u64) => bool;
    /// What customers came to be worth, in order of time; the number is that of the movement.
    MOVEMENTS = "movements": (Timestamp, u64) => Movement;
    /// What a customer is worth per year in a currency; there is a row once that was ever more than 0.
    CUSTOMER_WORTHS = "customer_worths": (OrgId, String) => i64;
    /// The movements of a month, such as `2026-11`, in a currency.
    MONTHLY_MOVEMENTS = "monthly_movements": (String, String) => Movements;
    /// What the subscriptions to a plan are worth now, by currency.
    STANDINGS = "standings": (String, PlanId) => Standing;
    /// What has come of the trials that began in a month.
    MONTHLY_TRIALS = "monthly_trials": String => Trials;
    /// Payments of a month in a currency for a plan, without what was given back.
    PLAN_REVENUE = "plan_revenue": (String, String, PlanId) => Tally;
    /// Invoices that wait to be paid, by currency.
    OPEN_INVOICES = "open_invoices": String => Tally;
    /// How many records of a kind there are in a state.
    COUNTS = "counts": String => u64;
}
