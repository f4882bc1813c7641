//! Keys by which programs act for a person.

use super::sign_in::acting_for;
use super::{Actor, Caller, Services, Via};
use crate::domain::api_key::{ApiKey, Scope};
use crate::domain::error::{Code, Error, Result};
use crate::domain::ids::ApiKeyId;
use crate::domain::plan::check_text;
use crate::domain::time::{DAY_MS, HOUR_MS, Timestamp};
use crate::identity::tokens;
use crate::store::{api_keys, users};

/// The most keys a person has at once.
const KEYS_MAX: usize = 50;
/// The longest life that can be asked for; without one a key lives until it is revoked.
const DAYS_MAX: u32 = 3_650;
/// Characters of a secret that are kept for people: its prefix and 24 of its 256 bits.
const SHOWN: usize = tokens::API_KEY_PREFIX.len() + 4;
/// How exactly the last use is known: one write an hour for a key that is used all the time.
const USE_NOTED_MS: i64 = HOUR_MS;

impl Services {
    /// Makes a key; its secret is told now and never again.
    pub async fn create_api_key(
        &self,
        actor: &Actor,
        name: String,
        expires_in_days: Option<u32>,
        scopes: Option<Vec<String>>,
    ) -> Result<(ApiKey, String)> {
        actor.require_sign_in()?;
        check_text("name", &name, 1, 100)?;
        if expires_in_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(Error::invalid("expires_in_days", "must be 1 to 3650, or left out"));
        }
        let scopes = scopes.map(|words| parsed_scopes(&words)).transpose()?;
        let ctx = self.ctx_of(actor);
        let secret = tokens::secret(&ctx.entropy, tokens::API_KEY_PREFIX);
        let hash = tokens::digest(&secret);
        let key = ApiKey {
            api_key_id: ApiKeyId(ctx.record_id()),
            user_id: actor.user_id,
            org_id: Some(actor.named_org()),
            scopes,
            name,
            prefix: secret[..SHOWN].to_owned(),
            created_at: ctx.now,
            expires_at: expires_in_days.map(|days| ctx.now + i64::from(days) * DAY_MS),
            last_used_at: None,
        };
        let (actor, org_id) = (actor.clone(), actor.named_org());
        let key = self
            .commit(move |tx| {
                require_scopes(&actor.still(tx)?, key.scopes.as_deref().unwrap_or_default())?;
                if api_keys::of_user(tx, key.user_id, KEYS_MAX)?.len() >= KEYS_MAX {
                    let text = format!("You have {KEYS_MAX} API keys; revoke one first.");
                    return Err(Error::new(Code::TooManyKeys, text));
                }
                api_keys::insert(tx, &hash, &key)?;
                let scopes = key.scopes.as_ref().map_or_else(
                    || "all".to_owned(),
                    |scopes| scopes.iter().map(|one| one.as_str()).collect::<Vec<_>>().join(" "),
                );
                let told = [
                    ("name", key.name.clone()),
                    ("prefix", key.prefix.clone()),
                    ("scopes", scopes),
                ];
                ctx.audit(tx, Some(org_id), "api_key.created", key.api_key_id, told)?;
                Ok(key)
            })
            .await?;
        Ok((key, secret))
    }

    /// The actor's keys, oldest first.
    pub fn api_keys(&self, actor: &Actor) -> Result<Vec<ApiKey>> {
        self.store.read(|tx| api_keys::of_user(tx, actor.user_id, KEYS_MAX))
    }

    /// Revokes a key of the actor: it opens nothing from now on.
    pub async fn revoke_api_key(&self, actor: &Actor, id: ApiKeyId) -> Result<()> {
        actor.require_sign_in()?;
        let ctx = self.ctx_of(actor);
        let (user_id, org_id) = (actor.user_id, actor.named_org());
        self.commit(move |tx| {
            let key = api_keys::remove(tx, user_id, id)?;
            ctx.audit(tx, Some(org_id), "api_key.revoked", id, [("name", key.name)])
        })
        .await
    }

    /// Who presents this key.
    ///
    /// # Errors
    /// `Unauthenticated` when it is none, has expired, or its owner's account is closed.
    /// `NotFound` when it is to act for another organisation than the one it was made for.
    pub(super) async fn authenticate_key(
        &self,
        secret: &str,
        org: Option<&str>,
        caller: Caller,
    ) -> Result<Actor> {
        let now = self.clock.now().wall;
        let hash = tokens::digest(secret);
        let found = self.store.read(|tx| {
            let Some(key) = api_keys::by_hash(tx, &hash)?.filter(|key| key.is_good(now)) else {
                return Ok(None);
            };
            let user = users::find(tx, key.user_id)?;
            let Some(user) = user.filter(|user| user.deactivated_at.is_none()) else {
                return Ok(None);
            };
            let bound = key.org_id.unwrap_or(user.personal_org);
            acting_for(tx, &user, org, Some(bound)).map(|place| Some((key, user, place)))
        })?;
        let Some((key, user, place)) = found else {
            return Err(Error::new(
                Code::Unauthenticated,
                "This API key is not good: it was revoked, has expired, or never was one.",
            ));
        };
        let via = Via::ApiKey(key.api_key_id);
        let actor = Actor::new(&user, via, place, caller).with_key(&key);
        self.note_use(key, now).await;
        Ok(actor)
    }

    async fn note_use(&self, mut key: ApiKey, now: Timestamp) {
        if key.last_used_at.is_some_and(|at| now - at < USE_NOTED_MS) {
            return;
        }
        key.last_used_at = Some(now);
        // A disk that takes no writes must not keep anybody from reading.
        if let Err(error) = self.store.write(move |tx| api_keys::update(tx, &key)).await {
            tracing::debug!(%error, "the use of an API key was not noted");
        }
    }
}

/// What a key is to be limited to.
fn parsed_scopes(words: &[String]) -> Result<Vec<Scope>> {
    let mut scopes = Vec::new();
    for word in words {
        let Some(scope) = Scope::parse(word) else {
            let text = format!(
                "{word:?} is nothing that a key may do; leave it out, or see /handbook/organisations"
            );
            return Err(Error::invalid("scopes", text));
        };
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return Err(Error::invalid("scopes", "must name something, or be left out"));
    }
    Ok(scopes)
}

/// Refuses a key for what its owner may not do.
fn require_scopes(owner: &Actor, scopes: &[Scope]) -> Result<()> {
    let Some(scope) = scopes.iter().find(|scope| !owner.could(**scope)) else { return Ok(()) };
    let text = format!("{} is more than you may do yourself", scope.as_str());
    Err(Error::invalid("scopes", text))
}
