//! A server to test against, and the people and programs that call it.
//!
//! Whatever a test asks, every answer is held to what all answers promise: see [`Answer`]. When a
//! test ends, its server must stop cleanly and must not have left a job that nobody can do, and its
//! running figures must be those that its records give.

mod client;
mod mail;
pub mod name_server;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use coditect::app::App;
use coditect::clock::Clock;
use coditect::config::DataDir;
use coditect::config::{Config, Flags, Loaded};
use coditect::domain::error::Result;
use coditect::domain::page::PageRequest;
use coditect::domain::time::Timestamp;
use coditect::entropy::Entropy;
use coditect::services::master_key::master_key;
use coditect::services::{Actor, Caller, Services};
use coditect::signing::{KeyRecord, Purpose};
use coditect::store::{Options, Store, analytics, jobs, logs};
use coditect::telemetry::RecentLogs;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub use client::{Answer, Client, Person};
pub use mail::Mail;
pub use values::{claims, items, members, text, without};

/// When every test begins.
pub const START: &str = "2030-01-15T09:00:00Z";
/// What people reach the server by, whatever port it got.
pub const PUBLIC_URL: &str = "https://licensing.example.com";
/// Who runs the appliance.
pub const OPERATOR: &str = "operator@example.com";
/// Everybody's password.
pub const PASSWORD: &str = "seven quiet herons at dusk";
/// Signs licences in every test but those of key making, which takes seconds.
const RSA_PEM: &str = include_str!("../../fixtures/keys/license-rsa4096.pkcs8.pem");
/// How long a test waits for what must come at once.
const SOON: Duration = Duration::from_secs(20);

pub const SECOND: Duration = Duration::from_secs(1);
pub const MINUTE: Duration = Duration::from_mins(1);
pub const HOUR: Duration = Duration::from_hours(1);
pub const DAY: Duration = Duration::from_hours(24);

/// The instant a test begins at, moved.
pub fn later(by: Duration) -> String {
    (START.parse::<Timestamp>().unwrap() + by.as_millis() as i64).to_string()
}

/// What a server is started with.
#[derive(Clone)]
pub struct Setup {
    env: Vec<(String, String)>,
    with_operator: bool,
    with_key: bool,
    may_park: bool,
}

impl Setup {
    /// An operator, a signing key, and limits that no test meets by accident.
    pub fn usual() -> Self {
        let none = Self { env: Vec::new(), with_operator: true, with_key: true, may_park: false };
        none.set("SERVER_PUBLIC_URL", PUBLIC_URL)
            .set("AUTH_ADDRESS_PER_MINUTE", "1000000")
            .set("AUTH_ADDRESS_BURST", "1000000")
            .set("AUTH_ACCOUNT_PER_MINUTE", "1000000")
            .set("AUTH_ACCOUNT_BURST", "1000000")
            .set("KEYS_ROTATION_DAYS", "3650")
    }

    /// A setting by the end of its environment name.
    pub fn set(self, name: &str, value: &str) -> Self {
        self.env(&format!("CODITECT_{name}"), value)
    }

    /// A setting by its environment name.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Nobody has set the appliance up yet.
    pub fn without_operator(mut self) -> Self {
        self.with_operator = false;
        self
    }

    /// Jobs may be left parked: that they are is what the test is about.
    pub fn leaving_parked_jobs(mut self) -> Self {
        self.may_park = true;
        self
    }

    /// The signing key is made by the server itself.
    pub fn without_key(mut self) -> Self {
        self.with_key = false;
        self
    }

    pub async fn start(self) -> TestApp {
        self.start_at(START.parse().unwrap()).await
    }

    /// The same at another instant than usual.
    pub async fn start_at(self, wall: Timestamp) -> TestApp {
        let data = Arc::new(tempfile::tempdir().unwrap());
        self.start_in(data, wall).await
    }

    async fn start_in(self, data: Arc<TempDir>, wall: Timestamp) -> TestApp {
        let loaded = self.load(&data);
        let clock = Clock::manual(wall);
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let (its_clock, with_key) = (clock.clone(), self.with_key);
        let server = std::thread::spawn(move || {
            if with_key {
                import_key(&loaded.config, wall);
            }
            serve(loaded, its_clock, ready, stopped)
        });
        let Ok((address, services)) = started.await else {
            panic!("the server did not start: {:?}", server.join().unwrap());
        };
        let anyone = Client::new(address);
        TestApp {
            anyone,
            address,
            clock,
            services,
            data,
            setup: self,
            stop: Some(stop),
            server: Some(server),
        }
    }

    fn load(&self, data: &TempDir) -> Loaded {
        let mut env = self.env.clone();
        if self.with_operator {
            env.push(("CODITECT_ADMIN_EMAIL".to_owned(), OPERATOR.to_owned()));
            env.push(("CODITECT_ADMIN_PASSWORD".to_owned(), PASSWORD.to_owned()));
        }
        let flags = Flags {
            config: None,
            data: Some(data.path().join("data")),
            listen: Some("127.0.0.1:0".to_owned()),
        };
        let loaded = Config::load(flags, env).unwrap();
        assert_eq!(loaded.warnings, [""; 0], "every setting of the tests is one");
        loaded
    }
}

