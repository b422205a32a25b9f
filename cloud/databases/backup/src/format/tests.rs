//! Whatever is done to a sealed object is found, and the place is named.

use proptest::prelude::*;

use super::{HEAD, Key, Opener, Sealer, TAG};
use crate::Error;

const SIZE: usize = 64;

fn sealed(key: &Key, name: &str, plain: &[u8]) -> Vec<u8> {
    let (mut sealer, head) = Sealer::with_chunks(key, name, SIZE);
    let mut all = head.to_vec();
    for piece in plain.chunks(23) {
        sealer.push(piece).iter().for_each(|chunk| all.extend_from_slice(chunk));
    }
    all.extend_from_slice(&sealer.finish());
    all
}

fn opened(key: &Key, name: &str, stored: &[u8]) -> Result<Vec<u8>, Error> {
    let head = stored.get(..HEAD).unwrap_or(stored);
    let opener = Opener::new(key, name, head, stored.len() as u64)?;
    let mut plain = Vec::new();
    for number in 0..opener.chunks() {
        let range = opener.range(number);
        let (from, to) = (range.start as usize, range.end as usize);
        plain.extend(opener.open(number, stored.get(from..to).unwrap_or_default())?);
    }
    Ok(plain)
}

#[test]
fn the_key_is_named_and_never_shown() {
    let key = Key::random();
    assert_eq!(Key::parse(&key.to_text()).map(|k| k.id()), Some(key.id()));
    assert!(!format!("{key:?}").contains(&key.to_text()));
    assert!(Key::parse("short").is_none());
    assert!(matches!(
        opened(&Key::random(), "a", &sealed(&key, "a", b"rows")),
        Err(Error::OtherKey { theirs, .. }) if theirs == key.id()
    ));
}

#[test]
fn an_object_in_the_place_of_another_is_refused() {
    let key = Key::random();
    let stored = sealed(&key, "ns/a/data", &[7; 200]);
    assert!(matches!(opened(&key, "ns/b/data", &stored), Err(Error::Damaged { chunk: 1, .. })));
}

#[test]
fn swapped_chunks_are_refused() {
    let key = Key::random();
    let mut stored = sealed(&key, "a", &[7; 4 * SIZE]);
    let record = SIZE + TAG;
    let (first, second) = stored[HEAD..HEAD + 2 * record].split_at_mut(record);
    first.swap_with_slice(second);
    assert!(matches!(opened(&key, "a", &stored), Err(Error::Damaged { chunk: 1, chunks: 4, .. })));
}

#[test]
fn two_objects_of_the_same_bytes_look_different() {
    let key = Key::random();
    let (one, two) = (sealed(&key, "a", b"rows"), sealed(&key, "a", b"rows"));
    assert_ne!(one[HEAD..], two[HEAD..]);
}

proptest! {
    #[test]
    fn what_was_sealed_comes_back(plain in proptest::collection::vec(any::<u8>(), 0..400)) {
        let key = Key::random();
        prop_assert_eq!(opened(&key, "a", &sealed(&key, "a", &plain)).expect("it is whole"), plain);
    }

    #[test]
    fn any_flipped_bit_is_found_and_its_chunk_named(
        plain in proptest::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let key = Key::random();
        let mut stored = sealed(&key, "a", &plain);
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        let error = opened(&key, "a", &stored).expect_err("a bit was flipped");
        match error {
            Error::Damaged { object, chunk, .. } => {
                prop_assert_eq!(object, "a");
                if at >= HEAD {
                    prop_assert_eq!(chunk, ((at - HEAD) / (SIZE + TAG) + 1) as u64);
                }
            }
            Error::NoBackup { object, .. } | Error::OtherKey { object, .. } => {
                prop_assert_eq!(object, "a");
                prop_assert!(at < HEAD, "byte {} is not in the head", at);
            }
            other => prop_assert!(false, "unexpected: {}", other),
        }
    }

    #[test]
    fn any_cut_is_found(
        plain in proptest::collection::vec(any::<u8>(), 0..400), at in any::<prop::sample::Index>(),
    ) {
        let key = Key::random();
        let stored = sealed(&key, "a", &plain);
        let at = at.index(stored.len());
        match opened(&key, "a", &stored[..at]).expect_err("the end is missing") {
            Error::Cut { chunk, .. } => prop_assert_eq!(at, HEAD + chunk as usize * (SIZE + TAG)),
            Error::Damaged { chunk, .. } => {
                prop_assert_eq!(chunk, (at.saturating_sub(HEAD).saturating_sub(1) / (SIZE + TAG) + 1) as u64);
            }
            Error::NoBackup { .. } => prop_assert!(at < HEAD),
            other => prop_assert!(false, "unexpected: {}", other),
        }
    }
}
