//! Running the program, and talking to it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use reqwest::{Method, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The operator of servers started with [`Home::start`].
pub const OPERATOR: &str = "operator@example.com";
pub const PASSWORD: &str = "heron-copper-violin-seventeen";
/// The library that fakes the system's time for a program, where Debian has it.
const LIBFAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];
/// Long enough for a busy machine; a test that waits so long has failed.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The program under test.
pub fn binary() -> PathBuf {
    std::env::var_os("PROCESS_TESTS_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_coditect").into(), PathBuf::from)
}

/// The program with these arguments, free of the settings of whoever runs the tests.
pub fn coditect(arguments: &[&str]) -> Command {
    clean(Command::new(binary()), arguments)
}

fn clean(mut command: Command, arguments: &[&str]) -> Command {
    for (name, _) in std::env::vars_os() {
        let is_ours = |name: &str| name.starts_with("CODITECT_") || name.starts_with("STRIPE_");
        if name.to_str().is_some_and(is_ours) {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// What a command that ends has printed.
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Ended {
    /// Fails unless the command has succeeded.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert!(self.status.success(), "{}\n{}\n{}", self.status, self.out, self.err);
        self
    }

    /// Fails unless the command has failed with 1 and said this.
    #[track_caller]
    pub fn failed_saying(self, words: &str) -> Self {
        self.ended_with(1, words)
    }

    /// Fails unless the command has ended with this code and said this.
    #[track_caller]
    pub fn ended_with(self, code: i32, words: &str) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.out, self.err);
        assert!(
            self.err.contains(words) || self.out.contains(words),
            "{words}?\n{}\n{}",
            self.out,
            self.err
        );
        self
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status, out: text(output.stdout), err: text(output.stderr) }
    }
}

/// Runs a command of the program to its end.
pub fn run(arguments: &[&str]) -> Ended {
    coditect(arguments).output().unwrap().into()
}

/// A place for data, and how servers on it are started.
pub struct Home {
    folder: TempDir,
    environment: Vec<(String, String)>,
    launcher: Vec<String>,
}

impl Home {
    /// Servers have an operator from the environment, who can sign in at once, no limits on
    /// attempts, and one public address, so that tokens outlive a start on another port.
    pub fn new() -> Self {
        let home = Self::bare();
        let secret = home.path().join("password");
        std::fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
        home.with("CODITECT_ADMIN_EMAIL", OPERATOR)
            .with("CODITECT_ADMIN_PASSWORD_FILE", secret.to_str().unwrap())
            .with("CODITECT_AUTH_ADDRESS_PER_MINUTE", "1000000")
            .with("CODITECT_AUTH_ADDRESS_BURST", "1000000")
            .with("CODITECT_AUTH_ACCOUNT_PER_MINUTE", "1000000")
            .with("CODITECT_AUTH_ACCOUNT_BURST", "1000000")
            .with("CODITECT_SERVER_PUBLIC_URL", "http://licensing.test")
    }

    /// Servers have nothing but their data directory.
    pub fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("coditect-").tempdir().unwrap();
        Self { folder, environment: Vec::new(), launcher: Vec::new() }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The clocks of its programs are ahead by what [`Home::ahead`] says last, at once and also of those that run.
    pub fn with_time(self) -> Self {
        let library = LIBFAKETIME.iter().find(|path| Path::new(path).exists());
        let offset = self.path().join("offset").to_str().unwrap().to_owned();
        self.ahead("+0");
        self.with("LD_PRELOAD", library.expect("libfaketime is installed"))
            .with("FAKETIME_TIMESTAMP_FILE", &offset)
            .with("FAKETIME_NO_CACHE", "1")
    }

