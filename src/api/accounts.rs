//! Registration, sign-in and the signed-in person's own account.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::auth::{Enrolling, From, Person};
use super::json::{Accepted, Created, Json};
use super::wire::{Done, Time};
use super::{Answer, Tag};
use crate::domain::ids::LoginId;
use crate::domain::user::{self, LinkPurpose};
use crate::services::Services;
use crate::services::accounts::{NewProfile, ProfileInput, RegisterInput};
use crate::services::sign_in::SignedIn;

/// The calls under `/auth` and `/users/me`, and set-up.
pub struct Accounts {
    /// The operations.
    pub services: Arc<Services>,
}

/// A person's account.
#[derive(Object, Serialize)]
pub struct User {
    /// Identifies the account.
    user_id: Uuid,
    /// Lower case.
    email: String,
    /// As given.
    full_name: String,
    /// As given.
    company_name: Option<String>,
    /// Whether the mailed link was followed.
    email_verified: bool,
    /// Whether the person runs this appliance.
    operator: bool,
    /// The person's own organisation.
    org_id: Uuid,
    /// When the account was made.
    created_at: Time,
    /// When the person last signed in.
    last_login_at: Option<Time>,
    /// When the account was closed.
    deactivated_at: Option<Time>,
    /// Since when sign-in asks for a code beside the password.
    second_factor_since: Option<Time>,
    /// Whether there is a password: whoever signs in through an issuer or with a passkey need not have one.
    has_password: bool,
}

impl std::convert::From<user::User> for User {
    fn from(user: user::User) -> Self {
        Self {
            user_id: user.user_id.0,
            email: user.email.as_str().to_owned(),
            full_name: user.full_name,
            company_name: user.company_name,
            email_verified: user.email_verified,
            operator: user.operator,
            org_id: user.personal_org.0,
            created_at: user.created_at.into(),
            last_login_at: user.last_login_at.map(Time),
            deactivated_at: user.deactivated_at.map(Time),
            second_factor_since: user.second_factor_since.map(Time),
            has_password: user.password_hash.is_some(),
        }
    }
}

/// Who registers.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Receives the verification link.
    #[oai(validator(max_length = 254))]
    email: String,
    /// At most 256 characters that cannot be guessed, and at least 15 unless the settings say otherwise.
    #[oai(validator(min_length = 8, max_length = 256))]
    password: String,
    /// 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    full_name: String,
    /// At most 200 characters.
    #[oai(validator(max_length = 200))]
    company_name: Option<String>,
}

impl std::convert::From<Register> for RegisterInput {
    fn from(body: Register) -> Self {
        let Register { email, password, full_name, company_name } = body;
        Self { profile: NewProfile { email, full_name, company_name }, password }
    }
}

/// The token of a mailed link.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct LinkToken {
    /// What follows `token=` in the link.
    #[oai(validator(max_length = 200))]
    token: String,
}

/// An address.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The account's address.
    #[oai(validator(max_length = 254))]
    email: String,
}

/// A new password from a mailed link.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// What follows `token=` in the link.
    #[oai(validator(max_length = 200))]
    token: String,
    /// The new password.
    #[oai(validator(min_length = 8, max_length = 256))]
    password: String,
}

/// A sign-in.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The account's address.
    #[oai(validator(max_length = 254))]
    email: String,
    /// Its password.
    #[oai(validator(max_length = 1024))]
    password: String,
    /// A code of the authenticator app, or a recovery code, where the account has a second factor.
    #[oai(validator(max_length = 64))]
    totp: Option<String>,
}

/// A refresh token.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The newest one of the sign-in.
    #[oai(validator(max_length = 200))]
    refresh_token: String,
}

/// What a sign-in answers.
#[derive(Object, Serialize)]
pub struct Tokens {
    /// A JWT: `Authorization: Bearer <it>`.
    access_token: String,
    /// Always `Bearer`.
    token_type: String,
    /// Seconds the access token is good for.
    expires_in: u32,
    /// Good once, for the next pair.
    refresh_token: String,
    /// Who signed in.
    user: User,
}

impl std::convert::From<SignedIn> for Tokens {
    fn from(signed_in: SignedIn) -> Self {
        Self {
            access_token: signed_in.access_token,
            token_type: "Bearer".to_owned(),
            expires_in: signed_in.expires_in,
            refresh_token: signed_in.refresh_token,
            user: signed_in.user.into(),
        }
    }
}

/// A change of password.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The one that works now.
    #[oai(validator(max_length = 1024))]
    current_password: String,
    /// The one that is to work.
    #[oai(validator(min_length = 8, max_length = 256))]
    new_password: String,
}

/// A change of profile; what is left out stays.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    full_name: Option<String>,
    /// At most 200 characters; empty removes it.
    #[oai(validator(max_length = 200))]
    company_name: Option<String>,
}

