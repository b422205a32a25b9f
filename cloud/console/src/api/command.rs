//! The command line that does what a form asks for, so that the page teaches the terminal.

use sealos_apps::{Draft, EnvValue, Protocol};

/// One option per line. What flags cannot say goes into the `sealos.yaml` that the preview shows as well.
pub(crate) fn deploy(draft: &Draft) -> String {
    if !fits_flags(draft) {
        return "# in a directory with the sealos.yaml from this preview\nsealos deploy .".into();
    }
    let mut parts = vec![format!(
        "sealos deploy {} --name {}",
        quoted(draft.image.as_deref().unwrap_or_default()),
        quoted(&draft.name)
    )];
    for port in &draft.ports {
        let protocol = match port.protocol {
            Protocol::Http => "",
            Protocol::Grpc => "/grpc",
            Protocol::Ws => "/ws",
            Protocol::Tcp => "/tcp",
            Protocol::Udp => "/udp",
        };
        parts.push(format!("--port {}{protocol}", port.port));
    }
    if let Some(host) = draft.ports.first().and_then(|port| port.host.as_ref()) {
        parts.push(format!("--host {}", quoted(host)));
    }
    if !draft.ports.is_empty() && draft.ports.iter().all(|port| !port.public) {
        parts.push("--private".into());
    }
    let size = [draft.cpu.map(|cpu| format!("--cpu {cpu}")), draft.memory.map(|m| format!("--memory {m}"))];
    parts.extend(size.into_iter().flatten());
    parts.extend(draft.replicas.filter(|n| *n != 1).map(|n| format!("--replicas {n}")));
    for (name, value) in &draft.env {
        if let EnvValue::Text(text) = value {
            parts.push(format!("--env {}", quoted(&format!("{name}={text}"))));
        }
    }
    parts.extend(
        draft.storage.iter().map(|s| format!("--storage {}", quoted(&format!("{}:{}", s.path, s.size)))),
    );
    parts.join(" \\\n  ")
}

/// Whether the flags of `sealos deploy` can say all of it.
fn fits_flags(draft: &Draft) -> bool {
    let texts = draft.env.values().all(|value| matches!(value, EnvValue::Text(_)));
    let public = draft.ports.iter().filter(|port| port.public).count();
    let same_side = public == 0 || public == draft.ports.len();
    let hosts = draft.ports.iter().skip(1).all(|port| port.host.is_none());
    texts
        && same_side
        && hosts
        && draft.files.is_empty()
        && draft.autoscale.is_none()
        && draft.registry.is_none()
        && draft.database.is_none()
        && draft.bucket.is_none()
        && draft.command.is_empty()
        && draft.args.is_empty()
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use sealos_apps::{Draft, EnvValue, Port, Protocol};

    use super::deploy;

    fn draft() -> Draft {
        let port = Port { port: 8080, protocol: Protocol::Http, public: true, host: None };
        Draft { name: "web".into(), image: Some("nginx".into()), ports: vec![port], ..Draft::default() }
    }

    #[test]
    fn says_what_was_asked() {
        let mut draft = draft();
        draft.env.insert("GREETING".into(), EnvValue::Text("it's me".into()));
        draft.replicas = Some(3);
        let expected = "sealos deploy nginx --name web \\\n  --port 8080 \\\n  --replicas 3 \\\n  --env 'GREETING=it'\\''s me'";
        assert_eq!(deploy(&draft), expected);
    }

    #[test]
    fn points_at_a_file_for_what_flags_cannot_say() {
        let mut draft = draft();
        draft.args = vec!["--verbose".into()];
        assert!(deploy(&draft).ends_with("sealos deploy ."));
    }
}
