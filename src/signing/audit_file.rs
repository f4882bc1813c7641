//! An export of the audit log, verified line by line with public keys alone.
//!
//! Whether anything differs at all is decided by the signature of the last line over all bytes before
//! it. The chain says where: the hash in each line covers that line and, through the hash of the one
//! before, all others.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::audit::{self, EndClaims, FORMAT, Header, VERSION, canonical, hash_after, hex};
use super::jws::{VerifyError, VerifyingKeys};

/// No line is longer.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Faults that are told; the others are counted.
const FAULTS_MAX: usize = 20;

/// Missing numbers that are remembered one by one, to tell a moved line from a lost one.
const MISSING_MAX: u64 = 10_000;

/// What came of verifying an export.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The server it says it is of.
    pub iss: String,
    /// Entries in it.
    pub entries: u64,
    /// The number of the first entry.
    pub first_seq: u64,
    /// The number of the last entry.
    pub last_seq: u64,
    /// Signed days whose signature was checked.
    pub days: u64,
    /// Signed days by keys that were not given. What they say is covered by the end's signature.
    pub days_unchecked: u64,
    /// What the signed end says, where its signature holds.
    pub end: Option<EndClaims>,
    /// The end was signed with a key that was not given: nothing is proved.
    pub unknown_key: bool,
    /// What is wrong, in the order of the lines.
    pub faults: Vec<Fault>,
    /// Faults beyond those that are told.
    pub more: u64,
}

impl Verdict {
    /// Whether it is proved to be whole and unaltered.
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty() && self.end.is_some()
    }
}

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: u64,
    /// What is the matter with it.
    pub text: String,
}

/// Verifies an export; reads it once, line by line.
///
/// # Errors
/// When it cannot be read.
pub fn verify(mut file: impl BufRead, keys: &VerifyingKeys) -> io::Result<Verdict> {
    let mut reader = Reader::new(keys);
    let mut line = Vec::new();
    loop {
        line.clear();
        file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            break;
        }
        reader.number += 1;
        let Some(text) = line.strip_suffix(b"\n") else {
            let cut = if line.len() as u64 == LINE_BYTES_MAX {
                "it is longer than a line can be"
            } else {
                "the file breaks off in the middle of this line"
            };
            reader.fault(cut);
            reader.broken_off = true;
            break;
        };
        reader.read(text);
        reader.bytes.update(&line);
    }
    Ok(reader.finish())
}

struct Reader<'k> {
    keys: &'k VerifyingKeys,
    number: u64,
    /// Over the lines that were read.
    bytes: Sha256,
    /// The same, in digits, when the signed end was met.
    sha256: String,
    header: Option<Header>,
    /// The next entry's number.
    expected: u64,
    /// What the hash before may be: as it was told and, after a line that was altered, as it follows
    /// from that line. None after a gap.
    before: Vec<String>,
    /// The line, the canonical form and the hash of the first entry: the header may be what was altered.
    first: Option<(u64, String, String)>,
    missing: BTreeSet<u64>,
    /// Gaps: the first and the last number, and the line before which they are missing.
    gaps: Vec<(u64, u64, u64)>,
    ended: bool,
    broken_off: bool,
    verdict: Verdict,
}

impl<'k> Reader<'k> {
    fn new(keys: &'k VerifyingKeys) -> Self {
        Self {
            keys,
            number: 0,
            bytes: Sha256::new(),
            sha256: String::new(),
            header: None,
            expected: 1,
            before: Vec::new(),
            first: None,
            missing: BTreeSet::new(),
            gaps: Vec::new(),
            ended: false,
            broken_off: false,
            verdict: Verdict::default(),
        }
    }

    fn fault(&mut self, text: impl Into<String>) {
        self.fault_at(self.number, text);
    }

    fn fault_at(&mut self, line: u64, text: impl Into<String>) {
        if self.verdict.faults.len() < FAULTS_MAX {
            self.verdict.faults.push(Fault { line, text: text.into() });
        } else {
            self.verdict.more += 1;
        }
    }

