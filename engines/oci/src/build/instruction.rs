//! The instructions of a Dockerfile, checked as far as they can be without building.

use std::time::Duration;

use super::fault::Fault;
use super::lines::{Heredoc, Line, split};
use super::words;

/// A parsed Dockerfile.
#[derive(Debug, Clone)]
pub(super) struct Dockerfile {
    pub(super) instructions: Vec<Instruction>,
    pub(super) escape: char,
}

/// One instruction and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Instruction {
    pub(super) line: usize,
    /// As written, on one line, for people.
    pub(super) text: String,
    pub(super) kind: Kind,
}

/// What an instruction does. Text in which variables are still to be replaced is kept as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    From { image: String, platform: Option<String>, name: Option<String> },
    Arg(Vec<(String, Option<String>)>),
    Run { command: Command, heredocs: Vec<Heredoc>, ignored_mounts: Vec<String> },
    Copy(Copy),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Workdir(String),
    User(String),
    Expose(Vec<String>),
    Volume(Vec<String>),
    Cmd(Command),
    Entrypoint(Command),
    Shell(Vec<String>),
    StopSignal(String),
    Healthcheck(Option<Healthcheck>),
    Onbuild,
    Maintainer(String),
}

/// A program with its arguments, or a line for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Exec(Vec<String>),
    Shell(String),
}

/// `COPY` and `ADD`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Copy {
    pub(super) sources: Vec<String>,
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) destination: String,
    pub(super) from: Option<String>,
    pub(super) chown: Option<String>,
    pub(super) chmod: Option<String>,
    pub(super) exclude: Vec<String>,
    pub(super) parents: bool,
    /// `ADD`: archives are unpacked.
    pub(super) unpack: bool,
}

/// In the form that image configurations have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Healthcheck {
    pub(super) command: Command,
    pub(super) times: Vec<(&'static str, Duration)>,
    pub(super) retries: Option<u32>,
}

type Flags = Vec<(String, Option<String>)>;

/// Reads a whole Dockerfile.
pub(super) fn parse(text: &str) -> Result<Dockerfile, Fault> {
    let (lines, escape) = split(text)?;
    let mut instructions = Vec::new();
    for line in lines {
        let number = line.number;
        let text = line.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let kind = instruction(line, escape).map_err(|reason| Fault::new(number, reason))?;
        let begins = instructions.iter().any(|i: &Instruction| matches!(i.kind, Kind::From { .. }));
        if !begins && !matches!(kind, Kind::From { .. } | Kind::Arg(_)) {
            return Err(Fault::new(number, "only `ARG` may come before the first `FROM`"));
        }
        instructions.push(Instruction { line: number, text, kind });
    }
    if instructions.iter().any(|i| matches!(i.kind, Kind::From { .. })) {
        return Ok(Dockerfile { instructions, escape });
    }
    Err(Fault::new(1, "there is no `FROM`: begin with one, for example `FROM debian:bookworm-slim`"))
}

