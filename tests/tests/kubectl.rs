//! The stock `kubectl` drives the built-in Kubernetes: what people type every day.

use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sealos_tests::{Check, Cloud, Suite, busybox_context, free_port, get, until};

const IMAGE: &str = "sealos.local/test/busybox:1";
const LIMIT: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let checks: Vec<Check<Cloud>> = vec![
        ("the_node_is_ready", the_node_is_ready),
        ("a_deployment_rolls_out_scales_restarts_and_undoes", deployment),
        ("a_statefulset_keeps_its_volume", stateful_set),
        ("a_job_runs_to_its_end", job),
        ("services_have_names_and_balance", services),
        ("an_ingress_routes_a_host", ingress),
        ("configuration_reaches_the_pod", configuration),
        ("logs_exec_and_port_forward_work", streams),
        ("labels_edits_patches_and_conflicts_work", edits),
        ("watching_shows_changes", watching),
        ("output_formats_and_resources_are_complete", formats),
        ("probes_and_restarts_follow_the_rules", probes),
        ("out_of_memory_is_told", out_of_memory),
        ("custom_resources_are_served", custom_resources),
        ("deleting_a_namespace_deletes_what_is_in_it", namespaces),
        ("access_is_checked", access),
        ("bad_manifests_get_one_clear_message", bad_manifests),
        ("top_shows_usage", top),
    ];
    Suite::new(checks).main(|| {
        let cloud = Cloud::start()?;
        let context = busybox_context(cloud.scratch(), "")?;
        cloud.sealos(&["build", &context.display().to_string(), "--tag", IMAGE])?.ok()?;
        Ok(cloud)
    })
}

fn has(text: &str, needle: &str) -> Result<()> {
    ensure!(text.contains(needle), "`{needle}` is missing in:\n{text}");
    Ok(())
}

fn the_node_is_ready(cloud: &Cloud) -> Result<()> {
    let nodes = cloud.kubectl(&["get", "nodes"])?.ok()?;
    has(&nodes, "Ready")?;
    has(&cloud.kubectl(&["describe", "node"])?.ok()?, "Allocatable")?;
    has(&cloud.kubectl(&["version"])?.ok()?, "Server Version")?;
    has(&cloud.kubectl(&["cluster-info"])?.ok()?, "is running at")
}

/// A Deployment that serves its hostname and version on 8080.
fn web(name: &str, replicas: u32, version: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name} }}
spec:
  replicas: {replicas}
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name} }} }}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: {IMAGE}
        command: [sh, -c, 'echo "$VERSION $(hostname)" > /www/index.html; exec httpd -f -p 8080 -h /www']
        env: [{{ name: VERSION, value: "{version}" }}]
        ports: [{{ containerPort: 8080 }}]
        readinessProbe: {{ httpGet: {{ path: /index.html, port: 8080 }}, periodSeconds: 1 }}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name} }}
spec:
  selector: {{ app: {name} }}
  ports: [{{ port: 80, targetPort: 8080 }}]
"#
    )
}

