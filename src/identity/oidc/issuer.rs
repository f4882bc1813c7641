//! One issuer: where it answers, its keys, and what it says of people.
//!
//! The discovery document and the keys are kept. A key that is not known has them fetched again, though
//! never more often than every half a minute, so that nobody can have this server call an issuer at
//! will; while the issuer is away, what was fetched before still counts for a day.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::http::Http;
use super::token::{Claims, Expected, Keys, Refusal};
use crate::clock::Clock;
use crate::config::Secret;
use crate::domain::time::{DAY_MS, HOUR_MS, MINUTE_MS, Mono};

/// The longest address that a discovery document may name, in bytes.
const ENDPOINT_MAX: usize = 2_000;
/// How long a discovery document is good for.
const METADATA_MS: u64 = HOUR_MS as u64;
/// How long keys are: what an issuer has withdrawn is to be believed no longer.
const KEYS_MS: u64 = 10 * MINUTE_MS as u64;
/// The least time between two fetches for the sake of keys that are not known.
const AGAIN_MS: u64 = 30_000;
/// The least time between two tries while the issuer is away.
const AWAY_MS: u64 = 5_000;
/// How long what was fetched counts while the issuer is away.
const STALE_MS: u64 = DAY_MS as u64;

/// Why an issuer said nothing that can be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached, or answers what cannot be read; for the log and for whoever set it up.
    Away(String),
    /// It does not know the code; in its own word.
    Refused(String),
    /// Its ID token is not good.
    Token(Refusal),
}

/// An issuer, as it was set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its `iss`.
    pub issuer: String,
    /// Other forms in which it writes that.
    pub aliases: Vec<String>,
    /// This server, as the issuer knows it.
    pub client_id: String,
    /// Further clients whose tokens are exchanged.
    pub audiences: Vec<String>,
    /// Proves that this server is the client.
    pub client_secret: Option<Secret>,
    /// Where its keys are; none: its discovery document says it.
    pub jwks_url: Option<String>,
    /// Whether its tokens must say when the person signed in.
    pub auth_time: bool,
    /// The claim that lists a person's groups, where those count.
    pub groups_claim: Option<String>,
}

/// What an issuer says of itself (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    jwks_uri: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What an issuer answers to a code.
#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    error: String,
}

/// Something that was fetched, and what happened to it since.
struct Kept<T> {
    value: Option<Arc<T>>,
    fetched: Mono,
    tried: Option<Mono>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { value: None, fetched: Mono(0), tried: None }
    }
}

impl<T> Kept<T> {
    fn younger_than(&self, ms: u64, now: Mono) -> Option<Arc<T>> {
        self.value.clone().filter(|_| now.0.saturating_sub(self.fetched.0) < ms)
    }

    fn tried_within(&self, ms: u64, now: Mono) -> bool {
        self.tried.is_some_and(|tried| now.0.saturating_sub(tried.0) < ms)
    }

    /// Notes a fetch; what counts from now on.
    fn note(&mut self, fetched: Result<T, String>, now: Mono) -> Result<Arc<T>, String> {
        self.tried = Some(now);
        match fetched {
            Ok(value) => {
                let value = Arc::new(value);
                (self.value, self.fetched) = (Some(Arc::clone(&value)), now);
                Ok(value)
            }
            Err(why) => self.younger_than(STALE_MS, now).ok_or(why),
        }
    }
}

/// What is kept, and who fetches it anew: one at a time, while everybody else reads.
struct Source<T> {
    kept: parking_lot::Mutex<Kept<T>>,
    fetching: Mutex<()>,
}

impl<T> Default for Source<T> {
    fn default() -> Self {
        Self { kept: parking_lot::Mutex::default(), fetching: Mutex::default() }
    }
}

