//! Signing in on the word of an issuer: the way of a browser there and back, and ID tokens that front
//! ends hold already.
//!
//! A browser that leaves for an issuer carries what is needed at its return in a sealed cookie, so that
//! nothing is kept for those who never return, and a return belongs to the browser that left. What the
//! issuer said then waits under a one-time code for the page, which trades code and cookie for tokens:
//! no token is ever part of an address.
//!
//! Somebody who has signed in may go the same way to link an account there to their own. What comes back
//! from that signs nobody in, and what comes back from a sign-in links nothing.

pub(super) mod accounts;
mod identities;
mod linking;
mod sso;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use moka::sync::Cache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sign_in::SignedIn;
use super::{Caller, Services};
use crate::clock::Clock;
use crate::config::{Config, OidcProvider, Preset};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::{LoginId, OrgId, UserId};
use crate::domain::time::{MINUTE_MS, Timestamp};
use crate::identity::oidc::{Claims, Failure, Http, Issuer, Reach, Settings};
use crate::identity::tokens;

pub(in crate::services) use self::sso::sealed_for;
pub use self::sso::{SsoAddresses, SsoInput, SsoShown};

/// How long somebody may take at the issuer.
const FLOW_MS: i64 = 10 * MINUTE_MS;
/// How long the page has to trade its code, a second factor included.
const CODE_MS: i64 = 5 * MINUTE_MS;
/// Sign-ins that wait for their page at once; the oldest make room.
const WAITING_MAX: u64 = 2_000;
/// Issuers of organisations that are remembered with their keys.
const ORG_ISSUERS_MAX: u64 = 1_000;
/// Says what a sealed cookie is.
const COOKIE_AAD: &[u8] = b"oidc-flow";

/// Which issuer it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Realm {
    /// One of the settings, by its name.
    Provider(String),
    /// That of an organisation.
    Org(OrgId),
}

impl Realm {
    /// Where it stands in addresses.
    fn path(&self) -> String {
        match self {
            Self::Provider(name) => name.clone(),
            Self::Org(id) => format!("org/{id}"),
        }
    }

    /// As the audit log names it.
    fn audited(&self) -> String {
        match self {
            Self::Provider(name) => name.clone(),
            Self::Org(id) => format!("org-{id}"),
        }
    }
}

/// What is known of the issuers, and who is on the way.
pub struct Oidc {
    providers: HashMap<String, Arc<Issuer>>,
    org_http: Http,
    /// Under the hash of all that was set, so that what was set anew is asked anew.
    org_issuers: Cache<[u8; 32], Arc<Issuer>>,
    /// What issuers said, under the hash of the code that the page has.
    waiting: Cache<[u8; 32], Arc<Waiting>>,
    /// Returns that were made, so that each is made once.
    spent: Cache<[u8; 32], ()>,
}

/// Somebody whom an issuer has vouched for and who has no tokens yet.
struct Waiting {
    realm: Realm,
    claims: Claims,
    /// The hash of the browser's cookie.
    browser: [u8; 32],
    until: Timestamp,
    /// To whose account it is to be linked; none: it is to sign in.
    link: Option<Linker>,
}

/// Who has gone to an issuer to link an account there, and in which sign-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Linker {
    user_id: UserId,
    login_id: LoginId,
    /// A password that is changed meanwhile takes the proof back.
    password_changed_at: Timestamp,
}

/// What a browser carries to the issuer and back, sealed.
#[derive(Serialize, Deserialize)]
struct Flow {
    realm: Realm,
    state: String,
    nonce: String,
    verifier: String,
    return_to: String,
    until: Timestamp,
    #[serde(default)]
    link: Option<Linker>,
}

/// Where to send a browser, and what it is to carry.
pub struct Departure {
    /// The issuer's page.
    pub location: String,
    /// The value of the cookie.
    pub cookie: String,
}

/// Where a browser goes on to after an issuer, and with what.
pub struct Return {
    /// The page.
    pub page: String,
    /// Whether an account was to be linked there, and nobody to be signed in.
    pub link: bool,
    /// The code that the page finishes it with, or why there is none.
    pub outcome: Result<String>,
}

