//! Whatever is done to a bucket, it lists, counts and answers as a simple model of it does.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put(String, u16),
    Delete(String),
    /// The version at this place (modulo), of all there are.
    Remove(usize),
    Versioning(bool),
}

#[derive(Debug, Clone)]
struct Version {
    id: VersionId,
    marker: bool,
    bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Model {
    /// Newest first.
    keys: BTreeMap<String, Vec<Version>>,
    versioning: Versioning,
}

impl Model {
    fn add(&mut self, key: &str, version: Version) {
        let versions = self.keys.entry(key.to_owned()).or_default();
        if version.id == VersionId::Null {
            versions.retain(|old| old.id != VersionId::Null);
        }
        versions.insert(0, version);
    }

    fn remove(&mut self, key: &str, id: VersionId) {
        if let Some(versions) = self.keys.get_mut(key) {
            versions.retain(|version| version.id != id);
        }
        self.keys.retain(|_, versions| !versions.is_empty());
    }

    fn live(&self) -> impl Iterator<Item = &String> {
        self.keys.iter().filter(|(_, versions)| !versions[0].marker).map(|(key, _)| key)
    }
}

/// Names of a full listing: keys, or the prefixes that stand for them.
fn roll<'a>(keys: impl Iterator<Item = &'a String>, list: &List) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for key in keys.filter(|key| key.starts_with(&list.prefix)) {
        let rest = &key[list.prefix.len()..];
        let rolled = match rest.find(&list.delimiter) {
            Some(at) if !list.delimiter.is_empty() => &key[..list.prefix.len() + at + list.delimiter.len()],
            _ => key,
        };
        let skipped = *key <= list.after || (rolled != key && rolled == list.after);
        if !skipped && out.last().is_none_or(|last| last != rolled) {
            out.push(rolled.to_owned());
        }
    }
    out
}

async fn apply(room: &Room, model: &mut Model, step: Step) {
    match step {
        Step::Put(key, size) => {
            let bytes = noise(size.into(), size.into());
            let id = room.put(&key, bytes.clone()).await.version;
            model.add(&key, Version { id, marker: false, bytes });
        }
        Step::Delete(key) => {
            let deleted = room.delete(&key, None).await.unwrap();
            match (model.versioning, deleted.marker) {
                (Versioning::Unversioned, _) => model.remove(&key, VersionId::Null),
                (_, marker) => {
                    model.add(&key, Version { id: marker.unwrap(), marker: true, bytes: vec![] });
                }
            }
        }
        Step::Remove(at) => {
            let all: Vec<_> = model
                .keys
                .iter()
                .flat_map(|(key, all)| all.iter().map(move |v| (key.clone(), v.id)))
                .collect();
            if let Some((key, id)) = all.get(at % all.len().max(1)) {
                assert!(room.delete(key, Some(*id)).await.unwrap().existed);
                model.remove(key, *id);
            }
        }
        Step::Versioning(on) => {
            model.versioning = if on { Versioning::Enabled } else { Versioning::Suspended };
            room.store.set_versioning("box", model.versioning).await.unwrap();
        }
    }
}

/// All pages of a listing.
async fn listed(room: &Room, mut list: List) -> Vec<String> {
    let mut out = Vec::new();
    loop {
        let page = room.store.list("box", list.clone()).await.unwrap();
        let mut names: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
        names.extend(page.common_prefixes);
        assert!(names.len() <= list.limit && !(page.next.is_some() && names.len() < list.limit));
        names.sort();
        out.extend(names);
        match page.next {
            Some(next) => list.after = next,
            None => return out,
        }
    }
}

async fn listed_versions(room: &Room, list: &List) -> (Vec<(String, VersionId, bool)>, Vec<String>) {
    let mut ask = ListVersions {
        prefix: list.prefix.clone(),
        delimiter: list.delimiter.clone(),
        after: list.after.clone(),
        after_version: None,
        limit: list.limit,
    };
    let (mut versions, mut prefixes) = (Vec::new(), Vec::new());
    loop {
        let page = room.store.list_versions("box", ask.clone()).await.unwrap();
        assert!(page.versions.len() + page.common_prefixes.len() <= list.limit);
        versions.extend(page.versions.into_iter().map(|v| (v.key, v.version, v.latest)));
        prefixes.extend(page.common_prefixes);
        match page.next {
            Some((key, version)) => (ask.after, ask.after_version) = (key, version),
            None => return (versions, prefixes),
        }
    }
}

