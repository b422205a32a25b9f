//! The objects of one kind, kept current by one watch and by our own writes.
//!
//! A write's answer is put into the cache at once, so a controller reads what it wrote and never
//! creates twice. Versions are numbers that only grow, which makes that safe: what the watch has
//! already passed is not put back.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use futures::StreamExt;
use kube::runtime::{WatchStreamExt, watcher};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::meta::{self, Key, Object};

/// What happened to one object: `old` is absent when it appeared, `new` when it is gone.
pub(crate) struct Change<'a, K> {
    pub(crate) old: Option<&'a Arc<K>>,
    pub(crate) new: Option<&'a Arc<K>>,
}

impl<'a, K> Change<'a, K> {
    /// The newest form known.
    pub(crate) fn latest(&self) -> &'a Arc<K> {
        match (self.new, self.old) {
            (Some(o), _) | (None, Some(o)) => o,
            (None, None) => unreachable!("a change has at least one side"),
        }
    }
}

type Handler<K> = Box<dyn Fn(Change<'_, K>) + Send + Sync>;

/// Cheap to clone; all clones are the same cache.
pub(crate) struct Cache<K>(Arc<Inner<K>>);

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Inner<K> {
    objects: RwLock<Objects<K>>,
    /// Held from a change of `objects` until every handler has seen it: handlers see changes in order.
    turn: Mutex<Turn>,
    handlers: RwLock<Vec<Handler<K>>>,
    ready: watch::Sender<bool>,
}

struct Objects<K> {
    by_key: BTreeMap<Key, Arc<K>>,
    by_controller: HashMap<String, BTreeSet<Key>>,
}

#[derive(Default)]
struct Turn {
    /// The newest version the watch has delivered.
    seen: u64,
    /// Written by ourselves while a list is under way, which may not hold them.
    written: HashSet<Key>,
}

impl<K: Object> Cache<K> {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            objects: RwLock::new(Objects { by_key: BTreeMap::new(), by_controller: HashMap::new() }),
            turn: Mutex::default(),
            handlers: RwLock::new(Vec::new()),
            ready: watch::Sender::new(false),
        }))
    }

    /// Calls `handler` for each later change, in order. It must be quick and must not write to the cache.
    pub(crate) fn on_change(&self, handler: impl Fn(Change<'_, K>) + Send + Sync + 'static) {
        self.0.handlers.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(handler));
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read(|o| o.by_key.get(key).cloned())
    }

    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.read(|o| o.by_key.values().cloned().collect())
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        let first = Key::new(namespace, "");
        self.read(|o| {
            let from_first = o.by_key.range(first..);
            from_first.take_while(|(k, _)| k.namespace == namespace).map(|(_, v)| v.clone()).collect()
        })
    }

    /// The objects whose controller has this uid; the empty uid stands for no controller.
    pub(crate) fn controlled_by(&self, uid: &str) -> Vec<Arc<K>> {
        self.read(|o| {
            let keys = o.by_controller.get(uid).into_iter().flatten();
            keys.filter_map(|k| o.by_key.get(k).cloned()).collect()
        })
    }

    /// Takes in the answer to a write of our own.
    pub(crate) fn observe(&self, object: K) {
        let mut turn = self.turn();
        if meta::version(object.meta()) > turn.seen {
            turn.written.insert(Key::of(object.meta()));
            self.put(object);
        }
    }

    /// Takes out an object that the API says is gone.
    pub(crate) fn forget(&self, key: &Key, uid: &str) {
        let _turn = self.turn();
        if self.get(key).is_some_and(|o| meta::uid(o.meta()) == uid) {
            self.remove(key);
        }
    }

    pub(crate) async fn synced(&self) {
        // The sender lives as long as this cache, so the only end of the wait is the value.
        self.0.ready.subscribe().wait_for(|ready| *ready).await.ok();
    }

    /// Follows the API until shutdown.
    pub(crate) async fn follow(self, client: kube::Client, shutdown: CancellationToken) {
        let stream = watcher(kube::Api::<K>::all(client), watcher::Config::default()).default_backoff();
        self.drain(std::pin::pin!(stream), shutdown).await;
    }

    async fn drain<S>(&self, mut stream: std::pin::Pin<&mut S>, shutdown: CancellationToken)
    where
        S: futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    {
        let mut listed = Vec::new();
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return,
                event = stream.next() => event,
            };
            match event {
                Some(Ok(watcher::Event::Init)) => {
                    listed.clear();
                    self.turn().written.clear();
                }
                Some(Ok(watcher::Event::InitApply(object))) => listed.push(object),
                Some(Ok(watcher::Event::InitDone)) => self.replace(std::mem::take(&mut listed)),
                Some(Ok(watcher::Event::Apply(object))) => self.applied(object),
                Some(Ok(watcher::Event::Delete(object))) => self.deleted(&object),
                Some(Err(error)) if shutdown.is_cancelled() => debug!(%error, "watch ended by shutdown"),
                Some(Err(error)) => {
                    warn!(kind = %K::kind(&()), error = &error as &dyn std::error::Error, "watch again after an error")
                }
                None => return,
            }
        }
    }

    fn replace(&self, listed: Vec<K>) {
        let mut turn = self.turn();
        let present: HashSet<Key> = listed.iter().map(|o| Key::of(o.meta())).collect();
        for object in listed {
            turn.seen = turn.seen.max(meta::version(object.meta()));
            self.put(object);
        }
        let gone = |k: &Key| !present.contains(k) && !turn.written.contains(k);
        let gone: Vec<Key> = self.read(|o| o.by_key.keys().filter(|k| gone(k)).cloned().collect());
        for key in gone {
            self.remove(&key);
        }
        turn.written.clear();
        drop(turn);
        self.0.ready.send_replace(true);
    }

    fn applied(&self, object: K) {
        let mut turn = self.turn();
        turn.seen = turn.seen.max(meta::version(object.meta()));
        turn.written.clear();
        self.put(object);
    }

    fn deleted(&self, object: &K) {
        let mut turn = self.turn();
        let version = meta::version(object.meta());
        turn.seen = turn.seen.max(version);
        let key = Key::of(object.meta());
        if self.get(&key).is_some_and(|o| meta::version(o.meta()) <= version) {
            self.remove(&key);
        }
    }

    /// Under the turn: stores the object unless the stored one is as new, and tells the handlers.
    fn put(&self, mut object: K) {
        object.meta_mut().managed_fields = None;
        let key = Key::of(object.meta());
        let new = Arc::new(object);
        let old = {
            let mut objects = self.0.objects.write().unwrap_or_else(PoisonError::into_inner);
            if objects.by_key.get(&key).is_some_and(|o| meta::version(o.meta()) >= meta::version(new.meta()))
            {
                return;
            }
            objects.insert(key, new.clone())
        };
        self.tell(old.as_ref(), Some(&new));
    }

    fn remove(&self, key: &Key) {
        let old = self.0.objects.write().unwrap_or_else(PoisonError::into_inner).remove(key);
        if let Some(old) = old {
            self.tell(Some(&old), None);
        }
    }

    fn tell(&self, old: Option<&Arc<K>>, new: Option<&Arc<K>>) {
        for handler in self.0.handlers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            handler(Change { old, new });
        }
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, Turn> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<R>(&self, look: impl FnOnce(&Objects<K>) -> R) -> R {
        look(&self.0.objects.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Object> Objects<K> {
    fn insert(&mut self, key: Key, object: Arc<K>) -> Option<Arc<K>> {
        let old = self.by_key.get(&key).cloned();
        if let Some(old) = &old {
            self.unlink(&key, old);
        }
        self.by_controller.entry(controller_uid(&*object).to_owned()).or_default().insert(key.clone());
        self.by_key.insert(key, object);
        old
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<K>> {
        let old = self.by_key.remove(key)?;
        self.unlink(key, &old);
        Some(old)
    }

    fn unlink(&mut self, key: &Key, object: &K) {
        let owner = controller_uid(object);
        if let Some(keys) = self.by_controller.get_mut(owner) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_controller.remove(owner);
            }
        }
    }
}

fn controller_uid<K: Object>(object: &K) -> &str {
    meta::controller(object.meta()).map_or("", |owner| owner.uid.as_str())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(name: &str, version: u64) -> ConfigMap {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": name, "namespace": "a", "uid": format!("uid-{name}"), "resourceVersion": version.to_string()}
        }))
        .unwrap()
    }

    fn version_of(cache: &Cache<ConfigMap>, name: &str) -> Option<u64> {
        cache.get(&Key::new("a", name)).map(|o| meta::version(&o.metadata))
    }

    #[test]
    fn own_writes_are_seen_at_once_and_old_events_do_not_undo_them() {
        let cache = Cache::new();
        cache.replace(vec![object("x", 5)]);
        cache.observe(object("x", 8));
        cache.applied(object("x", 6));
        assert_eq!(version_of(&cache, "x"), Some(8));
    }

    #[test]
    fn an_answer_that_arrives_after_the_deletion_is_dropped() {
        let cache = Cache::new();
        cache.replace(vec![]);
        cache.applied(object("x", 7));
        cache.deleted(&object("x", 8));
        cache.observe(object("x", 7));
        assert_eq!(version_of(&cache, "x"), None);
    }

    #[test]
    fn a_list_removes_what_it_lacks_except_what_was_written_meanwhile() {
        let cache = Cache::new();
        cache.replace(vec![object("x", 1), object("y", 2)]);
        cache.observe(object("z", 4));
        cache.replace(vec![object("y", 3)]);
        assert_eq!(
            (version_of(&cache, "x"), version_of(&cache, "y"), version_of(&cache, "z")),
            (None, Some(3), Some(4))
        );
    }

    #[test]
    fn each_version_is_told_once() {
        let cache = Cache::new();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counter = count.clone();
        cache.on_change(move |_| {
            counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        });
        cache.replace(vec![]);
        cache.observe(object("x", 3));
        cache.applied(object("x", 3));
        assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
}
