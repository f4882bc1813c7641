//! Settings: one table gives each its key, type, default, bounds, documentation
//! and environment name. Everything else is read from that table: loading, the
//! documented default file, the handbook's reference, the admin page.
//!
//! Layers, the later winning: defaults, the TOML file, the environment, flags.
//! Every value remembers where it came from. A misspelt key in the file is
//! refused with the nearest known name; a misspelt `CODITECT_...` variable is
//! warned about, because container platforms invent such names of their own.

mod data_dir;
mod layers;
mod oidc;
mod reference;
mod secret;
mod settings;
mod suggest;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use lettre::message::Mailbox;

use crate::domain::user::Email;

pub use data_dir::DataDir;
pub use layers::{ConfigError, Flags, Loaded, Source, environment};
pub use oidc::{LocalPaths, OidcProvider, OidcProviders, Preset};
pub use reference::SettingInfo;
pub use secret::Secret;
pub use settings::{Rule, Setting};
use settings::{optional, settings, standard};
pub use values::{
    AfterMoneyBack, Color, HttpUrl, IpRange, KeyTemplate, LogFilter, LogFormat, MailTransport,
    Origins, Proxies, SmtpSecurity, WebhookKey,
};

settings! {
    root {
        /// The folder that holds everything durable: the database, keys, mails and backups.
        /// It is created on first start, readable by its owner alone. One process at a time uses it.
        data: PathBuf = standard("./coditect-data");
    }

    /// How the server is reached and what it bears.
    ["server"] server: Server {
        /// The address and port that the server listens on. The default is reachable from this
        /// computer alone; `0.0.0.0:8750` listens on every network, and belongs behind TLS.
        listen: SocketAddr = standard("127.0.0.1:8750").env("CODITECT_LISTEN");
        /// The address that people and apps use, as seen from outside. Links in mails begin with
        /// it, and signed documents name it as their issuer. Without it: `http://` and `server.listen`.
        public_url: Option<HttpUrl> = optional("https://licensing.example.com");
        /// The largest request body that is read, in bytes. A larger one answers 413.
        body_limit_bytes: u32 = standard("65536").within(1_024, 16_777_216);
        /// How long one request may take, in seconds, before it answers 503. The time that a client
        /// asks to wait for a seat comes on top.
        request_timeout_s: u32 = standard("30").within(1, 300);
        /// How many connections are open at once. Further ones wait to be accepted.
        max_connections: u32 = standard("10000").within(16, 1_000_000);
        /// Addresses or networks (CIDR) of reverse proxies whose `X-Forwarded-For` is believed.
        /// Empty: the header is ignored, so that nobody can hide from the rate limits behind it.
        trusted_proxies: Proxies = standard("").example("10.0.0.0/8, 192.0.2.7");
        /// Origins of web pages, besides the server's own, whose scripts may call the API from a browser.
        /// Empty: none may. A page still needs an access token; cookies are not used.
        cors_origins: Origins = standard("").example("https://shop.example.com");
    }

    /// What is logged, to standard error.
    ["log"] log: Log {
        /// `human`: lines for people. `json`: one object a line, for machines. `auto`: `human` on a
        /// terminal, otherwise `json`.
        format: LogFormat = standard("auto");
        /// How much is logged: `error`, `warn`, `info`, `debug`, `trace` or `off`, for everything or
        /// by part, as in `info,coditect::store=debug`.
        level: LogFilter = standard("info");
    }

    /// The first operator. Both settings together create the account, verified and able to sign
    /// in, when there is no operator yet. Without them `coditect admin link` prints a set-up link.
    ["admin"] admin: Admin {
        /// The first operator's e-mail address.
        email: Option<Email> = optional("operator@example.com");
        /// The first operator's password. Used once, to make the account; change it there afterwards.
        password: Option<Secret> = optional("a long passphrase");
    }

    /// The keys that licences are signed with.
    ["keys"] keys: Keys {
        /// The master key that encrypts private keys at rest: 32 bytes as base64 or hexadecimal, as
        /// `openssl rand -base64 32` prints them. Without it one is made on first start and kept in
        /// the data folder, beside what it protects. Keep a copy: without it nobody can use the
        /// signing keys in a backup.
        master: Option<Secret> =
            optional("from openssl rand -base64 32").env("CODITECT_MASTER_KEY").within(43, 64);
        /// How long a signing key is used before a new one takes its place, in days. Old keys stay
        /// published, so what they signed stays valid.
        rotation_days: u32 = standard("90").within(1, 3_650);
    }

    /// How licences are made.
    ["license"] license: License {
        /// What a new licence key looks like: `X` is a random character (the last one checks the
        /// others), `{year}` the year of issue, capital letters, digits and single dashes stand as
        /// they are. At least eight `X`; twenty are recommended, because the key is all that a
        /// licensed app needs to show. Keys of an earlier template keep working.
        key_template: KeyTemplate = standard("CODITECT-XXXX-XXXX-XXXX-XXXX-XXXX");
        /// How long a licence works after a failed payment before it is suspended, in days.
        grace_days: u32 = standard("7").within(0, 90);
        /// The issuer (`iss`) that signed licences name. Without it: `server.public_url`. Set it
        /// when that address may change, because apps may check it for years.
        issuer: Option<HttpUrl> = optional("https://licensing.example.com");
    }

    /// Payments by Stripe. Without `secret_key` operators record payments by hand.
    ["stripe"] stripe: Stripe {
        /// The secret key of the Stripe account, `sk_...`, or a restricted one, `rk_...`, that may write
        /// customers, products, prices, checkout and portal sessions and subscriptions, and read
        /// invoices, charges and events.
        secret_key: Option<Secret> = optional("sk_live_...").env("STRIPE_SECRET_KEY");
        /// The secrets of the webhook endpoint, `whsec_...`; several, separated by commas, while one takes
        /// the place of another. The endpoint is `/api/v1/webhooks/stripe` at `server.public_url`.
        webhook_secret: Option<Secret> = optional("whsec_...").env("STRIPE_WEBHOOK_SECRET");
        /// Where Stripe answers; another address is for tests.
        api_base: HttpUrl = standard("https://api.stripe.com");
        /// What a refund of a whole payment does to its licence: `keep` or `suspend`.
        on_refund: AfterMoneyBack = standard("keep");
        /// What a dispute (a chargeback) does to its licence: `keep` or `suspend`.
        on_dispute: AfterMoneyBack = standard("suspend");
    }

    /// Concurrent seats.
    ["seats"] seats: Seats {
        /// The longest that an app may wait in line for a seat (`wait_seconds`), in seconds.
        max_wait_s: u32 = standard("60").within(0, 60);
    }

    /// Signing in, and what slows down guessing.
    ["auth"] auth: Auth {
        /// How long an access token is good for, in seconds.
        access_token_s: u32 = standard("900").within(60, 86_400);
        /// How long a sign-in lasts at most, in days; then the password is asked for again.
        refresh_token_days: u32 = standard("30").within(1, 365);
        /// Days without use after which a sign-in ends early.
        refresh_idle_days: u32 = standard("14").within(1, 365);
        /// Attempts that one network address may make each minute at the endpoints that check
        /// credentials, on average.
        address_per_minute: u32 = standard("120").within(1, 1_000_000);
        /// Attempts that one network address may make at once, before the average counts.
        address_burst: u32 = standard("120").within(1, 1_000_000);
        /// Attempts against one account each minute, on average. Those from networks where its owner has
        /// signed in before count by themselves, for each of them, so that a stranger who guesses keeps
        /// nobody out.
        account_per_minute: u32 = standard("10").within(1, 1_000_000);
        /// Attempts against one account at once, before the average counts.
        account_burst: u32 = standard("20").within(1, 1_000_000);
        /// Links to verify or reset that may be asked for one account each hour. They all work until they
        /// end, or the password is changed.
        links_per_hour: u32 = standard("6").within(1, 1_000);
        /// For how long a refresh token that was spent answers once more with the pair that took its place,
        /// in seconds, for a program that lost the answer. After that, or once the new pair was used,
        /// a spent token ends its sign-in.
        refresh_overlap_s: u32 = standard("30").within(0, 300);
        /// Fewest characters of a password that stands alone. Beside a second factor eight are enough.
        password_chars_min: u32 = standard("15").within(8, 64);
        /// Memory that hashing a password takes, in MiB. Passwords hashed with less, or in fewer passes,
        /// are hashed anew when their owners sign in.
        password_memory_mib: u32 = standard("19").within(19, 256);
        /// Passes over that memory.
        password_passes: u32 = standard("2").within(2, 32);
        /// How long the link that verifies an e-mail address works, in hours.
        verification_hours: u32 = standard("48").within(1, 720);
        /// How long a password reset link works, in minutes.
        reset_minutes: u32 = standard("60").within(5, 1_440);
        /// How long the operator's set-up link works, in hours.
        setup_hours: u32 = standard("24").within(1, 168);
        /// Whether anybody may register an account. When `false`, operators create accounts.
        open_registration: bool = standard("true");
        /// Whether operators need a second factor. One who has none can sign in to set it up, and do nothing
        /// else. API keys and the local socket are not concerned.
        operators_need_second_factor: bool = standard("false");
    }

    /// Organisations of customers.
    ["orgs"] orgs: Orgs {
        /// How long the deletion of an organisation can be taken back, in days. Then it is erased.
        deletion_wait_days: u32 = standard("30").within(0, 365);
        /// The name server that is asked whether a domain is an organisation's. Without it: those that the
        /// computer is set up with.
        dns_server: Option<SocketAddr> = optional("192.0.2.53:53");
    }

    /// Signing in through other services, by OpenID Connect. The handbook's page on single sign-on has examples.
    ["oidc"] oidc: Oidc {
        /// The issuers that people may sign in through: a list of tables (`[[oidc.providers]]`), in the
        /// environment as JSON. `name` and `client_id` each, and `preset` (`google`, `firebase`,
        /// `identity_platform`) or `issuer`; then `client_secret` or `client_secret_file`, `label`, `scopes`,
        /// `audiences`, `project_id`, `jwks_url`, `new_accounts`, `email_domains`, `trusts_mfa`, `trusts_email`.
        providers: OidcProviders = standard("").example("[{\"name\":\"google\",\"preset\":\"google\",\"client_id\":\"1234.apps.googleusercontent.com\"}]");
        /// Where a sign-in through an issuer may lead back to: paths of this server.
        return_paths: LocalPaths = standard("/admin").example("/admin, /portal");
        /// Whether an organisation may name an issuer of its own that is reached at a private address or
        /// without TLS. Its owners could then have this server call what only this server reaches.
        allow_private_issuers: bool = standard("false");
    }

    /// E-mail.
    ["mail"] mail: Mail {
        /// How mails leave. `folder`: each is written to the `mail` folder in the data folder as
        /// one `.eml` file, for a relay to pick up or for people to open. `smtp`: through the mail
        /// server of `mail.smtp`. `sendgrid`: through SendGrid's v3 API.
        transport: MailTransport = standard("folder");
        /// The sender of every mail. Set it before mails leave this computer: mail servers refuse
        /// senders that do not exist.
        from: Mailbox = standard("CODITECT <licensing@localhost>");
        /// The name of what is licensed, as mails call it.
        product_name: String = standard("CODITECT").within(1, 80);
        /// The colour of the buttons in mails.
        accent_color: Color = standard("#1f5fbf");
    }

    /// The mail server that takes mails when `mail.transport` is `smtp`.
    ["mail.smtp"] smtp: Smtp {
        /// The server's name. Its certificate must name it, unless `security` is `none`.
        host: Option<String> = optional("smtp.example.com").within(1, 253);
        /// The server's port. Without it: 587 for `starttls`, 465 for `tls`, 25 for `none`.
        port: Option<u32> = optional("587").within(1, 65_535);
        /// How the connection is encrypted. `starttls`: it must become encrypted before anything is
        /// said. `tls`: from its first byte on. `none`: not at all, for a server on this computer.
        security: SmtpSecurity = standard("starttls");
        /// The name to sign in with. Without it nobody signs in.
        user: Option<String> = optional("licensing@example.com").within(1, 320);
        /// The password to sign in with.
        password: Option<Secret> = optional("a password");
        /// A PEM file of certificate authorities that are trusted besides those of the computer.
        ca_file: Option<PathBuf> = optional("/etc/ssl/private-ca.pem");
        /// How long handing over one mail may take, in seconds.
        timeout_s: u32 = standard("30").within(1, 300);
    }

    /// SendGrid, which takes mails when `mail.transport` is `sendgrid`.
    ["mail.sendgrid"] sendgrid: Sendgrid {
        /// An API key that may send mail.
        api_key: Option<Secret> = optional("SG.key").env("SENDGRID_API_KEY");
        /// The sender of every mail, which SendGrid must have verified. Without it: `mail.from`.
        from: Option<Mailbox> =
            optional("Example Licensing <licensing@example.com>").env("SENDGRID_FROM_EMAIL");
        /// Where SendGrid answers; `https://api.eu.sendgrid.com` in its European region.
        base_url: HttpUrl = standard("https://api.sendgrid.com");
        /// How long handing over one mail may take, in seconds.
        timeout_s: u32 = standard("30").within(1, 300);
        /// The verification key of SendGrid's signed event webhook, which reports deliveries and
        /// bounces to `/api/v1/webhooks/sendgrid`.
        webhook_key: Option<WebhookKey> = optional("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==").env("SENDGRID_WEBHOOK_KEY");
    }

    /// Work done in the background.
    ["jobs"] jobs: Jobs {
        /// How often a failing job is tried before it is parked, where the admin page shows it.
        max_attempts: u32 = standard("10").within(1, 100);
        /// The pause before the second attempt, in seconds. Each further pause is twice as long. By
        /// chance, pauses are up to half shorter.
        retry_base_s: u32 = standard("30").within(1, 3_600);
    }

    /// How long records are kept that nothing else needs.
    ["retention"] retention: Retention {
        /// How long the e-mail log is kept, in days.
        mail_days: u32 = standard("90").within(1, 3_650);
        /// How long the audit log is kept, in days.
        audit_days: u32 = standard("400").within(1, 3_650);
    }
}

