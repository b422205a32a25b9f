//! Keeps one component: looks, decides, acts, and looks again when something changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, ResourceExt as _};
use sealos_db_engines::names::{ENGINE, PRIMARY, REPLICATION, ROLE};
use sealos_kit::exec::Target;
use sealos_kit::quantity::Bytes;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::decide::{Step, decide};
use crate::hands::ApiHands;
use crate::observe::{self, Facts};
use crate::perform::{Error, Learnt, perform};
use crate::prober::{Ear, Prober, Subject};
use crate::seen::{Mode, Observed, Policy, Position, Role, Told};
use crate::topology::{Takeover, Topology};
use crate::{LAG_BYTES, LAG_LIMIT, LAG_SECONDS, POSITION, SWITCHOVER_TO, labels};

/// How often to look when nothing happens: silence is no event.
const TICK: Duration = Duration::from_secs(1);
/// The same step is not done again before its effects can have been seen.
const REPEAT: Duration = Duration::from_millis(300);
/// How often engines are asked: while something is not as it should be, with replicas, and alone.
const URGENT: Duration = Duration::from_millis(200);
const USUAL: Duration = Duration::from_secs(1);
const RARELY: Duration = Duration::from_secs(5);
/// How often positions are published.
const PUBLISH: Duration = Duration::from_secs(10);

/// The keeper of one component. What it remembers makes it quicker, never safer: the rest is in the API.
pub(crate) struct Keeper {
    hands: ApiHands,
    bell: Arc<Notify>,
    ear: Arc<Ear>,
    probers: HashMap<String, Prober>,
    /// When the primary was last known to lead, and who that was.
    led: (String, Instant),
    /// Since when the present takeover's suspects are dead.
    fenced: Option<(i64, Instant)>,
    /// Since when the present switchover is asked for.
    switchover: Option<(String, Instant)>,
    /// What an incarnation of the primary was told.
    told: Option<(String, Told)>,
    /// The last position of a primary.
    last: Option<(String, Position)>,
    /// Whether the primary's volume is gone, and when that was looked at.
    data_gone: Option<(bool, Instant)>,
    /// When each pod's position was published.
    published: HashMap<String, Instant>,
    done: Option<(Step, Instant)>,
}

impl Keeper {
    pub(crate) fn new(hands: ApiHands) -> Self {
        let bell = hands.world.bells.of(&hands.key);
        Self {
            hands,
            bell,
            ear: Arc::default(),
            probers: HashMap::new(),
            led: (String::new(), Instant::now()),
            fenced: None,
            switchover: None,
            told: None,
            last: None,
            data_gone: None,
            published: HashMap::new(),
            done: None,
        }
    }

