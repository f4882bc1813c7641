//! The words of the product and its rules. Pure: no I/O, no clock, no formats.

pub mod error;
pub mod ids;
pub mod license;
pub mod organisation;
pub mod plan;
pub mod subscription;
pub mod time;
pub mod user;
