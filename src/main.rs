//! The `coditect` program: parse, call the library, exit.

fn main() {}
