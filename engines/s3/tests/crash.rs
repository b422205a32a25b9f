//! Kills a writing process at random moments and looks at what it left: every acknowledged object is whole,
//! nothing torn is visible, and what was left behind is collected.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use libtest_mimic::{Arguments, Failed, Trial};
use rand::{Rng, SeedableRng};
use sealos_s3::store::*;

const DIR: &str = "SEALOS_S3_CRASH_DIR";
const ROUNDS: u64 = 30;
const WRITERS: u64 = 8;
const KEYS: u64 = 6;
const BUCKET: &str = "box";

fn main() -> ExitCode {
    if let Some(dir) = std::env::var_os(DIR) {
        runtime().block_on(write(Path::new(&dir)));
        return ExitCode::FAILURE;
    }
    let trial = Trial::test("acknowledged_objects_survive_kills", || match runtime().block_on(check()) {
        Ok(()) => Ok(()),
        Err(reason) => Err(Failed::from(reason)),
    });
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts")
}

fn config(dir: &Path) -> Config {
    // Small packs and eager upkeep, so that kills hit their seams too.
    let upkeep_every = Some(Duration::from_millis(50));
    Config { pack_bytes: 200_000, minimum_part: 1, upkeep_every, ..Config::at(dir) }
}

/// The bytes of a key at a turn: the turn first, the rest follows from both.
fn content(key: &str, turn: u64) -> Vec<u8> {
    let mut random = rand::rngs::StdRng::seed_from_u64(turn ^ u64::from(key.as_bytes()[0]) << 32);
    let size = match random.random_range(0..10) {
        0..6 => random.random_range(8..4000),
        6..9 => random.random_range(60_000..200_000),
        _ => random.random_range(1_000_000..3_000_000),
    };
    let mut out = Vec::with_capacity(size + 8);
    out.extend_from_slice(&turn.to_be_bytes());
    for at in 0..size as u64 / 8 {
        out.extend_from_slice(&(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at).to_le_bytes());
    }
    out
}

/// The child: writes until it is killed, saying what it tries and what was acknowledged.
async fn write(dir: &Path) {
    let store = Store::open(config(dir)).await.expect("the store opens");
    let writers = (0..WRITERS).map(|writer| tokio::spawn(one_writer(store.clone(), writer)));
    futures::future::join_all(writers).await;
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).expect("the parent listens");
}

async fn one_writer(store: Store, writer: u64) {
    // Turns go up from run to run too.
    let mut turn = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_micros() as u64;
    let mut random = rand::rngs::StdRng::seed_from_u64(turn + writer);
    loop {
        turn += 1;
        let key = format!("{}{}", char::from(b'a' + writer as u8), random.random_range(0..KEYS));
        match random.random_range(0..10) {
            0 => {
                say(&format!("try {key} {turn} delete\n"));
                let delete = Delete { key: key.clone(), ..Delete::default() };
                store.delete(BUCKET, delete).await.expect("a delete");
                say(&format!("ack {key} {turn} delete\n"));
            }
            1 => {
                say(&format!("try {key} {turn} put\n"));
                multipart(&store, &key, turn).await;
                say(&format!("ack {key} {turn} put\n"));
            }
            _ => {
                say(&format!("try {key} {turn} put\n"));
                let staged = stage(&store, content(&key, turn)).await;
                let (attributes, condition) = Default::default();
                let put = Put { key: key.clone(), staged, attributes, condition };
                store.put(BUCKET, put).await.expect("a put");
                say(&format!("ack {key} {turn} put\n"));
            }
        }
    }
}

async fn stage(store: &Store, bytes: Vec<u8>) -> Staged {
    let pieces: Vec<_> = bytes.chunks(16_384).map(Bytes::copy_from_slice).collect();
    let body = stream::iter(pieces.into_iter().map(Ok::<_, BoxError>));
    store.stage(BUCKET, Stage::default(), body, ()).await.expect("a body").0
}

async fn multipart(store: &Store, key: &str, turn: u64) {
    let bytes = content(key, turn);
    let id =
        store.create_upload(BUCKET, key, Attributes::default(), BTreeMap::new()).await.expect("an upload");
    let upload = UploadRef { bucket: BUCKET.to_owned(), key: key.to_owned(), id };
    let mut parts = Vec::new();
    for (piece, number) in bytes.chunks(bytes.len() / 2 + 1).zip(1..) {
        let staged = stage(store, piece.to_vec()).await;
        let part = store.put_part(&upload, number, staged, None).await.expect("a part");
        parts.push(CompletePart { number, etag: part.etag, checksum: None });
    }
    store.complete_upload(&upload, parts, None, Condition::default()).await.expect("a completion");
}