async fn compare(room: &Room, model: &Model, lists: &[List]) {
    for list in lists {
        assert_eq!(listed(room, list.clone()).await, roll(model.live(), list), "{list:?}");
        let names = roll(model.keys.keys(), list);
        let (versions, prefixes) = listed_versions(room, list).await;
        let expected: Vec<_> = names
            .iter()
            .filter_map(|name| Some((name, model.keys.get(name)?)))
            .filter(|(name, _)| !prefixes.contains(name))
            .flat_map(|(name, all)| all.iter().enumerate().map(move |(at, v)| (name.clone(), v.id, at == 0)))
            .collect();
        assert_eq!(versions, expected, "{list:?}");
        let rest: Vec<_> = names.into_iter().filter(|name| prefixes.contains(name)).collect();
        assert_eq!(prefixes, rest, "{list:?}");
    }
    let mut usage = Usage { buckets: 1, objects: model.live().count() as u64, ..Usage::default() };
    for (key, versions) in &model.keys {
        for version in versions {
            usage.versions += 1;
            usage.bytes += version.bytes.len() as u64;
            match room.get_version(key, Some(version.id)).await {
                Ok(bytes) => assert!(!version.marker && bytes == version.bytes, "{key} {version:?}"),
                Err(error) => {
                    assert!(version.marker && matches!(error, Error::DeleteMarker { .. }), "{error}")
                }
            }
        }
    }
    assert_eq!(room.store.bucket_usage("box").await.unwrap(), usage);
    assert_eq!(room.store.user_usage("ann").await.unwrap(), usage);
}

fn key() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["a", "b", "/", "a/", "é", "//", "0"], 1..4)
        .prop_map(|pieces| pieces.concat())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (key(), 0..2000_u16).prop_map(|(key, size)| Step::Put(key, size)),
        2 => key().prop_map(Step::Delete),
        1 => any::<usize>().prop_map(Step::Remove),
        1 => any::<bool>().prop_map(Step::Versioning),
    ]
}

fn list() -> impl Strategy<Value = List> {
    let some = || prop_oneof![2 => Just(String::new()), 3 => key()];
    let delimiter = prop_oneof![Just(String::new()), Just("/".to_owned()), Just("a/".to_owned())];
    (some(), delimiter, some(), 1..6_usize).prop_map(|(prefix, delimiter, after, limit)| List {
        prefix,
        delimiter,
        after,
        limit,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_bucket_behaves_as_its_model(
        steps in proptest::collection::vec(step(), 1..40),
        lists in proptest::collection::vec(list(), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (room, mut model) = (room().await, Model::default());
            for step in steps {
                apply(&room, &mut model, step).await;
            }
            compare(&room, &model, &lists).await;
            let room = room.again().await;
            compare(&room, &model, &lists).await;
            let report = room.store.scrub(Scrub::default()).await.unwrap();
            assert!(report.damaged.is_empty() && report.recounted.is_empty(), "{report:?}");
            room.store.close().await;
        });
    }
}

#[tokio::test]
async fn a_common_prefix_is_one_step_whatever_is_under_it() {
    let room = room().await;
    let puts = (0..2000).map(|at| room.try_put_small(format!("big/{at:05}")));
    futures::future::join_all(puts).await;
    room.put("zoo", "x").await;
    let list = List { delimiter: "/".to_owned(), limit: 10, ..List::default() };
    let page = room.store.list("box", list).await.unwrap();
    assert_eq!((page.common_prefixes, page.objects.len(), page.next), (vec!["big/".to_owned()], 1, None));
}

impl Room {
    async fn try_put_small(&self, key: String) {
        self.put(&key, key.clone()).await;
    }
}
