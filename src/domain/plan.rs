//! The catalogue.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{Error, Result};
use super::ids::PlanId;
use super::time::Timestamp;

/// What a plan or licence grants besides seats: flags, limits and names.
pub type Features = BTreeMap<String, Feature>;

/// The value of one feature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be true, false, a whole number or a text")]
pub enum Feature {
    /// A flag.
    Flag(bool),
    /// A limit.
    Limit(i64),
    /// A name.
    Text(String),
}

/// The most features a plan or licence may carry.
pub const FEATURES_MAX: usize = 64;
/// The longest text a feature may have, in characters.
pub const FEATURE_TEXT_MAX: usize = 256;
/// The largest number a feature may have, either side of zero: beyond it, programs that keep
/// numbers as IEEE doubles would read another one (RFC 8259, section 6). One less than it could be,
/// so that the API document, which writes such numbers with sixteen digits, says the same.
pub const FEATURE_LIMIT_MAX: i64 = (1 << 53) - 2;
/// The most seats a licence may have.
pub const SEATS_MAX: u32 = 1_000_000;

/// Something that can be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Identifies the plan.
    pub plan_id: PlanId,
    /// Unique, whatever the case.
    pub plan_name: String,
    /// For the pricing page.
    pub description: String,
    /// Seats of a licence of this plan.
    pub max_concurrent_seats: u32,
    /// Machines that may be activated; none: no limit.
    pub max_activations: Option<u32>,
    /// Minor units of `currency`, per month.
    pub monthly_price_cents: i64,
    /// Minor units of `currency`, per year, where a year can be bought.
    pub yearly_price_cents: Option<i64>,
    /// The provider's price of a month; made at the first checkout where none is given.
    #[serde(default)]
    pub stripe_monthly_price_id: Option<String>,
    /// The provider's price of a year.
    #[serde(default)]
    pub stripe_yearly_price_id: Option<String>,
    /// Where it stands among the others; lower numbers come first.
    #[serde(default)]
    pub position: u32,
    /// ISO 4217.
    pub currency: String,
    /// Days of trial; 0: none.
    pub trial_duration_days: u32,
    /// What else it grants.
    pub features: Features,
    /// Whether the public list shows it.
    pub public: bool,
    /// When it was taken from sale; existing subscriptions keep it.
    #[serde(default)]
    pub archived_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Plan {
    /// Checks the rules that hold for every plan.
    ///
    /// # Errors
    /// A field error for the first rule that is broken.
    pub fn check(&self) -> Result<()> {
        check_text("plan_name", &self.plan_name, 1, 100)?;
        check_text("description", &self.description, 0, 2_000)?;
        check_seats("max_concurrent_seats", self.max_concurrent_seats)?;
        check_currency(&self.currency)?;
        check_features(&self.features)?;
        check_activations(self.max_activations)?;
        check_price("stripe_monthly_price_id", self.stripe_monthly_price_id.as_deref())?;
        check_price("stripe_yearly_price_id", self.stripe_yearly_price_id.as_deref())?;
        if self.trial_duration_days > 365 {
            return Err(Error::invalid("trial_duration_days", "must be between 0 and 365"));
        }
        for (field, price) in [
            ("monthly_price_cents", Some(self.monthly_price_cents)),
            ("yearly_price_cents", self.yearly_price_cents),
        ] {
            if price.is_some_and(|p| !(0..=MONEY_MAX).contains(&p)) {
                return Err(Error::invalid(
                    field,
                    "must be between 0 and 100000000000 minor units",
                ));
            }
        }
        Ok(())
    }
}

/// The largest amount of money the product handles, in minor units.
pub const MONEY_MAX: i64 = 100_000_000_000;

/// An id of a price as Stripe gives them.
fn check_price(field: &str, id: Option<&str>) -> Result<()> {
    let is_sound = |id: &str| {
        (1..=255).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
    };
    if id.is_none_or(is_sound) {
        return Ok(());
    }
    Err(Error::invalid(field, "must be the id of a price, such as price_1Q2w3E4r5T6y"))
}

/// Three capital letters (ISO 4217).
///
/// # Errors
/// A field error on `currency`.
pub fn check_currency(currency: &str) -> Result<()> {
    if currency.len() == 3 && currency.bytes().all(|b| b.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(Error::invalid(
            "currency",
            "must be an ISO 4217 code of three capital letters, such as EUR",
        ))
    }
}

/// A number of seats between 1 and [`SEATS_MAX`].
///
/// # Errors
/// A field error on `field`.
pub fn check_seats(field: &str, seats: u32) -> Result<()> {
    if (1..=SEATS_MAX).contains(&seats) {
        Ok(())
    } else {
        Err(Error::invalid(field, "must be between 1 and 1000000"))
    }
}

/// At least one machine, or no limit.
///
/// # Errors
/// A field error on `max_activations`.
pub fn check_activations(max_activations: Option<u32>) -> Result<()> {
    match max_activations {
        Some(0) => {
            Err(Error::invalid("max_activations", "must be at least 1; leave it out for no limit"))
        }
        _ => Ok(()),
    }
}

/// At most [`FEATURES_MAX`] features with short names and values.
///
/// # Errors
/// A field error on `features`.
pub fn check_features(features: &Features) -> Result<()> {
    let sound = features.len() <= FEATURES_MAX
        && features.iter().all(|(name, value)| {
            (1..=64).contains(&name.chars().count())
                && match value {
                    Feature::Text(text) => text.chars().count() <= FEATURE_TEXT_MAX,
                    Feature::Limit(number) => {
                        (-FEATURE_LIMIT_MAX..=FEATURE_LIMIT_MAX).contains(number)
                    }
                    Feature::Flag(_) => true,
                }
        });
    if sound {
        Ok(())
    } else {
        Err(Error::invalid(
            "features",
            "at most 64 features, names of 1 to 64 characters, texts of at most 256, numbers within 2^53",
        ))
    }
}

/// Characters that show nothing, and those that turn text around: pasted along with others, or to deceive.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{2800}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Text without control characters and within bounds, counted in characters.
///
/// # Errors
/// A field error on `field`.
pub fn check_text(field: &str, text: &str, min: usize, max: usize) -> Result<()> {
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(field, "must not contain control characters"));
    }
    let length = text.trim().chars().filter(|c| !is_invisible(*c)).count();
    if length < min || text.chars().count() > max {
        return Err(Error::invalid(field, format!("must be {min} to {max} characters long")));
    }
    Ok(())
}