/// Puts the key of the tests where the server looks for one.
fn import_key(config: &Config, now: Timestamp) {
    let data = DataDir::of(config);
    if data.database().exists() {
        return;
    }
    data.create().unwrap();
    let entropy = Entropy::system();
    let master = master_key(config, &data, &entropy, false).unwrap();
    let record = KeyRecord::import_pem(Purpose::License, RSA_PEM, &entropy, now, &master).unwrap();
    let row = serde_json::to_value(&record).unwrap();
    let store = Store::open(&data.database(), Options::default()).unwrap();
    store.write_blocking(move |tx| logs::put_key(tx, &record.kid, &row)).unwrap();
    store.close().unwrap();
}

/// The server has threads of its own, so that a test can wait for its end without async help.
fn serve(
    loaded: Loaded,
    clock: Clock,
    ready: oneshot::Sender<(SocketAddr, Arc<Services>)>,
    stopped: oneshot::Receiver<()>,
) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let app =
            App::open(loaded, clock.clone(), Entropy::system(), RecentLogs::new(clock)).await?;
        app.services.setup_from_config().await?;
        let _ = ready.send((app.address, Arc::clone(&app.services)));
        app.run(async {
            let _ = stopped.await;
        })
        .await
        .map(drop)
    })
}

/// A running server.
pub struct TestApp {
    /// Calls without credentials: applications, and people who have not signed in.
    pub anyone: Client,
    /// Where it listens.
    pub address: SocketAddr,
    /// Moves at the test's word alone.
    pub clock: Clock,
    /// For what no client can see.
    pub services: Arc<Services>,
    data: Arc<TempDir>,
    setup: Setup,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<Result<()>>>,
}

impl TestApp {
    /// A server with [`Setup::usual`].
    pub async fn start() -> Self {
        Setup::usual().start().await
    }

    /// The same data under a new process.
    pub async fn restart(self) -> Self {
        self.restart_after(Duration::ZERO).await
    }

    /// The same data under a new process with another setting, by the end of its environment name.
    pub async fn restart_with(mut self, name: &str, value: &str) -> Self {
        self.setup = self.setup.clone().set(name, value);
        self.restart().await
    }

    /// The same, after so long a time of nothing running. The monotonic clock begins anew, as a
    /// computer's does.
    pub async fn restart_after(self, down: Duration) -> Self {
        let (data, setup) = (Arc::clone(&self.data), self.setup.clone());
        let wall = self.clock.now().wall + down.as_millis() as i64;
        drop(self);
        let app = setup.start_in(data, wall).await;
        app.settle().await;
        app
    }

