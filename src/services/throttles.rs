//! What slows down guessing: limits per address and per account.

use std::net::IpAddr;

use crate::config::Config;
use crate::domain::error::{Code, Error, Result};
use crate::identity::throttle::{Throttle, address_key};

/// The limits on calls that check a credential or send mail.
pub struct Throttles {
    by_address: Throttle,
    by_account: Throttle,
}

impl Throttles {
    /// The limits that are configured.
    pub fn new(config: &Config) -> Self {
        let auth = &config.auth;
        Self {
            by_address: Throttle::new(auth.address_per_minute, auth.address_burst),
            by_account: Throttle::new(auth.account_per_minute, auth.account_burst),
        }
    }

    pub(super) fn check_address(&self, address: IpAddr) -> Result<()> {
        refuse(&self.by_address.check(&address_key(address)), "this address")
    }

    pub(super) fn check_account(&self, account: &str) -> Result<()> {
        refuse(&self.by_account.check(account), "this account")
    }
}

fn refuse<T>(answer: &Result<T, crate::identity::RetryAfterSeconds>, whose: &str) -> Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(wait) => Err(Error::new(Code::RateLimited, format!("Too many attempts for {whose}; wait, then try again."))
            .retry_after(wait.0)),
    }
}
