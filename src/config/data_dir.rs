//! Where everything is kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Config;
use crate::domain::error::{Error, Result};

/// Where things are in the data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The data directory of a configuration.
    pub fn of(config: &Config) -> Self {
        Self(config.data.clone())
    }

    /// Makes the directory, open to its owner alone.
    pub fn create(&self) -> io::Result<()> {
        for folder in [self.0.clone(), self.keys(), self.mail(), self.backups()] {
            create_private_dir(&folder)?;
        }
        Ok(())
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("coditect.redb")
    }

    /// The key that seals the others.
    pub fn master_key(&self) -> PathBuf {
        self.keys().join("master.key")
    }

    /// A master key that is to take the place of the other.
    pub fn next_master_key(&self) -> PathBuf {
        self.keys().join("master.key.next")
    }

    /// A master key that was replaced at a time.
    pub fn old_master_key(&self, until: &str) -> PathBuf {
        self.keys().join(format!("master.key.until-{until}"))
    }

    /// The mail folder.
    pub fn mail(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// The vendor's own texts of mails.
    pub fn mail_templates(&self) -> PathBuf {
        self.0.join("mail-templates")
    }

    /// Backups made by the server.
    pub fn backups(&self) -> PathBuf {
        self.0.join("backups")
    }

    /// The database's path, when it is there.
    pub fn require_database(&self) -> Result<PathBuf> {
        let database = self.database();
        let path = database.display();
        match database.try_exists() {
            Ok(true) => Ok(database),
            Ok(false) => Err(Error::internal(format!(
                "there is no database at {path}; is --data right? The first start makes it"
            ))),
            Err(error) => Err(Error::internal(format!(
                "{path}: {error}. The data folder is its owner's alone: run this as the user of the server"
            ))),
        }
    }

    /// The folder of the master key.
    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Where the command line talks to the running server.
    pub fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }
}

fn create_private_dir(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    if folder.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // The umask may have taken bits away, never added them; this makes the mode exact.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}
