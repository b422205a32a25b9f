//! The machine itself: what nodes, workloads and engines do in each tenth of a second.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sealos_db_engines::names::PRIMARY;

use crate::perform::{Error, News};
use crate::roles;
use crate::seen::{Answer, Life, Mode, Observed, PodSeen, Policy, Role, State};
use crate::topology::{Takeover, Topology};

/// The length of a step, in milliseconds.
const TICK: i64 = 100;
/// How long a new pod takes to run, in ticks.
const START: u32 = 3;
/// How long an engine that runs takes to answer, in ticks.
const WAKE: u32 = 2;

/// One engine's log of writes, kept on its volume.
type Log = Vec<u64>;

pub(super) struct Pod {
    uid: String,
    pub life: Life,
    held: bool,
    label: Option<String>,
    /// Ticks in the present state.
    age: u32,
    runs: u32,
    restarted_at: Option<i64>,
    pub role: Option<Role>,
    pub hung: bool,
    answer: Answer,
    /// The primary it streams from.
    follows: Option<(String, String)>,
    /// As primary: whose word counts; `None` for anybody's.
    synchronous: Option<BTreeSet<String>>,
    /// What its topology file says, which lags behind.
    mounted: String,
}

pub(super) struct Machine {
    pub topology: Topology,
    pub pods: BTreeMap<String, Pod>,
    pub volumes: BTreeMap<String, Log>,
    pub policy: Policy,
    pub wanted: u32,
    pub asked: u32,
    pub switchover: Option<String>,
    pub refused: Option<String>,
    pub news: Vec<News>,
    /// Writes a client was told are safe, and when that happened last.
    pub acknowledged: BTreeSet<u64>,
    acknowledged_at: i64,
    now: i64,
    written: u64,
    names: u32,
}

impl Machine {
    pub(super) fn new(mode: Mode, replicas: u32) -> Self {
        let topology =
            Topology { primary: "pg-0".into(), synchronous: None, takeover: None, version: "0".into() };
        Self {
            topology,
            pods: BTreeMap::new(),
            volumes: BTreeMap::new(),
            policy: Policy { mode, ..Policy::default() },
            wanted: replicas,
            asked: replicas,
            switchover: None,
            refused: None,
            news: Vec::new(),
            acknowledged: BTreeSet::new(),
            acknowledged_at: 0,
            now: 0,
            written: 0,
            names: 0,
        }
    }

    pub(super) fn millis(&self) -> i64 {
        self.now
    }

    pub(super) fn tick(&mut self) {
        self.now += TICK;
        self.workload();
        self.nodes();
        self.replicate();
        self.write_rows();
        self.replicate();
        self.acknowledge();
        self.answers();
    }

    /// The StatefulSet makes pods that are missing, and deletes those too many.
    fn workload(&mut self) {
        for ordinal in 0..self.wanted {
            let name = format!("pg-{ordinal}");
            if !self.pods.contains_key(&name) {
                self.names += 1;
                let mounted = self.topology.primary.clone();
                self.pods.insert(name, Pod::new(format!("uid-{}", self.names), mounted));
            }
        }
        let wanted = self.wanted;
        let many: Vec<_> = self.pods.iter().filter(|(name, _)| ordinal(name) >= wanted).collect();
        let many: Vec<_> = many.into_iter().map(|(name, pod)| (name.clone(), pod.uid.clone())).collect();
        for (name, uid) in many {
            self.delete(&name, &uid, 30);
        }
    }

    /// Containers start, end and start again; deleted pods go when their time is up.
    fn nodes(&mut self) {
        let mut gone = Vec::new();
        let named = self.topology.primary.clone();
        for (name, pod) in &mut self.pods {
            pod.age += 1;
            if (pod.age + ordinal(name)).is_multiple_of(3) {
                pod.mounted.clone_from(&named);
            }
            let graceful = !pod.hung;
            match pod.life {
                Life::Starting if pod.age >= START => pod.run(name, &self.volumes),
                Life::Ended if pod.age >= 2 => pod.run(name, &self.volumes),
                Life::Ending { asked, grace } => {
                    let asked = asked + Duration::from_millis(TICK.unsigned_abs());
                    pod.life = Life::Ending { asked, grace };
                    let over = asked.as_secs_f64() >= grace as f64 || (graceful && asked.as_secs_f64() > 0.4);
                    if over && pod.held {
                        pod.end(Life::Dead);
                    } else if over {
                        gone.push(name.clone());
                    }
                }
                _ => {}
            }
        }
        gone.into_iter().for_each(|name| drop(self.pods.remove(&name)));
    }

