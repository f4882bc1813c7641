//! The calls to Stripe.
//!
//! Each names the version of the API whose shapes are read, so that an upgrade of the account
//! changes nothing here. A POST carries a key of ours that survives a retry and a restart: however
//! often it is sent, Stripe does it once (<https://docs.stripe.com/api/idempotent_requests>).

use std::fmt;
use std::time::Duration;

use reqwest::{Client, Method, StatusCode, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::objects::{
    Charge, CheckoutSession, Event, Identified, Invoice, InvoicePayment, List, PortalSession,
    Price, Subscription,
};
use crate::config::Secret;

/// Whose shapes are read and whose parameters are sent.
const VERSION: &str = "2026-08-26.dahlia";
/// Far longer than Stripe takes.
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_secs(5);
/// More than any answer that is expected.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Pages of a list that are read at once: 50,000 objects.
const PAGES_MAX: usize = 500;

/// Why a call did not do what it was to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Stripe says no, and would again.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's word for it, such as `resource_missing`.
        code: String,
        /// For people.
        message: String,
    },
    /// Stripe failed, and would again under the same key (status 500).
    Broken(String),
    /// Stripe cannot be reached, or not just now.
    Away(String),
}

impl Failure {
    /// Whether there is no such object.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "resource_missing")
            || matches!(self, Self::Refused { status: 404, .. })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, code, message } => {
                write!(f, "Stripe answered {status} {code}: {message}")
            }
            Self::Broken(cause) => write!(f, "Stripe failed: {cause}"),
            Self::Away(cause) => write!(f, "Stripe cannot be reached: {cause}"),
        }
    }
}

/// Stripe's own way of writing parameters: `items[0][price]=price_1`.
pub type Form = Vec<(String, String)>;

/// A subscription that is to be paid for.
pub struct NewCheckout<'a> {
    /// Who pays.
    pub customer: &'a str,
    /// For what.
    pub price: &'a str,
    /// How many.
    pub quantity: u32,
    /// Ours, so that what comes of it is recognised.
    pub subscription_id: &'a str,
    /// Ours.
    pub org_id: &'a str,
    /// Until when nothing is to be paid, in seconds.
    pub trial_end: Option<i64>,
    /// When the page closes, in seconds.
    pub expires_at: i64,
    /// Where the customer goes afterwards.
    pub success_url: &'a str,
    /// Where the customer goes who does not pay.
    pub cancel_url: &'a str,
}

/// A way to Stripe.
pub struct Stripe {
    http: Client,
    base: String,
    key: Secret,
}