    /// Keeps the component until the task is ended, which may be at any point.
    pub(crate) async fn run(mut self) {
        loop {
            let facts = self.facts();
            let seen = self.look(&facts).await;
            self.probe(&facts, &seen);
            self.publish(&facts, &seen).await;
            let step = decide(&seen);
            let again = self.done.as_ref().is_some_and(|(done, at)| *done == step && at.elapsed() < REPEAT);
            if step == Step::Wait || again {
                let pause = if again { REPEAT / 3 } else { TICK };
                tokio::select! {
                    () = self.bell.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
                continue;
            }
            self.act(step, &facts, &seen).await;
        }
    }

    async fn act(&mut self, step: Step, facts: &BTreeMap<String, Facts>, seen: &Observed) {
        let begun = Instant::now();
        match perform(&step, seen, &self.hands).await {
            Ok(learnt) => self.learn(learnt, facts, seen, begun),
            Err(error) => self.complain(&step, &error),
        }
        tracing::debug!(component = ?self.hands.key, ?step, took = ?begun.elapsed(), "a step");
        self.done = Some((step, Instant::now()));
    }

    fn complain(&self, step: &Step, error: &Error) {
        // Somebody else wrote the topology in between: the next look shows what.
        if matches!(error, Error::Topology(source) if matches!(&**source, kube::Error::Api(s) if s.code == 409))
        {
            return;
        }
        tracing::warn!(component = ?self.hands.key, ?step, %error, "a step was not done, it is tried again");
    }

    fn learn(&mut self, learnt: Learnt, facts: &BTreeMap<String, Facts>, seen: &Observed, asked: Instant) {
        let silent = learnt.silent.into_iter().map(|pod| (pod, None));
        let roles = learnt.roles.into_iter().map(|(pod, state)| (pod, Some(state)));
        for (pod, state) in roles.chain(silent) {
            let Some(facts) = facts.get(&pod) else { continue };
            if let Some(incarnation) = &facts.incarnation {
                self.ear.note(&facts.seen.uid, incarnation, asked, state);
            }
        }
        let primary = seen.topology.as_ref().and_then(|topology| facts.get(&topology.primary));
        if let (Some(told), Some(incarnation)) = (learnt.told, primary.and_then(|p| p.incarnation.clone())) {
            self.told = Some((incarnation, told));
        }
    }

    fn facts(&self) -> BTreeMap<String, Facts> {
        let (workload, now) = (self.hands.key.workload(), Timestamp::now());
        let pods = self.hands.world.pods(&self.hands.key);
        let read =
            pods.iter().filter_map(|(name, pod)| Some((name.clone(), observe::read(&workload, pod, now)?)));
        let mut all: BTreeMap<String, Facts> = read.collect();
        for facts in all.values_mut() {
            facts.seen.answer = self.ear.answer(&facts.seen.uid, facts.incarnation.as_deref());
        }
        all
    }

    async fn look(&mut self, facts: &BTreeMap<String, Facts>) -> Observed {
        let (world, key) = (&self.hands.world, &self.hands.key);
        let topology = world.topology(key).and_then(|map| Topology::read(&map));
        let set = world.set(key);
        let wanted = set.as_ref().and_then(|set| set.spec.replicas).unwrap_or(0);
        let wanted = u32::try_from(wanted).unwrap_or(0);
        let engine =
            set.as_ref().and_then(|set| sealos_db_engines::engine::find(set.labels().get(ENGINE)?).ok());
        let cluster = world.cluster(key);
        let annotation = |name| cluster.as_ref().and_then(|cluster| cluster.annotations().get(name).cloned());
        let names_synchronous = engine.is_none_or(|engine| engine.names_synchronous);
        let mut policy = Policy { names_synchronous, ..Policy::default() };
        if annotation(REPLICATION).as_deref() == Some("sync") {
            policy.mode = Mode::Sync;
        }
        if let Some(limit) = annotation(LAG_LIMIT).and_then(|text| Bytes::parse(&text).ok()) {
            policy.lag_limit = limit.get();
        }
        let asked = cluster.as_ref().and_then(|cluster| replicas(&cluster.data, &key.component));
        let mut seen = Observed {
            workload: key.workload(),
            pods: facts.iter().map(|(name, facts)| (name.clone(), facts.seen.clone())).collect(),
            policy,
            wanted,
            asked: asked.filter(|asked| *asked > 0).unwrap_or(wanted),
            switchover: annotation(SWITCHOVER_TO).map(|text| text.trim().to_owned()),
            switchover_for: Duration::ZERO,
            told: None,
            last: None,
            down: Duration::ZERO,
            fenced: Duration::ZERO,
            data_gone: false,
            topology,
        };
        self.remember(facts, &mut seen).await;
        seen
    }

    /// Adds what only those who looked before can know.
    async fn remember(&mut self, facts: &BTreeMap<String, Facts>, seen: &mut Observed) {
        let Some(topology) = seen.topology.clone() else { return };
        let primary = facts.get(&topology.primary);
        let leads = primary.is_some_and(|facts| facts.seen.is(Role::Primary));
        if leads || self.led.0 != topology.primary {
            self.led = (topology.primary.clone(), Instant::now());
        }
        seen.down = self.led.1.elapsed();
        if let Some(facts) = primary.filter(|_| leads) {
            self.last = Some((topology.primary.clone(), facts.seen.position()));
        }
        let noted = primary.and_then(|facts| facts.position.clone().map(Position));
        let known = self.last.as_ref().filter(|(name, _)| *name == topology.primary);
        seen.last = known.map(|(_, position)| position.clone()).or(noted);
        let incarnation = primary.and_then(|facts| facts.incarnation.as_deref());
        let told = self.told.as_ref().filter(|(whom, _)| Some(&**whom) == incarnation);
        seen.told = told.map(|(_, told)| told.clone());
        seen.switchover_for = since(&mut self.switchover, seen.switchover.clone());
        let dead = topology.takeover.as_ref().filter(|takeover| all_dead(seen, takeover));
        seen.fenced = since(&mut self.fenced, dead.map(|takeover| takeover.began));
        let unsure =
            !leads && topology.takeover.is_none() && seen.policy.mode == Mode::Async && seen.wanted > 1;
        if unsure {
            seen.data_gone = self.is_data_gone(&topology.primary).await;
        }
    }

    /// Looks whether the primary's volume is there, at most once in a while.
    async fn is_data_gone(&mut self, primary: &str) -> bool {
        if let Some((gone, at)) = self.data_gone
            && at.elapsed() < RARELY
        {
            return gone;
        }
        let claims: Api<PersistentVolumeClaim> =
            Api::namespaced(self.hands.client.clone(), &self.hands.key.namespace);
        // What cannot be looked at is not known to be gone.
        let found = claims.get_opt(&format!("data-{primary}")).await;
        let gone = found.is_ok_and(|claim| claim.is_none());
        self.data_gone = Some((gone, Instant::now()));
        gone
    }

    /// Has every pod asked, as often as matters now.
    fn probe(&mut self, facts: &BTreeMap<String, Facts>, seen: &Observed) {
        let there = |uid: &str| facts.values().any(|facts| facts.seen.uid == uid);
        self.probers.retain(|uid, _| there(uid));
        self.published.retain(|uid, _| there(uid));
        self.ear.keep(there);
        if seen.topology.is_none() {
            return;
        }
        let primary = seen.topology.as_ref().and_then(|topology| seen.pods.get(&topology.primary));
        let settled = primary.is_some_and(|pod| pod.is(Role::Primary))
            && seen.topology.as_ref().is_some_and(|topology| topology.takeover.is_none());
        for (name, facts) in facts {
            let every = match (settled, facts.seen.says()) {
                (false, _) | (true, None) if facts.seen.up < seen.policy.patience => URGENT,
                _ if seen.wanted > 1 => USUAL,
                _ => RARELY,
            };
            let subject = Subject {
                target: Target {
                    namespace: self.hands.key.namespace.clone(),
                    pod: name.clone(),
                    container: facts.container.clone(),
                },
                incarnation: facts.incarnation.clone(),
                ready: facts.seen.ready,
                every,
            };
            let uid = &facts.seen.uid;
            if let Some(prober) = self.probers.get(uid) {
                prober.set(subject);
                continue;
            }
            let client = self.hands.client.clone();
            let prober = Prober::start(client, uid.clone(), subject, self.ear.clone(), self.bell.clone());
            self.probers.insert(uid.clone(), prober);
        }
    }

    /// Labels pods with their roles, and notes their positions now and then. The primary comes last when
    /// labels are taken away, and first when it is given one: writes wait for it.
    async fn publish(&mut self, facts: &BTreeMap<String, Facts>, seen: &Observed) {
        if seen.topology.is_none() {
            return;
        }
        let changes = labels::changes(seen);
        let mut patches = Vec::new();
        for (name, facts) in facts {
            let change = changes.get(name);
            let due = self.published.get(&facts.seen.uid).is_none_or(|at| at.elapsed() >= PUBLISH);
            let annotations = positions(facts).filter(|_| due || change.is_some());
            if change.is_none() && annotations.is_none() {
                continue;
            }
            let mut metadata = json!({ "uid": facts.seen.uid });
            if let Some(label) = change {
                metadata["labels"] = json!({ ROLE: label });
            }
            if let Some(annotations) = annotations {
                metadata["annotations"] = annotations;
                self.published.insert(facts.seen.uid.clone(), Instant::now());
            }
            let first = change.is_some_and(|label| *label == Some(PRIMARY));
            patches.push((!first, name, json!({ "metadata": metadata })));
        }
        patches.sort_by_key(|(later, ..)| *later);
        let hands = &self.hands;
        let write = patches.into_iter().map(|(_, name, patch)| async move {
            if let Err(error) = hands.patch_pod(name, patch).await {
                tracing::warn!(pod = name, %error, "label a pod");
            }
        });
        futures::future::join_all(write).await;
    }
}

/// The annotations that say how far a pod is.
fn positions(facts: &Facts) -> Option<Value> {
    let (state, _) = facts.seen.says()?;
    let text = |number: Option<String>| number.map_or(Value::Null, Value::String);
    Some(json!({
        POSITION: state.position.0,
        LAG_BYTES: text(state.lag_bytes.map(|lag| lag.to_string())),
        LAG_SECONDS: text(state.lag_seconds.map(|lag| format!("{lag:.1}"))),
    }))
}

fn all_dead(seen: &Observed, takeover: &Takeover) -> bool {
    let alive = |pod: &crate::seen::PodSeen, uid: &str| pod.uid == uid && pod.life != crate::seen::Life::Dead;
    !takeover.suspects.iter().any(|s| seen.pods.get(&s.pod).is_some_and(|pod| alive(pod, &s.uid)))
}

/// For how long `now` has been what it is.
fn since<T: PartialEq>(memory: &mut Option<(T, Instant)>, now: Option<T>) -> Duration {
    let Some(now) = now else {
        *memory = None;
        return Duration::ZERO;
    };
    match memory {
        Some((before, at)) if *before == now => at.elapsed(),
        _ => {
            *memory = Some((now, Instant::now()));
            Duration::ZERO
        }
    }
}

/// The number of pods a Cluster asks for.
fn replicas(cluster: &Value, component: &str) -> Option<u32> {
    let all = cluster.pointer("/spec/componentSpecs")?.as_array()?;
    let own = all.iter().find(|spec| spec["name"].as_str() == Some(component))?;
    own["replicas"].as_u64().and_then(|number| u32::try_from(number).ok())
}