/// What may be there after a kill: what was acknowledged last, or what was tried after.
#[derive(Debug, Default, Clone)]
struct Known {
    acknowledged: Option<u64>,
    tried: Vec<Option<u64>>,
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// One run of the child, killed some time after its first acknowledgement.
fn run(dir: &Path, after: Duration, known: &mut BTreeMap<String, Known>) -> Result<u64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let child = Command::new(program).env(DIR, dir).stdout(Stdio::piped()).spawn();
    let mut child = Killed(child.map_err(|error| error.to_string())?);
    let lines = BufReader::new(child.0.stdout.take().ok_or("no pipe")?).lines();
    let (mut acknowledged, mut killer) = (0, None);
    let child = std::sync::Arc::new(std::sync::Mutex::new(child));
    for line in lines.map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        let [what, key, turn, kind] = words[..] else { continue };
        let turn: u64 = turn.parse().map_err(|_| format!("`{line}` has no turn"))?;
        let value = (kind == "put").then_some(turn);
        let entry = known.entry(key.to_owned()).or_default();
        if what == "try" {
            entry.tried.push(value);
            continue;
        }
        *entry = Known { acknowledged: value, tried: Vec::new() };
        acknowledged += 1;
        if killer.is_none() {
            let child = std::sync::Arc::clone(&child);
            killer = Some(std::thread::spawn(move || {
                std::thread::sleep(after);
                child.lock().expect("nobody panics").0.kill()
            }));
        }
    }
    if let Some(killer) = killer {
        drop(killer.join());
    }
    Ok(acknowledged)
}

async fn check() -> Result<(), String> {
    let dir = tempfile::TempDir::new().map_err(|error| error.to_string())?;
    let store = Store::open(config(dir.path())).await.map_err(|error| error.to_string())?;
    let user = User { name: "ann".to_owned(), ..User::default() };
    store.put_user(user).await.map_err(|error| error.to_string())?;
    store.create_bucket(BUCKET, "ann", false).await.map_err(|error| error.to_string())?;
    store.close().await;
    let mut known = BTreeMap::new();
    let (mut random, mut acknowledged) = (rand::rng(), 0);
    for round in 0..ROUNDS {
        let after = Duration::from_millis(random.random_range(0..500));
        acknowledged += run(dir.path(), after, &mut known)?;
        inspect(dir.path(), &mut known).await.map_err(|reason| format!("round {round}: {reason}"))?;
    }
    match acknowledged {
        0..500 => Err(format!("only {acknowledged} writes were acknowledged: nothing was tried")),
        _ => Ok(()),
    }
}

async fn inspect(dir: &Path, known: &mut BTreeMap<String, Known>) -> Result<(), String> {
    let quiet = Config { upkeep_every: None, ..config(dir) };
    let store = Store::open(quiet).await.map_err(|error| format!("open: {error}"))?;
    for (key, entry) in known.iter_mut() {
        let found = match store.open_object(BUCKET, key, None).await {
            Ok(opened) => Some(turn(key, opened).await?),
            Err(Error::NoSuchKey { .. }) => None,
            Err(error) => return Err(format!("{key}: {error}")),
        };
        if found != entry.acknowledged && !entry.tried.contains(&found) {
            return Err(format!("{key} is at {found:?}, though {entry:?}"));
        }
        *entry = Known { acknowledged: found, tried: Vec::new() };
    }
    let report = store.scrub(Scrub::default()).await.map_err(|error| format!("scrub: {error}"))?;
    if !report.damaged.is_empty() || !report.recounted.is_empty() {
        return Err(format!("{report:?}"));
    }
    store.upkeep().await.map_err(|error| format!("upkeep: {error}"))?;
    let again = store.upkeep().await.map_err(|error| format!("upkeep: {error}"))?;
    let report = store.scrub(Scrub::default()).await.map_err(|error| format!("scrub: {error}"))?;
    if again.orphans != 0 || !report.damaged.is_empty() {
        return Err(format!("{again:?} {report:?}"));
    }
    store.close().await;
    Ok(())
}

/// Which turn the object is from; it must be whole.
async fn turn(key: &str, opened: Opened) -> Result<u64, String> {
    let mut reader = opened.read(0..u64::MAX);
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await {
        bytes.extend_from_slice(&piece.map_err(|error| format!("{key}: {error}"))?);
    }
    let turn = bytes.first_chunk().map(|turn| u64::from_be_bytes(*turn)).ok_or(format!("{key} is cut"))?;
    match content(key, turn) == bytes {
        true => Ok(turn),
        false => Err(format!("{key} is torn at turn {turn}")),
    }
}
