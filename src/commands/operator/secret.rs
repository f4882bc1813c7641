//! Credentials, which never come from the command line itself: everybody can read that.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

use super::failure::{Exit, Failure, Result};

/// A file with a secret is far smaller.
const SECRET_BYTES_MAX: u64 = 4_096;

/// The API key from the flag's file, the environment, or the file that the environment names.
pub fn api_key(
    flag: Option<&Path>,
    env: Option<String>,
    env_file: Option<&Path>,
) -> Result<String> {
    let key = match (flag, env, env_file) {
        (Some(file), ..) | (None, None, Some(file)) => read_secret(file)?,
        (None, Some(key), _) => key,
        (None, None, None) => {
            return Err(Failure::new(
                Exit::Denied,
                "a server elsewhere wants an API key: put it into a file and name that with \
                 --api-key-file, or into CODITECT_API_KEY. `coditect api-key create` makes one",
            ));
        }
    };
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failure::new(Exit::Denied, "the API key is no key: it has to be one word"));
    }
    Ok(key.to_owned())
}

/// A password from a file, or from the keyboard without showing it.
pub fn password(email: &str, file: Option<&Path>) -> Result<String> {
    let typed = match file {
        Some(file) => read_secret(file)?,
        None if std::io::stdin().is_terminal() => ask(email)
            .map_err(|error| Failure::failed(format!("the password could not be read: {error}")))?,
        None => {
            return Err(Failure::usage(
                "there is nobody here to ask for the password: name a file with --password-file",
            ));
        }
    };
    Ok(typed.trim_end_matches(['\r', '\n']).to_owned())
}

/// The secret of a client, from a file, or from standard input where that is called `-`.
pub fn client_secret(file: &Path) -> Result<String> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().lock().take(SECRET_BYTES_MAX).read_to_string(&mut text);
        read.map(|_| text).map_err(|error| Failure::failed(format!("standard input: {error}")))?
    } else {
        read_secret(file)?
    };
    let secret = read.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::usage("there is no secret in what was named by --client-secret-file"));
    }
    Ok(secret.to_owned())
}

fn ask(email: &str) -> std::io::Result<String> {
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    write!(std::io::stderr(), "Password of {email}: ")?;
    tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
    let mut typed = String::new();
    let read = stdin.lock().take(SECRET_BYTES_MAX).read_line(&mut typed);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    writeln!(std::io::stderr())?;
    read.map(|_| typed)
}

fn read_secret(file: &Path) -> Result<String> {
    read(file, SECRET_BYTES_MAX)
        .map_err(|error| Failure::new(Exit::Denied, format!("{}: {error}", file.display())))
}

/// The beginning of a file, up to so many bytes.
pub fn read(file: &Path, bytes_max: u64) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_the_flag_comes_before_the_environments() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "cdt_file\n").unwrap();
        let key = |flag: bool, env: Option<&str>, env_file: bool| {
            let named = |yes: bool| yes.then_some(&*file);
            api_key(named(flag), env.map(str::to_owned), named(env_file))
        };
        assert_eq!(key(true, Some("cdt_env"), false).unwrap(), "cdt_file");
        assert_eq!(key(false, Some("cdt_env"), true).unwrap(), "cdt_env");
        assert_eq!(key(false, None, true).unwrap(), "cdt_file");
        assert_eq!(key(false, None, false).unwrap_err().exit, Exit::Denied);
        assert_eq!(key(false, Some("two words"), false).unwrap_err().exit, Exit::Denied);
        std::fs::remove_file(&file).unwrap();
        assert!(key(true, None, false).unwrap_err().text.contains("key"));
    }
}