    /// How far its clocks are ahead: `+350` for seconds, `-30d` for days.
    pub fn ahead(&self, offset: &str) {
        // Replaced in one step: the library reads it at every call.
        let new = self.path().join("offset.new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, self.path().join("offset")).unwrap();
    }

    /// Servers are started by these words before the program's own.
    pub fn launched_by(mut self, words: &[&str]) -> Self {
        self.launcher = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The data directory of its servers.
    pub fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub fn database(&self) -> PathBuf {
        self.data().join("coditect.redb")
    }

    pub fn master_key(&self) -> PathBuf {
        self.data().join("keys/master.key")
    }

    pub fn start(&self) -> Server {
        self.start_listening_on("127.0.0.1:0")
    }

    pub fn start_listening_on(&self, listen: &str) -> Server {
        Server::spawn(self.command(&["serve", "--listen", listen]))
    }

    /// Runs a command on the data to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    /// A command on the data.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let data = self.data();
        let mut arguments = arguments.to_vec();
        arguments.extend(["--data", data.to_str().unwrap()]);
        let program = binary();
        let mut command = match self.launcher.split_first() {
            None => coditect(&arguments),
            Some((launcher, words)) => {
                let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
                all.push(program.to_str().unwrap());
                all.extend(arguments);
                clean(Command::new(launcher), &all)
            }
        };
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// The lines that a process prints, as they come.
#[derive(Default)]
pub struct Printed {
    /// Lines so far, and whether no more will come.
    lines: Mutex<(Vec<String>, bool)>,
    more: Condvar,
}

impl Printed {
    pub fn read(self: &Arc<Self>, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let printed = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines() {
                let Ok(line) = line else { break };
                printed.lines.lock().0.push(line);
                printed.more.notify_all();
            }
            printed.lines.lock().1 = true;
            printed.more.notify_all();
        })
    }

    /// What `find` makes of the first line that it knows; `None` when the process ended without.
    pub fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> Option<T> {
        let until = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock();
        loop {
            if let Some(found) = lines.0.iter().find_map(|line| find(line)) {
                return Some(found);
            }
            if lines.1 || self.more.wait_until(&mut lines, until).timed_out() {
                return None;
            }
        }
    }

    pub fn text(&self) -> String {
        self.lines.lock().0.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        })
    }
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    out: Arc<Printed>,
    err: Arc<Printed>,
    readers: Vec<JoinHandle<()>>,
    /// `127.0.0.1:port`
    pub address: String,
    pub spawned: Instant,
}

impl Server {
    /// Starts it and waits until it says where it listens.
    pub fn spawn(mut command: Command) -> Self {
        let mut server = Self::spawn_unready(&mut command);
        let address = server.out.wait_for(|line| {
            line.trim().strip_prefix("Address").map(|rest| rest.trim().to_owned())
        });
        match address {
            Some(address) => address.trim_start_matches("http://").clone_into(&mut server.address),
            None => panic!("the server did not start:\n{}", server.printed()),
        }
        server
    }

