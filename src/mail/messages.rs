//! One struct for each message. Its fields are what the templates may name, and what is
//! stored until the message is sent: give a new field `#[serde(default)]`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;

use super::mime::Attachment;

/// A stored message that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableMessage {
    /// No message has this name.
    #[error("there is no message named {0:?}; was it stored by a newer version?")]
    Unknown(String),
    /// The fields do not fit the message.
    #[error("the stored fields of the message {name} cannot be read: {source}")]
    Fields {
        /// The message's name.
        name: &'static str,
        /// What serde says.
        source: serde_json::Error,
    },
}

/// Writes the structs, the enum of them all, and how each is stored.
macro_rules! messages {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident = $wire:literal {
            $($(#[$field_attribute:meta])+ $field:ident: $type:ty,)+
        }
    )+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
            pub struct $name {
                $($(#[$field_attribute])+ pub $field: $type,)+
            }

            impl From<$name> for Message {
                fn from(message: $name) -> Self {
                    Self::$name(message)
                }
            }
        )+

        /// Every message there is.
        #[derive(Clone, PartialEq, Eq)]
        pub enum Message {
            $($(#[doc = $doc])+ $name($name),)+
        }

        impl Message {
            /// The names of all messages, which are the folders of their templates as well.
            pub const NAMES: &'static [&'static str] = &[$($wire),+];

            /// The stable name.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $wire,)+ }
            }

            /// The fields, encoded for storage; [`Message::decode`] reads them.
            pub fn payload(&self) -> String {
                match self { $(Self::$name(fields) => encode(fields),)+ }
            }

            /// Reads what [`Message::name`] and [`Message::payload`] stored.
            ///
            /// # Errors
            /// When the name is unknown or the fields do not fit.
            pub fn decode(name: &str, payload: &str) -> Result<Self, UnreadableMessage> {
                match name {
                    $($wire => serde_json::from_str(payload)
                        .map(Self::$name)
                        .map_err(|source| UnreadableMessage::Fields { name: $wire, source }),)+
                    _ => Err(UnreadableMessage::Unknown(name.to_owned())),
                }
            }

            /// The fields as the templates see them.
            pub(super) fn fields(&self) -> minijinja::Value {
                match self { $(Self::$name(fields) => minijinja::Value::from_serialize(fields),)+ }
            }
        }
    };
}

messages! {
    /// Asks whether the address is read by who registered it. It names nobody: the name was given
    /// by whoever registered, and must not be a way to put words into other people's mail.
    VerifyEmail = "verify_email" {
        /// The whole address of the page, with `token=`.
        link: String,
        /// When the link stops working.
        expires_at: Timestamp,
    }

    /// Tells somebody that the vendor has made an account, and lets the reader choose its password.
    /// Names no person, as [`VerifyEmail`].
    AccountCreated = "account_created" {
        /// The organisation whose directory asked for it; none: the vendor did.
        #[serde(default)]
        org_name: Option<String>,
        /// The address to sign in with.
        email: String,
        /// The whole address of the page, with `token=`.
        link: String,
        /// When the link stops working.
        expires_at: Timestamp,
    }

    /// Lets the reader choose a new password. Names nobody, as [`VerifyEmail`].
    PasswordReset = "password_reset" {
        /// The whole address of the page, with `token=`.
        link: String,
        /// When the link stops working.
        expires_at: Timestamp,
    }

    /// Tells the owner of an account that its password is another one now, or that it has one.
    PasswordChanged = "password_changed" {
        /// The reader.
        full_name: String,
        /// When it was changed.
        changed_at: Timestamp,
        /// Whether there was none before.
        #[serde(default)]
        first: bool,
        /// Whether passkeys or linked accounts go on signing in.
        other_ways: bool,
    }

    /// Tells a member who has no second factor that the organisation asks for one.
    SecondFactorRequired = "second_factor_required" {
        /// The reader.
        full_name: String,
        /// Which organisation.
        org_name: String,
        /// Since when it does.
        required_at: Timestamp,
    }

    /// Tells the owner of an account what became of it: `closed` by somebody who was signed in to it, or by an
    /// operator `closed_by_operator`, `reopened`, `made_operator`, `no_operator` or `signed_out`.
    AccountChanged = "account_changed" {
        /// The reader.
        full_name: String,
        /// What.
        change: String,
        /// When.
        changed_at: Timestamp,
    }

    /// Tells the address that an account had that an operator has given the account another one. It names
    /// neither the person nor the new address: the reader may be a stranger.
    AddressCorrected = "address_corrected" {
        /// When.
        changed_at: Timestamp,
    }

    /// Tells the address that an operator has given to an account, and lets the reader choose its password.
    /// Names no person, as [`VerifyEmail`].
    AddressGiven = "address_given" {
        /// The address, which signs in.
        email: String,
        /// The whole address of the page, with `token=`.
        link: String,
        /// When the link stops working.
        expires_at: Timestamp,
    }

    /// Tells who manages an organisation that it is to be deleted, stays after all, or was erased.
    OrgDeletion = "org_deletion" {
        /// The reader.
        full_name: String,
        /// The organisation.
        org_name: String,
        /// `asked`, `taken_back` or `done`.
        change: String,
        /// Until when it can be taken back, or when it was done.
        due_at: Timestamp,
    }

    /// Tells whoever owns an organisation now, and whoever did before, that it was given away.
    OrgTransferred = "org_transferred" {
        /// The reader.
        full_name: String,
        /// The organisation.
        org_name: String,
        /// What the reader has done: `received` or `given`.
        change: String,
        /// The other of the two.
        other: String,
        /// When.
        changed_at: Timestamp,
    }

    /// Tells somebody that they belong to an organisation because their address is at its domain.
    OrgJoined = "org_joined" {
        /// The reader.
        full_name: String,
        /// The organisation.
        org_name: String,
        /// The domain.
        domain: String,
        /// What the reader is there.
        role: String,
        /// Since when.
        joined_at: Timestamp,
    }

    /// Tells somebody that others took them out of an organisation.
    MemberRemoved = "member_removed" {
        /// The reader.
        full_name: String,
        /// The organisation.
        org_name: String,
        /// When.
        removed_at: Timestamp,
    }

    /// Tells the owner of an organisation that a domain is known to be its own, or is no more.
    OrgDomain = "org_domain" {
        /// The reader.
        full_name: String,
        /// The organisation.
        org_name: String,
        /// The domain.
        domain: String,
        /// `verified` or `lost`.
        change: String,
        /// The name of the record that proves it.
        record_name: String,
        /// What that record says.
        record_value: String,
    }

    /// Tells the owner of an organisation that there is a new token to provision its people with.
    ProvisioningTokenMade = "provisioning_token_made" {
        /// The reader.
        full_name: String,
        /// The organisation.
        org_name: String,
        /// What the token is called.
        name: String,
        /// Who made it.
        made_by: String,
        /// When it was made.
        made_at: Timestamp,
        /// When it stops working; none: once it is revoked.
        expires_at: Option<Timestamp>,
    }

    /// Tells somebody, at the address that was theirs, that a directory gave their account another one.
    AddressChanged = "address_changed" {
        /// The reader.
        full_name: String,
        /// Whose directory it was.
        org_name: String,
        /// The new address.
        email: String,
        /// When it was changed.
        changed_at: Timestamp,
    }

    /// Tells the owner of an account that somebody signed in from where nobody had before.
    NewSignIn = "new_sign_in" {
        /// The reader.
        full_name: String,
        /// When it was.
        signed_in_at: Timestamp,
        /// From which address.
        address: String,
        /// With what; as it calls itself.
        user_agent: String,
    }

    /// Tells the owner of an account that its second factor changed.
    SecondFactorChanged = "second_factor_changed" {
        /// The reader.
        full_name: String,
        /// `on`, `off`, `removed` (by an operator), `app_removed` (passkeys are left) or `renewed` (the
        /// recovery codes).
        change: String,
        /// When.
        changed_at: Timestamp,
    }

    /// Tells the owner of an account that a passkey was added or removed.
    PasskeyChanged = "passkey_changed" {
        /// The reader.
        full_name: String,
        /// What the passkey is called.
        name: String,
        /// `added` or `removed`.
        change: String,
        /// When.
        changed_at: Timestamp,
    }

    /// Tells the owner of an account that a recovery code took the place of the authenticator app.
    RecoveryCodeUsed = "recovery_code_used" {
        /// The reader.
        full_name: String,
        /// When.
        used_at: Timestamp,
        /// From which address.
        address: String,
        /// How many are left.
        left: u32,
    }

    /// Tells the owner of an account that somebody who knows the password tries one code after the other.
    CodesRefused = "codes_refused" {
        /// The reader.
        full_name: String,
        /// When.
        refused_at: Timestamp,
        /// From which address.
        address: String,
    }

    /// Tells the owner of an account that another service signs in to it from now on.
    IdentityLinked = "identity_linked" {
        /// The reader.
        full_name: String,
        /// The service, as the sign-in page calls it.
        provider: String,
        /// `address`: it vouches for the account's; `owner`: somebody who had signed in has linked it.
        because: String,
        /// When.
        linked_at: Timestamp,
    }

    /// Asks whoever reads the address whether an organisation's issuer may sign in as them. Names nobody, as
    /// [`VerifyEmail`].
    ConfirmIdentity = "confirm_identity" {
        /// The organisation, as its members call it.
        org_name: String,
        /// The whole address of the page, with `token=`.
        link: String,
        /// When the link stops working.
        expires_at: Timestamp,
    }

    /// Greets whoever has shown to read the address.
    Welcome = "welcome" {
        /// The reader.
        full_name: String,
        /// The address to sign in with.
        email: String,
        /// The organisation beside their own that they belong to, or came through, which buys for them.
        #[serde(default)]
        org_name: Option<String>,
        /// Whether they belong to it already.
        #[serde(default)]
        belongs: bool,
    }

    /// Asks somebody to join an organisation.
    Invitation = "invitation" {
        /// The organisation, as its members call it.
        org_name: String,
        /// Who asks.
        invited_by: String,
        /// As what: `admin`, `billing` or `member`.
        role: String,
        /// The whole address of the page, with `token=`.
        link: String,
        /// When the link stops working.
        expires_at: Timestamp,
    }

    /// Hands over a licence: its key, and the signed licence file as `license.lic`.
    LicenseDelivered = "license_delivered" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// The whole key.
        license_key: String,
        /// How many seats may be held at once.
        max_concurrent_seats: u32,
        /// Until when it works; none: without end.
        expiry_date: Option<Timestamp>,
        /// The signed licence file. May be filled in when the message is sent; while it is empty
        /// nothing is attached.
        #[serde(default)]
        signed_license: String,
    }

    /// A subscription that the provider bills has begun.
    SubscriptionConfirmed = "subscription_confirmed" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// How many times the plan.
        quantity: u32,
        /// Whether a year is paid at once.
        yearly: bool,
        /// Whether nothing is paid before a trial has ended.
        trialing: bool,
        /// When it is paid next.
        current_period_end: Timestamp,
    }

    /// A trial has begun.
    TrialStarted = "trial_started" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// When it ends.
        trial_end: Timestamp,
    }

    /// A trial ends soon.
    TrialEnding = "trial_ending" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// When it ends.
        trial_end: Timestamp,
        /// Whether the first payment is then charged by itself.
        #[serde(default)]
        charged: bool,
    }

    /// Grace will end, and the licence with it.
    GraceEnding = "grace_ending" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// When the licence is suspended.
        grace_period_ends_at: Timestamp,
    }

    /// A trial ended unpaid; everything works until the grace period ends.
    TrialEnded = "trial_ended" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// Until when everything works.
        grace_period_ends_at: Timestamp,
    }

    /// A paid period ended unpaid; everything works until the grace period ends.
    GraceStarted = "grace_started" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// Until when everything works.
        grace_period_ends_at: Timestamp,
    }

    /// A licence stopped working until it is paid or reinstated.
    LicenseSuspended = "license_suspended" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// The key, shortened by [`shorten_key`].
        license_key_hint: String,
        /// An operator's reason; none: it was not paid.
        reason: Option<String>,
    }

    /// A licence works again.
    LicenseReinstated = "license_reinstated" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// The key, shortened by [`shorten_key`].
        license_key_hint: String,
        /// Until when it works; none: without end.
        expiry_date: Option<Timestamp>,
    }

    /// A licence has run out.
    LicenseExpired = "license_expired" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// The key, shortened by [`shorten_key`].
        license_key_hint: String,
        /// When it ran out.
        expiry_date: Timestamp,
    }

    /// A licence was taken back for good.
    LicenseRevoked = "license_revoked" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// The key, shortened by [`shorten_key`].
        license_key_hint: String,
    }

    /// A plan was ordered, works at once, and its payment is awaited.
    OrderReceived = "order_received" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// What is due, in minor units of `currency`.
        amount_cents: i64,
        /// ISO 4217.
        currency: String,
        /// What to name in the payment, so that it is found.
        reference: String,
        /// Until when it is to be paid.
        due_at: Timestamp,
        /// Until when that pays.
        current_period_end: Timestamp,
    }

    /// A payment was booked.
    PaymentRecorded = "payment_recorded" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// What was paid, in minor units of `currency`.
        amount_cents: i64,
        /// ISO 4217.
        currency: String,
        /// A purchase order or bank reference; may be empty.
        reference: String,
        /// Until when that pays.
        current_period_end: Timestamp,
        /// Whether it was given, and no money came.
        #[serde(default)]
        credit: bool,
    }

    /// A subscription ended as its owner had asked.
    SubscriptionEnded = "subscription_ended" {
        /// The reader.
        full_name: String,
        /// The plan.
        plan_name: String,
        /// When it ended.
        ended_at: Timestamp,
    }
}

