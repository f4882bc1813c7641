//! What is needed to take a seat.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::blocking::wait;
use super::error::{Error, Result};
use super::hardware::HardwareId;
use super::http::{Http, Settings, Validation, server_name};
use super::neighbours::Neighbours;
use super::seat::Seat;
use super::worker::{Task, Worker, evict, on_a_thread};

/// A request that takes longer is tried again.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MIN: Duration = Duration::from_millis(100);

/// What is needed to take a seat; made by [`Seat::builder`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    server: String,
    license_key: Zeroizing<String>,
    hardware_id: Option<String>,
    metadata: BTreeMap<String, String>,
    wait: Duration,
    timeout: Duration,
    certificates: Vec<Vec<u8>>,
    regain: bool,
}

impl Builder {
    pub(super) fn new(server: String, license_key: String) -> Self {
        Self {
            server,
            license_key: Zeroizing::new(license_key),
            hardware_id: None,
            metadata: BTreeMap::new(),
            wait: Duration::ZERO,
            timeout: TIMEOUT,
            certificates: Vec::new(),
            regain: false,
        }
    }

    /// What the server is to know this machine by, 1 to 256 characters. Without it:
    /// [`HardwareId::of_this_machine`]. One hardware id never holds two seats of a licence.
    pub fn hardware_id(mut self, hardware_id: impl Into<String>) -> Self {
        self.hardware_id = Some(hardware_id.into());
        self
    }

    /// A note that is shown to those who look who holds the seats. At most 16; names of at most 64
    /// and values of at most 256 characters.
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(name.into(), value.into());
        self
    }

    /// How long to wait for a seat when all are held, or for a server that cannot be reached. Without it
    /// the first no is final, and a server has three seconds to come back.
    pub fn wait(mut self, time: Duration) -> Self {
        self.wait = time;
        self
    }

    /// How long one request may take before it is tried again; ten seconds, unless said otherwise.
    pub fn request_timeout(mut self, time: Duration) -> Self {
        self.timeout = time.max(TIMEOUT_MIN);
        self
    }

    /// Trusts these certificates (PEM) for TLS as well, besides those that the computer trusts. For a
    /// server inside a network with an authority of its own.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.push(pem.into());
        self
    }

    /// Whether to go on trying after a loss, until there is a seat again
    /// ([`Event::Regained`](super::Event::Regained)). For an application that works on with
    /// less while it has none. Not done unless said so.
    pub fn regain(mut self, regain: bool) -> Self {
        self.regain = regain;
        self
    }

    /// Takes a seat, and keeps it from then on. Dropping the future before it is done gives back what it may
    /// have got, and blocks for that for two seconds at most.
    ///
    /// # Errors
    /// [`Error::Full`] when all seats are held, [`Error::Refused`] when the licence cannot be used,
    /// [`Error::Unreachable`] when the server does not answer, [`Error::Settings`] and
    /// [`Error::NoHardwareId`] when nothing could be asked.
    pub async fn acquire(&self) -> Result<Seat> {
        let settings = self.settings()?;
        let hardware_id = settings.hardware_id.clone();
        let task = Task { settings, patience: self.wait, regain: self.regain };
        let (worker, taken) = Worker::start(task)?;
        let taken = taken.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(Seat { worker, board: taken.board, hardware_id, grace: taken.grace })
    }

    /// [`Builder::acquire`] for a program without async.
    ///
    /// # Errors
    /// As [`Builder::acquire`].
    pub fn acquire_blocking(&self) -> Result<Seat> {
        wait(self.acquire())
    }

    /// Asks whether the licence may be used, and how full it is. Takes no seat.
    ///
    /// # Errors
    /// As [`Builder::acquire`], save that a licence which cannot be used is no error: the answer says so.
    pub async fn validate(&self) -> Result<Validation> {
        let settings = self.settings()?;
        aside(async move || {
            let http = Http::new(settings)?;
            http.validate().await.map_err(|fault| http.error(fault))
        })
        .await
    }

    /// [`Builder::validate`] for a program without async.
    ///
    /// # Errors
    /// As [`Builder::validate`].
    pub fn validate_blocking(&self) -> Result<Validation> {
        wait(self.validate())
    }

    /// Gives back the seat that this machine holds, whoever took it; whether it held one. A program
    /// that still keeps it takes one anew at its next heartbeat.
    ///
    /// # Errors
    /// As [`Builder::acquire`].
    pub async fn release_machine(&self) -> Result<bool> {
        let settings = self.settings()?;
        aside(async move || evict(settings).await).await
    }

    /// [`Builder::release_machine`] for a program without async.
    ///
    /// # Errors
    /// As [`Builder::release_machine`].
    pub fn release_machine_blocking(&self) -> Result<bool> {
        wait(self.release_machine())
    }

    /// Whether a program on this machine keeps the seat just now, as far as this user can see.
    ///
    /// # Errors
    /// [`Error::Settings`] and [`Error::NoHardwareId`].
    pub fn is_kept_here(&self) -> Result<bool> {
        Ok(Neighbours::any(&server_name(&self.server)?, &self.used_hardware_id()?))
    }

    /// What the server would know this machine by.
    ///
    /// # Errors
    /// [`Error::NoHardwareId`].
    pub fn used_hardware_id(&self) -> Result<String> {
        match &self.hardware_id {
            Some(given) => Ok(given.clone()),
            None => Ok(HardwareId::of_this_machine(&self.license_key)?.to_string()),
        }
    }

    fn settings(&self) -> Result<Settings> {
        Ok(Settings {
            server: self.server.clone(),
            license_key: self.license_key.clone(),
            hardware_id: self.used_hardware_id()?,
            metadata: self.metadata.clone(),
            timeout: self.timeout,
            certificates: self.certificates.clone(),
        })
    }
}

/// On a thread of its own, so that it needs no runtime.
async fn aside<T: Send + 'static>(
    act: impl AsyncFnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (tell, told) = oneshot::channel();
    on_a_thread(tell, act)?;
    told.await.unwrap_or_else(|_| Err(ended()))
}

fn ended() -> Error {
    Error::Settings("the thread that was to ask the licence server has ended".to_owned())
}

/// Without the licence key, which is a credential.
impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("server", &self.server)
            .field("hardware_id", &self.hardware_id)
            .field("metadata", &self.metadata)
            .field("wait", &self.wait)
            .field("timeout", &self.timeout)
            .field("regain", &self.regain)
            .finish_non_exhaustive()
    }
}