fn instruction(line: Line, escape: char) -> Result<Kind, String> {
    let (keyword, rest) = line.text.split_once(char::is_whitespace).unwrap_or((&line.text, ""));
    let keyword = keyword.to_uppercase();
    let (flags, rest) = flags(rest.trim(), escape)?;
    let takes_flags = matches!(keyword.as_str(), "FROM" | "RUN" | "COPY" | "ADD" | "HEALTHCHECK");
    if let Some((name, _)) = flags.first().filter(|_| !takes_flags) {
        return Err(format!("{keyword} has no option `--{name}`"));
    }
    if rest.is_empty() && line.heredocs.is_empty() {
        return Err(format!("{keyword} needs an argument"));
    }
    let words = || words::split(&rest, escape);
    Ok(match keyword.as_str() {
        "FROM" => from(&flags, &words()?)?,
        "ARG" => Kind::Arg(words()?.iter().map(|word| arg(word)).collect::<Result<_, _>>()?),
        "RUN" => run(&flags, &rest, line.heredocs)?,
        "COPY" => Kind::Copy(copy(&flags, &rest, line.heredocs, escape, false)?),
        "ADD" => Kind::Copy(copy(&flags, &rest, line.heredocs, escape, true)?),
        "ENV" => Kind::Env(words::pairs(&rest, escape)?),
        "LABEL" => Kind::Label(words::pairs(&rest, escape)?),
        "WORKDIR" => Kind::Workdir(rest),
        "USER" => Kind::User(rest),
        "EXPOSE" => Kind::Expose(words()?),
        "VOLUME" => Kind::Volume(match json(&rest) {
            Some(list) => list,
            None => words()?,
        }),
        "CMD" => Kind::Cmd(command(&rest)),
        "ENTRYPOINT" => Kind::Entrypoint(command(&rest)),
        "SHELL" => match json(&rest) {
            Some(shell) if !shell.is_empty() => Kind::Shell(shell),
            _ => return Err(r#"SHELL must be a list, for example ["/bin/bash", "-c"]"#.into()),
        },
        "STOPSIGNAL" => Kind::StopSignal(rest),
        "HEALTHCHECK" => healthcheck(&flags, &rest)?,
        "ONBUILD" => Kind::Onbuild,
        "MAINTAINER" => Kind::Maintainer(rest),
        other => return Err(unknown(other)),
    })
}

fn unknown(keyword: &str) -> String {
    const KNOWN: [&str; 18] = [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ];
    let shared = |known: &&&str| {
        let common = keyword.chars().zip(known.chars()).take_while(|(a, b)| a == b).count();
        let tail = keyword.chars().rev().zip(known.chars().rev()).take_while(|(a, b)| a == b).count();
        common + tail
    };
    let near = KNOWN.iter().max_by_key(shared).filter(|known| shared(known) * 2 > keyword.len());
    match near {
        Some(near) => format!("unknown instruction `{keyword}`; did you mean `{near}`?"),
        None => format!("unknown instruction `{keyword}`"),
    }
}

/// `--name=value` words at the beginning, and the rest.
fn flags(text: &str, escape: char) -> Result<(Flags, String), String> {
    let mut flags = Flags::new();
    let mut rest = text;
    while rest.starts_with("--") {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let word = word.trim_start_matches("--");
        if word.is_empty() {
            break;
        }
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let value = value.map(|v| words::split(v, escape).map(|_| v.to_owned())).transpose()?;
        flags.push((name.to_owned(), value));
        rest = after.trim_start();
    }
    Ok((flags, rest.to_owned()))
}

fn from(flags: &Flags, words: &[String]) -> Result<Kind, String> {
    let mut platform = None;
    for (name, value) in flags {
        match name.as_str() {
            "platform" => platform = value.clone(),
            other => return Err(format!("FROM has no option `--{other}`")),
        }
    }
    match words {
        [image] => Ok(Kind::From { image: image.clone(), platform, name: None }),
        [image, as_, name] if as_.eq_ignore_ascii_case("as") => {
            let good = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if !good {
                return Err(format!("`{name}` cannot name a stage: use letters, digits, `-`, `_` and `.`"));
            }
            Ok(Kind::From { image: image.clone(), platform, name: Some(name.to_lowercase()) })
        }
        _ => Err("FROM is written `FROM image` or `FROM image AS name`".into()),
    }
}

fn arg(word: &str) -> Result<(String, Option<String>), String> {
    let (name, value) =
        word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value.to_owned())));
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if good {
        Ok((name.to_owned(), value))
    } else {
        Err(format!("`{name}` cannot be the name of an argument"))
    }
}