impl Message {
    /// The files that go with it.
    pub fn attachments(&self) -> Vec<Attachment> {
        match self {
            Self::LicenseDelivered(message) if !message.signed_license.is_empty() => {
                vec![Attachment {
                    file_name: "license.lic",
                    content_type: "application/jose",
                    content: message.signed_license.clone().into_bytes(),
                }]
            }
            _ => Vec::new(),
        }
    }

    /// The same message without what opens something: for the log, once it was sent.
    #[must_use]
    pub fn redacted(mut self) -> Self {
        match &mut self {
            Self::VerifyEmail(VerifyEmail { link, .. })
            | Self::AccountCreated(AccountCreated { link, .. })
            | Self::AddressGiven(AddressGiven { link, .. })
            | Self::Invitation(Invitation { link, .. })
            | Self::ConfirmIdentity(ConfirmIdentity { link, .. })
            | Self::PasswordReset(PasswordReset { link, .. }) => link.clear(),
            Self::LicenseDelivered(message) => {
                message.license_key = shorten_key(&message.license_key);
                message.signed_license.clear();
            }
            _ => {}
        }
        self
    }
}

/// Names the message and shows no field: links and keys stay out of logs.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.name())
    }
}

/// A licence key by which its owner knows it and nobody can use it: the last group alone.
pub fn shorten_key(license_key: &str) -> String {
    let last = license_key.rsplit('-').next().unwrap_or_default();
    let shown: String = last.chars().rev().take(4).collect();
    format!("...-{}", shown.chars().rev().collect::<String>())
}

fn encode(fields: &impl Serialize) -> String {
    serde_json::to_string(fields)
        .expect("a struct of texts, numbers and options is always JSON; no map keys are involved")
}