fn deployment(cloud: &Cloud) -> Result<()> {
    cloud.apply(&web("roll", 2, "one"))?;
    has(
        &cloud.kubectl(&["rollout", "status", "deploy/roll", "--timeout=60s"])?.ok()?,
        "successfully rolled out",
    )?;
    cloud.apply(&web("roll", 2, "two"))?;
    cloud.kubectl(&["rollout", "status", "deploy/roll", "--timeout=60s"])?.ok()?;
    let version = "jsonpath={.spec.template.spec.containers[0].env[0].value}";
    ensure!(cloud.kubectl(&["get", "deploy/roll", "-o", version])?.ok()? == "two");
    cloud.kubectl(&["rollout", "undo", "deploy/roll"])?.ok()?;
    cloud.kubectl(&["rollout", "status", "deploy/roll", "--timeout=60s"])?.ok()?;
    ensure!(
        cloud.kubectl(&["get", "deploy/roll", "-o", version])?.ok()? == "one",
        "undo brings version one back"
    );
    cloud.kubectl(&["scale", "deploy/roll", "--replicas=3"])?.ok()?;
    cloud
        .kubectl(&["wait", "deploy/roll", "--for=jsonpath={.status.readyReplicas}=3", "--timeout=60s"])?
        .ok()?;
    cloud.kubectl(&["rollout", "restart", "deploy/roll"])?.ok()?;
    cloud.kubectl(&["rollout", "status", "deploy/roll", "--timeout=60s"])?.ok()?;
    has(&cloud.kubectl(&["rollout", "history", "deploy/roll"])?.ok()?, "REVISION")?;
    cloud.kubectl(&["set", "image", "deploy/roll", "web=sealos.local/test/missing:1"])?.ok()?;
    until(LIMIT, || has(&cloud.kubectl(&["get", "pods", "-l", "app=roll"])?.ok()?, "ImagePull"))?;
    cloud.kubectl(&["rollout", "undo", "deploy/roll"])?.ok()?;
    cloud.kubectl(&["rollout", "status", "deploy/roll", "--timeout=60s"])?.ok()?;
    has(&cloud.kubectl(&["describe", "deploy/roll"])?.ok()?, "ScalingReplicaSet")?;
    cloud.kubectl(&["delete", "deploy/roll", "svc/roll"])?.ok()?;
    let gone = || {
        let left = cloud.kubectl(&["get", "pods,rs", "-l", "app=roll", "-o", "name"])?.ok()?;
        ensure!(left.is_empty(), "still there: {left}");
        Ok(())
    };
    until(LIMIT, gone)
}

fn stateful_set(cloud: &Cloud) -> Result<()> {
    let manifest = format!(
        r#"
apiVersion: v1
kind: Service
metadata: {{ name: keep }}
spec: {{ clusterIP: None, selector: {{ app: keep }}, ports: [{{ port: 80 }}] }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{ name: keep }}
spec:
  serviceName: keep
  replicas: 2
  selector: {{ matchLabels: {{ app: keep }} }}
  template:
    metadata: {{ labels: {{ app: keep }} }}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: {IMAGE}
        command: [sh, -c, 'echo $(hostname) >> /data/starts; exec sleep 1000000']
        volumeMounts: [{{ name: data, mountPath: /data }}]
  volumeClaimTemplates:
  - metadata: {{ name: data }}
    spec: {{ accessModes: [ReadWriteOnce], resources: {{ requests: {{ storage: 64Mi }} }} }}
"#
    );
    cloud.apply(&manifest)?;
    cloud.kubectl(&["rollout", "status", "sts/keep", "--timeout=60s"])?.ok()?;
    has(&cloud.kubectl(&["get", "pvc"])?.ok()?, "Bound")?;
    cloud.kubectl(&["delete", "pod", "keep-0"])?.ok()?;
    cloud.kubectl(&["rollout", "status", "sts/keep", "--timeout=60s"])?.ok()?;
    until(LIMIT, || {
        let starts = cloud.kubectl(&["exec", "keep-0", "--", "cat", "/data/starts"])?.ok()?;
        ensure!(starts.lines().count() == 2, "the file outlives the pod: {starts}");
        Ok(())
    })?;
    let address = cloud
        .kubectl(&["exec", "keep-1", "--", "nslookup", "keep-0.keep.default.svc.cluster.local"])?
        .ok()?;
    let ip = cloud.kubectl(&["get", "pod", "keep-0", "-o", "jsonpath={.status.podIP}"])?.ok()?;
    has(&address, &ip)?;
    cloud.kubectl(&["delete", "sts/keep", "svc/keep"])?.ok()?;
    cloud.kubectl(&["delete", "pvc", "--all", "--timeout=60s"])?.ok()?;
    until(LIMIT, || {
        let left = cloud.kubectl(&["get", "pv", "-o", "name"])?.ok()?;
        ensure!(left.is_empty(), "volumes are reclaimed: {left}");
        Ok(())
    })
}

