//! Which stages there are, which of them the target needs, and in what order.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Fault;
use super::instruction::{Dockerfile, Instruction, Kind};
use super::words;

/// A stage that will be built.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) line: usize,
    /// The `FROM` as written.
    pub(super) text: String,
    pub(super) base: Base,
    pub(super) instructions: Vec<Instruction>,
    /// What each `COPY --from` of the stage means, by what is written there.
    pub(super) copies_from: BTreeMap<String, Origin>,
}

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Scratch,
    Stage(usize),
    Image(String),
}

/// Where `COPY --from` copies from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Stage(usize),
    Image(String),
}

/// Everything there is to build.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// By position in the file; only what the target needs.
    pub(super) stages: BTreeMap<usize, Stage>,
    pub(super) target: usize,
    /// `ARG`s before the first `FROM`, with the values they have.
    pub(super) global_args: BTreeMap<String, String>,
}

/// What the caller of a build may set.
pub(super) struct Wishes<'a> {
    pub(super) args: &'a BTreeMap<String, String>,
    pub(super) target: Option<&'a str>,
    /// `TARGETPLATFORM` and the like.
    pub(super) platform_args: &'a BTreeMap<String, String>,
}

struct Draft {
    stage: Stage,
    name: Option<String>,
}

/// Resolves names of stages, and leaves out what the target does not need.
pub(super) fn plan(file: &Dockerfile, wishes: &Wishes<'_>) -> Result<Plan, Fault> {
    let (global_args, rest) = global_args(file, wishes)?;
    let drafts = drafts(file, rest, &global_args, wishes)?;
    let target = match wishes.target {
        None => drafts.len().saturating_sub(1),
        Some(wanted) => find(&drafts, wanted, drafts.len()).ok_or_else(|| no_such_target(&drafts, wanted))?,
    };
    let mut needed = BTreeSet::new();
    let mut todo = vec![target];
    while let Some(index) = todo.pop() {
        let Some(draft) = drafts.get(index).filter(|_| needed.insert(index)) else { continue };
        if let Base::Stage(base) = draft.stage.base {
            todo.push(base);
        }
        todo.extend(draft.stage.copies_from.values().filter_map(|origin| match origin {
            Origin::Stage(index) => Some(*index),
            Origin::Image(_) => None,
        }));
    }
    let stages = drafts.into_iter().map(|draft| draft.stage).enumerate().filter(|(i, _)| needed.contains(i));
    Ok(Plan { stages: stages.collect(), target, global_args })
}

fn global_args<'a>(
    file: &'a Dockerfile,
    wishes: &Wishes<'_>,
) -> Result<(BTreeMap<String, String>, &'a [Instruction]), Fault> {
    let mut values = wishes.platform_args.clone();
    let first = file.instructions.iter().position(|i| matches!(i.kind, Kind::From { .. })).unwrap_or(0);
    let (before, rest) = file.instructions.split_at(first);
    for instruction in before {
        let Kind::Arg(args) = &instruction.kind else { continue };
        for (name, default) in args {
            let value = match (wishes.args.get(name), default) {
                (Some(value), _) => Some(value.clone()),
                (None, Some(default)) => Some(
                    words::expand(default, &values, file.escape)
                        .map_err(|e| Fault::new(instruction.line, e))?,
                ),
                (None, None) => None,
            };
            if let Some(value) = value {
                values.insert(name.clone(), value);
            }
        }
    }
    Ok((values, rest))
}

fn drafts(
    file: &Dockerfile,
    instructions: &[Instruction],
    global_args: &BTreeMap<String, String>,
    wishes: &Wishes<'_>,
) -> Result<Vec<Draft>, Fault> {
    let mut drafts: Vec<Draft> = Vec::new();
    for instruction in instructions {
        let fault = |reason: String| Fault::new(instruction.line, reason);
        if let Kind::From { image, platform, name } = &instruction.kind {
            check_platform(platform.as_deref(), file, global_args, wishes).map_err(fault)?;
            let image = words::expand(image, global_args, file.escape).map_err(fault)?;
            let base = base(&drafts, &image).map_err(fault)?;
            let stage = Stage {
                line: instruction.line,
                text: instruction.text.clone(),
                base,
                instructions: Vec::new(),
                copies_from: BTreeMap::new(),
            };
            drafts.push(Draft { stage, name: name.clone() });
            continue;
        }
        if let Kind::Copy(copy) = &instruction.kind
            && let Some(from) = &copy.from
        {
            let current = drafts.len().saturating_sub(1);
            let origin = origin(&drafts, from, current, global_args, file.escape).map_err(fault)?;
            if let Some(draft) = drafts.last_mut() {
                draft.stage.copies_from.insert(from.clone(), origin);
            }
        }
        if let Some(draft) = drafts.last_mut() {
            draft.stage.instructions.push(instruction.clone());
        }
    }
    Ok(drafts)
}