    fn read(&mut self, line: &[u8]) {
        if self.ended {
            return self.fault("a line was added behind the signed end");
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else {
            self.passed_over();
            return self.fault("the line was changed: it is no JSON any more");
        };
        let spelled_right = canonical(&value).as_bytes() == line;
        if self.number == 1 {
            if let Some(header) = header(&value) {
                self.expected = header.first_seq;
                self.before = vec![header.anchor.clone()];
                self.verdict.iss.clone_from(&header.iss);
                self.header = Some(header);
                if !spelled_right {
                    self.fault("the first line was changed: it is spelled in another way");
                }
                return;
            }
            self.fault("the file does not begin as an export of the audit log does: its first line is missing or was changed");
            self.expected = value["seq"].as_u64().unwrap_or(1);
        }
        if let Some(jws) = value["signed_end"].as_str() {
            self.end(jws, spelled_right);
        } else if let Some(jws) = value["signed_head"].as_str() {
            self.head(jws, spelled_right);
        } else if let Some(seq) = value["seq"].as_u64() {
            self.entry(seq, value, spelled_right);
        } else {
            self.passed_over();
            self.fault("the line was changed or added: it is no line of an export");
        }
    }

    /// A line that cannot be read counts as the entry that is expected; what follows shows whether it was.
    fn passed_over(&mut self) {
        self.before.clear();
    }

    fn entry(&mut self, seq: u64, mut value: Value, spelled_right: bool) {
        let told = value["hash"].as_str().unwrap_or_default().to_owned();
        if let Some(members) = value.as_object_mut() {
            members.remove("hash");
        }
        if seq < self.expected {
            let text = if self.missing.remove(&seq) {
                self.verdict.entries += 1;
                format!("entry {seq} is out of order: it belongs before entry {}", seq + 1)
            } else {
                format!("entry {seq} was added: it stands in the file a second time")
            };
            return self.fault(text);
        }
        let text = canonical(&value);
        if seq > self.expected && !self.before.is_empty() {
            // A line that would be right with the expected number has not moved: its number was changed.
            value["seq"] = self.expected.into();
            let as_expected = canonical(&value);
            if self.before.iter().any(|before| hash_after(before, &as_expected) == told) {
                self.fault(format!("the line of entry {} was changed: its number", self.expected));
                return self.follow(self.expected, vec![told]);
            }
        }
        if seq > self.expected {
            let (first, last) = (self.expected, seq - 1);
            self.gaps.push((first, last, self.number));
            self.gaps.truncate(FAULTS_MAX * 4);
            let room = MISSING_MAX.saturating_sub(self.missing.len() as u64);
            self.missing.extend(first..=last.min(first.saturating_add(room)));
            self.before.clear();
        }
        if self.first.is_none() {
            self.first = Some((self.number, text.clone(), told.clone()));
        }
        let links: Vec<String> =
            self.before.iter().map(|before| hash_after(before, &text)).collect();
        if !spelled_right {
            self.fault(format!(
                "the line of entry {seq} was changed: it is spelled in another way"
            ));
        } else if !links.is_empty() && !links.contains(&told) {
            self.fault(format!("the line of entry {seq} was changed"));
        }
        // Where the hash itself was changed, the next line follows on the one that was computed.
        let mut before = vec![told];
        before.extend(links.into_iter().filter(|link| *link != before[0]).collect::<Vec<_>>());
        before.truncate(4);
        self.follow(seq, before);
    }

    fn follow(&mut self, seq: u64, before: Vec<String>) {
        self.expected = seq.saturating_add(1);
        self.before = before;
        self.verdict.entries += 1;
        self.verdict.last_seq = seq;
    }

    fn head(&mut self, jws: &str, spelled_right: bool) {
        if !spelled_right {
            self.fault("the line of a signed day was changed: it is spelled in another way");
        }
        match audit::verify_head(jws, self.keys) {
            Ok(head) if head.link.seq + 1 != self.expected => self.fault(format!(
                "the signed day {} is out of place: it follows on entry {}",
                head.day, head.link.seq
            )),
            Ok(head) => {
                self.verdict.days += 1;
                if self.before.is_empty() || self.before.contains(&head.link.hash) {
                    return;
                }
                self.fault(format!(
                    "entries up to {} are not those that were signed on {}",
                    head.link.seq, head.day
                ));
            }
            Err(VerifyError::UnknownKey) => self.verdict.days_unchecked += 1,
            Err(why) => self.fault(format!("the line of a signed day was changed: {why}")),
        }
    }

    fn end(&mut self, jws: &str, spelled_right: bool) {
        self.ended = true;
        // The line itself is added after it was read.
        self.sha256 = hex(&self.bytes.clone().finalize());
        if !spelled_right {
            self.fault("the last line was changed: it is spelled in another way");
        }
        match audit::verify_end(jws, self.keys) {
            Ok(end) => self.verdict.end = Some(end),
            Err(VerifyError::UnknownKey) => self.verdict.unknown_key = true,
            Err(why) => self.fault(format!("the last line, the signed end, was changed: {why}")),
        }
    }

    fn finish(mut self) -> Verdict {
        for (first, last, line) in std::mem::take(&mut self.gaps) {
            // Those that came later are told there, as out of order.
            let lost: Vec<u64> = self.missing.range(first..=last).take(2).copied().collect();
            match lost[..] {
                [] => {}
                [one] => self.fault_at(line, format!("entry {one} is missing before this line")),
                _ => self.fault_at(
                    line,
                    format!("entries {first} to {last} are missing before this line"),
                ),
            }
        }
        if let Some(end) = self.verdict.end.take() {
            self.compare(&end);
            self.verdict.end = Some(end);
        } else if !self.ended && !self.broken_off {
            let text = match self.verdict.entries {
                0 => "the file ends without its signed end".to_owned(),
                _ => format!(
                    "the file was cut off after entry {}: its signed end is missing",
                    self.verdict.last_seq
                ),
            };
            self.fault(text);
        }
        self.verdict.first_seq = self.header.map_or(0, |header| header.first_seq);
        self.verdict.faults.sort_by_key(|fault| fault.line);
        self.verdict
    }

    /// What the signed end says against what was read.
    fn compare(&mut self, end: &EndClaims) {
        if self.header.as_ref().is_some_and(|header| {
            (&header.iss, header.iat, header.first_seq, &header.anchor)
                != (&end.iss, end.iat, end.first_seq, &end.anchor)
        }) {
            // The first entry was compared with a hash that the header should not have had.
            if let Some((line, text, told)) = &self.first
                && hash_after(&end.anchor, text) == *told
            {
                let line = *line;
                self.verdict.faults.retain(|fault| fault.line != line);
            }
            self.fault_at(1, "the first line was changed: it is not the one that was signed");
        }
        if self.expected <= end.last_seq {
            let (first, last) = (self.expected, end.last_seq);
            let text = if first == last {
                format!("entry {first} is missing before this line")
            } else {
                format!("entries {first} to {last} are missing before this line, at the end")
            };
            self.fault(text);
        }
        if self.sha256 != end.sha256 && self.verdict.faults.is_empty() {
            self.fault("a line was changed, added or removed that is no entry: the file is not the one that was signed");
        }
    }
}

fn header(value: &Value) -> Option<Header> {
    let header: Header = serde_json::from_value(value.clone()).ok()?;
    (header.format == FORMAT && header.version == VERSION).then_some(header)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::super::audit::{
        END_TYP, HEAD_TYP, HeadClaims, end_line, entry_line, hash, head_line, header_line,
    };
    use super::super::keys::Purpose;
    use super::super::ring::tests::ring;
    use super::*;
    use crate::domain::audit::{AuditEntry, By, Link};
    use crate::domain::ids::{AuditId, UserId};
    use crate::domain::time::Timestamp;

    const ISSUER: &str = "https://licenses.example.com";

    fn entry(seq: u64, before: &str) -> AuditEntry {
        let mut entry = AuditEntry {
            seq,
            audit_id: AuditId(Uuid::from_u128(seq.into())),
            at: Timestamp(1_800_000_000_000 + seq as i64),
            by: By::User(UserId(Uuid::from_u128(7))),
            api_key_id: None,
            org_id: None,
            action: "license.suspended".to_owned(),
            subject: format!("record-{seq}"),
            details: BTreeMap::from([("reason".to_owned(), "größer\n\"".to_owned())]),
            changes: BTreeMap::new(),
            address: Some("192.0.2.1".to_owned()),
            user_agent: None,
            request_id: None,
            hash: String::new(),
        };
        entry.hash = hash(before, &entry);
        entry
    }

    /// The lines of an export of entries 5 to 16, with a signed day after the ninth.
    fn lines() -> Vec<String> {
        let anchor = "ab".repeat(32);
        let iat = 1_800_000_000;
        let mut lines = vec![header_line(&Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            iss: ISSUER.to_owned(),
            iat,
            first_seq: 5,
            anchor: anchor.clone(),
        })];
        let mut before = anchor.clone();
        for seq in 5..=16 {
            let entry = entry(seq, &before);
            before.clone_from(&entry.hash);
            lines.push(entry_line(&entry));
            if seq == 9 {
                let link = Link { seq, hash: before.clone() };
                let day = "2027-01-15".to_owned();
                let claims = HeadClaims { iss: ISSUER.to_owned(), iat, day, link };
                lines.push(head_line(&ring().sign(Purpose::License, HEAD_TYP, &claims).unwrap()));
            }
        }
        lines.push(signed(&lines, &anchor, &before));
        lines
    }