fn job(cloud: &Cloud) -> Result<()> {
    cloud.kubectl(&["create", "job", "sum", "--image", IMAGE, "--", "sh", "-c", "echo $((40 + 2))"])?.ok()?;
    cloud.kubectl(&["wait", "job/sum", "--for=condition=complete", "--timeout=60s"])?.ok()?;
    ensure!(cloud.kubectl(&["logs", "job/sum"])?.ok()? == "42");
    cloud.kubectl(&["create", "job", "bad", "--image", IMAGE, "--", "sh", "-c", "exit 3"])?.ok()?;
    until(LIMIT, || {
        let code = "jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}";
        let code = cloud.kubectl(&["get", "pods", "-l", "job-name=bad", "-o", code])?.ok()?;
        ensure!(code == "3", "exit code `{code}`");
        Ok(())
    })?;
    cloud.kubectl(&["delete", "job", "sum", "bad"])?.ok().map(drop)
}

/// What `http://<host>/` answers, asked from a pod.
const FETCH: &str = "exec 3<>/dev/tcp/$0/80; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3";

fn services(cloud: &Cloud) -> Result<()> {
    cloud.apply(&web("back", 2, "b"))?;
    cloud.kubectl(&["rollout", "status", "deploy/back", "--timeout=60s"])?.ok()?;
    cloud.kubectl(&["run", "client", "--image", IMAGE, "--restart=Never", "--", "sleep", "100000"])?.ok()?;
    cloud.kubectl(&["wait", "pod/client", "--for=condition=Ready", "--timeout=60s"])?.ok()?;
    let mut seen = std::collections::BTreeSet::new();
    until(LIMIT, || {
        seen.insert(cloud.kubectl(&["exec", "client", "--", "bash", "-c", FETCH, "back"])?.ok()?);
        ensure!(seen.len() == 2, "answers so far: {seen:?}");
        Ok(())
    })?;
    has(
        &cloud.kubectl(&["exec", "client", "--", "cat", "/etc/resolv.conf"])?.ok()?,
        "search default.svc.cluster.local",
    )?;
    cloud.kubectl(&["patch", "svc/back", "-p", r#"{"spec":{"type":"NodePort"}}"#])?.ok()?;
    let port: u16 =
        cloud.kubectl(&["get", "svc/back", "-o", "jsonpath={.spec.ports[0].nodePort}"])?.ok()?.parse()?;
    until(LIMIT, || has(&get(port, "x", "/")?.body, "b "))?;
    cloud.kubectl(&["delete", "deploy/back", "svc/back", "pod/client"])?.ok().map(drop)
}

fn ingress(cloud: &Cloud) -> Result<()> {
    cloud.apply(&web("site", 1, "s"))?;
    cloud.kubectl(&["create", "ingress", "site", "--rule=site.example.com/*=site:80"])?.ok()?;
    until(LIMIT, || {
        let answer = get(cloud.http_port(), "site.example.com", "/")?;
        ensure!(answer.status == 200, "{} {}", answer.status, answer.body);
        has(&answer.body, "s site-")
    })?;
    has(&cloud.kubectl(&["get", "ingress"])?.ok()?, "site.example.com")?;
    cloud.kubectl(&["delete", "ingress/site", "deploy/site", "svc/site"])?.ok()?;
    until(LIMIT, || {
        let answer = get(cloud.http_port(), "site.example.com", "/")?;
        ensure!(answer.status == 404, "{}", answer.status);
        Ok(())
    })
}

fn configuration(cloud: &Cloud) -> Result<()> {
    cloud.kubectl(&["create", "configmap", "conf", "--from-literal=colour=blue"])?.ok()?;
    cloud.kubectl(&["create", "secret", "generic", "sec", "--from-literal=word=open"])?.ok()?;
    let manifest = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{ name: conf, labels: {{ tier: test }} }}
spec:
  containers:
  - name: main
    image: {IMAGE}
    command: [sh, -c, 'exec sleep 100000']
    env:
    - {{ name: COLOUR, valueFrom: {{ configMapKeyRef: {{ name: conf, key: colour }} }} }}
    - {{ name: WORD, valueFrom: {{ secretKeyRef: {{ name: sec, key: word }} }} }}
    - {{ name: ME, valueFrom: {{ fieldRef: {{ fieldPath: metadata.name }} }} }}
    - {{ name: GREETING, value: "hello $(ME)" }}
    resources: {{ limits: {{ cpu: 200m, memory: 64Mi }} }}
    volumeMounts:
    - {{ name: conf, mountPath: /conf }}
    - {{ name: one, mountPath: /one/colour.txt, subPath: colour }}
    - {{ name: scratch, mountPath: /scratch }}
  volumes:
  - {{ name: conf, configMap: {{ name: conf }} }}
  - {{ name: one, configMap: {{ name: conf }} }}
  - {{ name: scratch, emptyDir: {{}} }}
"#
    );
    cloud.apply(&manifest)?;
    cloud.kubectl(&["wait", "pod/conf", "--for=condition=Ready", "--timeout=60s"])?.ok()?;
    let say = "echo $COLOUR $WORD $GREETING $(cat /conf/colour) $(cat /one/colour.txt); touch /scratch/x";
    let said = cloud.kubectl(&["exec", "conf", "--", "sh", "-c", say])?.ok()?;
    ensure!(said == "blue open hello conf blue blue", "{said}");
    cloud.kubectl(&["patch", "configmap", "conf", "-p", r#"{"data":{"colour":"green"}}"#])?.ok()?;
    until(LIMIT, || {
        let now = cloud.kubectl(&["exec", "conf", "--", "cat", "/conf/colour"])?.ok()?;
        ensure!(now == "green", "{now}");
        Ok(())
    })?;
    let token = "ls /var/run/secrets/kubernetes.io/serviceaccount";
    has(&cloud.kubectl(&["exec", "conf", "--", "sh", "-c", token])?.ok()?, "token")?;
    cloud.kubectl(&["delete", "pod/conf", "configmap/conf", "secret/sec", "--grace-period=1"])?.ok().map(drop)
}

fn streams(cloud: &Cloud) -> Result<()> {
    cloud.apply(&web("stream", 1, "v"))?;
    cloud.kubectl(&["rollout", "status", "deploy/stream", "--timeout=60s"])?.ok()?;
    let said = cloud.kubectl_with(
        &["exec", "-i", "deploy/stream", "--", "sh", "-c", "cat; echo err >&2; exit 7"],
        "in\n",
    )?;
    ensure!(said.code == 7 && said.stdout == "in\n" && said.stderr.contains("err"), "{said:?}");
    cloud
        .kubectl(&[
            "run",
            "count",
            "--image",
            IMAGE,
            "--",
            "sh",
            "-c",
            "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.2; done",
        ])?
        .ok()?;
    cloud.kubectl(&["wait", "pod/count", "--for=condition=Ready", "--timeout=60s"])?.ok()?;
    let mut follow = cloud.kubectl_command(&["logs", "-f", "count"]).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(follow.stdout.take().context("a pipe")?).lines();
    for expected in ["line 0", "line 1", "line 2", "line 3"] {
        ensure!(lines.next().context("more lines")?? == expected);
    }
    follow.kill()?;
    follow.wait()?;
    ensure!(cloud.kubectl(&["logs", "count", "--tail=1"])?.ok()?.lines().count() == 1);
    let port = free_port()?;
    let mut forward = cloud.kubectl_command(&["port-forward", "svc/stream", &format!("{port}:80")]);
    let mut forward = forward.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let forwarded = until(LIMIT, || has(&get(port, "x", "/")?.body, "v stream-"));
    forward.kill()?;
    forward.wait()?;
    forwarded?;
    cloud.kubectl(&["delete", "deploy/stream", "svc/stream", "pod/count", "--grace-period=1"])?.ok().map(drop)
}

fn edits(cloud: &Cloud) -> Result<()> {
    cloud.kubectl(&["create", "configmap", "edit", "--from-literal=a=1"])?.ok()?;
    cloud.kubectl(&["label", "configmap/edit", "team=blue"])?.ok()?;
    cloud.kubectl(&["annotate", "configmap/edit", "note=x"])?.ok()?;
    cloud
        .kubectl(&[
            "patch",
            "configmap/edit",
            "--type=json",
            "-p",
            r#"[{"op":"add","path":"/data/b","value":"2"}]"#,
        ])?
        .ok()?;
    cloud.kubectl(&["patch", "configmap/edit", "--type=merge", "-p", r#"{"data":{"c":"3"}}"#])?.ok()?;
    let edited = cloud
        .kubectl_command(&["edit", "configmap/edit"])
        .env("KUBE_EDITOR", "sed -i s/^..a:/\\\\x20\\\\x20z:/")
        .output()?;
    ensure!(edited.status.success(), "{}", String::from_utf8_lossy(&edited.stderr));
    ensure!(
        cloud.kubectl(&["get", "cm", "-l", "team=blue", "-o", "jsonpath={.items[0].data}"])?.ok()?
            == r#"{"b":"2","c":"3","z":"1"}"#
    );
    let ours = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: edit}\ndata: {c: mine}\n";
    let apply = ["apply", "--server-side", "--field-manager=me", "-f", "-"];
    let refused = cloud.kubectl_with(&apply, ours)?.err()?;
    has(&refused, "conflict")?;
    cloud
        .kubectl_with(
            &["apply", "--server-side", "--field-manager=me", "--force-conflicts", "-f", "-"],
            ours,
        )?
        .ok()?;
    let old = cloud.kubectl(&["get", "cm/edit", "-o", "yaml"])?.ok()?;
    cloud.kubectl(&["label", "configmap/edit", "more=1"])?.ok()?;
    has(&cloud.kubectl_with(&["replace", "-f", "-"], &old)?.err()?, "the object has been modified")?;
    cloud.kubectl(&["delete", "configmap/edit"])?.ok()?;
    has(&cloud.kubectl(&["get", "configmap/edit"])?.err()?, "NotFound")
}

fn watching(cloud: &Cloud) -> Result<()> {
    let mut watch = cloud.kubectl_command(&[
        "get",
        "configmaps",
        "-w",
        "--output-watch-events",
        "--no-headers",
        "-l",
        "w=1",
    ]);
    let mut watch = watch.stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watch.stdout.take().context("a pipe")?).lines();
    // The watch may begin before or after; both show the object.
    cloud
        .kubectl_with(
            &["apply", "-f", "-"],
            "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: seen, labels: {w: '1'}}}",
        )?
        .ok()?;
    let first = lines.next().context("an event")??;
    has(&first, "seen")?;
    cloud.kubectl(&["delete", "configmap/seen"])?.ok()?;
    let last = lines.next().context("an event")??;
    has(&last, "DELETED")?;
    watch.kill()?;
    watch.wait()?;
    Ok(())
}

fn formats(cloud: &Cloud) -> Result<()> {
    has(&cloud.kubectl(&["get", "ns", "-o", "wide"])?.ok()?, "Active")?;
    has(&cloud.kubectl(&["get", "ns/default", "-o", "yaml"])?.ok()?, "kind: Namespace")?;
    has(&cloud.kubectl(&["get", "svc/kubernetes", "-o", "json"])?.ok()?, "\"clusterIP\"")?;
    let resources = cloud.kubectl(&["api-resources"])?.ok()?;
    for kind in
        ["Pod", "Deployment", "Ingress", "CustomResourceDefinition", "EndpointSlice", "StorageClass", "Role"]
    {
        has(&resources, kind)?;
    }
    has(&cloud.kubectl(&["get", "all", "-A"])?.ok()?, "service/kubernetes")?;
    has(&cloud.kubectl(&["get", "storageclass"])?.ok()?, "(default)")?;
    has(&cloud.kubectl(&["explain", "deployment.spec.replicas"])?.ok()?, "replicas")?;
    cloud.kubectl(&["get", "events", "-A"])?.ok()?;
    has(&cloud.kubectl(&["get", "unicorns"])?.err()?, "the server doesn't have a resource type")
}

fn probes(cloud: &Cloud) -> Result<()> {
    let manifest = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{ name: probed }}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {{ name: first, image: {IMAGE}, command: [sh, -c, 'echo ready > /shared/ok'], volumeMounts: [{{ name: shared, mountPath: /shared }}] }}
  containers:
  - name: main
    image: {IMAGE}
    command: [sh, -c, 'cat /shared/ok; exec sleep 100000']
    volumeMounts: [{{ name: shared, mountPath: /shared }}]
    readinessProbe: {{ exec: {{ command: [test, -f, /shared/ok] }}, periodSeconds: 1, failureThreshold: 1 }}
    livenessProbe: {{ exec: {{ command: [test, '!', -f, /shared/dead] }}, periodSeconds: 1, failureThreshold: 1 }}
  volumes: [{{ name: shared, emptyDir: {{}} }}]
"#
    );
    cloud.apply(&manifest)?;
    cloud.kubectl(&["wait", "pod/probed", "--for=condition=Ready", "--timeout=60s"])?.ok()?;
    ensure!(cloud.kubectl(&["logs", "probed", "-c", "main"])?.ok()? == "ready");
    cloud.kubectl(&["exec", "probed", "-c", "main", "--", "rm", "/shared/ok"])?.ok()?;
    cloud.kubectl(&["wait", "pod/probed", "--for=condition=Ready=false", "--timeout=60s"])?.ok()?;
    cloud.kubectl(&["exec", "probed", "-c", "main", "--", "touch", "/shared/ok", "/shared/dead"])?.ok()?;
    until(LIMIT, || {
        let restarts = "jsonpath={.status.containerStatuses[0].restartCount}";
        let restarts: u32 = cloud.kubectl(&["get", "pod/probed", "-o", restarts])?.ok()?.parse()?;
        ensure!(restarts > 0, "not restarted yet");
        Ok(())
    })?;
    has(&cloud.kubectl(&["describe", "pod/probed"])?.ok()?, "Liveness probe failed")?;
    cloud.kubectl(&["delete", "pod/probed"])?.ok().map(drop)
}

