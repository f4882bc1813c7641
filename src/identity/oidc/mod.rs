//! OpenID Connect: signing in on the word of another service.
//!
//! - [`token`]: ID tokens and the keys they are signed with.
//! - [`issuer`]: one issuer: discovery, keys, codes; [`http`]: how it may be called.
//!
//! Whether an account belongs to whom an issuer names is not decided here, but in `services`.

pub mod http;
pub mod issuer;
pub mod token;

pub use http::{Http, Reach};
pub use issuer::{Failure, Issuer, Settings};
pub use token::{Claims, Refusal};