    /// The end that a holder of the key would sign.
    fn signed(lines: &[String], anchor: &str, hash: &str) -> String {
        let claims = EndClaims {
            iss: ISSUER.to_owned(),
            iat: 1_800_000_000,
            first_seq: 5,
            anchor: anchor.to_owned(),
            last_seq: 16,
            hash: hash.to_owned(),
            sha256: hex(&Sha256::digest(text(lines))),
        };
        end_line(&ring().sign(Purpose::License, END_TYP, &claims).unwrap())
    }

    fn text(lines: &[String]) -> String {
        lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect()
    }

    fn judge(file: &str) -> Verdict {
        verify(file.as_bytes(), &ring().verifying_keys()).unwrap()
    }

    /// The line and the sentence of every fault.
    fn faults(lines: &[String]) -> Vec<(u64, String)> {
        judge(&text(lines)).faults.into_iter().map(|fault| (fault.line, fault.text)).collect()
    }

    #[test]
    fn an_export_as_it_was_made_is_whole() {
        let verdict = judge(&text(&lines()));
        assert!(verdict.is_whole(), "{verdict:?}");
        assert_eq!((verdict.entries, verdict.first_seq, verdict.last_seq), (12, 5, 16));
        assert_eq!((verdict.days, verdict.days_unchecked), (1, 0));
        assert_eq!(verdict.iss, ISSUER);
    }

