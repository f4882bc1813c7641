//! What the server knows a machine by.

mod container;

use std::fmt::{self, Write as _};
use std::path::Path;

use aws_lc_rs::hmac;

use super::error::{Error, Result};
use crate::signing::license_key;

/// Says what is hashed, and in which way; to be changed with the way.
const DOMAIN: &str = "coditect hardware id, version 1";
/// Of the hash, this much is an id: 128 bits.
const BYTES: usize = 16;
/// A file that identifies a machine is a line.
const FILE_BYTES_MAX: u64 = 1 << 16;
/// What makers write who give no serial number, besides one digit again and again.
const NOBODYS: [&str; 3] = ["uninitialized", "03000200040005000006000700080009", "notsettable"];

/// What the server knows a machine by: the same at every start, another one for each licence.
///
/// It is made from the first of these that there is:
///
/// 1. In a container (Docker, Podman, Kubernetes ...): its host name, with the Kubernetes namespace where there is
///    one. A container that shares its host's name is known by its own id as well, and a machine id
///    that was mounted into it counts, too. The machine id in an image does not: every container of the
///    image has the same.
/// 2. `/etc/machine-id`, then `/var/lib/dbus/machine-id`.
/// 3. The firmware's serial number: `/sys/class/dmi/id/product_uuid`, `/proc/device-tree/serial-number`.
/// 4. The host name.
///
/// So a container keeps its id when it is restarted, and gets a new one when it is made anew under another
/// name, as Docker does unless a `hostname` is set. A pod of a `StatefulSet` keeps it for good. What
/// should be the same machine, or should not, although this says otherwise (cloned virtual machines with
/// one machine id, containers of one name on several hosts) is told so with
/// [`Builder::hardware_id`](super::Builder::hardware_id).
///
/// What is sent is an HMAC-SHA256 of the licence key, keyed with the machine's id. It tells the server
/// nothing about the machine, and the ids of two licences cannot be brought together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HardwareId(String);

impl HardwareId {
    /// What a licence's server is to know this machine by.
    ///
    /// # Errors
    /// [`Error::NoHardwareId`] when nothing identifies the machine.
    pub fn of_this_machine(license_key: &str) -> Result<Self> {
        let orchestrated = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let node = rustix::system::uname();
        let machine = Machine {
            root: Path::new("/"),
            host_name: &node.nodename().to_string_lossy(),
            orchestrated,
        };
        let identity = machine.identity().ok_or(Error::NoHardwareId)?;
        Ok(Self::of(&identity, license_key))
    }

    /// As text, to be sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of(identity: &str, license_key: &str) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, identity.as_bytes());
        // However the key is typed.
        let license_key = license_key::index_form(license_key);
        let tag = hmac::sign(&key, format!("{DOMAIN}\0{license_key}").as_bytes());
        Self(format!("m1-{}", hexadecimal(&tag.as_ref()[..BYTES])))
    }
}

impl fmt::Display for HardwareId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where it is read what machine this is.
struct Machine<'a> {
    root: &'a Path,
    host_name: &'a str,
    /// Whether the environment says that this is a container of Kubernetes.
    orchestrated: bool,
}

impl Machine<'_> {
    /// What identifies it, with the kind first: one kind's text is never another's.
    fn identity(&self) -> Option<String> {
        let host_name = Some(self.host_name.trim()).filter(|name| tells(name));
        if let Some(mut identity) = container::identity(self) {
            identity.extend(host_name.map(|name| format!("host {name}")));
            return (!identity.is_empty()).then(|| format!("container\n{}", identity.join("\n")));
        }
        let first = |paths: &[&str]| paths.iter().find_map(|path| self.machine_id(path));
        first(&["etc/machine-id", "var/lib/dbus/machine-id"])
            .map(|id| format!("machine\n{id}"))
            .or_else(|| {
                first(&["sys/class/dmi/id/product_uuid", "proc/device-tree/serial-number"])
                    .map(|id| format!("firmware\n{id}"))
            })
            .or_else(|| host_name.map(|name| format!("host\n{name}")))
    }

    /// A serial number that was really given to this machine.
    fn machine_id(&self, path: &str) -> Option<String> {
        let text = self.read(path)?;
        let id: String =
            text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
        let one_digit = id.chars().all(|digit| id.starts_with(digit));
        (id.len() >= 8 && !one_digit && !NOBODYS.contains(&id.as_str())).then_some(id)
    }

    fn read(&self, path: &str) -> Option<String> {
        use std::io::Read;

        let file = std::fs::File::open(self.root.join(path)).ok()?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim_matches(['\0', '\n', ' ', '\t', '\r']).to_owned())
    }
}

