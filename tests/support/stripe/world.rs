//! What Stripe knows: objects in the order of their making, and the events about them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use super::error::{Result, StripeError};
use super::form::Params;
use super::shape::{Shape, previous, public};

/// What happens to a subscription when the last try to collect has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterRetries {
    Cancel,
    Unpaid,
    PastDue,
}

/// Objects are kept in today's shape; names that begin with `_` are the fake's own notes.
pub struct World {
    pub now: i64,
    clock: Arc<AtomicI64>,
    numbers: u64,
    objects: Vec<Value>,
    places: HashMap<String, usize>,
    pub events: Vec<Value>,
    /// Events that `GET /v1/events?delivery_success=true` shows.
    pub delivered: HashSet<String>,
    pub transcript: Vec<Value>,
    /// The `request` of events: what asked for them.
    pub cause: Value,
    pub shape: Shape,
    pub after_retries: AfterRetries,
    /// The clock is behind that of the program under test.
    pub is_behind: bool,
}

impl World {
    pub fn new(clock: Arc<AtomicI64>) -> Self {
        Self {
            now: clock.load(Ordering::SeqCst),
            clock,
            numbers: 0,
            objects: Vec::new(),
            places: HashMap::new(),
            events: Vec::new(),
            delivered: HashSet::new(),
            transcript: Vec::new(),
            cause: nobody(),
            shape: Shape::New,
            after_retries: AfterRetries::Cancel,
            is_behind: false,
        }
    }

    /// Looks at the clock, which others may have moved on.
    pub fn read_clock(&mut self) {
        self.now = self.now.max(self.clock.load(Ordering::SeqCst));
    }

    /// Moves the clock on; never back.
    pub fn move_clock(&mut self, time: i64) {
        self.now = self.now.max(time);
        self.clock.fetch_max(self.now, Ordering::SeqCst);
    }

    /// The next number, in no order of kinds: `cus_000001`, `price_000002`.
    pub fn next_id(&mut self, prefix: &str) -> String {
        self.numbers += 1;
        format!("{prefix}_{:06}", self.numbers)
    }

    /// Keeps a new object under its `id`.
    pub fn add(&mut self, object: Value) -> String {
        let id = object["id"].as_str().unwrap().to_owned();
        self.places.insert(id.clone(), self.objects.len());
        self.objects.push(object);
        id
    }

    pub fn find(&self, id: &str) -> Option<&Value> {
        self.places.get(id).map(|place| &self.objects[*place])
    }

    /// An object that is there.
    #[track_caller]
    pub fn get(&self, id: &str) -> &Value {
        self.find(id).unwrap_or_else(|| panic!("the fake Stripe has no {id}"))
    }

    /// An object of a kind, for a call with its id in the path: 404 when it is not there.
    pub fn look_up(&self, kind: &str, id: &str) -> Result<&Value> {
        let found = self.find(id).filter(|object| object["object"] == kind);
        found.ok_or_else(|| StripeError::not_found(kind, id))
    }

    /// The id of an object of a kind that a parameter names, if it does: 400 when it is not there.
    pub fn referred(&self, kind: &str, p: &Params, param: &str) -> Result<Option<String>> {
        let Some(id) = p.text(&format!("/{param}")) else { return Ok(None) };
        match self.find(id) {
            Some(object) if object["object"] == kind && object["deleted"] != true => {
                Ok(Some(id.to_owned()))
            }
            _ => Err(StripeError::missing(kind, param, id)),
        }
    }

    /// All of a kind, oldest first.
    pub fn of_kind(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.objects.iter().filter(move |object| object["object"] == kind)
    }

    pub fn all(&self) -> impl Iterator<Item = &Value> {
        self.objects.iter()
    }

    /// Changes an object; returns how it was.
    #[track_caller]
    pub fn change(&mut self, id: &str, change: impl FnOnce(&mut Value)) -> Value {
        let Some(place) = self.places.get(id) else { panic!("the fake Stripe has no {id}") };
        let object = &mut self.objects[*place];
        let before = object.clone();
        change(object);
        before
    }

    /// Changes an object and says so, when what is shown of it has changed.
    pub fn update(&mut self, kind: &str, id: &str, change: impl FnOnce(&mut Value)) {
        let before = self.change(id, change);
        self.emit_changed(kind, id, &before);
    }

    pub fn emit(&mut self, kind: &str, id: &str) {
        let object = self.shape.render(self, self.get(id));
        self.record(kind, json!({ "object": object }));
    }