    /// Pinned: another program computes these, and the next version of this one must as well.
    #[test]
    fn an_entry_has_one_spelling_and_one_hash() {
        let before = "0".repeat(64);
        let line = entry_line(&entry(1, &before));
        assert_eq!(
            line,
            "{\"action\":\"license.suspended\",\"actor\":\"user\",\"address\":\"192.0.2.1\",\
             \"at\":\"2027-01-15T08:00:00.001Z\",\"audit_id\":\"00000000-0000-0000-0000-000000000001\",\
             \"details\":{\"reason\":\"größer\\n\\\"\"},\
             \"hash\":\"HASH\",\
             \"seq\":1,\"subject\":\"record-1\",\"user_id\":\"00000000-0000-0000-0000-000000000007\"}"
                .replace("HASH", &entry(1, &before).hash)
        );
        let hashed = line.replace(&format!("\"hash\":\"{}\",", entry(1, &before).hash), "");
        let digest = Sha256::digest(format!("{before}\n{hashed}"));
        assert_eq!(entry(1, &before).hash, hex(&digest));
    }

    #[test]
    fn the_line_that_was_changed_is_named() {
        let mut changed = lines();
        changed[4] = changed[4].replace("suspended", "revoked");
        assert_eq!(faults(&changed), [(5, "the line of entry 8 was changed".to_owned())]);

        let mut changed = lines();
        let told = changed[4].find("\"hash\":\"").unwrap() + 8;
        let other = if &changed[4][told..=told] == "0" { "1" } else { "0" };
        changed[4].replace_range(told..=told, other);
        assert_eq!(faults(&changed), [(5, "the line of entry 8 was changed".to_owned())]);

        let mut changed = lines();
        changed[4] = changed[4].replace("\"seq\":8", "\"seq\":9");
        assert_eq!(
            faults(&changed),
            [(5, "the line of entry 8 was changed: its number".to_owned())]
        );

        let mut changed = lines();
        changed[0] = changed[0].replace("abab", "abac");
        let text = "the first line was changed: it is not the one that was signed";
        assert_eq!(faults(&changed), [(1, text.to_owned())]);
    }

    #[test]
    fn lines_that_are_missing_are_counted() {
        let mut fewer = lines();
        fewer.drain(2..5);
        let text = "entries 6 to 8 are missing before this line";
        assert_eq!(faults(&fewer), [(3, text.to_owned())]);

        let mut fewer = lines();
        fewer.remove(13);
        let text = "entry 16 is missing before this line";
        assert_eq!(faults(&fewer), [(14, text.to_owned())]);

        let mut fewer = lines();
        fewer.truncate(9);
        let text = "the file was cut off after entry 11: its signed end is missing";
        assert_eq!(faults(&fewer), [(9, text.to_owned())]);

        let mut fewer = lines();
        fewer.remove(0);
        let found = faults(&fewer);
        assert_eq!((found.len(), found[0].0), (1, 1), "{found:?}");
    }