    /// Replicas stream from the primary they are connected to, or connect to the one the Service leads to.
    fn replicate(&mut self) {
        let leads = |pod: &Pod| pod.leads() && !pod.hung;
        let leaders: BTreeMap<_, _> = self.pods.iter().filter(|(_, pod)| leads(pod)).collect();
        let leaders: BTreeSet<_> =
            leaders.into_iter().map(|(name, pod)| (name.clone(), pod.uid.clone())).collect();
        let service = self.pods.iter().find(|(_, pod)| pod.label.as_deref() == Some(PRIMARY) && leads(pod));
        let service = service.map(|(name, pod)| (name.clone(), pod.uid.clone()));
        let mut copies = Vec::new();
        for (name, pod) in &mut self.pods {
            if pod.life != Life::Running || pod.hung || pod.role == Some(Role::Primary) {
                continue;
            }
            if !pod.follows.as_ref().is_some_and(|primary| leaders.contains(primary)) {
                pod.follows = service.clone().filter(|(primary, _)| primary != name);
            }
            if let Some((primary, _)) = &pod.follows {
                pod.role = Some(Role::Secondary);
                copies.push((name.clone(), primary.clone()));
            }
        }
        for (replica, primary) in copies {
            // What it has that the primary lacks is rewound, what it lacks is copied.
            let log = self.volumes.get(&primary).cloned().unwrap_or_default();
            self.volumes.insert(replica, log);
        }
    }

    /// Every engine that would take a write gets one: clients may hold old connections.
    fn write_rows(&mut self) {
        for (name, pod) in &self.pods {
            if pod.leads() && !pod.hung {
                self.written += 1;
                self.volumes.entry(name.clone()).or_default().push(self.written);
            }
        }
    }

    fn acknowledge(&mut self) {
        let mut safe = BTreeSet::new();
        for (name, pod) in self.pods.iter().filter(|(_, pod)| pod.leads() && !pod.hung) {
            let counts = |replica: &str| match &pod.synchronous {
                None => self.wanted > 1,
                Some(names) => names.contains(replica),
            };
            let known = |write: &&u64| !self.acknowledged.contains(*write);
            let own = self.volumes.get(name).into_iter().flatten().rev().take_while(known);
            let of = (name.clone(), pod.uid.clone());
            let streams = |other: &Pod| {
                other.follows.as_ref() == Some(&of) && other.life == Life::Running && !other.hung
            };
            let heard = self.pods.iter().any(|(other, state)| counts(other) && streams(state));
            let alone = pod.synchronous.as_ref().is_some_and(BTreeSet::is_empty);
            if self.policy.mode == Mode::Async || heard || alone {
                safe.extend(own.copied());
            }
        }
        if !safe.is_empty() {
            self.acknowledged.extend(safe);
            self.acknowledged_at = self.now;
        }
    }

    /// Every engine that runs is asked.
    fn answers(&mut self) {
        let step = Duration::from_millis(TICK.unsigned_abs());
        for (name, pod) in self.pods.iter_mut().filter(|(_, pod)| pod.life == Life::Running) {
            let awake = pod.age >= WAKE && !pod.hung;
            let state = pod.role.filter(|_| awake).map(|role| state(role, self.volumes.get(name)));
            pod.answer = match (state, &pod.answer) {
                (Some(state), _) => Answer::Says { state, age: Duration::ZERO },
                (None, Answer::Silent { since, before }) => {
                    Answer::Silent { since: *since + step, before: *before }
                }
                (None, before) => {
                    let before = matches!(before, Answer::Says { .. });
                    Answer::Silent { since: Duration::ZERO, before }
                }
            };
        }
    }