/// How a browser came back from an issuer, as its address says.
#[derive(Default)]
pub struct Arrival {
    /// Good once at the issuer.
    pub code: Option<String>,
    /// What the browser left with.
    pub state: Option<String>,
    /// Which issuer it was (RFC 9207), where it says so.
    pub iss: Option<String>,
    /// Why there is no code.
    pub error: Option<String>,
}

/// An issuer as the sign-in page shows it.
pub struct Offered<'a> {
    /// Its name and what it is called.
    pub provider: &'a OidcProvider,
    /// Whether browsers can be sent there.
    pub redirects: bool,
}

impl Oidc {
    /// Prepares the issuers of the settings; none is asked anything yet.
    pub fn new(config: &Config, clock: &Clock) -> Self {
        let http = Http::new(Reach::Anywhere);
        let reach =
            if config.oidc.allow_private_issuers { Reach::Anywhere } else { Reach::PublicAlone };
        let issuer = |provider: &OidcProvider| {
            let issuer = Issuer::new(settings_of(provider), http.clone(), clock.clone());
            (provider.name.clone(), Arc::new(issuer))
        };
        Self {
            providers: config.oidc.providers.iter().map(issuer).collect(),
            org_http: Http::new(reach),
            org_issuers: Cache::new(ORG_ISSUERS_MAX),
            waiting: bounded(CODE_MS),
            spent: bounded(FLOW_MS),
        }
    }
}

/// What lasts so long at most; the injected clock is asked as well.
fn bounded<T: Clone + Send + Sync + 'static>(ms: i64) -> Cache<[u8; 32], T> {
    let life = Duration::from_millis(ms.unsigned_abs());
    Cache::builder().max_capacity(WAITING_MAX).time_to_live(life).build()
}

fn settings_of(provider: &OidcProvider) -> Settings {
    let google = provider.preset == Some(Preset::Google);
    Settings {
        issuer: provider.issuer.clone(),
        // Google writes both.
        aliases: if google { vec!["accounts.google.com".to_owned()] } else { Vec::new() },
        client_id: provider.client_id.clone(),
        audiences: provider.audiences.clone(),
        client_secret: provider.client_secret.clone(),
        jwks_url: provider.jwks_url.clone(),
        auth_time: provider.preset == Some(Preset::Firebase),
        groups_claim: None,
    }
}