    /// An event about an object that is no longer as it was `before`.
    pub fn emit_changed(&mut self, kind: &str, id: &str, before: &Value) {
        let object = self.shape.render(self, self.get(id));
        let changes = previous(&self.shape.render(self, before), &object);
        if changes.as_object().is_some_and(|changes| !changes.is_empty()) {
            self.record(kind, json!({ "object": object, "previous_attributes": changes }));
        }
    }

    fn record(&mut self, kind: &str, data: Value) {
        let mut event = json!({
            "id": format!("evt_{:06}", self.events.len() + 1),
            "object": "event",
            "api_version": self.shape.api_version(),
            "created": self.now,
            "livemode": false,
            "pending_webhooks": 1,
            "request": self.cause,
            "type": kind,
        });
        event["data"] = data;
        self.transcript.push(json!({ "event": event }));
        self.events.push(event);
    }

    /// Puts objects in the places of their ids, and in what is only shown when asked for.
    pub fn expand(&self, value: &mut Value, path: &str) -> Result<()> {
        let parts: Vec<&str> = path.split('.').collect();
        self.expand_parts(value, &parts).then_some(()).ok_or_else(|| {
            let message = format!("This property cannot be expanded ({path}).");
            StripeError::invalid("property_unexpandable", "expand", &message)
        })
    }

    fn expand_parts(&self, value: &mut Value, parts: &[&str]) -> bool {
        if let Value::Array(items) = value {
            return items.iter_mut().all(|item| self.expand_parts(item, parts));
        }
        let Some((name, rest)) = parts.split_first() else { return true };
        if let Some(list) = self.shown_when_asked(value, name) {
            value[*name] = list;
        }
        let Some(member) = value.get_mut(*name) else { return value.is_null() };
        let object = member.as_str().and_then(|id| self.find(id)).map(public);
        if let Some(object) = object {
            *member = object;
        }
        self.expand_parts(member, rest)
    }

    /// Lists that an object only has when `expand` names them.
    fn shown_when_asked(&self, object: &Value, name: &str) -> Option<Value> {
        let (kind, back, url) = match (object["object"].as_str()?, name) {
            ("invoice", "payments") => ("invoice_payment", "invoice", "/v1/invoice_payments"),
            ("charge", "refunds") => ("refund", "charge", "/v1/refunds"),
            ("checkout.session", "line_items") => {
                let session = self.get(object["id"].as_str()?);
                return Some(list("/v1/checkout/sessions/line_items", session["_items"].clone()));
            }
            _ => return None,
        };
        let members = self.of_kind(kind).filter(|member| member[back] == object["id"]);
        Some(list(url, members.map(public).collect()))
    }

    /// One page of objects, which come newest first.
    pub fn page<'a>(
        p: &Params,
        url: &str,
        newest_first: impl Iterator<Item = &'a Value>,
    ) -> Result<Value> {
        let limit = p.integer("/limit")?.unwrap_or(10);
        if !(1..=100).contains(&limit) {
            let message = "Invalid limit: must be between 1 and 100.";
            return Err(StripeError::invalid("parameter_invalid_integer", "limit", message));
        }
        let mut all = Vec::new();
        for object in newest_first {
            if created_within(p, object["created"].as_i64().unwrap())? {
                all.push(object);
            }
        }
        let place = |name: &str| -> Result<Option<usize>> {
            let Some(id) = p.text(&format!("/{name}")) else { return Ok(None) };
            let found = all.iter().position(|object| object["id"] == id);
            found.map(Some).ok_or_else(|| StripeError::missing("object", name, id))
        };
        let limit = limit as usize;
        let (from, to, has_more) = if let Some(end) = place("ending_before")? {
            let from = end.saturating_sub(limit);
            (from, end, from > 0)
        } else {
            let from = place("starting_after")?.map_or(0, |place| place + 1);
            let to = all.len().min(from + limit);
            (from, to, to < all.len())
        };
        let data: Value = all[from..to].iter().map(|object| public(object)).collect();
        Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
    }
}

/// The `request` of an event that nobody asked for.
pub fn nobody() -> Value {
    json!({ "id": null, "idempotency_key": null })
}

/// A whole list.
pub fn list(url: &str, data: Value) -> Value {
    let mut whole = json!({ "object": "list", "url": url, "has_more": false });
    whole["data"] = data;
    whole
}

fn created_within(p: &Params, created: i64) -> Result<bool> {
    Ok(p.integer("/created")?.is_none_or(|time| created == time)
        && p.integer("/created/gt")?.is_none_or(|time| created > time)
        && p.integer("/created/gte")?.is_none_or(|time| created >= time)
        && p.integer("/created/lt")?.is_none_or(|time| created < time)
        && p.integer("/created/lte")?.is_none_or(|time| created <= time))
}