impl<T> Source<T> {
    /// What is known, or fetched where `known` has no answer. While somebody else fetches, what was fetched
    /// within the day will do, if it `may_be_old`: an issuer that hangs holds nobody up.
    async fn get(
        &self,
        clock: &Clock,
        known: impl Fn(&Kept<T>, Mono) -> Option<Result<Arc<T>, String>>,
        may_be_old: bool,
        fetch: impl Future<Output = Result<T, String>>,
    ) -> Result<Arc<T>, String> {
        let look = || known(&self.kept.lock(), clock.now().mono);
        if let Some(answer) = look() {
            return answer;
        }
        let _fetching = if let Ok(place) = self.fetching.try_lock() {
            place
        } else {
            let old = self.kept.lock().younger_than(STALE_MS, clock.now().mono);
            if let Some(old) = old.filter(|_| may_be_old) {
                return Ok(old);
            }
            self.fetching.lock().await
        };
        // Somebody may have fetched it while this waited.
        if let Some(answer) = look() {
            return answer;
        }
        let fetched = fetch.await;
        self.kept.lock().note(fetched, clock.now().mono)
    }
}

/// One issuer.
pub struct Issuer {
    settings: Settings,
    http: Http,
    clock: Clock,
    metadata: Source<Metadata>,
    keys: Source<Keys>,
}

impl Issuer {
    /// An issuer; nothing is fetched before it is needed.
    pub fn new(settings: Settings, http: Http, clock: Clock) -> Self {
        Self { settings, http, clock, metadata: Source::default(), keys: Source::default() }
    }

    /// Its `iss`.
    pub fn name(&self) -> &str {
        &self.settings.issuer
    }

    /// What somebody's ID token says, that was had by other means.
    pub async fn claims_of(&self, token: &str, nonce: Option<&str>) -> Result<Claims, Failure> {
        let mut audiences = self.settings.audiences.clone();
        audiences.push(self.settings.client_id.clone());
        self.verified(token, &audiences, nonce).await
    }