impl Services {
    /// The issuers that the sign-in page offers.
    pub fn oidc_providers(&self) -> impl Iterator<Item = Offered<'_>> {
        self.config
            .oidc
            .providers
            .iter()
            .map(|provider| Offered { provider, redirects: provider.redirects() })
    }

    /// Begins a sign-in: where to send the browser, and the cookie that it is to bring back.
    ///
    /// # Errors
    /// `NotFound` for an issuer that there is not; `ValidationFailed` for a `return_to` that is not
    /// allowed; `IssuerUnavailable`.
    pub async fn oidc_start(
        &self,
        caller: &Caller,
        realm: Realm,
        return_to: Option<&str>,
    ) -> Result<Departure> {
        self.throttles.check_address(caller.address)?;
        self.depart(realm, return_to, None).await
    }

    async fn depart(
        &self,
        realm: Realm,
        return_to: Option<&str>,
        link: Option<Linker>,
    ) -> Result<Departure> {
        let (issuer, scopes) = self.issuer_in(&realm)?;
        let paths = &self.config.oidc.return_paths;
        let return_to = return_to.unwrap_or_else(|| paths.first());
        if !paths.contains(return_to) {
            let text = "must be one of the paths that the setting oidc.return_paths lists";
            return Err(Error::invalid("return_to", text));
        }
        let flow = Flow {
            state: tokens::secret(&self.entropy, ""),
            nonce: tokens::secret(&self.entropy, ""),
            verifier: tokens::secret(&self.entropy, ""),
            return_to: return_to.to_owned(),
            until: self.clock.now().wall + FLOW_MS,
            realm,
            link,
        };
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(flow.verifier.as_bytes()));
        let query = [
            ("response_type", "code"),
            ("redirect_uri", &self.redirect_uri(&flow.realm)),
            ("scope", &scopes),
            ("state", &flow.state),
            ("nonce", &flow.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let location = issuer.authorization_url(&query).await.map_err(|why| refused(&why))?;
        let plain = serde_json::to_vec(&flow).map_err(Error::internal)?;
        let cookie = URL_SAFE_NO_PAD.encode(self.master.seal(&self.entropy, COOKIE_AAD, &plain));
        Ok(Departure { location, cookie })
    }

    /// Ends the browser's way: asks the issuer for what its code stands for. Answers where the page is, and
    /// the code with which it goes on, or why there is none.
    ///
    /// # Errors
    /// `NotFound` for an issuer that there is not.
    pub async fn oidc_arrive(
        &self,
        caller: &Caller,
        realm: Realm,
        cookie: Option<&str>,
        arrival: Arrival,
    ) -> Result<Return> {
        let (issuer, _) = self.issuer_in(&realm)?;
        let opened = cookie.and_then(|cookie| Some((cookie, self.open_cookie(cookie)?)));
        let Some((cookie, flow)) = opened.filter(|(_, flow)| flow.realm == realm) else {
            let text = "The sign-in was not begun in this browser, or took too long: begin again.";
            let page = self.config.oidc.return_paths.first().to_owned();
            let outcome = Err(Error::new(Code::OidcFailed, text));
            return Ok(Return { page, link: false, outcome });
        };
        let outcome = self.take_code(caller, &issuer, &flow, cookie, arrival).await;
        if let Err(why) = &outcome {
            self.metrics.sign_in_failed();
            tracing::info!(
                provider = realm.audited(),
                why = why.cause(),
                "a sign-in through an issuer failed"
            );
        }
        Ok(Return { page: flow.return_to, link: flow.link.is_some(), outcome })
    }

    async fn take_code(
        &self,
        caller: &Caller,
        issuer: &Issuer,
        flow: &Flow,
        cookie: &str,
        arrival: Arrival,
    ) -> Result<String> {
        self.throttles.check_address(caller.address)?;
        let failed = |text: &str| Error::new(Code::OidcFailed, text);
        // It was begun by another browser: somebody may want this one to sign in as them.
        if arrival.state.as_deref() != Some(&flow.state) {
            return Err(failed("The return does not belong to the sign-in of this browser."));
        }
        // The answer of another issuer (RFC 9207).
        if arrival.iss.is_some_and(|iss| iss != issuer.name()) {
            return Err(failed("The return is that of another issuer."));
        }
        let Some(code) = arrival.code else {
            let mut error = failed("The issuer has not signed you in.");
            error.internal = arrival.error.map(|word| word.chars().take(100).collect());
            return Err(error);
        };
        let state = tokens::digest(&flow.state);
        if !self.oidc.spent.entry(state).or_insert(()).is_fresh() {
            return Err(failed("This return was made before: begin again."));
        }
        let redirect_uri = self.redirect_uri(&flow.realm);
        let claims =
            issuer.claims_for_code(&code, &redirect_uri, &flow.verifier, &flow.nonce).await;
        let claims = claims.map_err(|why| refused(&why))?;
        let one_time = tokens::secret(&self.entropy, "");
        let waiting = Waiting {
            realm: flow.realm.clone(),
            claims,
            browser: tokens::digest(cookie),
            until: self.clock.now().wall + CODE_MS,
            link: flow.link.clone(),
        };
        self.oidc.waiting.insert(tokens::digest(&one_time), Arc::new(waiting));
        Ok(one_time)
    }

    /// Trades the page's code for tokens, in the browser that was sent to the issuer. The code works once;
    /// a second factor that is asked for may be given with the same.
    ///
    /// # Errors
    /// `OidcFailed` for a code that is not good or not this browser's; what
    /// [`Services::oidc_exchange`] says.
    pub async fn oidc_complete(
        &self,
        caller: &Caller,
        cookie: Option<&str>,
        code: &str,
        totp: Option<String>,
    ) -> Result<SignedIn> {
        self.throttles.check_address(caller.address)?;
        let key = tokens::digest(code);
        let Some(waiting) = self.take_waiting(&key, cookie, |it| it.link.is_none()) else {
            self.metrics.sign_in_failed();
            return Err(not_this_browsers());
        };
        let answer = self.enter(caller, &waiting.realm, &waiting.claims, totp).await;
        let again = answer.as_ref().is_err_and(|error| {
            let status = error.retry_after_s.is_some();
            status || matches!(error.code, Code::MfaRequired | Code::InvalidTotp)
        });
        if again {
            self.oidc.waiting.insert(key, waiting);
        }
        answer
    }

    /// What waits under a code, taken, where it is this browser's and `meant` for that.
    fn take_waiting(
        &self,
        key: &[u8; 32],
        cookie: Option<&str>,
        meant: impl Fn(&Waiting) -> bool,
    ) -> Option<Arc<Waiting>> {
        let (browser, now) = (cookie.map(tokens::digest), self.clock.now().wall);
        let theirs = |it: &Arc<Waiting>| Some(it.browser) == browser && now < it.until && meant(it);
        // Whoever has the code and not the cookie does not spend it either.
        self.oidc.waiting.get(key).filter(theirs)?;
        self.oidc.waiting.remove(key)
    }

    /// Signs in whoever an ID token is about, that a front end got from the issuer itself.
    ///
    /// # Errors
    /// `NotFound` for an issuer that there is not; `OidcFailed` for a token that is not good, with the
    /// reason; `IssuerUnavailable`. Then those of a sign-in through an issuer.
    pub async fn oidc_exchange(
        &self,
        caller: &Caller,
        provider: &str,
        token: &str,
        nonce: Option<&str>,
        totp: Option<String>,
    ) -> Result<SignedIn> {
        let realm = Realm::Provider(provider.to_owned());
        let (issuer, _) = self.issuer_in(&realm)?;
        self.throttles.check_address(caller.address)?;
        let claims = issuer.claims_of(token, nonce).await.map_err(|why| {
            self.metrics.sign_in_failed();
            tracing::info!(provider, ?why, "an ID token was refused");
            refused(&why)
        })?;
        self.enter(caller, &realm, &claims, totp).await
    }

    /// The issuer, and what is asked of it.
    fn issuer_in(&self, realm: &Realm) -> Result<(Arc<Issuer>, String)> {
        let unknown = || Error::not_found("provider");
        match realm {
            Realm::Provider(name) => {
                let issuer = self.oidc.providers.get(name).ok_or_else(unknown)?;
                let provider = self.config.oidc.providers.named(name).ok_or_else(unknown)?;
                Ok((Arc::clone(issuer), provider.scopes.clone()))
            }
            Realm::Org(id) => self.org_issuer(*id)?.ok_or_else(unknown),
        }
    }

    fn redirect_uri(&self, realm: &Realm) -> String {
        format!("{}/api/v1/auth/oidc/{}/callback", self.public_url(), realm.path())
    }

    fn open_cookie(&self, cookie: &str) -> Option<Flow> {
        let sealed = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let plain = self.master.open(COOKIE_AAD, &sealed).ok()?;
        let flow: Flow = serde_json::from_slice(&plain).ok()?;
        (self.clock.now().wall < flow.until).then_some(flow)
    }

    /// Whether browsers reach this server encrypted, as far as it knows.
    pub fn is_public_url_https(&self) -> bool {
        self.public_url().starts_with("https://")
    }
}

/// How long the browser keeps its cookie, in seconds: until it has been to the issuer, and the page has its
/// tokens.
pub const COOKIE_S: i64 = (FLOW_MS + CODE_MS) / 1_000;

fn not_this_browsers() -> Error {
    let text = "The code is not good, was used, or belongs to another browser: begin again.";
    Error::new(Code::OidcFailed, text)
}

/// What is told of an issuer that said nothing good.
fn refused(failure: &Failure) -> Error {
    match failure {
        Failure::Away(why) => {
            let text = "The issuer does not answer as it should just now. Try again shortly.";
            let mut error = Error::new(Code::IssuerUnavailable, text).retry_after(10);
            error.internal = Some(why.clone());
            error
        }
        Failure::Refused(word) => {
            let mut error =
                Error::new(Code::OidcFailed, "The issuer refuses the code: begin again.");
            error.internal = Some(format!("the token endpoint says {word}"));
            error
        }
        Failure::Token(why) => {
            Error::new(Code::OidcFailed, format!("The ID token is not good: {why}."))
        }
    }
}