    #[test]
    fn lines_that_were_added_or_moved_are_named() {
        let mut more = lines();
        more.insert(4, more[2].clone());
        let text = "entry 6 was added: it stands in the file a second time";
        assert_eq!(faults(&more), [(5, text.to_owned())]);

        let mut moved = lines();
        moved.swap(2, 3);
        let text = "entry 6 is out of order: it belongs before entry 7";
        assert_eq!(faults(&moved), [(4, text.to_owned())]);

        let mut more = lines();
        more.push(more[2].clone());
        assert_eq!(faults(&more), [(16, "a line was added behind the signed end".to_owned())]);
    }

    #[test]
    fn a_log_that_was_written_anew_does_not_lead_to_what_was_signed() {
        let original = lines();
        let mut forged = original.clone();
        let mut before = "ab".repeat(32);
        for seq in 5..=16 {
            let mut entry = entry(seq, &before);
            entry.action = "license.revoked".to_owned();
            entry.hash = hash(&before, &entry);
            before.clone_from(&entry.hash);
            forged[if seq > 9 { seq as usize - 3 } else { seq as usize - 4 }] = entry_line(&entry);
        }
        let found = faults(&forged);
        let text = "entries up to 9 are not those that were signed on 2027-01-15";
        assert_eq!(found[0], (7, text.to_owned()), "{found:?}");
    }

    #[test]
    fn what_another_key_signed_proves_nothing() {
        let nobody = VerifyingKeys::default();
        let verdict = verify(text(&lines()).as_bytes(), &nobody).unwrap();
        assert!(verdict.unknown_key && verdict.faults.is_empty() && !verdict.is_whole());
    }

    #[test]
    fn a_signed_day_is_no_end_and_no_licence() {
        let mut swapped = lines();
        let head = serde_json::from_str::<Value>(&swapped[6]).unwrap();
        let last = swapped.len() - 1;
        swapped[last] = end_line(head["signed_head"].as_str().unwrap());
        assert!(!judge(&text(&swapped)).is_whole());
        let jws = head["signed_head"].as_str().unwrap();
        super::super::document::verify_license(jws, &ring().verifying_keys()).unwrap_err();
    }

    #[derive(Clone, Debug)]
    enum Change {
        Flip(prop::sample::Index, u8),
        Drop(prop::sample::Index),
        Repeat(prop::sample::Index, prop::sample::Index),
        Swap(prop::sample::Index),
        Cut(prop::sample::Index),
        Insert(prop::sample::Index, u8),
        Remove(prop::sample::Index),
    }

    fn change() -> impl Strategy<Value = Change> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            4 => (index(), 1..=255_u8).prop_map(|(at, bits)| Change::Flip(at, bits)),
            1 => index().prop_map(Change::Drop),
            1 => (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
            1 => index().prop_map(Change::Swap),
            1 => index().prop_map(Change::Cut),
            2 => (index(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
            2 => index().prop_map(Change::Remove),
        ]
    }

    fn changed(lines: &[String], change: &Change) -> Vec<u8> {
        let mut lines = lines.to_vec();
        match change {
            Change::Drop(at) => drop(lines.remove(at.index(lines.len()))),
            Change::Repeat(from, to) => {
                let line = lines[from.index(lines.len())].clone();
                lines.insert(to.index(lines.len() + 1), line);
            }
            Change::Swap(at) => {
                let at = at.index(lines.len() - 1);
                lines.swap(at, at + 1);
            }
            _ => {}
        }
        let mut bytes = text(&lines).into_bytes();
        match change {
            Change::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Change::Insert(at, byte) => bytes.insert(at.index(bytes.len() + 1), *byte),
            Change::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            _ => {}
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

        #[test]
        fn any_single_change_is_found(change in change()) {
            static LINES: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(lines);
            let original = text(&LINES).into_bytes();
            let bytes = changed(&LINES, &change);
            prop_assume!(bytes != original);
            let verdict = verify(bytes.as_slice(), &ring().verifying_keys()).unwrap();
            prop_assert!(!verdict.is_whole(), "{change:?}");
            // A key id that was changed makes it a key that nobody has given.
            prop_assert!(verdict.unknown_key || !verdict.faults.is_empty(), "{change:?}");
        }
    }
}
