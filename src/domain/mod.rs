//! The words of the product and its rules. Pure: no I/O, no clock, no formats.

pub mod analytics;
pub mod api_key;
pub mod audit;
pub mod billing;
pub mod csv;
pub mod email_domain;
pub mod error;
pub mod identity;
pub mod ids;
pub mod job;
pub mod license;
pub mod mail;
pub mod money;
pub mod organisation;
pub mod page;
pub mod passkey;
pub mod payment;
pub mod plan;
pub mod provisioning;
pub mod search;
pub mod second_factor;
pub mod subscription;
pub mod team;
pub mod time;
pub mod user;
