//! The kinds of the core group.

use k8s_openapi::api::core::v1 as core;

use super::build::{CHANGE, CREATE, Entry, FULL, GET, PROXY, STREAM, kind};

/// Namespaces cannot be deleted by collection.
const NAMESPACE_VERBS: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

pub(super) fn kinds() -> Vec<Entry> {
    vec![
        kind::<core::Binding>("bindings").verbs(CREATE),
        kind::<core::ConfigMap>("configmaps").short(&["cm"]),
        kind::<core::Endpoints>("endpoints").short(&["ep"]),
        kind::<core::Event>("events").short(&["ev"]),
        kind::<core::LimitRange>("limitranges").short(&["limits"]),
        kind::<core::Namespace>("namespaces")
            .cluster()
            .short(&["ns"])
            .verbs(NAMESPACE_VERBS)
            .sub("finalize", &["update"])
            .status(),
        node(),
        kind::<core::PersistentVolumeClaim>("persistentvolumeclaims").short(&["pvc"]).status(),
        kind::<core::PersistentVolume>("persistentvolumes").cluster().short(&["pv"]).status(),
        pod(),
        kind::<core::PodTemplate>("podtemplates").generation(),
        kind::<core::ReplicationController>("replicationcontrollers")
            .short(&["rc"])
            .all()
            .generation()
            .scale()
            .status(),
        kind::<core::ResourceQuota>("resourcequotas").short(&["quota"]).status(),
        kind::<core::Secret>("secrets"),
        kind::<core::ServiceAccount>("serviceaccounts").short(&["sa"]).sub_of(
            "token",
            CREATE,
            ("authentication.k8s.io", "v1", "TokenRequest"),
        ),
        service(),
    ]
}

fn node() -> Entry {
    kind::<core::Node>("nodes")
        .cluster()
        .short(&["no"])
        .verbs(FULL)
        .sub_of("proxy", PROXY, ("", "v1", "NodeProxyOptions"))
        .status()
}

fn pod() -> Entry {
    kind::<core::Pod>("pods")
        .short(&["po"])
        .all()
        .generation()
        .sub_of("attach", STREAM, ("", "v1", "PodAttachOptions"))
        .sub_of("binding", CREATE, ("", "v1", "Binding"))
        .sub("ephemeralcontainers", CHANGE)
        .sub_of("eviction", CREATE, ("policy", "v1", "Eviction"))
        .sub_of("exec", STREAM, ("", "v1", "PodExecOptions"))
        .sub("log", GET)
        .sub_of("portforward", STREAM, ("", "v1", "PodPortForwardOptions"))
        .sub_of("proxy", PROXY, ("", "v1", "PodProxyOptions"))
        .sub("resize", CHANGE)
        .status()
}

fn service() -> Entry {
    kind::<core::Service>("services")
        .short(&["svc"])
        .all()
        .sub_of("proxy", PROXY, ("", "v1", "ServiceProxyOptions"))
        .status()
}