fn out_of_memory(cloud: &Cloud) -> Result<()> {
    let manifest = format!(
        r#"
apiVersion: v1
kind: Pod
metadata: {{ name: hungry }}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: {IMAGE}
    command: [sh, -c, 'x=x; while true; do x=$x$x; done']
    resources: {{ limits: {{ memory: 32Mi }} }}
"#
    );
    cloud.apply(&manifest)?;
    until(LIMIT, || {
        let reason = "jsonpath={.status.containerStatuses[0].state.terminated.reason}";
        let reason = cloud.kubectl(&["get", "pod/hungry", "-o", reason])?.ok()?;
        ensure!(reason == "OOMKilled", "`{reason}`");
        Ok(())
    })?;
    cloud.kubectl(&["delete", "pod/hungry"])?.ok().map(drop)
}

fn custom_resources(cloud: &Cloud) -> Result<()> {
    let definition = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: ships.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: ships, singular: ship, kind: Ship, shortNames: [sh] }
  versions:
  - name: v1
    served: true
    storage: true
    subresources: { status: {} }
    additionalPrinterColumns: [{ name: Masts, type: integer, jsonPath: .spec.masts }]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [masts]
            properties:
              masts: { type: integer, minimum: 1 }
              flag: { type: string, default: jolly }
"#;
    cloud.apply(definition)?;
    cloud
        .kubectl(&["wait", "crd/ships.example.com", "--for=condition=Established", "--timeout=30s"])?
        .ok()?;
    cloud.apply("---\n{apiVersion: example.com/v1, kind: Ship, metadata: {name: argo}, spec: {masts: 2}}")?;
    has(&cloud.kubectl(&["get", "ships"])?.ok()?, "argo")?;
    ensure!(cloud.kubectl(&["get", "sh/argo", "-o", "jsonpath={.spec.flag}"])?.ok()? == "jolly");
    let bad = "---\n{apiVersion: example.com/v1, kind: Ship, metadata: {name: wreck}, spec: {masts: 0}}";
    has(&cloud.kubectl_with(&["apply", "-f", "-"], bad)?.err()?, "spec.masts")?;
    cloud.kubectl(&["delete", "crd/ships.example.com"])?.ok()?;
    until(LIMIT, || cloud.kubectl(&["get", "ships"])?.err().map(drop))
}

