//! What a request becomes, and what a file says.

use expect_test::{Expect, expect};
use sealos_apps::{App, Draft, Place, plan, read_compose, read_manifest};

fn place() -> Place {
    Place {
        workspace: "default".into(),
        domain: "localhost".into(),
        cert_secret: None,
        restart_time: "20260101000000".into(),
    }
}

fn objects(manifest: &str) -> Vec<serde_json::Value> {
    let draft: Draft = read_manifest("sealos.yaml", manifest).expect("a good manifest");
    plan(&App::check(draft).expect("a good app"), &place()).objects
}

fn check(manifest: &str, expected: Expect) {
    let lines: Vec<_> = objects(manifest)
        .iter()
        .map(|o| {
            let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
            format!("{} {}", text(&o["kind"]), text(&o["metadata"]["name"]))
        })
        .collect();
    expected.assert_eq(&lines.join("\n"));
}

#[test]
fn an_app_is_a_deployment_a_service_and_an_ingress() {
    check(
        "{name: web, image: nginx, port: 80}",
        expect![[r#"
            Service web
            Deployment web
            Ingress network-mizfwpwgqohn"#]],
    );
}

#[test]
fn storage_makes_it_a_statefulset() {
    check(
        "{name: db, image: redis, storage: [{path: /data, size: 1Gi}]}",
        expect![[r#"
            Service db
            StatefulSet db"#]],
    );
}

#[test]
fn everything_at_once() {
    check(
        "{name: web, image: nginx, ports: [{port: 80}, {port: 53, protocol: udp}, {port: 9, public: false}],
          files: [{path: /etc/a.conf, content: x}], registry: {username: u, password: p},
          autoscale: {min: 1, max: 3}}",
        expect![[r#"
            ConfigMap web
            Secret web
            Service web
            Service web-nodeport
            Deployment web
            HorizontalPodAutoscaler web
            Ingress network-mizfwpwgqohn"#]],
    );
}

#[test]
fn requests_are_a_tenth_of_limits() {
    let all = objects("{name: web, image: nginx, cpu: 500m, memory: 256Mi}");
    let resources = &all[0]["spec"]["template"]["spec"]["containers"][0]["resources"];
    expect![[r#"{"limits":{"cpu":"500m","memory":"256Mi"},"requests":{"cpu":"50m","memory":"25Mi"}}"#]]
        .assert_eq(&resources.to_string());
}

#[test]
fn the_autoscaler_counts_in_tenths_and_owns_the_replicas() {
    let all = objects("{name: web, image: nginx, autoscale: {min: 2, max: 5, percent: 60}}");
    assert_eq!(all[1]["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 600);
    assert!(all[0]["spec"].get("replicas").is_none());
}

#[test]
fn the_same_app_gives_the_same_objects() {
    let manifest = "{name: web, image: nginx, port: 80, env: {A: b, N: 1, S: {secret: s/k}}}";
    assert_eq!(objects(manifest), objects(manifest));
}

#[test]
fn a_bad_manifest_says_where() {
    let error = |text| read_manifest("sealos.yaml", text).expect_err("bad").to_string();
    expect!["sealos.yaml: `cpu`: `fast` is not an amount of CPU; write for example `500m` or `2`"]
        .assert_eq(&error("{name: web, cpu: fast}"));
    assert!(error("{name: web, replicsa: 2}").contains("unknown field `replicsa`"));
}

#[test]
fn compose_services_become_apps() {
    let apps = read_compose(
        "compose.yaml",
        "
services:
  web:
    build: .
    ports: ['8080:80']
    environment: [A=b]
    volumes: ['./src:/src', 'data:/data']
    deploy: {replicas: 2, resources: {limits: {cpus: '0.5', memory: 128M}}}
    sysctls: {}
  cache:
    image: redis:7
    expose: [6379]
",
    )
    .expect("a good file");
    let shown: Vec<_> = apps.iter().map(|a| serde_json::to_string(&a.draft).expect("JSON") + "\n").collect();
    expect![[r#"
        {"name":"cache","image":"redis:7","ports":[{"port":6379,"protocol":"HTTP","public":false}]}
        {"name":"web","build":".","ports":[{"port":80,"protocol":"HTTP","public":true}],"replicas":2,"cpu":"500m","memory":"125000Ki","env":{"A":"b"},"storage":[{"path":"/data","size":"1Gi"}]}
    "#]]
    .assert_eq(&shown.concat());
    assert_eq!(
        apps[1].notes,
        ["`sysctls` is left out", "the volume `./src:/src` is a directory of one machine and is left out"]
    );
}
