//! Events about pods and the node, written in the background; repeated ones are counted, not repeated.

use std::collections::HashMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::api::{Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::state::Role;

/// When more are waiting, new events are dropped: they inform, nothing depends on them.
const QUEUE: usize = 4096;
/// How many different events are remembered for counting.
const REMEMBERED: usize = 4096;
const COMPONENT: &str = "kubelet";

/// Where events are handed in.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    queue: mpsc::Sender<Note>,
}

/// The events of one object, or of one container in a pod.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    recorder: Recorder,
    about: ObjectReference,
}

#[derive(Debug)]
struct Note {
    about: ObjectReference,
    kind: &'static str,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

impl Recorder {
    pub(crate) fn start(client: Client, node: &str, shutdown: CancellationToken) -> Self {
        let (queue, notes) = mpsc::channel(QUEUE);
        let writer = Writer { client, node: node.to_owned(), seen: HashMap::new() };
        tokio::spawn(async move { shutdown.run_until_cancelled(writer.run(notes)).await });
        Self { queue }
    }

    pub(crate) fn pod(&self, pod: &Pod) -> Events {
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Pod".into()),
            name: pod.metadata.name.clone(),
            namespace: pod.metadata.namespace.clone(),
            uid: pod.metadata.uid.clone(),
            resource_version: pod.metadata.resource_version.clone(),
            field_path: None,
        };
        Events { recorder: self.clone(), about }
    }

    pub(crate) fn node(&self, name: &str) -> Events {
        let about = ObjectReference {
            kind: Some("Node".into()),
            name: Some(name.to_owned()),
            uid: Some(name.to_owned()),
            ..ObjectReference::default()
        };
        Events { recorder: self.clone(), about }
    }
}

impl Events {
    /// The same object, narrowed to one of its containers.
    pub(crate) fn container(&self, role: Role, name: &str) -> Self {
        let list = match role {
            Role::Init | Role::Sidecar => "initContainers",
            Role::Main => "containers",
            Role::Ephemeral => "ephemeralContainers",
        };
        let field_path = Some(format!("spec.{list}{{{name}}}"));
        Self { recorder: self.recorder.clone(), about: ObjectReference { field_path, ..self.about.clone() } }
    }

    pub(crate) fn normal(&self, reason: &'static str, message: impl Into<String>) {
        self.note("Normal", reason, message.into());
    }

    pub(crate) fn warning(&self, reason: &'static str, message: impl Into<String>) {
        self.note("Warning", reason, message.into());
    }

    fn note(&self, kind: &'static str, reason: &'static str, message: String) {
        let note = Note { about: self.about.clone(), kind, reason, message, at: Timestamp::now() };
        if self.recorder.queue.try_send(note).is_err() {
            tracing::debug!(reason, "event dropped: too many are waiting to be written");
        }
    }
}

struct Writer {
    client: Client,
    node: String,
    seen: HashMap<String, (String, i32)>,
}

impl Writer {
    async fn run(mut self, mut notes: mpsc::Receiver<Note>) {
        while let Some(note) = notes.recv().await {
            if let Err(error) = self.write(&note).await {
                tracing::debug!(reason = note.reason, %error, "write event");
            }
        }
    }

    async fn write(&mut self, note: &Note) -> kube::Result<()> {
        let namespace = note.about.namespace.clone().unwrap_or_else(|| "default".into());
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        let about = &note.about;
        let key =
            format!("{:?}/{:?}/{}/{}/{}", about.uid, about.field_path, note.kind, note.reason, note.message);
        if let Some((name, count)) = self.seen.get_mut(&key) {
            let patch = json!({"count": *count + 1, "lastTimestamp": Time(note.at)});
            match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => {
                    *count += 1;
                    return Ok(());
                }
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.clear();
        }
        let event = self.event(note, &namespace);
        let name = event.metadata.name.clone().unwrap_or_default();
        api.create(&PostParams::default(), &event).await?;
        self.seen.insert(key, (name, 1));
        Ok(())
    }

    fn event(&self, note: &Note, namespace: &str) -> Event {
        let object = note.about.name.as_deref().unwrap_or_default();
        let unique: u64 = rand::random();
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{object}.{unique:016x}")),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            involved_object: note.about.clone(),
            type_: Some(note.kind.into()),
            reason: Some(note.reason.into()),
            message: Some(note.message.clone()),
            count: Some(1),
            first_timestamp: Some(Time(note.at)),
            last_timestamp: Some(Time(note.at)),
            source: Some(EventSource { component: Some(COMPONENT.into()), host: Some(self.node.clone()) }),
            reporting_component: Some(COMPONENT.into()),
            reporting_instance: Some(self.node.clone()),
            ..Event::default()
        }
    }
}
