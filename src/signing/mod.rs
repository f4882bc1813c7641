//! The signing room.
