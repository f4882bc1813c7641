//! What slows down guessing, and bounds the mail and the work that somebody causes.

use std::fmt;
use std::hash::Hash;
use std::net::IpAddr;

use crate::config::Config;
use crate::domain::error::{Code, Error, RateLimit, Result};
use crate::domain::ids::{OrgId, UserId};
use crate::domain::user::{Email, Familiar};
use crate::identity::throttle::{Throttle, address_key};

/// People of a group whom a directory may name before that counts as another call.
const PEOPLE_PER_CALL: usize = 20;

/// Calls of an organisation's directory in a minute: as fast as Entra ID, the quickest of them, sends them.
const DIRECTORY_PER_MINUTE: u32 = 1_500;
/// Calls that it may send at once, before that.
const DIRECTORY_BURST: u32 = 3_000;

/// The limits on calls that check a credential or send mail.
pub struct Throttles {
    by_address: Limit,
    by_account: Limit,
    by_org: Limit,
    links: Limit,
    org_mails: Limit,
    directories: Limit,
}

/// What leads to mails that nobody has asked for who reads them. Each counts by itself, and may happen as often
/// in an hour as a link is mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mailing<'a> {
    /// An address is invited.
    Invited(&'a Email),
    /// An issuer names an address, which is asked whether that is meant.
    Identified(&'a Email),
    /// An organisation's directory makes an account for an address.
    Provisioned(OrgId, &'a Email),
    /// Its directory gives somebody another address.
    Renamed(OrgId, UserId),
    /// Its directory brings somebody in, or takes them out.
    Moved(OrgId, UserId),
    /// A member is taken out.
    Removed(OrgId, UserId),
    /// An organisation begins to ask its members for a second factor.
    AskedForSecondFactor(OrgId),
    /// An organisation is given to another member.
    Transferred(OrgId),
}

/// What takes work, for one organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum OrgWork {
    /// Ask an issuer whether it answers.
    Issuer,
    /// Ask name servers for a domain's proof.
    Domain,
    /// Read everything it has.
    Export,
}

/// A limit, and how a refusal describes it.
struct Limit {
    throttle: Throttle,
    described: RateLimit,
}

impl Throttles {
    /// The limits that are configured.
    pub fn new(config: &Config) -> Self {
        let auth = &config.auth;
        Self {
            by_address: Limit::new("address", auth.address_per_minute, auth.address_burst),
            by_account: Limit::new("account", auth.account_per_minute, auth.account_burst),
            by_org: Limit::new("organisation", auth.account_per_minute, auth.account_burst),
            links: Limit::hourly("mailbox", auth.links_per_hour),
            org_mails: Limit::hourly("organisation_mails", auth.links_per_hour),
            directories: Limit::new("directory", DIRECTORY_PER_MINUTE, DIRECTORY_BURST),
        }
    }

    pub(super) fn check_address(&self, address: IpAddr) -> Result<()> {
        self.by_address.check(&address_key(address))
    }

    /// For what somebody does who is signed in, and for attempts to be.
    pub(super) fn check_account(&self, account: &str) -> Result<()> {
        self.by_account.check(account)
    }

    /// For an attempt to sign in; `familiar` is the network it comes from, where the owner has signed in
    /// before. Those count by themselves: whoever guesses from elsewhere keeps no owner out.
    pub(super) fn check_sign_in(&self, account: &str, familiar: Option<&Familiar>) -> Result<()> {
        self.by_account.check(&(account, familiar))
    }

    /// For a call of an organisation's directory.
    pub(super) fn check_directory(&self, org_id: OrgId) -> Result<()> {
        self.directories.check(&org_id)
    }

    /// For so many people who are named as a group's: a large change counts as several calls.
    pub(super) fn check_directory_work(&self, org_id: OrgId, people: usize) -> Result<()> {
        (0..people / PEOPLE_PER_CALL).try_for_each(|_| self.directories.check(&org_id))
    }

    /// For a link that is to be mailed to an address.
    pub(super) fn check_link(&self, address: &str) -> Result<()> {
        self.links.check(address)
    }

    /// For what leads to mails.
    pub(super) fn check_mailing(&self, mailing: Mailing) -> Result<()> {
        match mailing {
            Mailing::AskedForSecondFactor(_) => self.org_mails.check_for(
                &mailing,
                format_args!(
                    "The members of this organisation were asked for a second factor too often"
                ),
            ),
            Mailing::Transferred(_) => self
                .org_mails
                .check_for(&mailing, format_args!("This organisation was given away too often")),
            _ => self.links.check(&mailing),
        }
    }

    /// For what takes work: no more often than a sign-in may be tried.
    pub(super) fn check_org_work(&self, org_id: OrgId, work: OrgWork) -> Result<()> {
        self.by_org.check(&(org_id, work))
    }
}

impl Limit {
    fn new(policy: &'static str, per_minute: u32, burst: u32) -> Self {
        let throttle = Throttle::new(per_minute, burst);
        let quota = throttle.burst();
        let window_s = (u64::from(quota) * 60).div_ceil(u64::from(per_minute.max(1))) as u32;
        Self { throttle, described: RateLimit { policy, quota, window_s } }
    }

    fn hourly(policy: &'static str, quota: u32) -> Self {
        let throttle = Throttle::hourly(quota);
        Self { throttle, described: RateLimit { policy, quota, window_s: 3_600 } }
    }

    fn check(&self, key: &(impl Hash + ?Sized)) -> Result<()> {
        self.check_for(key, format_args!("Too many attempts for this {}", self.described.policy))
    }

    /// The same, where `why` tells what was too much.
    fn check_for(&self, key: &(impl Hash + ?Sized), why: fmt::Arguments) -> Result<()> {
        let Err(wait) = self.throttle.check(key) else { return Ok(()) };
        let text = format!("{why}; wait {} s, then try again.", wait.0);
        let mut error = Error::new(Code::RateLimited, text).retry_after(wait.0);
        error.limit = Some(self.described);
        Err(error)
    }
}