impl Auth {
    /// Fewest characters of a password: eight beside a second factor, more where it stands alone
    /// (NIST SP 800-63B-4, section 3.1.1.2).
    pub fn chars_min(&self, beside_second_factor: bool) -> usize {
        if beside_second_factor { 8 } else { self.password_chars_min as usize }
    }
}

impl Config {
    /// The address that people use: `server.public_url`, or `http://` and the address listened on.
    /// Never ends with `/`. `bound` is the address after binding, which may have picked the port.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        match &self.server.public_url {
            Some(url) => url.as_str().to_owned(),
            None => format!("http://{bound}"),
        }
    }

    /// The issuer that signed documents name: `license.issuer`, or [`Config::public_url`].
    pub fn issuer(&self, bound: SocketAddr) -> String {
        match &self.license.issuer {
            Some(issuer) => issuer.as_str().to_owned(),
            None => self.public_url(bound),
        }
    }

    /// Settings that need another one that is missing; each as a sentence.
    fn contradictions(&self) -> Vec<String> {
        let (smtp, sendgrid) = (&self.smtp, &self.sendgrid);
        let mut found = self.oidc.providers.problems.clone();
        let mut need = |needed: bool, what: &str| {
            if needed {
                found.push(what.to_owned());
            }
        };
        match self.mail.transport {
            MailTransport::Folder => {}
            MailTransport::Smtp => {
                need(
                    smtp.host.is_none(),
                    "mail.transport is smtp, but mail.smtp.host is not set. Name the mail server there.",
                );
                need(
                    smtp.user.is_some() != smtp.password.is_some(),
                    "mail.smtp.user and mail.smtp.password sign in together; one of them is not set.",
                );
            }
            MailTransport::Sendgrid => need(
                sendgrid.api_key.is_none(),
                "mail.transport is sendgrid, but mail.sendgrid.api_key is not set. Put the key into SENDGRID_API_KEY, or its file's path into SENDGRID_API_KEY_FILE.",
            ),
        }
        found
    }

    /// The sender of every mail.
    pub fn sender(&self) -> &Mailbox {
        match (self.mail.transport, &self.sendgrid.from) {
            (MailTransport::Sendgrid, Some(from)) => from,
            _ => &self.mail.from,
        }
    }

    /// Whether an operator should be told of something that works but is hardly meant.
    fn doubts(&self) -> Vec<String> {
        let mut doubts = Vec::new();
        if self.server.public_url.is_none() && self.server.listen.ip().is_unspecified() {
            doubts.push(format!(
                "server.public_url is not set while the server listens on every address: links in \
                 mails would lead to http://{}. Set it to the address that people use.",
                self.server.listen
            ));
        }
        let leaves = self.mail.transport != MailTransport::Folder;
        if leaves && self.sender().email.domain() == "localhost" {
            doubts.push(format!(
                "mail.from is {}, an address that mail servers refuse. Set it to one of yours.",
                self.sender()
            ));
        }
        let in_clear = self.mail.transport == MailTransport::Smtp
            && self.smtp.security == SmtpSecurity::None
            && self.smtp.password.is_some();
        if in_clear {
            doubts.push(
                "mail.smtp.security is none: the password of mail.smtp.user can be read on its way. \
                 Set it to starttls or tls."
                    .to_owned(),
            );
        }
        if self.admin.email.is_some() != self.admin.password.is_some() {
            doubts.push(
                "admin.email and admin.password make the first operator together; one alone is \
                 ignored. Set both, or use the link that `coditect admin link` prints."
                    .to_owned(),
            );
        }
        doubts
    }
}

#[cfg(test)]
mod tests;