/// Bytes as text.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Whether a host name tells one machine from another.
fn tells(host_name: &str) -> bool {
    let first = host_name.split('.').next().unwrap_or_default();
    !matches!(first, "" | "localhost" | "(none)")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const ID: &str = "3d1219c7c4c5404aaa1f6d2a48adfda4";
    const CONTAINER: &str = "9f2c1d0e5b7a4c3d8e6f1a2b3c4d5e6f9f2c1d0e5b7a4c3d8e6f1a2b3c4d5e6f";

    fn machine(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn identity(host_name: &str, files: &[(&str, &str)]) -> Option<String> {
        let root = machine(files);
        Machine { root: root.path(), host_name, orchestrated: false }.identity()
    }

    #[test]
    fn the_first_thing_that_identifies_a_machine_counts() {
        let etc = ("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
        let dbus = ("var/lib/dbus/machine-id", "00112233445566778899aabbccddeeff\n");
        let dmi = ("sys/class/dmi/id/product_uuid", "4C4C4544-0042-3510-8054-B7C04F4E4732\n");
        let arm = ("proc/device-tree/serial-number", "10000000abcdef12\0");
        let is = |files: &[(&str, &str)], text: &str| {
            assert_eq!(identity("desk", files).as_deref(), Some(text));
        };
        is(&[etc, dbus, dmi, arm], &format!("machine\n{ID}"));
        is(&[dbus, dmi, arm], "machine\n00112233445566778899aabbccddeeff");
        is(&[dmi, arm], "firmware\n4c4c4544004235108054b7c04f4e4732");
        is(&[arm], "firmware\n10000000abcdef12");
        is(&[], "host\ndesk");
    }

    #[test]
    fn what_was_never_given_to_a_machine_is_passed_over() {
        for nobodys in ["", "\n", "uninitialized\n", "00000000000000000000000000000000\n", "short"]
        {
            let found = identity("desk", &[("etc/machine-id", nobodys)]);
            assert_eq!(found.as_deref(), Some("host\ndesk"), "{nobodys:?}");
        }
        for nobodys in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "Not Settable",
        ] {
            let found = identity("desk", &[("sys/class/dmi/id/product_uuid", nobodys)]);
            assert_eq!(found.as_deref(), Some("host\ndesk"), "{nobodys:?}");
        }
        for nobody in ["", "localhost", "localhost.localdomain", "(none)"] {
            assert_eq!(identity(nobody, &[]), None, "{nobody:?}");
        }
    }

    #[test]
    fn a_container_is_known_by_its_name_and_not_by_its_image() {
        let image = ("etc/machine-id", ID);
        for sign in [
            (".dockerenv", ""),
            ("run/.containerenv", ""),
            ("proc/self/mountinfo", "29 1 0:26 / / rw - overlay overlay rw,lowerdir=/a:/b\n"),
        ] {
            let found = identity("9f2c1d0e5b7a", &[image, sign]);
            assert_eq!(found.as_deref(), Some("container\nhost 9f2c1d0e5b7a"), "{sign:?}");
        }
        let root = machine(&[image]);
        let pod = Machine { root: root.path(), host_name: "db-0", orchestrated: true };
        assert_eq!(pod.identity().as_deref(), Some("container\nhost db-0"));
    }

    #[test]
    fn pods_of_one_name_are_told_apart_by_their_namespace() {
        let namespace = "var/run/secrets/kubernetes.io/serviceaccount/namespace";
        let found = identity("db-0", &[(".dockerenv", ""), (namespace, "staging\n")]);
        assert_eq!(found.as_deref(), Some("container\nnamespace staging\nhost db-0"));
    }

    #[test]
    fn what_is_mounted_from_the_host_counts() {
        let mounts = "36 29 8:1 /etc/machine-id /etc/machine-id ro - ext4 /dev/sda1 rw\n";
        let found = identity(
            "web",
            &[(".dockerenv", ""), ("etc/machine-id", ID), ("proc/self/mountinfo", mounts)],
        );
        assert_eq!(found, Some(format!("container\nmachine {ID}\nhost web")));
    }

    #[test]
    fn a_container_with_its_hosts_name_is_known_by_its_own_id_too() {
        let mounts = format!(
            "36 29 8:1 /var/lib/docker/containers/{CONTAINER}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        );
        let root = machine(&[(".dockerenv", ""), ("proc/self/mountinfo", &mounts)]);
        let ns = root.path().join("proc/self/ns");
        fs::create_dir_all(&ns).unwrap();
        let machine = Machine { root: root.path(), host_name: "server-7", orchestrated: false };
        std::os::unix::fs::symlink("uts:[4026532200]", ns.join("uts")).unwrap();
        assert_eq!(machine.identity().as_deref(), Some("container\nhost server-7"));
        fs::remove_file(ns.join("uts")).unwrap();
        std::os::unix::fs::symlink("uts:[4026531838]", ns.join("uts")).unwrap();
        assert_eq!(machine.identity(), Some(format!("container\nid {CONTAINER}\nhost server-7")));
    }

    #[test]
    fn an_id_is_the_same_at_every_start_and_another_for_each_licence() {
        let key = "CODITECT-7K2M-9QXD-41TB-R8WN-5HCE";
        let id = HardwareId::of("machine\na", key);
        // Changed only on purpose: machines would be taken for new ones.
        assert_eq!(id.as_str(), "m1-7f121771d01cb57322c322e0509ff3d4");
        assert_eq!(id, HardwareId::of("machine\na", "coditect 7k2m 9qxd 4ltb r8wn 5hce"));
        assert_ne!(id, HardwareId::of("machine\nb", key));
        assert_ne!(id, HardwareId::of("host\na", key));
        assert_ne!(id, HardwareId::of("machine\na", "CODITECT-7K2M-9QXD-41TB-R8WN-5HCF"));
    }

    #[test]
    fn this_machine_has_one() {
        let id = HardwareId::of_this_machine("K").unwrap();
        assert_eq!(id, HardwareId::of_this_machine("K").unwrap());
        assert_eq!(id.as_str().len(), 3 + 2 * BYTES);
    }
}