    /// The address at the issuer to send a browser to.
    pub async fn authorization_url(&self, query: &[(&str, &str)]) -> Result<String, Failure> {
        let metadata = self.metadata().await.map_err(Failure::Away)?;
        let endpoint =
            needed(metadata.authorization_endpoint.as_deref(), "authorization_endpoint")?;
        let mut url = self.http.allowed(endpoint).map_err(Failure::Away)?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.settings.client_id)
            .extend_pairs(query);
        Ok(url.into())
    }

    /// What the issuer says of whoever it gave this code to. The ID token comes first; what it leaves out of
    /// the profile is asked for.
    pub async fn claims_for_code(
        &self,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
        nonce: &str,
    ) -> Result<Claims, Failure> {
        let metadata = self.metadata().await.map_err(Failure::Away)?;
        let tokens = self.trade(&metadata, code, redirect_uri, verifier).await?;
        let token = needed(tokens.id_token.as_deref(), "id_token")?;
        let audiences = [self.settings.client_id.clone()];
        let mut claims = self.verified(token, &audiences, Some(nonce)).await?;
        if let (None, Some(endpoint), Some(access)) =
            (claims.email(), &metadata.userinfo_endpoint, &tokens.access_token)
        {
            let body = self.http.get_as(endpoint, access).await.map_err(Failure::Away)?;
            let more: Map<String, Value> =
                serde_json::from_slice(&body).map_err(|_| unreadable("userinfo"))?;
            // Another's profile must not come under this subject (OpenID Connect Core, section 5.3.2).
            if !claims.complete_with(more, self.settings.groups_claim.as_deref()) {
                return Err(Failure::Token(Refusal::Subject));
            }
        }
        Ok(claims)
    }

    async fn trade(
        &self,
        metadata: &Metadata,
        code: &str,
        redirect_uri: &str,
        verifier: &str,
    ) -> Result<Tokens, Failure> {
        let endpoint = needed(metadata.token_endpoint.as_deref(), "token_endpoint")?;
        let client_id = self.settings.client_id.as_str();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        let secret = self.settings.client_secret.as_ref().map(Secret::expose);
        let methods = &metadata.token_endpoint_auth_methods_supported;
        // Without a word of it the header is the way (Discovery, section 3).
        let in_header = methods.is_empty() || methods.iter().any(|it| it == "client_secret_basic");
        let basic = secret.filter(|_| in_header).map(|secret| (client_id, secret));
        if basic.is_none() {
            form.push(("client_id", client_id));
            form.extend(secret.map(|secret| ("client_secret", secret)));
        }
        let answer = self.http.post(endpoint, &form, basic).await;
        let (status, body) = answer.map_err(Failure::Away)?;
        match status {
            200 => serde_json::from_slice(&body).map_err(|_| unreadable("token")),
            400..=499 => {
                let told = serde_json::from_slice::<Problem>(&body).unwrap_or_default().error;
                Err(Failure::Refused(word(&told)))
            }
            _ => Err(Failure::Away(format!("its token endpoint answered {status}"))),
        }
    }

    async fn verified(
        &self,
        token: &str,
        audiences: &[String],
        nonce: Option<&str>,
    ) -> Result<Claims, Failure> {
        let mut issuers = self.settings.aliases.clone();
        issuers.push(self.settings.issuer.clone());
        let auth_time = self.settings.auth_time;
        let now = self.clock.now().wall;
        let expected = Expected { issuers: &issuers, audiences, nonce, auth_time, now };
        let keys = self.keys(None).await.map_err(Failure::Away)?;
        match keys.verify(token, &expected) {
            Err(Refusal::UnknownKey) => {
                let keys = self.keys(Some(&keys)).await.map_err(Failure::Away)?;
                keys.verify(token, &expected).map_err(Failure::Token)
            }
            answer => answer.map_err(Failure::Token),
        }
    }

    /// Its keys; others than `known`, where it has them by now.
    async fn keys(&self, known: Option<&Arc<Keys>>) -> Result<Arc<Keys>, String> {
        let look = |kept: &Kept<Keys>, now| {
            if let Some(keys) = kept.younger_than(KEYS_MS, now) {
                let others = known.is_none_or(|known| !Arc::ptr_eq(known, &keys));
                return (others || kept.tried_within(AGAIN_MS, now)).then_some(Ok(keys));
            }
            let away = kept.tried_within(AWAY_MS, now);
            away.then(|| kept.younger_than(STALE_MS, now).ok_or_else(just_tried))
        };
        let fetch = async {
            self.fetch_keys().await.inspect_err(|why| {
                let issuer = &self.settings.issuer;
                tracing::warn!(issuer, why, "the keys of an issuer could not be fetched");
            })
        };
        self.keys.get(&self.clock, look, known.is_none(), fetch).await
    }

    async fn fetch_keys(&self) -> Result<Keys, String> {
        let discovered;
        let url = if let Some(url) = &self.settings.jwks_url {
            url
        } else {
            discovered = self.metadata().await?;
            let missing = || "its discovery document names no jwks_uri".to_owned();
            discovered.jwks_uri.as_ref().ok_or_else(missing)?
        };
        let keys = Keys::from_jwks(&self.http.get(url).await?);
        keys.filter(|keys| !keys.is_empty())
            .ok_or_else(|| "it publishes no key that can be used".to_owned())
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, String> {
        let look = |kept: &Kept<Metadata>, now| {
            if let Some(metadata) = kept.younger_than(METADATA_MS, now) {
                return Some(Ok(metadata));
            }
            let away = kept.tried_within(AWAY_MS, now);
            away.then(|| kept.younger_than(STALE_MS, now).ok_or_else(just_tried))
        };
        let fetch = async {
            self.fetch_metadata().await.inspect_err(|why| {
                let issuer = &self.settings.issuer;
                tracing::warn!(issuer, why, "an issuer could not be discovered");
            })
        };
        self.metadata.get(&self.clock, look, true, fetch).await
    }

    async fn fetch_metadata(&self) -> Result<Metadata, String> {
        let base = self.settings.issuer.trim_end_matches('/');
        let body = self.http.get(&format!("{base}/.well-known/openid-configuration")).await?;
        let metadata: Metadata = serde_json::from_slice(&body)
            .map_err(|_| "its discovery document cannot be read".to_owned())?;
        let endpoints = [
            &metadata.authorization_endpoint,
            &metadata.token_endpoint,
            &metadata.userinfo_endpoint,
            &metadata.jwks_uri,
        ];
        if endpoints.into_iter().flatten().any(|endpoint| endpoint.len() > ENDPOINT_MAX) {
            return Err("its discovery document names an address that is too long".to_owned());
        }
        // Otherwise whoever answers there could speak for another (Discovery, section 4.3).
        if metadata.issuer == self.settings.issuer {
            return Ok(metadata);
        }
        let told: String = metadata.issuer.chars().filter(|c| !c.is_control()).take(200).collect();
        Err(format!("its discovery document is that of {told:?}; write the issuer exactly so"))
    }

    /// Whether it can be reached and understood, for whoever sets it up.
    pub async fn check(&self) -> Result<(), String> {
        let metadata = self.metadata().await?;
        for (endpoint, name) in [
            (&metadata.authorization_endpoint, "authorization_endpoint"),
            (&metadata.token_endpoint, "token_endpoint"),
        ] {
            let endpoint = endpoint.as_deref().ok_or_else(|| format!("it names no {name}"))?;
            self.http.allowed(endpoint)?;
        }
        self.keys(None).await.map(drop)
    }
}