fn run(flags: &Flags, rest: &str, heredocs: Vec<Heredoc>) -> Result<Kind, String> {
    let mut ignored_mounts = Vec::new();
    for (name, value) in flags {
        let value = value.as_deref().unwrap_or_default();
        match (name.as_str(), value) {
            // A cache only saves time, and an empty directory only space.
            ("mount", mount)
                if ["type=cache", "type=tmpfs"].iter().any(|t| mount.split(',').any(|p| p == *t)) =>
            {
                ignored_mounts.push(mount.to_owned());
            }
            ("mount", mount) => {
                return Err(format!("RUN --mount={mount} is not supported: use COPY to bring files in"));
            }
            ("network", "default" | "host") => {}
            ("network", other) => return Err(format!("RUN --network={other} is not supported")),
            (other, _) => return Err(format!("RUN --{other} is not supported")),
        }
    }
    Ok(Kind::Run { command: command(rest), heredocs, ignored_mounts })
}

fn copy(
    flags: &Flags,
    rest: &str,
    heredocs: Vec<Heredoc>,
    escape: char,
    unpack: bool,
) -> Result<Copy, String> {
    let keyword = if unpack { "ADD" } else { "COPY" };
    let mut copy = Copy { unpack, ..Copy::default() };
    for (name, value) in flags {
        match (name.as_str(), value) {
            ("from", Some(value)) if !unpack => copy.from = Some(value.clone()),
            ("chown", Some(value)) => copy.chown = Some(value.clone()),
            ("chmod", Some(value)) => copy.chmod = Some(value.clone()),
            ("exclude", Some(value)) => copy.exclude.push(value.clone()),
            ("parents", None) => copy.parents = true,
            // Each step is a layer of its own anyway.
            ("link", _) => {}
            (other, _) => return Err(format!("{keyword} --{other} is not supported")),
        }
    }
    let words = match json(rest) {
        Some(list) => list,
        None => words::split(rest, escape)?,
    };
    let Some((destination, sources)) = words.split_last().filter(|(_, sources)| !sources.is_empty()) else {
        return Err(format!("{keyword} needs at least one source and a destination"));
    };
    destination.clone_into(&mut copy.destination);
    copy.sources = sources.iter().filter(|source| !source.starts_with("<<")).cloned().collect();
    copy.heredocs = heredocs;
    if let Some(url) = copy.sources.iter().find(|s| unpack && (s.contains("://") || s.starts_with("git@"))) {
        return Err(format!("ADD does not fetch `{url}`: download it in a RUN step, for example with curl"));
    }
    Ok(copy)
}

fn healthcheck(flags: &Flags, rest: &str) -> Result<Kind, String> {
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if word.eq_ignore_ascii_case("none") {
        return Ok(Kind::Healthcheck(None));
    }
    if !word.eq_ignore_ascii_case("cmd") || rest.trim().is_empty() {
        return Err("HEALTHCHECK is written `HEALTHCHECK [options] CMD command` or `HEALTHCHECK NONE`".into());
    }
    let mut check = Healthcheck { command: command(rest.trim()), times: Vec::new(), retries: None };
    for (name, value) in flags {
        let value = value.as_deref().unwrap_or_default();
        let bad = || format!("`--{name}={value}` is not a duration such as 30s or 1m");
        match name.as_str() {
            "interval" => check.times.push(("Interval", duration(value).ok_or_else(bad)?)),
            "timeout" => check.times.push(("Timeout", duration(value).ok_or_else(bad)?)),
            "start-period" => check.times.push(("StartPeriod", duration(value).ok_or_else(bad)?)),
            "start-interval" => check.times.push(("StartInterval", duration(value).ok_or_else(bad)?)),
            "retries" => {
                check.retries =
                    Some(value.parse().map_err(|_| format!("`--retries={value}` is not a number"))?);
            }
            other => return Err(format!("HEALTHCHECK has no option `--{other}`")),
        }
    }
    Ok(Kind::Healthcheck(Some(check)))
}

/// `1h30m`, `1.5s`, `300ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    Duration::try_from_secs_f64(total).ok().filter(|_| !text.is_empty())
}

/// A JSON list of strings is the exec form; anything else goes to the shell.
fn command(text: &str) -> Command {
    json(text).filter(|list| !list.is_empty()).map_or_else(|| Command::Shell(text.to_owned()), Command::Exec)
}

