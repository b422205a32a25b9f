//! Who a container runs as: `user[:group]` looked up in the image's own `/etc/passwd`.

use std::path::{Path, PathBuf};

use crate::{Error, Stack};

/// A user inside a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups from `/etc/group`.
    pub groups: Vec<u32>,
    pub home: PathBuf,
}

impl Default for User {
    fn default() -> Self {
        Self { uid: 0, gid: 0, groups: Vec::new(), home: PathBuf::from("/root") }
    }
}

struct Account {
    name: String,
    uid: u32,
    gid: u32,
    home: PathBuf,
}

struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Resolves an image's `User` (`""`, `name`, `uid`, `name:group`, `uid:gid`) against its files.
pub fn resolve(stack: &Stack, spec: &str) -> Result<User, Error> {
    let (user, group) = spec.split_once(':').map_or((spec, None), |(user, group)| (user, Some(group)));
    let accounts = accounts(&text(stack, "/etc/passwd")?);
    let groups = groups(&text(stack, "/etc/group")?);
    let unknown = |what: &str, name: &str, file: &str| {
        Error::malformed(format!("user `{spec}`"), format!("the image has no {what} `{name}` in {file}"))
    };
    let by_name = |account: &&Account| account.name == user;
    let account = match (user, user.parse::<u32>()) {
        ("", _) => accounts.iter().find(|a| a.uid == 0),
        (_, Ok(uid)) => accounts.iter().find(by_name).or_else(|| accounts.iter().find(|a| a.uid == uid)),
        (name, Err(_)) => {
            Some(accounts.iter().find(by_name).ok_or_else(|| unknown("user", name, "/etc/passwd"))?)
        }
    };
    let uid = account.map_or_else(|| user.parse().unwrap_or(0), |a| a.uid);
    let gid = match group.filter(|group| !group.is_empty()) {
        None => account.map_or(0, |a| a.gid),
        Some(name) => match groups.iter().find(|g| g.name == name) {
            Some(group) => group.gid,
            None => name.parse().map_err(|_| unknown("group", name, "/etc/group"))?,
        },
    };
    let member = |g: &&Group| account.is_some_and(|a| g.members.contains(&a.name)) && g.gid != gid;
    Ok(User {
        uid,
        gid,
        // A group given by hand replaces what the account belongs to.
        groups: match group {
            None => groups.iter().filter(member).map(|g| g.gid).collect(),
            Some(_) => Vec::new(),
        },
        home: account.map_or_else(|| PathBuf::from(if uid == 0 { "/root" } else { "/" }), |a| a.home.clone()),
    })
}

fn text(stack: &Stack, path: &str) -> Result<String, Error> {
    let bytes = stack.read(Path::new(path)).map_err(Error::io("read the image's", path))?;
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

fn accounts(passwd: &str) -> Vec<Account> {
    passwd
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
            let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
            Some(Account { name: (*name).to_owned(), uid, gid, home: PathBuf::from(home) })
        })
        .collect()
}

fn groups(group: &str) -> Vec<Group> {
    group
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, gid, members] = fields.as_slice() else { return None };
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(spec: &str, expected: Expect) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\nbroken\n";
        std::fs::write(dir.path().join("etc/passwd"), passwd).unwrap();
        std::fs::write(dir.path().join("etc/group"), "root:x:0:\nssl:x:101:web,mail\nwww:x:33:web\n")
            .unwrap();
        let stack = Stack::new(vec![dir.path().to_owned()]);
        let got = match resolve(&stack, spec) {
            Ok(u) => format!("{}:{} {:?} {}", u.uid, u.gid, u.groups, u.home.display()),
            Err(e) => e.to_string(),
        };
        expected.assert_eq(&got);
    }

    #[test]
    fn users_are_looked_up_in_the_image() {
        check("", expect!["0:0 [] /root"]);
        check("web", expect!["33:33 [101] /var/www"]);
        check("33", expect!["33:33 [101] /var/www"]);
        check("web:ssl", expect!["33:101 [] /var/www"]);
        check("1000", expect!["1000:0 [] /"]);
        check("1000:2000", expect!["1000:2000 [] /"]);
        check(
            "nobody",
            expect!["user `nobody` cannot be used: the image has no user `nobody` in /etc/passwd"],
        );
        check(
            "web:nope",
            expect!["user `web:nope` cannot be used: the image has no group `nope` in /etc/group"],
        );
    }
}
