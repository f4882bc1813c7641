//! Events as bytes.

use proptest::prelude::*;

use super::*;
use crate::seats::{DecodeError, decode_all};

fn encoded(events: &[Event]) -> Vec<u8> {
    let mut record = Vec::new();
    for event in events {
        event.encode(&mut record);
    }
    record
}

fn any_event() -> impl Strategy<Value = Event> {
    let ids = (any::<u128>(), any::<u128>());
    let acquired = (ids, ".{0,40}", any::<i64>(), any::<i64>(), proptest::option::of(".{0,200}"))
        .prop_map(|((license_id, session_id), hardware_id, started_at, heard_at, metadata)| {
            Event::Acquired {
                license_id: license(license_id),
                session_id: session(session_id),
                hardware_id: hardware_id.into(),
                started_at: Timestamp(started_at),
                last_heartbeat_at: Timestamp(heard_at),
                metadata: metadata.map(Into::into),
            }
        });
    let reasons = vec![Reason::Released, Reason::Lapsed, Reason::Evicted, Reason::Undone];
    let released =
        (ids, proptest::sample::select(reasons)).prop_map(|((license_id, session_id), reason)| {
            Event::Released {
                license_id: license(license_id),
                session_id: session(session_id),
                reason,
            }
        });
    prop_oneof![acquired, released]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_was_encoded_is_decoded(events in proptest::collection::vec(any_event(), 0..8)) {
        prop_assert_eq!(decode_all(&encoded(&events)), Ok(events));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(events) = decode_all(&bytes) {
            prop_assert_eq!(decode_all(&encoded(&events)), Ok(events));
        }
    }

    #[test]
    fn a_damaged_record_never_panics(event in any_event(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut record = encoded(&[event]);
        let at = at.index(record.len());
        record[at] = byte;
        if let Ok(events) = decode_all(&record) {
            prop_assert_eq!(decode_all(&encoded(&events)), Ok(events));
        }
    }

    #[test]
    fn a_cut_record_is_refused(event in any_event(), at in any::<prop::sample::Index>()) {
        let record = encoded(&[event]);
        let cut = at.index(record.len() - 1) + 1;
        prop_assert_eq!(decode_all(&record[..cut]), Err(DecodeError::Truncated));
    }
}

/// A log that was written once is read for ever: these bytes must not change meaning.
#[test]
fn the_bytes_of_the_first_version() {
    let acquired = Event::Acquired {
        license_id: license(1),
        session_id: session(2),
        hardware_id: "hw".into(),
        started_at: Timestamp(0x0102_0304),
        last_heartbeat_at: Timestamp(0x0102_0304 + 300),
        metadata: Some("{}".into()),
    };
    let released =
        Event::Released { license_id: license(1), session_id: session(2), reason: Reason::Evicted };
    let ids = [[0; 15].as_slice(), &[1], &[0; 15], &[2]].concat();
    let bytes = [
        &[1],
        &ids[..],
        &[4, 3, 2, 1, 0, 0, 0, 0],
        &[0xd8, 0x04],
        &[2, b'h', b'w'],
        &[3, b'{', b'}'],
        &[2],
        &ids[..],
        &[2],
    ]
    .concat();
    assert_eq!(encoded(&[acquired.clone(), released.clone()]), bytes);
    assert_eq!(decode_all(&bytes), Ok(vec![acquired, released]));
}

#[test]
fn a_fresh_grant_takes_forty_four_bytes_and_its_hardware_id() {
    let fresh = Event::Acquired {
        license_id: license(1),
        session_id: session(2),
        hardware_id: "x".repeat(36).into(),
        started_at: NEW_YEAR,
        last_heartbeat_at: NEW_YEAR,
        metadata: None,
    };
    assert_eq!(encoded(&[fresh]).len(), 44 + 36);
}

#[test]
fn hostile_records_are_refused_with_their_reason() {
    let ids = [0_u8; 32];
    let head = [&[1][..], &ids, &[0; 8]].concat();
    let with = |tail: &[u8]| decode_all(&[&head[..], tail].concat());
    assert_eq!(decode_all(&[9]), Err(DecodeError::UnknownTag(9)));
    assert_eq!(decode_all(&[&[2][..], &ids, &[4]].concat()), Err(DecodeError::UnknownReason(4)));
    assert_eq!(with(&[0xff; 10]), Err(DecodeError::NumberTooLong));
    assert_eq!(with(&[0x80; 11]), Err(DecodeError::NumberTooLong));
    // A length of 2^64 - 1 reaches past the end, whatever the machine's word is.
    let longest = [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    assert_eq!(with(&longest), Err(DecodeError::Truncated));
    assert_eq!(with(&[0, 1, 0xff, 0]), Err(DecodeError::NotUtf8));
    assert!(with(&[0, 0, 0]).is_ok());
    assert!(DecodeError::UnknownTag(9).to_string().contains('9'));
}
