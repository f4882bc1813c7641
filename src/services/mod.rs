//! The services room.
