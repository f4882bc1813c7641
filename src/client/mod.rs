//! The room of the client that keeps a seat.
