//! Without a server: what is said, and what works all the same.

use std::fs;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::support::{Home, run};

#[test]
fn whoever_asks_a_server_that_does_not_run_is_told_how_to_start_one() {
    let home = Home::new();
    for command in [
        vec!["overview"],
        vec!["license", "list"],
        vec!["backup", "create"],
        vec!["config", "show", "--running"],
    ] {
        home.run(&command).ended_with(6, "coditect serve --data");
    }
    assert!(!home.data().exists(), "asking makes nothing");

    // A socket that a killed server has left behind is nobody's.
    fs::create_dir(home.data()).unwrap();
    drop(UnixListener::bind(home.data().join("admin.sock")).unwrap());
    home.run(&["overview"]).ended_with(6, "no server runs on");
}

#[test]
fn pages_and_completions_are_printed_and_written() {
    let page = run(&["manual"]).succeeded().out;
    assert!(page.contains(".TH coditect 1") && page.contains("Exit codes"), "{page}");
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("man1");
    run(&["manual", "--dir", dir.to_str().unwrap()]).succeeded();
    let pages: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in [
        "coditect.1",
        "coditect-license.1",
        "coditect-license-issue.1",
        "coditect-backup-download.1",
    ] {
        assert!(pages.contains(&page.to_owned()), "{page}: {pages:?}");
    }
    run(&["manual", "--dir", "/proc/none"]).failed_saying("/proc/none");

    // Each shell that is here takes what was made for it.
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = run(&["completions", shell]).succeeded().out;
        assert!(script.contains("reinstate"), "{shell}");
        let file = folder.path().join(shell);
        fs::write(&file, script).unwrap();
        if let Ok(checked) = Command::new(shell).arg(check).arg(&file).output() {
            assert!(
                checked.status.success(),
                "{shell}: {}",
                String::from_utf8_lossy(&checked.stderr)
            );
        }
    }
    run(&["completions", "tcsh"]).ended_with(2, "tcsh");
}

#[test]
fn a_reader_who_has_enough_is_no_failure() {
    use std::process::Stdio;
    let mut command = crate::support::coditect(&["manual"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
}