/// A sign-in that has not ended.
#[derive(Object, Serialize)]
pub struct SignIn {
    /// Identifies it.
    session_id: Uuid,
    /// When it began.
    created_at: Time,
    /// When it was last refreshed.
    last_used_at: Time,
    /// When it ends by itself.
    expires_at: Time,
    /// From where.
    address: String,
    /// With what.
    user_agent: String,
    /// Whether it is the one that asks.
    current: bool,
}

/// The person's sign-ins.
#[derive(Object, Serialize)]
pub struct SignIns {
    /// Oldest first.
    items: Vec<SignIn>,
    /// Always null: they fit on one page.
    next_cursor: Option<String>,
}

/// Whether this appliance has an operator.
#[derive(Object, Serialize)]
pub struct SetupState {
    /// True until the first operator is made.
    needed: bool,
}

/// The first operator.
#[derive(Object, Deserialize)]
#[oai(deny_unknown_fields)]
#[serde(deny_unknown_fields)]
pub struct ClaimSetup {
    /// What follows `setup=` in the link that the server prints.
    #[oai(validator(max_length = 200))]
    token: String,
    /// Signs in with it.
    #[oai(validator(max_length = 254))]
    email: String,
    /// At most 256 characters that cannot be guessed, and at least 15 unless the settings say otherwise.
    #[oai(validator(min_length = 8, max_length = 256))]
    password: String,
    /// 1 to 200 characters.
    #[oai(validator(min_length = 1, max_length = 200))]
    full_name: String,
}

#[OpenApi(prefix_path = "/api/v1")]
impl Accounts {
    /// Whether set-up is needed
    #[oai(path = "/setup", method = "get", operation_id = "setup_state", tag = "Tag::Accounts")]
    async fn setup_state(&self) -> Answer<Json<SetupState>> {
        Ok(Json(SetupState { needed: self.services.needs_setup()? }))
    }

    /// Make the first operator
    ///
    /// With the token of the one-time link that the server prints. The operator is signed in.
    #[oai(path = "/setup", method = "post", operation_id = "claim_setup", tag = "Tag::Accounts")]
    async fn claim_setup(&self, from: From, body: Json<ClaimSetup>) -> Answer<Created<Tokens>> {
        let Json(ClaimSetup { token, email, password, full_name }) = body;
        let profile = NewProfile { email, full_name, company_name: None };
        let input = RegisterInput { profile, password };
        Ok(Created(self.services.claim_setup(&from.0, &token, input).await?.into()))
    }