impl Stripe {
    /// Reaches Stripe at `base` with a secret key.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str, key: Secret) -> Result<Self, String> {
        let mut http = Client::builder()
            .user_agent(concat!("coditect/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none());
        if base.starts_with("http://") {
            // A stand-in on this computer.
            http = http.tls_certs_only([]).no_proxy();
        }
        let http = http.build().map_err(|error| error.to_string())?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key })
    }

    /// Whether its key moves real money.
    pub fn livemode(&self) -> bool {
        let key = self.key.expose();
        key.starts_with("sk_live_") || key.starts_with("rk_live_")
    }

    /// Makes a customer of an organisation.
    pub async fn create_customer(
        &self,
        email: &str,
        name: &str,
        org_id: &str,
        key: &str,
    ) -> Result<Identified, Failure> {
        let form = [("email", email), ("name", name), ("metadata[coditect_org_id]", org_id)];
        self.post("/customers", &owned(form), key).await
    }

    /// Makes what is sold.
    pub async fn create_product(
        &self,
        name: &str,
        plan_id: &str,
        key: &str,
    ) -> Result<String, Failure> {
        let form = [("name", name), ("metadata[coditect_plan_id]", plan_id)];
        self.post::<Identified>("/products", &owned(form), key).await.map(|made| made.id)
    }

    /// Makes a price of a product.
    pub async fn create_price(
        &self,
        product: &str,
        currency: &str,
        amount_cents: i64,
        interval: &str,
        key: &str,
    ) -> Result<Price, Failure> {
        let (currency, amount) = (currency.to_lowercase(), amount_cents.to_string());
        let form = [
            ("product", product),
            ("currency", &currency),
            ("unit_amount", &amount),
            ("recurring[interval]", interval),
        ];
        self.post("/prices", &owned(form), key).await
    }

    /// Makes a payment page.
    pub async fn create_checkout(
        &self,
        new: &NewCheckout<'_>,
        key: &str,
    ) -> Result<CheckoutSession, Failure> {
        let (quantity, expires_at) = (new.quantity.to_string(), new.expires_at.to_string());
        let mut form = owned([
            ("expires_at", &*expires_at),
            ("mode", "subscription"),
            ("customer", new.customer),
            ("client_reference_id", new.org_id),
            ("line_items[0][price]", new.price),
            ("line_items[0][quantity]", &quantity),
            ("metadata[coditect_subscription_id]", new.subscription_id),
            ("subscription_data[metadata][coditect_subscription_id]", new.subscription_id),
            ("subscription_data[metadata][coditect_org_id]", new.org_id),
            ("success_url", new.success_url),
            ("cancel_url", new.cancel_url),
        ]);
        if let Some(end) = new.trial_end {
            form.push(("subscription_data[trial_end]".to_owned(), end.to_string()));
        }
        self.post("/checkout/sessions", &form, key).await
    }

    /// A payment page.
    pub async fn checkout(&self, id: &str) -> Result<CheckoutSession, Failure> {
        self.get(&format!("/checkout/sessions/{}", segment(id)), &[]).await
    }

    /// Closes a payment page that is open.
    pub async fn expire_checkout(&self, id: &str) -> Result<CheckoutSession, Failure> {
        let path = format!("/checkout/sessions/{}/expire", segment(id));
        self.post(&path, &[], &format!("expire-{id}")).await
    }

    /// Makes a page where a customer looks after payments.
    pub async fn create_portal(
        &self,
        customer: &str,
        return_url: &str,
        key: &str,
    ) -> Result<PortalSession, Failure> {
        let form = [("customer", customer), ("return_url", return_url)];
        self.post("/billing_portal/sessions", &owned(form), key).await
    }

    /// A subscription.
    pub async fn subscription(&self, id: &str) -> Result<Subscription, Failure> {
        self.get(&format!("/subscriptions/{}", segment(id)), &[]).await
    }

    /// Changes a subscription.
    pub async fn update_subscription(
        &self,
        id: &str,
        form: &Form,
        key: &str,
    ) -> Result<Subscription, Failure> {
        self.post(&format!("/subscriptions/{}", segment(id)), form, key).await
    }

    /// Ends a subscription at once.
    pub async fn cancel_subscription(&self, id: &str) -> Result<Subscription, Failure> {
        let path = format!("/subscriptions/{}", segment(id));
        self.call(Method::DELETE, &path, &[], None, None).await
    }

    /// An invoice with what paid it.
    pub async fn invoice(&self, id: &str) -> Result<Invoice, Failure> {
        self.get(&format!("/invoices/{}", segment(id)), &[("expand[]", "payments")]).await
    }

    /// A subscription's invoices, newest first.
    pub async fn invoices_of(&self, subscription: &str) -> Result<Vec<Invoice>, Failure> {
        let query = [("subscription", subscription), ("expand[]", "data.payments")];
        self.all("/invoices", &query, |it: &Invoice| &it.id).await
    }

    /// The invoice that was paid with this.
    pub async fn invoice_paid_by(&self, payment_intent: &str) -> Result<Option<String>, Failure> {
        let query = [
            ("payment[type]", "payment_intent"),
            ("payment[payment_intent]", payment_intent),
            ("limit", "1"),
        ];
        let found: List<InvoicePayment> = self.get("/invoice_payments", &query).await?;
        let invoice = found.data.first().and_then(|payment| payment.invoice.as_ref());
        Ok(invoice.map(|invoice| invoice.id().to_owned()))
    }

    /// A charge.
    pub async fn charge(&self, id: &str) -> Result<Charge, Failure> {
        self.get(&format!("/charges/{}", segment(id)), &[]).await
    }

    /// Events of these kinds (at most 20) since an instant in seconds, newest first; Stripe keeps them for 30
    /// days.
    pub async fn events_since(&self, since: i64, kinds: &[&str]) -> Result<Vec<Event>, Failure> {
        let since = since.to_string();
        let mut query = vec![("created[gte]", since.as_str())];
        query.extend(kinds.iter().map(|kind| ("types[]", *kind)));
        self.all("/events", &query, |it: &Event| &it.id).await
    }

    /// Asks for something small that the key must be allowed to read.
    pub async fn ping(&self) -> Result<(), Failure> {
        let _: List<Event> = self.get("/events", &[("limit", "1")]).await?;
        Ok(())
    }

    async fn all<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
        id: fn(&T) -> &str,
    ) -> Result<Vec<T>, Failure> {
        let mut found: Vec<T> = Vec::new();
        for _ in 0..PAGES_MAX {
            let last = found.last().map(|last| id(last).to_owned());
            let mut query = query.to_vec();
            query.push(("limit", "100"));
            if let Some(last) = &last {
                query.push(("starting_after", last));
            }
            let page: List<T> = self.get(path, &query).await?;
            let more = page.has_more && !page.data.is_empty();
            found.extend(page.data);
            if !more {
                return Ok(found);
            }
        }
        Err(Failure::Away(format!("{path} has more than {} objects", found.len())))
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Failure> {
        self.call(Method::GET, path, query, None, None).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        form: &[(String, String)],
        key: &str,
    ) -> Result<T, Failure> {
        // Other parameters under the same key are refused; they are another request.
        let mut hash = Sha256::new();
        for (name, value) in form {
            hash.update(format!("{name}={value}&"));
        }
        let digest = hash.finalize();
        let key =
            digest[..8].iter().fold(format!("{key}-"), |key, byte| format!("{key}{byte:02x}"));
        match self.call(Method::POST, path, &[], Some(form), Some(&key)).await {
            // The answer may have been lost on its way: the key makes it the same request.
            Err(Failure::Away(_)) => {
                self.call(Method::POST, path, &[], Some(form), Some(&key)).await
            }
            answer => answer,
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        form: Option<&[(String, String)]>,
        key: Option<&str>,
    ) -> Result<T, Failure> {
        let away = |error: reqwest::Error| Failure::Away(cause(&error));
        let mut request = self
            .http
            .request(method, format!("{}/v1{path}", self.base))
            .bearer_auth(self.key.expose())
            .header("Stripe-Version", VERSION);
        if !query.is_empty() {
            request = request.query(query);
        }
        if let Some(form) = form {
            request = request.form(form);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let mut answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(away)? {
            if body.len() + part.len() > BODY_BYTES_MAX {
                return Err(Failure::Away("the answer is too long".to_owned()));
            }
            body.extend_from_slice(&part);
        }
        if status.is_success() {
            return serde_json::from_slice(&body)
                .map_err(|error| Failure::Away(format!("the answer cannot be read: {error}")));
        }
        Err(refusal(status, &body))
    }
}

/// What Stripe says when it does not do it.
fn refusal(status: StatusCode, body: &[u8]) -> Failure {
    #[derive(Default, Deserialize)]
    struct Problem {
        #[serde(default)]
        error: Told,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Told {
        #[serde(rename = "type")]
        kind: String,
        code: Option<String>,
        message: String,
    }
    let told = serde_json::from_slice::<Problem>(body).unwrap_or_default().error;
    let code = told.code.unwrap_or(told.kind);
    let message: String = told.message.chars().take(300).collect();
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        return Failure::Broken(format!("{code} {message}"));
    }
    // A key of ours that somebody else uses at this moment, a limit, or Stripe's own trouble.
    let passes = status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 424 | 429);
    if passes {
        return Failure::Away(format!("it answered {status} {code} {message}"));
    }
    Failure::Refused { status: status.as_u16(), code, message }
}

fn owned<const N: usize>(form: [(&str, &str); N]) -> Form {
    form.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

/// An id in a path. Stripe's have none of the characters that would lead elsewhere; what came from
/// outside may.
fn segment(id: &str) -> String {
    id.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect()
}

/// Without the address, which may name what it must not.
fn cause(error: &reqwest::Error) -> String {
    let mut source: &dyn std::error::Error = error;
    while let Some(deeper) = source.source() {
        source = deeper;
    }
    source.to_string()
}
