//! Handing mails to a mail server (RFC 5321).
//!
//! A connection for each mail, and one step after the other: at which step a server refuses says
//! whether it is the recipient or the settings. The client library bounds the time of the
//! connection alone, so the whole conversation is bounded here; one that was cut off is dropped and
//! never used again.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use tokio::sync::OnceCell;

use super::{SendError, Taken, told};
use crate::config::{self, Secret, SmtpSecurity};

/// How long a farewell may take; nothing depends on it.
const QUIT: Duration = Duration::from_secs(2);

/// A mail server and how to talk to it.
pub(super) struct Smtp {
    host: String,
    port: u16,
    security: SmtpSecurity,
    login: Option<(String, Secret)>,
    ca_file: Option<PathBuf>,
    timeout: Duration,
    /// Made when first needed: the computer's certificates are read for it.
    tls: OnceCell<TlsParameters>,
}

/// How far a conversation has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Connect,
    SignIn,
    Sender,
    Recipient,
    Content,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{})", self.host, self.port)
    }
}

impl Smtp {
    pub(super) fn new(settings: &config::Smtp) -> Self {
        let port = settings.port.and_then(|port| u16::try_from(port).ok());
        Self {
            host: settings.host.clone().unwrap_or_default(),
            port: port.unwrap_or(match settings.security {
                SmtpSecurity::Starttls => 587,
                SmtpSecurity::Tls => 465,
                SmtpSecurity::None => 25,
            }),
            security: settings.security,
            login: settings.user.clone().zip(settings.password.clone()),
            ca_file: settings.ca_file.clone(),
            timeout: Duration::from_secs(settings.timeout_s.into()),
            tls: OnceCell::new(),
        }
    }

    /// Hands over one mail to one recipient.
    pub(super) async fn send(
        &self,
        from: &Address,
        to: &str,
        message: &[u8],
    ) -> Result<Taken, SendError> {
        let to: Address = to.parse().map_err(|why| SendError::Recipient(format!("{why}")))?;
        let mut step = Step::Connect;
        let talk = async {
            let mut connection = self.open(&mut step).await?;
            let handed = hand_over(&mut connection, from, &to, message, &mut step).await;
            // Whether the server hears the farewell says nothing of the mail.
            let _ = tokio::time::timeout(QUIT, connection.quit()).await;
            handed
        };
        match tokio::time::timeout(self.timeout, talk).await {
            Ok(handed) => handed.map(|answer| Taken { answer, provider_id: None }),
            Err(_) => Err(self.too_slow(step)),
        }
    }

    /// Connects and signs in, and sends nothing.
    pub(super) async fn check(&self) -> Result<String, SendError> {
        let mut step = Step::Connect;
        let talk = async {
            let mut connection = self.open(&mut step).await?;
            let _ = tokio::time::timeout(QUIT, connection.quit()).await;
            Ok(())
        };
        match tokio::time::timeout(self.timeout, talk).await {
            Ok(opened) => opened?,
            Err(_) => return Err(self.too_slow(step)),
        }
        let signed_in = if self.login.is_some() { " and lets us sign in" } else { "" };
        Ok(format!("{} answers{signed_in}", self.name()))
    }

    fn name(&self) -> String {
        format!("the mail server {}:{}", self.host, self.port)
    }

    /// An encrypted and signed-in connection. Whatever fails here would fail for every mail.
    async fn open(&self, step: &mut Step) -> Result<AsyncSmtpConnection, SendError> {
        let failed = |what: &str, error: &Error| {
            SendError::Unreachable(format!("{} {what}: {}", self.name(), words(error)))
        };
        let tls = match self.security {
            SmtpSecurity::None => None,
            SmtpSecurity::Starttls | SmtpSecurity::Tls => Some(self.tls().await?.clone()),
        };
        let at_once = tls.clone().filter(|_| self.security == SmtpSecurity::Tls);
        let (host, hello) = ((self.host.as_str(), self.port), ClientId::default());
        let connect =
            AsyncSmtpConnection::connect_tokio1(host, Some(self.timeout), &hello, at_once, None);
        let mut connection =
            connect.await.map_err(|error| failed("cannot be talked to", &error))?;
        if let Some(tls) = tls.filter(|_| self.security == SmtpSecurity::Starttls) {
            let encrypted = connection.starttls(tls, &hello).await;
            encrypted.map_err(|error| failed("does not encrypt the connection", &error))?;
        }
        if let Some((user, password)) = &self.login {
            *step = Step::SignIn;
            let login = Credentials::new(user.clone(), password.expose().to_owned());
            let signed_in = connection.auth(DEFAULT_MECHANISMS, &login).await;
            signed_in.map_err(|error| failed("does not let us sign in", &error))?;
        }
        Ok(connection)
    }

