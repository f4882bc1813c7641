//! The billing room.