    /// Starts it and waits for nothing.
    pub fn spawn_unready(command: &mut Command) -> Self {
        let spawned = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (Arc::<Printed>::default(), Arc::<Printed>::default());
        let readers =
            vec![out.read(child.stdout.take().unwrap()), err.read(child.stderr.take().unwrap())];
        Self { child, out, err, readers, address: String::new(), spawned }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn os_pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32).unwrap()
    }

    /// Everything printed so far, and the log.
    pub fn printed(&self) -> String {
        format!("{}--- log\n{}", self.out.text(), self.err.text())
    }

    /// Waits for a line on standard output.
    #[track_caller]
    pub fn wait_for<T>(&self, find: impl Fn(&str) -> Option<T>) -> T {
        let found = self.out.wait_for(find);
        found.unwrap_or_else(|| panic!("it was never printed:\n{}", self.printed()))
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        kill_process(self.os_pid(), Signal::TERM).unwrap();
    }

    /// Waits for its end; its status and all it printed.
    pub fn wait(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.printed());
            std::thread::sleep(Duration::from_millis(5));
        };
        self.readers.drain(..).for_each(|reader| reader.join().unwrap());
        (status, self.printed())
    }

    /// Ends it in the ordinary way; all it printed.
    #[track_caller]
    pub fn stop(self) -> String {
        self.terminate();
        let (status, printed) = self.wait();
        assert!(status.success(), "{status}\n{printed}");
        printed
    }

    /// Takes its life, with no chance to tidy up.
    pub fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.wait().1
    }

    /// A client without credentials.
    pub fn client(&self) -> Client {
        Client { http: http(), base: format!("http://{}", self.address), token: None }
    }

    /// A client signed in as [`OPERATOR`].
    pub async fn operator(&self) -> Client {
        self.client().sign_in(OPERATOR, PASSWORD).await
    }

    /// Waits until the key for licences is made.
    pub async fn signing_key(&self) {
        let client = self.client();
        until("the signing key is ready", async || {
            client.get("/health/ready").await.body["signing_key"] == "ready"
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks until it is so.
#[track_caller]
pub fn until<F: AsyncFn() -> bool>(what: &str, so: F) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let end = Instant::now() + PATIENCE;
        while !so().await {
            assert!(Instant::now() < end, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Value,
}

impl Answer {
    /// Fails unless the status is one of these.
    #[track_caller]
    pub fn expect(self, statuses: &[u16]) -> Value {
        assert!(statuses.contains(&self.status), "{self:?}");
        self.body
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

/// Calls the API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

impl Client {
    pub async fn sign_in(mut self, email: &str, password: &str) -> Self {
        let body = json!({"email": email, "password": password});
        let tokens = self.post("/api/v1/auth/login", body).await.expect(&[200]);
        self.token = Some(text(&tokens["access_token"]));
        self
    }

    /// The same person at another server, or the same one on another port.
    pub fn at(&self, server: &Server) -> Self {
        Self { http: http(), base: format!("http://{}", server.address), token: self.token.clone() }
    }

    /// The same caller with another token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// An answer, unless the connection broke.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> reqwest::Result<Answer> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        Self::send(request).await
    }

    pub async fn send(request: RequestBuilder) -> reqwest::Result<Answer> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let retry_after =
            response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Ok(Answer { status, retry_after, body })
    }

    pub async fn try_post(&self, path: &str, body: Value) -> reqwest::Result<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await.unwrap()
    }

    /// Every item of a list, page after page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut page = self.get(&format!("{path}?limit=200{cursor}")).await.expect(&[200]);
            items.append(page["items"].as_array_mut().unwrap());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// Makes a licence for the operator's organisation.
    pub async fn issue(&self, seats: u32) -> License {
        let body = json!({"email": OPERATOR, "max_concurrent_seats": seats});
        let made = self.post("/api/v1/admin/licenses", body).await.expect(&[201]);
        License { id: text(&made["license_id"]), key: text(&made["license_key"]), seats }
    }

    pub async fn acquire(&self, license: &License, machine: &str) -> Answer {
        self.post("/api/v1/licenses/acquire", license.ask(machine)).await
    }

    pub async fn heartbeat(&self, session: &str) -> Answer {
        self.post("/api/v1/licenses/heartbeat", json!({"session_id": session})).await
    }

    pub async fn release(&self, session: &str) -> Answer {
        self.post("/api/v1/licenses/release", json!({"session_id": session})).await
    }

    pub async fn activate(&self, license: &License, machine: &str) -> Answer {
        self.post("/api/v1/licenses/activate", license.ask(machine)).await
    }

    /// Who holds the seats of a licence.
    pub async fn holders(&self, license: &License) -> Vec<Value> {
        self.list(&format!("/api/v1/licenses/{}/sessions", license.id)).await
    }

    /// The machines of a licence.
    pub async fn machines(&self, license: &License) -> Vec<String> {
        let all = self.list(&format!("/api/v1/licenses/{}/activations", license.id)).await;
        all.iter().map(|activation| text(&activation["hardware_id"])).collect()
    }

    /// The addresses of all accounts.
    pub async fn emails(&self) -> Vec<String> {
        self.list("/api/v1/admin/users").await.iter().map(|user| text(&user["email"])).collect()
    }
}

/// A licence as its holder knows it.
#[derive(Clone, Debug)]
pub struct License {
    pub id: String,
    pub key: String,
    pub seats: u32,
}

impl License {
    pub fn ask(&self, machine: &str) -> Value {
        json!({"license_key": self.key, "hardware_id": machine})
    }
}

/// An account to register.
pub fn person(email: &str) -> Value {
    json!({"email": email, "password": PASSWORD, "full_name": "A Person"})
}

#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

/// The token of a set-up link.
#[track_caller]
pub fn token_of(link: &str) -> String {
    link.trim().split_once("/admin#setup=").expect("a set-up link").1.to_owned()
}

/// Claims a set-up link.
pub async fn claim(client: &Client, link: &str) -> Answer {
    let mut body = person(OPERATOR);
    body["token"] = token_of(link).into();
    client.post("/api/v1/setup", body).await
}

/// Every file under a folder with its content and mode.
pub fn files(folder: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt;
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            let content =
                if metadata.is_file() { std::fs::read(entry.path()).unwrap() } else { Vec::new() };
            if metadata.is_dir() {
                folders.push(entry.path());
            }
            found.push((entry.path(), metadata.mode() & 0o7777, content));
        }
    }
    found.sort();
    found
}
