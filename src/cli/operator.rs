//! What operators ask of a running server: how it is reached, and what most commands share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};

/// How the server is reached, and how its answer is printed.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Via {
    /// Ask the server at this address [default: the one on --data] [env: CODITECT_SERVER]
    #[arg(long, global = true, value_name = "URL", help_heading = "Connection")]
    pub server: Option<String>,
    /// Read the API key for --server from this file [env: CODITECT_API_KEY_FILE or CODITECT_API_KEY]
    ///
    /// CODITECT_API_KEY holds the key itself, CODITECT_API_KEY_FILE names a file as this flag does.
    /// There is no flag for the key itself, because everybody on a computer can read the command
    /// lines of all processes. The server that runs on --data is asked over the local socket in
    /// that folder and needs no key: whoever may open the folder may ask.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub api_key_file: Option<PathBuf>,
    /// Print the server's answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What is done with one kind of record.
#[derive(Args, Clone, PartialEq, Eq, Debug)]
pub struct Noun<C: Subcommand> {
    /// What to do.
    #[command(subcommand)]
    pub command: C,
    /// How the server is reached.
    #[command(flatten)]
    pub via: Via,
}

/// How much of a list is wanted.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Paging {
    /// List so many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one)]
    pub limit: u32,
    /// List all there are
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
}

impl Paging {
    /// How many items to list at most; `None`: all.
    pub fn most(&self) -> Option<usize> {
        (!self.all).then_some(self.limit as usize)
    }
}

fn at_least_one(text: &str) -> Result<u32, &'static str> {
    number(text).ok().filter(|n| *n > 0).ok_or("write a whole number, at least 1")
}

/// A whole number, refused in words.
pub fn number(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| "write a whole number, as in 25")
}

/// Consent that is given beforehand.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct Consent {
    /// Do not ask before it is done
    #[arg(long)]
    pub yes: bool,
}

/// When something ends: a day, a moment, or never.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Until {
    /// It has no end.
    Never,
    /// RFC 3339.
    At(String),
}

impl FromStr for Until {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Self::Never);
        }
        if let Ok(day) = text.parse::<jiff::civil::Date>()
            && !text.contains(['T', ' '])
        {
            return Ok(Self::At(format!("{day}T23:59:59Z")));
        }
        text.parse::<jiff::Timestamp>().map(|moment| Self::At(moment.to_string())).map_err(|_| {
            "write a day as 2030-01-31 (to its end, in UTC), a moment as 2030-01-31T12:00:00Z, or never"
        })
    }
}

/// The most of something, where there need be no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Most(pub Option<u32>);

impl FromStr for Most {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self(None)),
            _ => text.parse().map(|n| Self(Some(n))).map_err(|_| "write a number, or none"),
        }
    }
}

/// A feature that a plan or licence grants: `name=value`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FeatureFlag {
    /// What it is called.
    pub name: String,
    /// `true`, `false`, a whole number or a text.
    pub value: String,
}

impl FromStr for FeatureFlag {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("write name=value, as in export=true, projects=20 or tier=gold"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_day_a_moment_or_never() {
        let at = |text: &str| Ok(Until::At(text.to_owned()));
        for (typed, meant) in [
            ("never", Ok(Until::Never)),
            ("2030-01-31", at("2030-01-31T23:59:59Z")),
            ("2030-01-31T12:00:00Z", at("2030-01-31T12:00:00Z")),
            ("2030-01-31T12:00:00+02:00", at("2030-01-31T10:00:00Z")),
        ] {
            assert_eq!(typed.parse::<Until>(), meant, "{typed}");
        }
        for typed in ["", "tomorrow", "2030-02-30", "31.01.2030", "2030-01-31T12:00:00", "Never"] {
            assert!(typed.parse::<Until>().is_err(), "{typed}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_none() {
        assert_eq!("none".parse(), Ok(Most(None)));
        assert_eq!("3".parse(), Ok(Most(Some(3))));
        assert!("-1".parse::<Most>().is_err() && "".parse::<Most>().is_err());
    }

    #[test]
    fn a_feature_has_a_name() {
        let feature =
            |name: &str, value: &str| FeatureFlag { name: name.into(), value: value.into() };
        assert_eq!("export=true".parse(), Ok(feature("export", "true")));
        assert_eq!("note=a=b".parse(), Ok(feature("note", "a=b")));
        assert_eq!("note=".parse(), Ok(feature("note", "")));
        assert!("export".parse::<FeatureFlag>().is_err());
        assert!("=true".parse::<FeatureFlag>().is_err());
    }
}