    /// Register
    ///
    /// Makes an account with an organisation of its own and mails a verification link.
    #[oai(
        path = "/auth/register",
        method = "post",
        operation_id = "register",
        tag = "Tag::Accounts"
    )]
    async fn register(&self, from: From, body: Json<Register>) -> Answer<Created<User>> {
        Ok(Created(self.services.register(&from.0, body.0.into()).await?.into()))
    }

    /// Verify the e-mail address
    #[oai(
        path = "/auth/verify-email",
        method = "post",
        operation_id = "verify_email",
        tag = "Tag::Accounts"
    )]
    async fn verify_email(&self, from: From, body: Json<LinkToken>) -> Answer<Json<User>> {
        Ok(Json(self.services.verify_email(&from.0, &body.0.token).await?.into()))
    }

    /// Ask for a new verification link
    ///
    /// Answers the same, in the same time, whether the address has an account or not.
    #[oai(
        path = "/auth/resend-verification",
        method = "post",
        operation_id = "resend_verification",
        tag = "Tag::Accounts"
    )]
    async fn resend_verification(&self, from: From, body: Json<Address>) -> Answer<Accepted<Done>> {
        self.services.request_link(&from.0, &body.0.email, LinkPurpose::VerifyEmail).await?;
        Ok(Accepted(Done::new("accepted")))
    }

    /// Ask for a link to choose a new password
    ///
    /// Answers the same, in the same time, whether the address has an account or not.
    #[oai(
        path = "/auth/forgot-password",
        method = "post",
        operation_id = "forgot_password",
        tag = "Tag::Accounts"
    )]
    async fn forgot_password(&self, from: From, body: Json<Address>) -> Answer<Accepted<Done>> {
        self.services.request_link(&from.0, &body.0.email, LinkPurpose::ResetPassword).await?;
        Ok(Accepted(Done::new("accepted")))
    }

    /// Choose a new password from a mailed link
    ///
    /// Ends every sign-in of the account.
    #[oai(
        path = "/auth/reset-password",
        method = "post",
        operation_id = "reset_password",
        tag = "Tag::Accounts"
    )]
    async fn reset_password(&self, from: From, body: Json<ResetPassword>) -> Answer<Json<Done>> {
        self.services.reset_password(&from.0, &body.0.token, body.0.password).await?;
        Ok(Json(Done::new("password_reset")))
    }

    /// Sign in
    ///
    /// 401 `mfa_required`: the password is right, and the account has a second factor. Ask for a code and give
    /// it as `totp`, with the password again; 401 `invalid_totp` when it is wrong or was used.
    #[oai(path = "/auth/login", method = "post", operation_id = "login", tag = "Tag::Accounts")]
    async fn login(&self, from: From, body: Json<Login>) -> Answer<Json<Tokens>> {
        let Json(Login { email, password, totp }) = body;
        Ok(Json(self.services.login(&from.0, &email, password, totp).await?.into()))
    }

    /// Exchange a refresh token for a fresh pair
    ///
    /// The old one is spent. One that was spent before ends its whole sign-in: `token_reused`.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "refresh", tag = "Tag::Accounts")]
    async fn refresh(&self, from: From, body: Json<Refresh>) -> Answer<Json<Tokens>> {
        Ok(Json(self.services.refresh(&from.0, &body.0.refresh_token).await?.into()))
    }

    /// Sign out
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout", tag = "Tag::Accounts")]
    async fn logout(&self, person: Enrolling) -> Answer<Json<Done>> {
        let login_id = person.0.require_sign_in()?;
        self.services.end_login(&person.0, login_id).await?;
        Ok(Json(Done::new("signed_out")))
    }

    /// Change the password
    ///
    /// Ends every other sign-in of the account.
    #[oai(
        path = "/auth/change-password",
        method = "post",
        operation_id = "change_password",
        tag = "Tag::Accounts"
    )]
    async fn change_password(
        &self,
        person: Person,
        body: Json<ChangePassword>,
    ) -> Answer<Json<Done>> {
        let Json(ChangePassword { current_password, new_password }) = body;
        self.services.change_password(&person.0, current_password, new_password).await?;
        Ok(Json(Done::new("password_changed")))
    }

    /// The person's sign-ins
    #[oai(
        path = "/auth/sessions",
        method = "get",
        operation_id = "list_sign_ins",
        tag = "Tag::Accounts"
    )]
    async fn list_sign_ins(&self, person: Person) -> Answer<Json<SignIns>> {
        let current = person.0.require_sign_in()?;
        let items = self.services.logins(&person.0)?.into_iter().map(|login| SignIn {
            session_id: login.login_id.0,
            created_at: login.created_at.into(),
            last_used_at: login.last_used_at.into(),
            expires_at: login.expires_at.into(),
            address: login.address,
            user_agent: login.user_agent,
            current: login.login_id == current,
        });
        Ok(Json(SignIns { items: items.collect(), next_cursor: None }))
    }

    /// Sign out everywhere
    #[oai(
        path = "/auth/sessions",
        method = "delete",
        operation_id = "end_sign_ins",
        tag = "Tag::Accounts"
    )]
    async fn end_sign_ins(&self, person: Person) -> Answer<Json<Done>> {
        self.services.end_all_logins(&person.0).await?;
        Ok(Json(Done::new("signed_out_everywhere")))
    }

    /// End one sign-in
    #[oai(
        path = "/auth/sessions/:session_id",
        method = "delete",
        operation_id = "end_sign_in",
        tag = "Tag::Accounts"
    )]
    async fn end_sign_in(&self, person: Person, session_id: Path<Uuid>) -> Answer<Json<Done>> {
        self.services.end_login(&person.0, LoginId(session_id.0)).await?;
        Ok(Json(Done::new("signed_out")))
    }

    /// The signed-in person
    #[oai(path = "/users/me", method = "get", operation_id = "get_me", tag = "Tag::Accounts")]
    async fn get_me(&self, person: Enrolling) -> Answer<Json<User>> {
        Ok(Json(self.services.me(&person.0)?.into()))
    }

    /// Change the profile
    #[oai(path = "/users/me", method = "patch", operation_id = "update_me", tag = "Tag::Accounts")]
    async fn update_me(&self, person: Person, body: Json<Profile>) -> Answer<Json<User>> {
        let Json(Profile { full_name, company_name }) = body;
        let input = ProfileInput { full_name, company_name };
        Ok(Json(self.services.update_profile(&person.0, input).await?.into()))
    }

    /// Close the account
    ///
    /// No sign-in works any more, and a confirmed address is told. Licences live on with their organisation. 409
    /// `last_operator` when nobody could run this appliance afterwards.
    #[oai(
        path = "/users/me/deactivate",
        method = "post",
        operation_id = "deactivate_me",
        tag = "Tag::Accounts"
    )]
    async fn deactivate_me(&self, person: Person) -> Answer<Json<Done>> {
        self.services.close_account(&person.0).await?;
        Ok(Json(Done::new("deactivated")))
    }
}
