//! The only composition root: settings in, a running server out.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use moka::sync::Cache;
use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener, UnixAcceptor, UnixListener};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::billing::Stripe;
use crate::clock::Clock;
use crate::config::{Config, DataDir, Loaded};
use crate::domain::error::{Error, Result};
use crate::domain::job::Lane;
use crate::entropy::Entropy;
use crate::identity::passkeys::RelyingParty;
use crate::identity::tokens::RefreshChain;
use crate::identity::{AccessTokens, Cost, HashPool, HashPoolConfig, Names};
use crate::listen::{Bounded, Patience};
use crate::mail::{Renderer, Transport};
use crate::services::desk::Desk;
use crate::services::master_key::{finish_replacement, master_key};
use crate::services::oidc::Oidc;
use crate::services::passkeys::Ceremony;
use crate::services::watch::SeatHistory;
use crate::services::{Ending, Failures, Services, Throttles, mails};
use crate::signing::{KeyRecord, KeyRing, Template};
use crate::store::{self, CommitStats, Options, Store, logs};
use crate::telemetry::{Metrics, RecentLogs};
use crate::{api, jobs, web};

/// How long requests that run may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(8);
/// How long a validation may rely on the licence that an earlier one read.
const LICENSE_SEEN: Duration = Duration::from_secs(1);
/// Command lines that talk to the server at once.
const LOCAL_CONNECTIONS_MAX: u32 = 64;
/// How long local requests that run may take to end at shutdown.
const LOCAL_DRAIN: Duration = Duration::from_secs(5);
/// Pages that look on at once.
const ONLOOKERS_MAX: usize = 100;
/// How often the payment provider is asked for what did not arrive.
const RECONCILE_EVERY: Duration = Duration::from_hours(1);
/// How soon it is asked again when it could not be reached.
const RECONCILE_AGAIN: Duration = Duration::from_mins(1);
/// How often lapsed seats are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often the seat log is looked at for cleaning.
const CLEAN_EVERY: Duration = Duration::from_secs(2);

/// A server that is bound to its address and ready to run.
pub struct App {
    /// The operations.
    pub services: Arc<Services>,
    /// The address that was bound.
    pub address: SocketAddr,
    /// Where its data is.
    pub data: DataDir,
    acceptor: TcpAcceptor,
    /// The socket in the data folder; none when it could not be made.
    local: Option<UnixAcceptor>,
}

impl App {
    /// Opens the data, binds the address and builds everything.
    pub async fn open(
        loaded: Loaded,
        clock: Clock,
        entropy: Entropy,
        logs: RecentLogs,
    ) -> Result<Self> {
        let data = DataDir::of(&loaded.config);
        data.create().map_err(|error| {
            Error::internal(format!(
                "the data directory {} cannot be made: {error}",
                data.path().display()
            ))
        })?;
        // The data comes first: whoever starts a second server is told which process holds it,
        // rather than that a port is taken.
        let opened = Opened::open(&loaded.config, &data, &clock)?;
        let listen = loaded.config.server.listen;
        let acceptor = TcpListener::bind(listen).into_acceptor().await.map_err(|error| {
            let advice = "Choose another address with --listen or server.listen";
            Error::internal(format!("cannot listen on {listen}: {error}. {advice}"))
        })?;
        let address = acceptor
            .local_addr()
            .into_iter()
            .find_map(|address| address.as_socket_addr().copied())
            .unwrap_or(listen);
        let services = Arc::new(build(loaded, &data, opened, address, clock, entropy, logs)?);
        register_samples(&services);
        services.prepare_analytics().await?;
        services.tidy_backups();
        services.ensure_keys().await?;
        services.plan_repeating_jobs().await?;
        services.follow_stripe_mode().await?;
        let local = bind_locally(&data).await;
        Ok(Self { services, address, data, acceptor, local })
    }

