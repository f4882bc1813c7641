//! Mails as files, for a relay to pick up or for people to open.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::domain::ids::MailId;

/// The name follows from the id alone, so that a second attempt finds what the first one wrote.
/// The time in it is the one that a time-ordered id carries: files sort in order of creation.
fn file_name(mail_id: MailId) -> String {
    let ms = mail_id.0.get_timestamp().map(|time| {
        let (seconds, nanoseconds) = time.to_unix();
        seconds as i64 * 1_000 + i64::from(nanoseconds / 1_000_000)
    });
    match ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
        Some(time) => format!("{}-{mail_id}.eml", time.strftime("%Y%m%dT%H%M%S%.3fZ")),
        None => format!("{mail_id}.eml"),
    }
}

/// Who reads the folder sees whole messages only, and after a power cut the message is there.
pub(super) fn write_once(folder: &Path, mail_id: MailId, bytes: &[u8]) -> io::Result<()> {
    let target = folder.join(file_name(mail_id));
    if target.try_exists()? {
        return Ok(());
    }
    make_folder(folder)?;
    let unfinished = folder.join(format!(".{mail_id}.tmp"));
    let mut file = create_private(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, &target)?;
    sync_folder(folder)
}

#[cfg(unix)]
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Mails carry links that open accounts: nobody but the owner reads them.
#[cfg(unix)]
fn create_private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).open(path)
}

/// A rename is durable once its folder is.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