    pub(super) fn observe(&self) -> Observed {
        let millis = |millis: i64| Duration::from_millis(millis.unsigned_abs());
        let seen = |pod: &Pod, ordinal| PodSeen {
            uid: pod.uid.clone(),
            ordinal,
            life: pod.life,
            held: pod.held,
            ready: pod.life == Life::Running && !pod.hung,
            up: millis(i64::from(pod.age) * TICK),
            restarted: pod.restarted_at.map(|at| millis(self.now - at)),
            answer: pod.answer.clone(),
            label: pod.label.clone(),
        };
        Observed {
            workload: "pg".into(),
            topology: Some(self.topology.clone()),
            pods: self.pods.iter().map(|(name, pod)| (name.clone(), seen(pod, ordinal(name)))).collect(),
            policy: self.policy.clone(),
            wanted: self.wanted,
            asked: self.asked,
            switchover: self.switchover.clone(),
            switchover_for: Duration::ZERO,
            told: None,
            last: None,
            down: Duration::ZERO,
            fenced: Duration::ZERO,
            data_gone: false,
        }
    }

    pub(super) fn write(&mut self, topology: &Topology) -> Result<(), Error> {
        if topology.version != self.topology.version {
            return Err(Error::Crash);
        }
        let version = self.topology.version.parse::<u32>().unwrap() + 1;
        self.topology = Topology { version: version.to_string(), ..topology.clone() };
        Ok(())
    }

    fn meant(&mut self, name: &str, uid: &str) -> Option<&mut Pod> {
        self.pods.get_mut(name).filter(|pod| pod.uid == uid)
    }

    pub(super) fn hold(&mut self, name: &str, uid: &str) {
        if let Some(pod) = self.meant(name, uid) {
            assert!(!matches!(pod.life, Life::Ending { .. }), "{name} cannot be held: it is being deleted");
            pod.held = true;
        }
    }

    pub(super) fn delete(&mut self, name: &str, uid: &str, grace: i64) {
        let Some(pod) = self.meant(name, uid) else { return };
        assert!(grace > 0 || pod.held, "{name} would be gone before its containers are");
        pod.life = match pod.life {
            Life::Dead => Life::Dead,
            Life::Ending { asked, grace: before } => Life::Ending { asked, grace: before.min(grace) },
            _ => Life::Ending { asked: Duration::ZERO, grace },
        };
    }

    pub(super) fn release(&mut self, name: &str, uid: &str) {
        let dead = self.meant(name, uid).is_some_and(|pod| {
            pod.held = false;
            pod.life == Life::Dead
        });
        if dead {
            self.pods.remove(name);
        }
    }

    pub(super) fn label(&mut self, name: &str, label: Option<&str>) {
        if let Some(pod) = self.pods.get_mut(name) {
            pod.label = label.map(str::to_owned);
        }
    }

    pub(super) fn script(&mut self, name: &str, line: &str) -> Result<String, Error> {
        let silent = || Error::Answer { script: roles::NAME, pod: name.to_owned(), text: String::new() };
        let pod = self
            .pods
            .get_mut(name)
            .filter(|pod| pod.life == Life::Running && !pod.hung)
            .ok_or_else(silent)?;
        if line.starts_with(roles::PROMOTE) {
            pod.role = Some(Role::Primary);
            pod.follows = None;
            pod.synchronous = None;
        }
        if let Some(rest) = line.strip_prefix(roles::MEMBERS) {
            let names = rest.split(" >&2").next().unwrap_or_default().split("--").nth(1).unwrap_or_default();
            assert_eq!(pod.role, Some(Role::Primary), "only a primary is told its replicas");
            pod.synchronous = Some(names.split_whitespace().map(str::to_owned).collect());
        }
        let state = state(pod.role.ok_or_else(silent)?, self.volumes.get(name));
        let role = if state.role == Role::Primary { "primary" } else { "secondary" };
        Ok(format!("{{\"role\":\"{role}\",\"position\":\"{}\",\"lagBytes\":0}}", state.position.0))
    }

    pub(super) fn heard(&mut self, name: &str, state: State) {
        if let Some(pod) = self.pods.get_mut(name).filter(|pod| pod.life == Life::Running) {
            pod.answer = Answer::Says { state, age: Duration::ZERO };
        }
    }

    /// A daemon that begins has heard of nobody.
    pub(super) fn forget_answers(&mut self) {
        self.pods.values_mut().for_each(|pod| pod.answer = Answer::Unknown);
    }

    pub(super) fn alive(&self, takeover: &Takeover) -> bool {
        let alive =
            |name: &str, uid: &str| self.pods.get(name).is_some_and(|p| p.uid == uid && p.life != Life::Dead);
        takeover.suspects.iter().any(|suspect| alive(&suspect.pod, &suspect.uid))
    }