    /// Serves until `stop` completes or an operator asks for a restart; then finishes what runs,
    /// syncs and closes. Says what ended it.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<Ending> {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for lane in Lane::ALL {
            tasks.spawn(jobs::run(Arc::clone(&self.services), lane, stopped.clone()));
        }
        tasks.spawn(tend_seats(Arc::clone(&self.services), stopped.clone()));
        tasks.spawn(tend_billing(Arc::clone(&self.services), stopped));
        let endpoint =
            Arc::new(api::server(&self.services, web::Pages::new(Config::reference_markdown)));
        let local = self.local.map(|acceptor| {
            let local = api::Local::new(Arc::clone(&endpoint));
            tokio::spawn(serve_locally(Arc::clone(&self.services), acceptor, local))
        });
        let connections_max = self.services.config.server.max_connections;
        let acceptor = Bounded::new(self.acceptor, connections_max, patience(&self.services));
        let served = poem::Server::new_with_acceptor(acceptor)
            .name("coditect")
            .run_with_graceful_shutdown(endpoint, ended(&self.services, stop), Some(DRAIN))
            .await;
        let ending = self.services.ending.borrow().clone().unwrap_or(Ending::Stop);
        if let Some(local) = local {
            // It was told when the other side was, and ends by itself.
            let _ = tokio::time::timeout(LOCAL_DRAIN, local).await;
        }
        stopping.send_replace(true);
        let _ = tokio::time::timeout(Duration::from_secs(1), tasks.join_all()).await;
        let store = self.services.store.clone();
        drop(self.services);
        tokio::task::spawn_blocking(move || store.close()).await.map_err(Error::internal)??;
        served.map_err(Error::internal)?;
        Ok(ending)
    }
}

/// How long connections are waited for.
fn patience(services: &Services) -> Patience {
    let longest = api::longest_request(&services.config);
    Patience::new(longest, &services.long_work, services.ending.subscribe())
}

/// Completes when `stop` does or an operator has asked for a restart, and tells everybody who
/// waits for something: lines for seats, streams of events, the local socket.
fn ended<S: Future<Output = ()> + Send>(
    services: &Arc<Services>,
    stop: S,
) -> impl Future<Output = ()> + Send + use<S> {
    let services = Arc::clone(services);
    async move {
        let mut asked = services.ending.subscribe();
        tokio::select! {
            () = stop => { services.ending.send_replace(Some(Ending::Stop)); }
            _ = asked.wait_for(Option::is_some) => {}
        }
        services.desk.close_lines();
    }
}

/// Makes the socket in the data folder, for the command line. Without one the server still serves;
/// the log says so.
async fn bind_locally(data: &DataDir) -> Option<UnixAcceptor> {
    let path = data.socket();
    // The database's lock is held, so a socket that stands there is left from a crash.
    let _ = std::fs::remove_file(&path);
    let owner_alone = std::fs::Permissions::from_mode(0o600);
    let listener = UnixListener::bind(path.clone()).with_permissions(owner_alone);
    let made = listener.into_acceptor().await;
    made.inspect_err(|error| {
        tracing::warn!(path = %path.display(), %error, "no local socket: the command line cannot reach this server");
    })
    .ok()
}

/// The same API over the local socket, until the server ends.
async fn serve_locally<E>(services: Arc<Services>, acceptor: UnixAcceptor, local: api::Local<E>)
where
    E: poem::Endpoint<Output = poem::Response> + 'static,
{
    let socket = services.data.socket();
    let (mut asked, patience) = (services.ending.subscribe(), patience(&services));
    drop(services);
    let ended = async move {
        let _ = asked.wait_for(Option::is_some).await;
    };
    let acceptor = Bounded::new(acceptor, LOCAL_CONNECTIONS_MAX, patience);
    let served = poem::Server::new_with_acceptor(acceptor)
        .name("coditect-local")
        .run_with_graceful_shutdown(local, ended, Some(LOCAL_DRAIN))
        .await;
    if let Err(error) = served {
        tracing::warn!(%error, "the local socket ended");
    }
    let _ = std::fs::remove_file(&socket);
}