fn namespaces(cloud: &Cloud) -> Result<()> {
    cloud.kubectl(&["create", "namespace", "room"])?.ok()?;
    cloud.kubectl_with(&["apply", "-n", "room", "-f", "-"], &web("inner", 1, "i"))?.ok()?;
    cloud.kubectl(&["rollout", "status", "-n", "room", "deploy/inner", "--timeout=60s"])?.ok()?;
    cloud.kubectl(&["delete", "namespace", "room", "--timeout=60s"])?.ok()?;
    ensure!(cloud.kubectl(&["get", "pods", "-n", "room", "-o", "name"])?.ok()?.is_empty(), "pods are gone");
    Ok(())
}

fn access(cloud: &Cloud) -> Result<()> {
    cloud.kubectl(&["create", "serviceaccount", "guest"])?.ok()?;
    let token = cloud.kubectl(&["create", "token", "guest"])?.ok()?;
    let server = format!("https://127.0.0.1:{}", cloud.api_port());
    let guest = |args: &[&str]| {
        let all =
            ["--kubeconfig=/dev/null", "--server", &server, "--insecure-skip-tls-verify", "--token", &token];
        cloud.kubectl(&[&all, args].concat())
    };
    has(&guest(&["get", "pods"])?.err()?, "forbidden")?;
    cloud
        .kubectl(&["create", "rolebinding", "guest", "--clusterrole=view", "--serviceaccount=default:guest"])?
        .ok()?;
    until(LIMIT, || guest(&["get", "pods"])?.ok().map(drop))?;
    has(&guest(&["get", "secrets"])?.err()?, "forbidden")?;
    ensure!(guest(&["auth", "can-i", "delete", "pods"])?.stdout.trim() == "no");
    let nobody = cloud.kubectl(&[
        "--kubeconfig=/dev/null",
        "--server",
        &server,
        "--insecure-skip-tls-verify",
        "--token",
        "junk",
        "get",
        "pods",
    ])?;
    nobody.err()?;
    cloud.kubectl(&["delete", "rolebinding/guest", "serviceaccount/guest"])?.ok().map(drop)
}