    pub(super) fn incarnation(&self, name: &str) -> String {
        self.pods.get(name).map(|pod| format!("{}#{}", pod.uid, pod.runs)).unwrap_or_default()
    }

    /// What must hold at every moment.
    pub(super) fn check_always(&self) {
        let leaders: Vec<_> = self.pods.iter().filter(|(_, pod)| pod.leads()).map(|(name, _)| name).collect();
        assert!(leaders.len() < 2, "two primaries at {} ms: {leaders:?}, {:?}", self.now, self.topology);
        let labelled = self.pods.values().filter(|pod| pod.label.as_deref() == Some(PRIMARY)).count();
        assert!(labelled < 2, "two pods are called the primary at {} ms", self.now);
    }

    /// What must hold when all has calmed down.
    pub(super) fn check_settled(&self, when: &str) {
        let primary = &self.topology.primary;
        let state: Vec<_> = self.pods.iter().map(|(n, p)| (n, p.life, p.role, &p.label, p.held)).collect();
        let context = format!("{when}: {:?}\n{state:?}\n{:?}", self.topology, self.news);
        assert_eq!(self.topology.takeover, None, "{context}");
        assert_eq!(self.pods.len(), self.wanted as usize, "{context}");
        for (name, pod) in &self.pods {
            let role = if name == primary { Role::Primary } else { Role::Secondary };
            assert_eq!(
                (pod.life, pod.role, pod.held),
                (Life::Running, Some(role), false),
                "{name}, {context}"
            );
            let label = if name == primary { "primary" } else { "secondary" };
            assert_eq!(pod.label.as_deref(), Some(label), "{name}, {context}");
        }
        assert!(self.now - self.acknowledged_at <= 2 * TICK, "writes flow: {context}");
        assert_eq!(self.switchover, None, "{context}");
        if self.policy.mode == Mode::Sync {
            let kept: BTreeSet<_> = self.volumes[primary].iter().copied().collect();
            let lost: Vec<_> = self.acknowledged.difference(&kept).collect();
            assert!(lost.is_empty(), "acknowledged and lost: {lost:?}, {context}");
        }
    }
}

impl Pod {
    fn new(uid: String, mounted: String) -> Self {
        Self {
            uid,
            life: Life::Starting,
            held: false,
            label: None,
            age: 0,
            runs: 0,
            restarted_at: None,
            role: None,
            hung: false,
            answer: Answer::Unknown,
            follows: None,
            synchronous: None,
            mounted,
        }
    }

    fn leads(&self) -> bool {
        self.role == Some(Role::Primary) && matches!(self.life, Life::Running | Life::Ending { .. })
    }

    /// The engine starts as its topology file says. Without data and without a primary it has no role yet.
    fn run(&mut self, name: &str, volumes: &BTreeMap<String, Log>) {
        let leads = self.mounted == name;
        let has_data = volumes.contains_key(name);
        self.role = if leads { Some(Role::Primary) } else { has_data.then_some(Role::Secondary) };
        self.life = Life::Running;
        self.age = 0;
        self.runs += 1;
        self.answer = Answer::Unknown;
    }

    /// The engine's process ends.
    pub(super) fn end(&mut self, life: Life) {
        self.life = life;
        self.age = 0;
        self.role = None;
        self.hung = false;
        self.follows = None;
        self.synchronous = None;
        self.answer = Answer::Unknown;
    }
}

impl Machine {
    /// `kill -9` of an engine.
    pub(super) fn kill(&mut self, name: &str) {
        let now = self.now;
        if let Some(pod) = self.pods.get_mut(name) {
            pod.end(Life::Ended);
            pod.restarted_at = Some(now);
        }
    }

    /// A person deletes a pod.
    pub(super) fn user_deletes(&mut self, name: &str) {
        let uid = self.pods[name].uid.clone();
        self.delete(name, &uid, 30);
    }
}

fn state(role: Role, log: Option<&Log>) -> State {
    let position = log.map_or(0, Vec::len).to_string();
    let lag_bytes = Some(0);
    State { role, position: crate::seen::Position(position), read_only: false, lag_bytes, lag_seconds: None }
}

fn ordinal(name: &str) -> u32 {
    name.rsplit('-').next().and_then(|text| text.parse().ok()).unwrap_or_default()
}
