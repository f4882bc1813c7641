//! What the product does: one file per noun. Each operation decides whether the actor
//! may, opens the transaction, and leaves an audit entry and the jobs that follow in it.
//! The API, the jobs and the command line all call the same operations.

pub mod accounts;
mod actor;
pub mod analytics;
pub mod api_keys;
pub mod audit;
mod audit_days;
mod audit_export;
pub mod backups;
pub mod billing;
mod changes;
mod closing;
mod ctx;
pub mod customers;
pub mod demo;
pub mod desk;
pub mod doctor;
pub mod documents;
pub mod email_domains;
mod housekeeping;
pub mod invitations;
pub mod keys;
mod letters;
mod license_news;
pub mod licenses;
pub mod mails;
pub mod master_key;
pub mod oidc;
mod org_deletion;
pub mod org_export;
pub mod orgs;
pub mod overview;
pub mod passkeys;
pub mod people;
pub mod plans;
pub mod projects;
pub mod provisioning;
pub mod queue;
pub mod seats;
pub mod second_factor;
pub mod sign_in;
mod sign_in_failures;
pub mod subscriptions;
pub mod system;
pub mod teams;
mod throttles;
pub mod watch;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::{Notify, Semaphore, watch as channel};

pub use self::actor::{Actor, Caller, Via};
pub use self::ctx::Ctx;
use self::desk::Desk;
pub use self::sign_in_failures::Failures;
pub use self::throttles::Throttles;
use self::watch::SeatHistory;
use crate::billing::Stripe;
use crate::clock::Clock;
use crate::config::{Config, DataDir, SettingInfo};
use crate::domain::audit::By;
use crate::domain::error::Result;
use crate::domain::ids::LicenseId;
use crate::domain::job::Lane;
use crate::domain::license::LicenseStatus;
use crate::domain::time::Now;
use crate::entropy::Entropy;
use crate::identity::passkeys::RelyingParty;
use crate::identity::tokens::RefreshChain;
use crate::identity::{AccessTokens, HashPool, Names};
use crate::mail::{Renderer, Transport};
use crate::signing::{KeyRing, MasterKey};
use crate::store::{Store, WriteTx};
use crate::telemetry::{Metrics, RecentLogs};

/// Which signed licence document it is: licence, revision, status, machine and key.
type SignedAs = (LicenseId, u64, LicenseStatus, Option<String>, String);

/// Everything the operations need; built once, in `app`.
pub struct Services {
    /// The settings.
    pub config: Arc<Config>,
    /// The only source of time.
    pub clock: Clock,
    /// The only source of randomness.
    pub entropy: Entropy,
    /// Everything durable.
    pub store: Store,
    /// The public keys, and the private ones ready to sign.
    pub keys: KeyRing,
    /// Counters and histograms.
    pub metrics: Arc<Metrics>,
    /// Wakes the worker of each lane: a transaction may have planned a job.
    pub work: [Notify; Lane::ALL.len()],
    pub(crate) desk: Arc<Desk>,
    pub(crate) master: Arc<MasterKey>,
    pub(crate) hasher: HashPool,
    pub(crate) tokens: AccessTokens,
    pub(crate) refresh_chain: RefreshChain,
    /// This server as browsers know it; none: they allow no passkeys there.
    pub(crate) relying_party: Option<RelyingParty>,
    /// Challenges that wait for an answer.
    pub(crate) ceremonies: Cache<String, passkeys::Ceremony>,
    pub(crate) throttles: Throttles,
    pub(crate) sign_in_failures: Failures,
    /// The issuers that people sign in through.
    pub(crate) oidc: oidc::Oidc,
    /// The way to the payment provider; none: payments are recorded by hand.
    pub(crate) stripe: Option<Arc<Stripe>>,
    /// Whom to ask what a domain's owner has written.
    pub(crate) names: Names,
    pub(crate) transport: Arc<Transport>,
    pub(crate) templates: Arc<Renderer>,
    /// What keeps every mail from leaving.
    pub(crate) mail_trouble: mails::TroubleSpot,
    /// The newest log lines.
    pub(crate) logs: RecentLogs,
    pub(crate) history: SeatHistory,
    /// Places for those who look on.
    pub(crate) onlookers: Arc<Semaphore>,
    pub(crate) settings: Vec<SettingInfo>,
    pub(crate) data: DataDir,
    /// A second holder is an operation that takes long, for whose answer connections wait.
    pub long_work: Arc<()>,
    /// What is to be said of a restore that failed, after which this server started.
    pub(crate) restore_failed: OnceLock<String>,
    /// What ends this server, once something does.
    pub ending: channel::Sender<Option<Ending>>,
    pub(crate) signed: Cache<SignedAs, String>,
    /// What keys open, as they were typed.
    pub(crate) licenses_by_key: Cache<String, LicenseId>,
    /// Licences as validations saw them; see [`Services::license_seen`].
    pub(crate) licenses_seen: license_news::Seen,
    pub(crate) renewing: tokio::sync::Mutex<()>,
    /// Held while a licence document is signed.
    pub(crate) signing: tokio::sync::Mutex<()>,
    pub(crate) public_url: Arc<str>,
    pub(crate) issuer: Arc<str>,
    pub(crate) started: Now,
}

/// What ends a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A signal: the process ends.
    Stop,
    /// An operator: it starts again with a backup in the database's place.
    Restore(Restore),
}

/// A backup that is to be put in the database's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// The backup.
    pub backup: PathBuf,
    /// Who asked for it; the audit log of the backup does not know yet.
    pub by: By,
    /// By which request.
    pub request_id: String,
}

impl Restore {
    /// The name of the backup.
    pub fn file(&self) -> String {
        self.backup.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Services {
    /// The address that people use, without a slash at the end.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The issuer that signed documents name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The context of an operation that happens now.
    pub(crate) fn ctx(&self, by: By) -> Ctx {
        Ctx {
            now: self.clock.now().wall,
            by,
            api_key_id: None,
            on_behalf: None,
            address: None,
            user_agent: None,
            request_id: None,
            entropy: self.entropy.clone(),
            config: Arc::clone(&self.config),
            public_url: Arc::clone(&self.public_url),
        }
    }

    fn ctx_of(&self, actor: &Actor) -> Ctx {
        let mut ctx = self.ctx(By::System).of(actor.by(), &actor.caller);
        if let Via::ApiKey(api_key_id) = actor.via {
            ctx.api_key_id = Some(api_key_id);
        }
        ctx
    }

    /// Runs a transaction and wakes the workers when it is on disk.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.commit_within(Duration::ZERO, change).await
    }

    /// The same for what may wait so long for others to be committed with it.
    async fn commit_within<T: Send + 'static>(
        &self,
        patience: Duration,
        change: impl FnOnce(&mut WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = self.store.write_within(patience, change).await?;
        self.work.iter().for_each(Notify::notify_one);
        Ok(answer)
    }
}
