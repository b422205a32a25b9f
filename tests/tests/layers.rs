//! The plan of the house holds: no crate uses a room it may not enter (ARCHITECTURE.md, "Layers").

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// The first folder of each of our crates, and the crates it depends on outside of tests.
fn graph() -> BTreeMap<String, (String, Vec<String>)> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let output =
        Command::new(cargo).args(["metadata", "--format-version=1", "--no-deps", "--offline"]).output();
    let metadata: Value =
        serde_json::from_slice(&output.expect("cargo runs").stdout).expect("cargo prints JSON");
    let root = metadata["workspace_root"].as_str().expect("a root").to_owned();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let packages = metadata["packages"].as_array().expect("packages").iter();
    packages
        .map(|package| {
            let path = text(&package["manifest_path"]);
            let room = path.trim_start_matches(&root).trim_start_matches('/').trim_end_matches("/Cargo.toml");
            let uses = package["dependencies"].as_array().expect("dependencies").iter();
            let uses = uses.filter(|d| d["kind"] != "dev").map(|d| text(&d["name"])).collect();
            (text(&package["name"]), (room.to_owned(), uses))
        })
        .collect()
}

/// The part of a half that a room belongs to: its first two folders.
fn part(room: &str) -> &str {
    room.match_indices('/').nth(1).map_or(room, |(end, _)| room.split_at(end).0)
}

/// Whether a crate in `room` may use the crate `name`, which is in `used` if it is ours.
fn allowed(room: &str, name: &str, used: Option<&str>) -> bool {
    let layer = room.split('/').next().unwrap_or_default();
    let used_layer = used.and_then(|u| u.split('/').next());
    match layer {
        "engines" => !matches!(name, "kube" | "k8s-openapi") && used_layer.is_none_or(|l| l == "engines"),
        "kubernetes" if used == Some("kubernetes/store") => room == "kubernetes/api",
        "kubernetes" => used_layer.is_none_or(|l| l == "engines" || l == "kubernetes"),
        // The console shows what the other parts do, through their planners.
        "cloud" if room == "cloud/console" => used_layer.is_none_or(|l| l == "engines" || l == "cloud"),
        // A part may be several crates in one folder.
        "cloud" => {
            used_layer.is_none_or(|l| l == "engines")
                || used == Some("cloud/kit")
                || used.is_some_and(|used| part(used) == part(room))
        }
        _ => true,
    }
}

#[test]
fn no_crate_enters_a_room_it_may_not() {
    let graph = graph();
    let broken: Vec<_> = graph
        .iter()
        .flat_map(|(name, (room, uses))| uses.iter().map(move |used| (name, room, used)))
        .filter(|(_, room, used)| !allowed(room, used, graph.get(*used).map(|(room, _)| room.as_str())))
        .map(|(name, _, used)| format!("{name} must not use {used}"))
        .collect();
    assert!(graph.len() > 10, "the graph is read: {graph:?}");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn the_rule_refuses_what_the_design_forbids() {
    assert!(!allowed("engines/oci", "kube", None));
    assert!(!allowed("engines/oci", "sealos-api", Some("kubernetes/api")));
    assert!(!allowed("kubernetes/node", "sealos-store", Some("kubernetes/store")));
    assert!(!allowed("kubernetes/api", "sealos-apps", Some("cloud/apps")));
    assert!(!allowed("cloud/apps", "sealos-node", Some("kubernetes/node")));
    assert!(!allowed("cloud/apps", "sealos-ingress", Some("cloud/ingress")));
    assert!(!allowed("cloud/databases/ha", "sealos-buckets", Some("cloud/buckets")));
    assert!(allowed("cloud/databases/ha", "sealos-db-engines", Some("cloud/databases/engines")));
    assert!(allowed("cloud/apps", "sealos-kit", Some("cloud/kit")));
    assert!(allowed("sealos", "sealos-node", Some("kubernetes/node")));
}