fn json(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(text: &str, expected: Expect) {
        let got = match parse(text) {
            Ok(file) => {
                file.instructions.iter().map(|i| format!("{}: {:?}\n", i.line, i.kind)).collect::<String>()
            }
            Err(fault) => fault.to_string(),
        };
        expected.assert_eq(&got);
    }

    #[test]
    fn instructions_are_understood() {
        check(
            "ARG V=1\nFROM --platform=linux/amd64 debian:$V as Base\nrun [\"a\", \"b\"]\nRUN echo \\\n  hi\nCMD [not json\n",
            expect![[r#"
                1: Arg([("V", Some("1"))])
                2: From { image: "debian:$V", platform: Some("linux/amd64"), name: Some("base") }
                3: Run { command: Exec(["a", "b"]), heredocs: [], ignored_mounts: [] }
                4: Run { command: Shell("echo   hi"), heredocs: [], ignored_mounts: [] }
                6: Cmd(Shell("[not json"))
            "#]],
        );
        check(
            "FROM scratch\nCOPY --from=0 --chown=1:2 --chmod=755 a b/ /c/\nADD [\"x y\", \"/z\"]\nHEALTHCHECK --interval=1m30s --retries=3 CMD true\n",
            expect![[r#"
                1: From { image: "scratch", platform: None, name: None }
                2: Copy(Copy { sources: ["a", "b/"], heredocs: [], destination: "/c/", from: Some("0"), chown: Some("1:2"), chmod: Some("755"), exclude: [], parents: false, unpack: false })
                3: Copy(Copy { sources: ["x y"], heredocs: [], destination: "/z", from: None, chown: None, chmod: None, exclude: [], parents: false, unpack: true })
                4: Healthcheck(Some(Healthcheck { command: Shell("true"), times: [("Interval", 90s)], retries: Some(3) }))
            "#]],
        );
    }

    #[test]
    fn mistakes_name_the_line_and_the_way_out() {
        check(
            "",
            expect!["line 1: there is no `FROM`: begin with one, for example `FROM debian:bookworm-slim`"],
        );
        check("RUN x\nFROM a", expect!["line 1: only `ARG` may come before the first `FROM`"]);
        check("FROM a\nRUNN x", expect!["line 2: unknown instruction `RUNN`; did you mean `RUN`?"]);
        check("FROM a\nFLY x", expect!["line 2: unknown instruction `FLY`"]);
        check("FROM a b", expect!["line 1: FROM is written `FROM image` or `FROM image AS name`"]);
        check("FROM a\nCOPY x", expect!["line 2: COPY needs at least one source and a destination"]);
        check("FROM a\nENV X", expect!["line 2: `X` has no value; write `X=value`"]);
        check("FROM a\nCMD", expect!["line 2: CMD needs an argument"]);
        check("FROM a\nWORKDIR --x /a", expect!["line 2: WORKDIR has no option `--x`"]);
        check(
            "FROM a\nADD https://x.invalid/y /z",
            expect![
                "line 2: ADD does not fetch `https://x.invalid/y`: download it in a RUN step, for example with curl"
            ],
        );
        check(
            "FROM a\nRUN --mount=type=secret,id=x true",
            expect!["line 2: RUN --mount=type=secret,id=x is not supported: use COPY to bring files in"],
        );
        check(
            "FROM a\nSHELL bash",
            expect![[r#"line 2: SHELL must be a list, for example ["/bin/bash", "-c"]"#]],
        );
        check("FROM a\nENV A=\"x", expect!["line 2: a quote (\") is opened but never closed"]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "((FROM|RUN|COPY|ADD|ENV|HEALTHCHECK|ARG|CMD) |[-=<\\[\\]\"'\\\\ \n]|[a-z$]{1,4}|.){0,60}") {
            let _ = parse(&text);
            let _ = parse(&format!("FROM a\n{text}"));
        }
    }
}