    /// Lets time pass, and everything happen that is due by then.
    pub async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.settle().await;
    }

    /// Waits until no job is due.
    pub async fn settle(&self) {
        let waiting = || {
            let first = |tx: &_| jobs::list_waiting(tx, &PageRequest::first());
            self.services.store.read(first).unwrap().items
        };
        let idle = || waiting().first().is_none_or(|next| next.due > self.clock.now().wall);
        eventually("no job is due", idle).await;
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.data.path().join("data")
    }

    /// Jobs that were given up.
    pub fn parked(&self) -> usize {
        self.services
            .store
            .read(|tx| jobs::list_parked(tx, &PageRequest::first()))
            .unwrap()
            .items
            .len()
    }

    /// Every message sent so far, oldest first.
    pub async fn mails(&self) -> Vec<Mail> {
        self.settle().await;
        let folder = std::fs::read_dir(self.data().join("mail")).unwrap();
        let mut files: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|ending| ending == "eml"));
        files.sort();
        files.iter().map(|path| Mail::read(&std::fs::read(path).unwrap())).collect()
    }

    /// The subjects of the messages to one address, oldest first; those of one instant in any order.
    pub async fn subjects_to(&self, email: &str) -> Vec<String> {
        let mails = self.mails().await.into_iter();
        mails.filter(|mail| mail.to == email).map(|mail| mail.subject).collect()
    }

    /// The newest message to an address whose subject holds these words.
    pub async fn mail_to(&self, email: &str, words: &str) -> Mail {
        let mut mails = self.mails().await;
        let place = mails.iter().rposition(|mail| mail.to == email && mail.subject.contains(words));
        let Some(place) = place else {
            panic!("no mail to {email} about {words:?}, only {:?}", self.subjects_to(email).await)
        };
        mails.swap_remove(place)
    }

    /// Registers.
    pub async fn register(&self, email: &str) -> Answer {
        let body = json!({"email": email, "password": PASSWORD, "full_name": "Ann Weaver", "company_name": "Loom Ltd"});
        self.anyone.post("/api/v1/auth/register", body).await
    }

    /// Somebody who registered, followed the mailed link and signed in.
    pub async fn customer(&self, email: &str) -> Person {
        self.register(email).await.ok(201);
        let token = self.mail_to(email, "Confirm").await.token();
        self.anyone.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok(200);
        self.sign_in(email).await
    }

    /// The operator, signed in.
    pub async fn operator(&self) -> Person {
        self.sign_in(OPERATOR).await
    }

    /// Signs in with the usual password.
    pub async fn sign_in(&self, email: &str) -> Person {
        let answer = self.login(email, PASSWORD).await.ok(200);
        self.person(&answer)
    }

    /// A request of theirs that has shown who asks, and waits in line for its transaction.
    pub async fn waiting(&self, person: &Client) -> Actor {
        let caller = Caller {
            address: std::net::Ipv4Addr::LOCALHOST.into(),
            user_agent: "coditect-tests/1".to_owned(),
            request_id: String::new(),
        };
        let token = person.bearer().unwrap();
        self.services.authenticate(&token, person.org(), caller).await.unwrap()
    }

    /// A sign-in as it is answered.
    pub async fn login(&self, email: &str, password: &str) -> Answer {
        self.anyone.post("/api/v1/auth/login", json!({"email": email, "password": password})).await
    }

    /// Whoever the answer to a sign-in is about.
    pub fn person(&self, tokens: &Value) -> Person {
        Person::new(self.anyone.with_bearer(&text(&tokens["access_token"])), tokens)
    }

    /// A plan with so many seats and a trial of 14 days.
    pub async fn plan(&self, name: &str, seats: u32) -> Value {
        let plan = json!({
            "plan_name": name, "max_concurrent_seats": seats, "monthly_price_cents": 4900,
            "yearly_price_cents": 49000, "currency": "EUR", "trial_duration_days": 14,
            "features": {"export": true, "projects": 20, "support": "e-mail"},
        });
        self.operator().await.post("/api/v1/admin/plans", plan).await.ok(201)
    }

    /// A licence with so many seats and no end, of the operator's own organisation.
    pub async fn license(&self, seats: u32) -> Value {
        let body = json!({"email": OPERATOR, "max_concurrent_seats": seats});
        self.operator().await.post("/api/v1/admin/licenses", body).await.ok(201)
    }

    /// Asks for a seat.
    pub async fn acquire(&self, license: &Value, hardware_id: &str) -> Answer {
        let body = json!({"license_key": license["license_key"], "hardware_id": hardware_id});
        self.anyone.post("/api/v1/licenses/acquire", body).await
    }

    /// Keeps a seat.
    pub async fn heartbeat(&self, seat: &Value) -> Answer {
        self.anyone
            .post("/api/v1/licenses/heartbeat", json!({"session_id": seat["session_id"]}))
            .await
    }

    /// Gives a seat back.
    pub async fn release(&self, seat: &Value) -> Answer {
        self.anyone
            .post("/api/v1/licenses/release", json!({"session_id": seat["session_id"]}))
            .await
    }

    /// The actions in the audit log, oldest first.
    pub async fn audited(&self) -> Vec<String> {
        let entries = self.audit().await;
        entries.iter().map(|entry| text(&entry["action"])).collect()
    }

    /// The audit log, oldest first.
    pub async fn audit(&self) -> Vec<Value> {
        let page = self.operator().await.get("/api/v1/admin/audit?limit=200").await.ok(200);
        let mut entries = page["items"].as_array().unwrap().clone();
        entries.reverse();
        entries
    }
}

/// Every test ends here: the server stops, cleanly, and no job was given up unless that was meant.
impl Drop for TestApp {
    fn drop(&mut self) {
        let parked =
            if std::thread::panicking() || self.setup.may_park { 0 } else { self.parked() };
        let figures =
            if std::thread::panicking() { None } else { figures_and_recounted(&self.services) };
        let _ = self.stop.take().map(|stop| stop.send(()));
        let ended = self.server.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            assert_eq!(parked, 0, "no job is left parked");
            if let Some((figures, recounted)) = figures {
                assert_eq!(figures, recounted, "the figures are those of the records");
            }
            ended.unwrap().expect("the server does not panic").expect("the server stops cleanly");
        }
    }
}

/// The running figures, and the same made anew from the records; none where storage does not answer.
pub fn figures_and_recounted(services: &Arc<Services>) -> Option<(Vec<String>, Vec<String>)> {
    let store = services.store.clone();
    let both = std::thread::spawn(move || {
        store.write_blocking(|tx| {
            let figures = analytics::dump(tx)?;
            analytics::recount(tx)?;
            Ok((figures, analytics::dump(tx)?))
        })
    });
    both.join().unwrap().ok()
}

/// Waits, within bounds, for what must become true by itself.
pub async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + SOON;
    while !is_so() {
        assert!(tokio::time::Instant::now() < until, "not within {SOON:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
