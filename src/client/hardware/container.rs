//! What tells one container from another.

use std::fs;

use super::Machine;

/// The inode of the first name space for host names, which the kernel defines: who is in it has the
/// host's own name.
const HOSTS_NAMES: &str = "uts:[4026531838]";
/// Files that container runtimes mount from where they keep what belongs to one container.
const MOUNTED: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// A line of `/proc/self/mountinfo`.
struct Mount<'a> {
    /// What is mounted, within its file system.
    root: &'a str,
    /// Where.
    point: &'a str,
    /// The kind of file system.
    kind: &'a str,
}

/// What identifies this container besides its host name; `None` when this is none.
pub(super) fn identity(machine: &Machine<'_>) -> Option<Vec<String>> {
    let mount_info = machine.read("proc/self/mountinfo").unwrap_or_default();
    let mounts: Vec<Mount<'_>> = mount_info.lines().filter_map(mount).collect();
    let signed =
        [".dockerenv", "run/.containerenv"].iter().any(|sign| machine.root.join(sign).exists());
    let layered = mounts.iter().any(|mount| mount.point == "/" && mount.kind == "overlay");
    if !(signed || layered || machine.orchestrated) {
        return None;
    }
    let mut parts = Vec::new();
    if mounts.iter().any(|mount| mount.point == "/etc/machine-id") {
        parts.extend(machine.machine_id("etc/machine-id").map(|id| format!("machine {id}")));
    }
    let namespace = machine.read("var/run/secrets/kubernetes.io/serviceaccount/namespace");
    parts.extend(namespace.map(|name| format!("namespace {name}")));
    let names = fs::read_link(machine.root.join("proc/self/ns/uts"));
    if names.is_ok_and(|names| names.as_os_str() == HOSTS_NAMES) {
        let own = mounts.iter().filter(|mount| MOUNTED.contains(&mount.point));
        parts.extend(
            own.flat_map(|mount| mount.root.split('/'))
                .find(|part| is_id(part))
                .map(|id| format!("id {id}")),
        );
    }
    Some(parts)
}

/// `36 29 8:1 /root /point options [more] - kind source options` (proc(5)).
fn mount(line: &str) -> Option<Mount<'_>> {
    let (place, what) = line.split_once(" - ")?;
    let mut place = place.split(' ').skip(3);
    Some(Mount { root: place.next()?, point: place.next()?, kind: what.split(' ').next()? })
}

/// A container's id, 64 hexadecimal digits, or a pod's, a UUID.
fn is_id(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_hexdigit).count();
    (text.len() == 64 && digits == 64)
        || (text.len() == 36 && digits == 32 && text.matches('-').count() == 4)
}