fn bad_manifests(cloud: &Cloud) -> Result<()> {
    let refuse = |manifest: &str, words: &[&str]| {
        let said = cloud.kubectl_with(&["apply", "-f", "-"], manifest)?.err()?;
        words.iter().try_for_each(|word| has(&said, word))
    };
    refuse(
        "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: x}, dta: {a: b}}",
        &["unknown field \"dta\""],
    )?;
    refuse("---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: X}}", &["metadata.name"])?;
    refuse(
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: []}}",
        &["spec.containers"],
    )?;
    refuse(
        "---\n{apiVersion: v1, kind: Pod, metadata: {name: x}, spec: {containers: [{name: a, image: b, ports: [{containerPort: no}]}]}}",
        &["containerPort"],
    )?;
    refuse(
        "---\n{apiVersion: apps/v1, kind: Deployment, metadata: {name: x}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: c}}, spec: {containers: [{name: a, image: b}]}}}}",
        &["selector"],
    )?;
    refuse("---\n{apiVersion: v9, kind: Dragon, metadata: {name: x}}", &["no matches for kind \"Dragon\""])
}

fn top(cloud: &Cloud) -> Result<()> {
    cloud.kubectl(&["run", "busy", "--image", IMAGE, "--", "sh", "-c", "while true; do :; done"])?.ok()?;
    cloud.kubectl(&["wait", "pod/busy", "--for=condition=Ready", "--timeout=60s"])?.ok()?;
    until(LIMIT, || {
        let pods = cloud.kubectl(&["top", "pod", "busy", "--no-headers"])?.ok()?;
        let cores = pods.split_whitespace().nth(1).context("a column")?;
        let millis: u32 = cores.trim_end_matches('m').parse()?;
        ensure!(millis > 100, "{pods}");
        Ok(())
    })?;
    has(&cloud.kubectl(&["top", "nodes"])?.ok()?, "%")?;
    cloud.kubectl(&["delete", "pod/busy", "--grace-period=1"])?.ok().map(drop)
}
