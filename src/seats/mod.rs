//! The seats room.
