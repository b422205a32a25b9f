//! Pods as the streaming endpoints see them.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use crate::pod::blueprint::log_path;
use crate::pod::context::Context;
use crate::pods::Pods;
use crate::state::is_running;
use crate::streaming::{self, Refusal, Target};

#[async_trait]
impl streaming::Pods for Pods {
    async fn container(&self, namespace: &str, pod: &str, container: &str) -> Result<Target, Refusal> {
        let context = self.known(namespace, pod)?;
        let state = context.state.borrow();
        let status = state.container(container).ok_or_else(|| {
            Refusal::bad_request(format!("container {container} is not valid for pod {pod}"))
        })?;
        let logs = context.shared.log_dir(&context.pod());
        let attempt = status.restart_count;
        let log = |attempt: i32| log_path(&logs, container, attempt);
        // While the container waits for its next attempt, the present one is over.
        let waiting = status.state.as_ref().is_some_and(|state| state.waiting.is_some());
        let over = status.last_state.as_ref().is_some_and(|last| last.terminated.is_some());
        let previous =
            if waiting && over { Some(attempt) } else { attempt.checked_sub(1).filter(|a| *a >= 0) };
        let id = status.container_id.as_deref().and_then(|id| id.strip_prefix("sealos://"));
        Ok(Target {
            id: id.map(str::to_owned),
            running: is_running(status),
            log: id.is_some().then(|| log(attempt)),
            previous_log: previous.map(log),
        })
    }

    async fn network(&self, namespace: &str, pod: &str) -> Result<Option<PathBuf>, Refusal> {
        let context = self.known(namespace, pod)?;
        let sandbox = context.sandbox.borrow().clone();
        match sandbox {
            Some(sandbox) => Ok(sandbox.netns.clone()),
            None => Err(Refusal::bad_request(format!("pod {pod} has no network yet: it is not running"))),
        }
    }
}

impl Pods {
    fn known(&self, namespace: &str, pod: &str) -> Result<Arc<Context>, Refusal> {
        let missing = || Refusal::not_found(format!("pod {namespace}/{pod} is not on this node"));
        self.find(namespace, pod).ok_or_else(missing)
    }
}
