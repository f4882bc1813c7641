//! The only composition root: settings in, a running server out.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use poem::listener::{Acceptor, Listener, TcpAcceptor, TcpListener};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::{Config, Loaded};
use crate::domain::error::{Error, Result};
use crate::entropy::Entropy;
use crate::identity::{AccessTokens, HashPool, HashPoolConfig};
use crate::listen::{Bounded, Patience};
use crate::mail::{Renderer, Transport};
use crate::services::desk::Desk;
use crate::services::{Services, Throttles};
use crate::signing::{KeyRecord, KeyRing, MasterKey, Template};
use crate::store::{self, CommitStats, Options, Store, logs};
use crate::telemetry::Metrics;
use crate::{api, jobs, web};

/// How long requests that run may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(8);
/// How long a validation may rely on the licence that an earlier one read.
const LICENSE_SEEN: Duration = Duration::from_secs(1);
/// Requests that one HTTP/2 connection may have open.
const HTTP2_STREAMS_MAX: u32 = 100;
/// The longest headers of a request over HTTP/2, in bytes.
const HTTP2_HEADERS_MAX: u32 = 16 * 1024;
/// How often lapsed seats are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often the seat log is looked at for cleaning.
const CLEAN_EVERY: Duration = Duration::from_secs(2);

/// Where things are in the data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The data directory of a configuration.
    pub fn of(config: &Config) -> Self {
        Self(config.data.clone())
    }

    /// Makes the directory, open to its owner alone.
    pub fn create(&self) -> io::Result<()> {
        for folder in [self.0.clone(), self.keys(), self.mail(), self.backups()] {
            create_private_dir(&folder)?;
        }
        Ok(())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("coditect.redb")
    }

    /// The key that seals the others.
    pub fn master_key(&self) -> PathBuf {
        self.keys().join("master.key")
    }

    /// The mail folder.
    pub fn mail(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// Backups made by the server.
    pub fn backups(&self) -> PathBuf {
        self.0.join("backups")
    }

    /// The database's path, when it is there.
    pub fn require_database(&self) -> Result<PathBuf> {
        let database = self.database();
        let path = database.display();
        match database.try_exists() {
            Ok(true) => Ok(database),
            Ok(false) => Err(Error::internal(format!(
                "there is no database at {path}; is --data right? The first start makes it"
            ))),
            Err(error) => Err(Error::internal(format!(
                "{path}: {error}. The data folder is its owner's alone: run this as the user of the server"
            ))),
        }
    }

    /// The folder of the master key.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Where the command line talks to the running server.
    pub fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }
}

fn create_private_dir(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The umask may have taken bits away, never added them; this makes the mode exact.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// A server that is bound to its address and ready to run.
pub struct App {
    /// The operations.
    pub services: Arc<Services>,
    /// The address that was bound.
    pub address: SocketAddr,
    /// Where its data is.
    pub data: DataDir,
    acceptor: TcpAcceptor,
}

impl App {
    /// Opens the data, binds the address and builds everything.
    pub async fn open(loaded: Loaded, clock: Clock, entropy: Entropy) -> Result<Self> {
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
        let services = Arc::new(build(loaded, &data, opened, address, clock, entropy)?);
        register_samples(&services);
        services.ensure_keys().await?;
        services.plan_repeating_jobs().await?;
        Ok(Self { services, address, data, acceptor })
    }

    /// Serves until `stop` completes; then finishes what runs, syncs and closes.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<()> {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(jobs::run(Arc::clone(&self.services), stopped.clone()));
        tasks.spawn(tend_seats(Arc::clone(&self.services), stopped));
        let endpoint = api::server(&self.services, web::routes(&Config::reference_markdown()));
        let connections_max = self.services.config.server.max_connections;
        let patience = Patience::new(api::longest_request(&self.services.config));
        let acceptor = Bounded::new(self.acceptor, connections_max, patience);
        let served = poem::Server::new_with_acceptor(acceptor)
            .name("coditect")
            .http2_max_concurrent_streams(HTTP2_STREAMS_MAX)
            .http2_max_header_list_size(HTTP2_HEADERS_MAX)
            .run_with_graceful_shutdown(endpoint, stopping_lines(&self.services, stop), Some(DRAIN))
            .await;
        stopping.send_replace(true);
        let _ = tokio::time::timeout(Duration::from_secs(1), tasks.join_all()).await;
        let store = self.services.store.clone();
        drop(self.services);
        tokio::task::spawn_blocking(move || store.close()).await.map_err(Error::internal)??;
        served.map_err(Error::internal)
    }
}

/// The end, with nobody left to wait in line for a seat.
fn stopping_lines<S: Future<Output = ()> + Send>(
    services: &Arc<Services>,
    stop: S,
) -> impl Future<Output = ()> + Send + use<S> {
    let services = Arc::clone(services);
    async move {
        stop.await;
        services.desk.close_lines();
    }
}

/// Frees what lapses and keeps the seat log short.
async fn tend_seats(services: Arc<Services>, mut stop: watch::Receiver<bool>) {
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    let mut clean = tokio::time::interval(CLEAN_EVERY);
    loop {
        tokio::select! {
            _ = sweep.tick() => services.sweep(),
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
    build(loaded, &data, opened, address, clock, entropy)
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
) -> Result<Services> {
    let settings = loaded.describe();
    let config = Arc::new(loaded.config);
    let now = clock.now();
    let records = stored_keys(&store)?;
    let master = master_key(&config, data, &entropy, !records.is_empty())?;
    let keys = KeyRing::load(records, &master).map_err(Error::internal)?;
    let public_url: Arc<str> = config.public_url(address).into();
    let issuer: Arc<str> = config.issuer(address).into();
    let desk = Arc::new(Desk::restore(&store, now)?);
    let tokens = AccessTokens::new(keys.clone(), &issuer, config.auth.access_token_s);
    let templates = Renderer::new(config.mail.product_name.clone(), public_url.to_string());
    Ok(Services {
        throttles: Throttles::new(&config),
        hasher: HashPool::start(HashPoolConfig::default(), &entropy)?,
        transport: Arc::new(Transport::from_config(&config, data.mail())),
        templates: Arc::new(templates),
        signed: Cache::new(10_000),
        licenses_by_key: Cache::new(100_000),
        licenses_seen: Cache::builder().max_capacity(10_000).time_to_live(LICENSE_SEEN).build(),
        renewing: tokio::sync::Mutex::new(()),
        signing: tokio::sync::Mutex::new(()),
        work: Notify::new(),
        backups: data.backups(),
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

/// The master key: from the configuration, or a file beside the data.
pub fn master_key(
    config: &Config,
    data: &DataDir,
    entropy: &Entropy,
    sealed_exists: bool,
) -> Result<MasterKey> {
    if let Some(secret) = &config.keys.master {
        return MasterKey::parse(secret.expose(), "keys.master").map_err(Error::internal);
    }
    let loaded = MasterKey::load_or_create(&data.master_key(), entropy, sealed_exists)
        .map_err(Error::internal)?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    Ok(loaded.key)
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
