//! Does a step. Each consists of calls that may be repeated, in an order in which stopping after any of
//! them leaves something [`crate::decide::decide`] goes on from.

use std::time::Duration;

use async_trait::async_trait;

use crate::decide::voters;
use crate::decide::{Fence, Step};
use crate::roles;
use crate::seen::{Mode, Observed, State, Told};
use crate::topology::{Suspect, Takeover, Topology, Why};

/// How long a promotion may take before another replica is considered.
const PROMOTION: Duration = Duration::from_secs(20);
/// How long telling the primary its replicas may take.
const MEMBERS: Duration = Duration::from_secs(10);
/// How long an answer to an urgent question may take.
const URGENT: Duration = Duration::from_secs(1);
/// What a healthy primary gets to end in peace, in seconds.
const GRACE: u32 = 30;

/// Why a call was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("write the topology: {}", sealos_kit::apply::message(.0))]
    Topology(#[source] Box<kube::Error>),
    #[error("hold, delete or release pod `{pod}`: {}", sealos_kit::apply::message(source))]
    Pod {
        pod: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("annotate the Cluster: {}", sealos_kit::apply::message(.0))]
    Cluster(#[source] Box<kube::Error>),
    #[error(transparent)]
    Script(#[from] sealos_kit::exec::Error),
    #[error("`{script}` in pod `{pod}` wrote what is no role: {text}")]
    Answer { script: &'static str, pod: String, text: String },
    /// Only the simulated machine of the tests makes it.
    #[cfg(test)]
    #[error("the daemon ended")]
    Crash,
}

/// What is told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct News {
    pub reason: &'static str,
    pub note: String,
    pub bad: bool,
}

/// What can be done to a component. Pods are named with their uid, so that a successor is never meant.
#[async_trait]
pub(crate) trait Hands: Send + Sync {
    /// Writes the topology, if it is still of the version it carries.
    async fn write(&self, topology: &Topology) -> Result<(), Error>;
    /// Keeps a pod's object until [`Self::release`]. A pod that is gone is no error.
    async fn hold(&self, pod: &str, uid: &str) -> Result<(), Error>;
    /// Deletes a pod. One that is gone is no error.
    async fn delete(&self, pod: &str, uid: &str, grace: u32) -> Result<(), Error>;
    async fn release(&self, pod: &str, uid: &str) -> Result<(), Error>;
    /// Runs a script in the engine's container.
    async fn script(&self, pod: &str, command: &[&str], limit: Duration) -> Result<String, Error>;
    /// Takes the wish for a switchover off the Cluster, with why it was not fulfilled.
    async fn switched(&self, error: Option<&str>) -> Result<(), Error>;
    /// Tells people. They can do without.
    async fn tell(&self, news: News);
    /// Milliseconds since 1970.
    fn now(&self) -> i64;
}

/// What was learnt by doing a step.
#[derive(Debug, Default)]
pub(crate) struct Learnt {
    /// Pods that answered.
    pub roles: Vec<(String, State)>,
    /// Pods that were asked and did not answer.
    pub silent: Vec<String>,
    /// What the primary was told.
    pub told: Option<Told>,
}

/// Does a step.
pub(crate) async fn perform(step: &Step, seen: &Observed, hands: &dyn Hands) -> Result<Learnt, Error> {
    let mut learnt = Learnt::default();
    let Some(topology) = &seen.topology else { return Ok(learnt) };
    match step {
        Step::Wait => {}
        Step::Begin { to, why } => begin(seen, topology, to, *why, hands).await?,
        Step::Retarget { to, also } => retarget(seen, topology, to, also.as_deref(), hands).await?,
        Step::Finish => finish(topology, hands).await?,
        Step::Record { synchronous } => {
            let synchronous = synchronous.as_ref().map(|names| names.iter().cloned().collect());
            hands.write(&Topology { synchronous, ..topology.clone() }).await?;
        }
        Step::Stop { pod, uid } => hands.delete(pod, uid, GRACE).await?,
        Step::Fence { pod, uid, how } => fence(seen, pod, uid, *how, hands).await?,
        Step::Ask { pods } => {
            let ask = |pod: &String| {
                let pod = pod.clone();
                async move { (ask(&pod, &[roles::SCRIPT], URGENT, hands).await, pod) }
            };
            for (answer, pod) in futures::future::join_all(pods.iter().map(ask)).await {
                match answer {
                    Ok(state) => learnt.roles.push((pod, state)),
                    Err(_) => learnt.silent.push(pod),
                }
            }
        }
        Step::Promote { pod } => {
            let state = ask(pod, &[roles::PROMOTE, roles::SCRIPT], PROMOTION, hands).await?;
            learnt.roles.push((pod.clone(), state));
        }
        Step::Members { pod, replicas, synchronous } => {
            let words =
                [&[roles::MEMBERS.to_owned()][..], replicas, &["--".to_owned()], synchronous].concat();
            let state = ask(pod, &[&words.join(" "), roles::SCRIPT], MEMBERS, hands).await?;
            learnt.told = Some(Told {
                replicas: replicas.iter().cloned().collect(),
                synchronous: synchronous.iter().cloned().collect(),
                position: state.position.clone(),
            });
            learnt.roles.push((pod.clone(), state));
        }
        Step::Release { pod, uid } => hands.release(pod, uid).await?,
        Step::Switched => hands.switched(None).await?,
        Step::Refuse { why } => {
            hands.switched(Some(why)).await?;
            let note = format!("{} stays the primary: {why}", topology.primary);
            hands.tell(News { reason: "SwitchoverRefused", note, bad: true }).await;
        }
    }
    Ok(learnt)
}

/// Runs scripts one after another in one exec; the last one says the role. The words are names of our own
/// making, which need no quotes.
async fn ask(pod: &str, scripts: &[&str], limit: Duration, hands: &dyn Hands) -> Result<State, Error> {
    let line = match scripts {
        [first, last] => format!("{first} >&2 && exec {last}"),
        _ => scripts.join(" && "),
    };
    let text = hands.script(pod, &["bash", "-c", &line], limit).await?;
    let wrong = || Error::Answer { script: roles::NAME, pod: pod.to_owned(), text: text.trim().to_owned() };
    roles::parse(&text).ok_or_else(wrong)
}

fn suspect(seen: &Observed, pod: &str) -> Option<Suspect> {
    seen.pods.get(pod).map(|seen| Suspect { pod: pod.to_owned(), uid: seen.uid.clone() })
}

async fn begin(
    seen: &Observed,
    topology: &Topology,
    to: &str,
    why: Why,
    hands: &dyn Hands,
) -> Result<(), Error> {
    let takeover = Takeover {
        from: topology.primary.clone(),
        why,
        suspects: suspect(seen, &topology.primary).into_iter().collect(),
        voters: (seen.policy.mode == Mode::Sync).then(|| voters(seen, topology)),
        began: hands.now(),
    };
    let note = format!("{to} takes over from {}: {}", takeover.from, why.words());
    let next = Topology {
        primary: to.to_owned(),
        // Of the new primary nothing is known but that it asks for somebody's word.
        synchronous: None,
        takeover: Some(takeover),
        version: topology.version.clone(),
    };
    hands.write(&next).await?;
    let reason = if why == Why::Switchover { "SwitchoverStarted" } else { "FailoverStarted" };
    hands.tell(News { reason, note, bad: !why.planned() }).await;
    Ok(())
}

async fn retarget(
    seen: &Observed,
    topology: &Topology,
    to: &str,
    also: Option<&str>,
    hands: &dyn Hands,
) -> Result<(), Error> {
    let fresh = || Takeover {
        from: topology.primary.clone(),
        why: Why::Gone,
        suspects: Vec::new(),
        voters: None,
        began: hands.now(),
    };
    let mut takeover = topology.takeover.clone().unwrap_or_else(fresh);
    if let Some(also) = also {
        takeover.suspects.extend(suspect(seen, also));
        // Whoever must be fenced now did not end in peace.
        takeover.why = if takeover.why.planned() { Why::Gone } else { takeover.why };
    }
    let note =
        format!("{to} takes over instead of {}: it has the newest data that can be had", topology.primary);
    hands.write(&Topology { primary: to.to_owned(), takeover: Some(takeover), ..topology.clone() }).await?;
    hands.tell(News { reason: "FailoverRetargeted", note, bad: true }).await;
    Ok(())
}

async fn finish(topology: &Topology, hands: &dyn Hands) -> Result<(), Error> {
    let Some(takeover) = &topology.takeover else { return Ok(()) };
    hands.write(&Topology { takeover: None, ..topology.clone() }).await?;
    let tenths = (hands.now() - takeover.began).max(0) / 100;
    let (from, to, why) = (&takeover.from, &topology.primary, takeover.why.words());
    let note = format!("primary moved from {from} to {to}: {why}; took {}.{} s", tenths / 10, tenths % 10);
    let reason = if takeover.why == Why::Switchover { "SwitchoverDone" } else { "FailoverDone" };
    hands.tell(News { reason, note, bad: false }).await;
    Ok(())
}

async fn fence(seen: &Observed, pod: &str, uid: &str, how: Fence, hands: &dyn Hands) -> Result<(), Error> {
    match how {
        Fence::Kill => {
            if !seen.pods.get(pod).is_some_and(|pod| pod.held) {
                hands.hold(pod, uid).await?;
            }
            hands.delete(pod, uid, 0).await?;
        }
        Fence::Shorten => hands.delete(pod, uid, 1).await?,
    }
    let note = format!("{pod} is ended at once, so that there is never a second primary");
    hands.tell(News { reason: "Fenced", note, bad: true }).await;
    Ok(())
}