fn base(drafts: &[Draft], image: &str) -> Result<Base, String> {
    if image.is_empty() {
        return Err("the image's name is empty: is the ARG that it uses set before the first FROM?".into());
    }
    if image == "scratch" {
        return Ok(Base::Scratch);
    }
    let named = drafts.iter().rposition(|draft| draft.name.as_deref() == Some(&image.to_lowercase()));
    Ok(named.map_or_else(|| Base::Image(image.to_owned()), Base::Stage))
}

fn origin(
    drafts: &[Draft],
    from: &str,
    current: usize,
    variables: &BTreeMap<String, String>,
    escape: char,
) -> Result<Origin, String> {
    let from = words::expand(from, variables, escape)?;
    if let Some(index) = find(drafts, &from, current) {
        return Ok(Origin::Stage(index));
    }
    if from.parse::<usize>().is_ok() {
        return Err(format!("--from={from}: there is no stage {from} before this one"));
    }
    if drafts.get(current).is_some_and(|draft| draft.name.as_deref() == Some(&from.to_lowercase())) {
        return Err(format!("--from={from}: a stage cannot copy from itself"));
    }
    Ok(Origin::Image(from))
}

/// A stage before `end`, by name or number.
fn find(drafts: &[Draft], wanted: &str, end: usize) -> Option<usize> {
    let before = drafts.get(..end).unwrap_or_default();
    let named = before.iter().rposition(|draft| draft.name.as_deref() == Some(&wanted.to_lowercase()));
    named.or_else(|| wanted.parse().ok().filter(|index| *index < before.len()))
}

fn no_such_target(drafts: &[Draft], wanted: &str) -> Fault {
    let names: Vec<&str> = drafts.iter().filter_map(|draft| draft.name.as_deref()).collect();
    let known = if names.is_empty() {
        "no stage has a name".into()
    } else {
        format!("there is {}", names.join(", "))
    };
    Fault::new(1, format!("there is no stage `{wanted}` to build; {known}"))
}

fn check_platform(
    platform: Option<&str>,
    file: &Dockerfile,
    variables: &BTreeMap<String, String>,
    wishes: &Wishes<'_>,
) -> Result<(), String> {
    let Some(platform) = platform else { return Ok(()) };
    let platform = words::expand(platform, variables, file.escape)?;
    let here = wishes.platform_args.get("TARGETPLATFORM").map_or("", String::as_str);
    if platform.is_empty() || platform == here || here.strip_prefix("linux/") == Some(platform.as_str()) {
        return Ok(());
    }
    Err(format!("--platform={platform}: this machine builds for {here} only"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::super::instruction::parse;
    use super::*;

    fn check(text: &str, target: Option<&str>, expected: Expect) {
        let platform_args = [("TARGETPLATFORM".to_owned(), "linux/amd64".to_owned())].into();
        let wishes = Wishes { args: &BTreeMap::new(), target, platform_args: &platform_args };
        let got = match plan(&parse(text).unwrap(), &wishes) {
            Ok(plan) => {
                plan.stages.iter().map(|(i, s)| format!("{i}: {:?} {:?}\n", s.base, s.copies_from)).collect()
            }
            Err(fault) => fault.to_string(),
        };
        expected.assert_eq(&got);
    }

    const FILE: &str = "ARG V=12\nFROM debian:$V AS build\nFROM golang AS unused\nFROM scratch AS a\n\
                        COPY --from=build /x /x\nFROM a\nCOPY --from=0 /y /\nCOPY --from=busybox /z /\n";

    #[test]
    fn only_what_the_target_needs_is_planned() {
        check(
            FILE,
            None,
            expect![[r#"
                0: Image("debian:12") {}
                2: Scratch {"build": Stage(0)}
                3: Stage(2) {"0": Stage(0), "busybox": Image("busybox")}
            "#]],
        );
        check(
            FILE,
            Some("unused"),
            expect![[r#"
            1: Image("golang") {}
        "#]],
        );
        check(
            FILE,
            Some("nope"),
            expect!["line 1: there is no stage `nope` to build; there is build, unused, a"],
        );
    }

    #[test]
    fn impossible_references_are_refused() {
        check(
            "FROM a\nCOPY --from=3 x y",
            None,
            expect!["line 2: --from=3: there is no stage 3 before this one"],
        );
        check(
            "FROM a AS b\nCOPY --from=b x y",
            None,
            expect!["line 2: --from=b: a stage cannot copy from itself"],
        );
        check(
            "FROM $X",
            None,
            expect!["line 1: the image's name is empty: is the ARG that it uses set before the first FROM?"],
        );
        check(
            "FROM --platform=linux/s390x a",
            None,
            expect!["line 1: --platform=linux/s390x: this machine builds for linux/amd64 only"],
        );
    }
}