    async fn tls(&self) -> Result<&TlsParameters, SendError> {
        let make = || async {
            let (host, ca_file) = (self.host.clone(), self.ca_file.clone());
            tokio::task::spawn_blocking(move || tls_parameters(host, ca_file))
                .await
                .map_err(|error| SendError::Transport(error.to_string()))?
        };
        self.tls.get_or_try_init(make).await
    }

    fn too_slow(&self, step: Step) -> SendError {
        let seconds = self.timeout.as_secs();
        let name = self.name();
        match step {
            Step::Connect | Step::SignIn => SendError::Unreachable(format!(
                "{name} could not be reached and signed in to within {seconds} s"
            )),
            Step::Sender | Step::Recipient | Step::Content => {
                SendError::Deferred(format!("{name} did not take the mail within {seconds} s"))
            }
        }
    }
}

fn tls_parameters(host: String, ca_file: Option<PathBuf>) -> Result<TlsParameters, SendError> {
    let mut builder = TlsParameters::builder(host).certificate_store(CertificateStore::Default);
    if let Some(path) = ca_file {
        let refuse = |why: &str| {
            SendError::Unreachable(format!("mail.smtp.ca_file {}: {why}", path.display()))
        };
        let pem = std::fs::read(&path).map_err(|error| refuse(&error.to_string()))?;
        let authorities = Certificate::from_pem(&pem).map_err(|_| refuse("is no PEM file"))?;
        builder = builder.add_root_certificate(authorities);
    }
    builder.build().map_err(|error| SendError::Unreachable(words(&error)))
}

/// The mail itself, on an open connection; what the server said when it took it.
async fn hand_over(
    connection: &mut AsyncSmtpConnection,
    from: &Address,
    to: &Address,
    message: &[u8],
    step: &mut Step,
) -> Result<String, SendError> {
    let mut parameters = Vec::new();
    if !(from.as_ref() as &str).is_ascii() || !(to.as_ref() as &str).is_ascii() {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let why = "the mail server does not take addresses beyond ASCII (RFC 6531)";
            return Err(SendError::Recipient(why.to_owned()));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    *step = Step::Sender;
    let sender = Mail::new(Some(from.clone()), parameters);
    connection.command(sender).await.map_err(|error| judge(*step, &error))?;
    *step = Step::Recipient;
    let recipient = Rcpt::new(to.clone(), Vec::new());
    connection.command(recipient).await.map_err(|error| judge(*step, &error))?;
    *step = Step::Content;
    connection.command(Data).await.map_err(|error| judge(*step, &error))?;
    let taken = connection.message(message).await.map_err(|error| judge(*step, &error))?;
    let code = u16::from(taken.code());
    Ok(told(&format!("{code} {}", taken.message().collect::<Vec<_>>().join(" "))))
}

/// Whose fault an answer tells of. A server that refuses our sender, asks us to sign in or does not
/// relay for us would say so to every mail.
fn judge(step: Step, error: &Error) -> SendError {
    let answer = words(error);
    let Some(code) = error.status().map(u16::from) else {
        return SendError::Deferred(answer);
    };
    let ours = matches!(code, 530 | 534 | 535 | 538)
        || step == Step::Sender
        || (step == Step::Recipient && answer.to_lowercase().contains("relay"));
    if !error.is_permanent() {
        SendError::Deferred(answer)
    } else if ours {
        SendError::Transport(format!("the mail server refuses us: {answer}"))
    } else {
        SendError::Refused(answer)
    }
}

/// `550 5.1.1 no such user`, or what went wrong before there was an answer.
fn words(error: &Error) -> String {
    let mut last = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        last = cause.to_string();
        source = cause.source();
    }
    match error.status() {
        Some(code) => told(&format!("{} {last}", u16::from(code))),
        None => told(&last),
    }
}