fn needed<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str, Failure> {
    value.ok_or_else(|| Failure::Away(format!("it gives no {name}")))
}

fn unreadable(what: &str) -> Failure {
    Failure::Away(format!("its {what} answer cannot be read"))
}

fn just_tried() -> String {
    "it did not answer a moment ago".to_owned()
}

/// An error's word as it may be shown.
fn word(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(60).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::domain::time::Timestamp;

    /// Fresh for a second; a failed try counts for one.
    fn look(kept: &Kept<u32>, now: Mono) -> Option<Result<Arc<u32>, String>> {
        if let Some(value) = kept.younger_than(1_000, now) {
            return Some(Ok(value));
        }
        kept.tried_within(1_000, now)
            .then(|| kept.younger_than(STALE_MS, now).ok_or_else(just_tried))
    }

    #[tokio::test]
    async fn while_one_fetches_the_others_read_what_there_is() {
        let (source, clock) = (Arc::new(Source::<u32>::default()), Clock::manual(Timestamp(0)));
        let first = source.get(&clock, look, true, async { Ok(7) }).await;
        assert_eq!(*first.unwrap(), 7);
        clock.advance(std::time::Duration::from_secs(2));
        let (begun, goes_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let slow = tokio::spawn({
            let (source, clock) = (Arc::clone(&source), clock.clone());
            let (begun, goes_on) = (Arc::clone(&begun), Arc::clone(&goes_on));
            async move {
                let fetch = async {
                    begun.notify_one();
                    goes_on.notified().await;
                    Ok(8)
                };
                source.get(&clock, look, true, fetch).await
            }
        });
        begun.notified().await;
        let never = async { panic!("one fetches already") };
        assert_eq!(*source.get(&clock, look, true, never).await.unwrap(), 7);
        goes_on.notify_one();
        assert_eq!(*slow.await.unwrap().unwrap(), 8);
        let never = async { panic!("it is fresh") };
        assert_eq!(*source.get(&clock, look, true, never).await.unwrap(), 8);
    }

    #[tokio::test]
    async fn whoever_waited_for_a_fetch_that_failed_does_not_try_again() {
        let (source, clock) = (Source::<u32>::default(), Clock::manual(Timestamp(0)));
        let tries = AtomicU32::new(0);
        let hang = || async {
            tries.fetch_add(1, Ordering::Relaxed);
            // It hangs for longer than a failed try counts.
            clock.advance(std::time::Duration::from_secs(10));
            tokio::task::yield_now().await;
            Err("it hangs".to_owned())
        };
        let ask = || source.get(&clock, look, true, hang());
        let answers = tokio::join!(ask(), ask(), ask());
        assert!(answers.0.is_err() && answers.1.is_err() && answers.2.is_err());
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }
}