/// Looks for what the payment provider told and did not arrive: at the start, and every hour.
async fn tend_billing(services: Arc<Services>, mut stop: watch::Receiver<bool>) {
    while services.stripe.is_some() && !*stop.borrow() {
        let pause = match services.reconcile_billing().await {
            Ok(()) => RECONCILE_EVERY,
            Err(error) => {
                tracing::warn!(
                    error = error.cause(),
                    "Stripe was not asked for what is new; trying again"
                );
                RECONCILE_AGAIN
            }
        };
        let next = services.clock.now().wall + pause.as_millis() as i64;
        tokio::select! {
            () = services.clock.sleep_until(next, pause) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Frees what lapses and keeps the seat log short.
async fn tend_seats(services: Arc<Services>, mut stop: watch::Receiver<bool>) {
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut clean = tokio::time::interval(CLEAN_EVERY);
    loop {
        tokio::select! {
            _ = sweep.tick() => {
                services.sweep();
                services.sample_seats();
            }
            _ = clean.tick() => {
                if let Err(error) = services.clean_log().await {
                    tracing::warn!(%error, "the seat log could not be cleaned; trying again");
                }
            }
            _ = stop.changed() => return,
        }
    }
}

/// The operations without a server, for the command line while none runs; close the store
/// afterwards. The data must be there already.
pub fn offline(loaded: Loaded, clock: Clock, entropy: Entropy) -> Result<Services> {
    let data = DataDir::of(&loaded.config);
    data.require_database()?;
    let opened = Opened::open(&loaded.config, &data, &clock)?;
    let address = loaded.config.server.listen;
    let logs = RecentLogs::new(clock.clone());
    build(loaded, &data, opened, address, clock, entropy, logs)
}

/// The database, and what counts its commits.
struct Opened {
    store: Store,
    metrics: Arc<Metrics>,
}

impl Opened {
    fn open(config: &Config, data: &DataDir, clock: &Clock) -> Result<Self> {
        check_template(config)?;
        let started = clock.now().wall;
        let metrics =
            Arc::new(Metrics::new(env!("CARGO_PKG_VERSION"), started, api::operation_ids()));
        let options = Options { observer: Some(observer(&metrics)), ..Options::default() };
        let store = Store::open(&data.database(), options).map_err(Error::internal)?;
        Ok(Self { store, metrics })
    }
}

fn build(
    loaded: Loaded,
    data: &DataDir,
    Opened { store, metrics }: Opened,
    address: SocketAddr,
    clock: Clock,
    entropy: Entropy,
    logs: RecentLogs,
) -> Result<Services> {
    let settings = loaded.describe();
    let config = Arc::new(loaded.config);
    let now = clock.now();
    let records = stored_keys(&store)?;
    finish_replacement(&config, data, &records)?;
    let master = master_key(&config, data, &entropy, !records.is_empty())?;
    let keys = KeyRing::load(records, &master).map_err(Error::internal)?;
    let public_url: Arc<str> = config.public_url(address).into();
    let issuer: Arc<str> = config.issuer(address).into();
    let desk = Arc::new(Desk::restore(&store, now)?);
    let tokens = AccessTokens::new(keys.clone(), &issuer, config.auth.access_token_s);
    let templates = Renderer::from_config(&config, &*public_url, &data.mail_templates());
    for broken in templates.broken() {
        tracing::warn!(
            file = broken.file,
            why = broken.why,
            "a mail template of the data folder cannot be used; the built-in text stands in"
        );
    }
    Ok(Services {
        throttles: Throttles::new(&config),
        sign_in_failures: Failures::default(),
        oidc: Oidc::new(&config, &clock),
        hasher: HashPool::start(hashing(&config), &entropy)?,
        relying_party: RelyingParty::at(&public_url),
        ceremonies: Cache::builder().max_capacity(10_000).time_to_live(Ceremony::LIFE).build(),
        refresh_chain: RefreshChain::new(&master.derive("refresh tokens")),
        stripe: stripe(&config)?,
        names: Names::new(config.orgs.dns_server),
        transport: Arc::new(Transport::from_config(&config, data.mail()).map_err(Error::internal)?),
        mail_trouble: mails::TroubleSpot::default(),
        templates: Arc::new(templates),
        signed: Cache::new(10_000),
        licenses_by_key: Cache::new(100_000),
        licenses_seen: Cache::builder().max_capacity(10_000).time_to_live(LICENSE_SEEN).build(),
        renewing: tokio::sync::Mutex::new(()),
        signing: tokio::sync::Mutex::new(()),
        work: Lane::ALL.map(|_| Notify::new()),
        data: data.clone(),
        long_work: Arc::new(()),
        restore_failed: OnceLock::new(),
        ending: watch::Sender::new(None),
        logs,
        history: SeatHistory::default(),
        onlookers: Arc::new(Semaphore::new(ONLOOKERS_MAX)),
        started: now,
        config,
        settings,
        clock,
        entropy,
        store,
        keys,
        metrics,
        desk,
        master: Arc::new(master),
        tokens,
        public_url,
        issuer,
    })
}

/// The threads for passwords, and what a hash costs.
fn hashing(config: &Config) -> HashPoolConfig {
    let auth = &config.auth;
    let memory_kib = auth.password_memory_mib * 1024;
    let cost = Cost { memory_kib, passes: auth.password_passes, ..Cost::OWASP };
    HashPoolConfig { cost, ..HashPoolConfig::default() }
}

/// The way to Stripe, when its key is set.
fn stripe(config: &Config) -> Result<Option<Arc<Stripe>>> {
    let Some(key) = &config.stripe.secret_key else { return Ok(None) };
    if config.stripe.webhook_secret.is_none() {
        tracing::warn!(
            "no stripe.webhook_secret (STRIPE_WEBHOOK_SECRET) is set: payments are noticed within the hour, not at once"
        );
    }
    let stripe = Stripe::new(config.stripe.api_base.as_str(), key.clone())
        .map_err(|why| Error::internal(format!("Stripe cannot be reached: {why}")))?;
    Ok(Some(Arc::new(stripe)))
}

/// Finds a template that cannot be used at the start, and not at the first licence.
fn check_template(config: &Config) -> Result<()> {
    let template = Template::parse(&config.license.key_template)
        .map_err(|why| Error::internal(format!("license.key_template: {why}")))?;
    let bits = template.entropy_bits();
    if bits < 64 {
        tracing::warn!(
            bits,
            "licence keys of this license.key_template can be guessed with patience; more X make it hopeless"
        );
    }
    Ok(())
}

fn stored_keys(store: &Store) -> Result<Vec<KeyRecord>> {
    let rows = store.read(logs::keys)?;
    rows.into_iter().map(|row| serde_json::from_value(row).map_err(Error::internal)).collect()
}

/// Tells the metrics of each group commit.
fn observer(metrics: &Arc<Metrics>) -> store::Observer {
    let commits = metrics.commits.clone();
    Arc::new(move |stats: &CommitStats| {
        commits.batch_size.observe_size(stats.writes + stats.appends);
        commits.duration.observe_duration(stats.commit);
        commits.queue_depth.set(stats.queued as i64);
        if !stats.durable {
            commits.failed.inc();
        }
    })
}

/// Gauges that are read when somebody scrapes.
fn register_samples(services: &Arc<Services>) {
    let sample = |name, help, read: fn(&Services) -> i64| {
        let services = Arc::downgrade(services);
        if let Some(s) = services.upgrade() {
            s.metrics.sample(name, help, move || {
                services.upgrade().map_or(0, |services| read(&services))
            });
        }
    };
    sample("store_writable", "1 while the storage takes writes, otherwise 0", |s| {
        i64::from(s.store.health() == store::Health::Writable)
    });
    sample("store_file_bytes", "Size of the database file", |s| s.store.stats().file_bytes as i64);
}
