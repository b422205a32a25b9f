//! Logs as files on disk, read back in all the ways that clients ask for.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use super::*;

fn append(path: &std::path::Path, from: u32, to: u32) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    for number in from..to {
        writeln!(file, "2026-11-24T01:00:{:02}.000000000Z stdout F line {number}", number % 60).unwrap();
    }
}

async fn read(path: &std::path::Path, wish: Wish) -> String {
    let (pieces, mut stream) = mpsc::channel(1024);
    let mut output = Output { pieces, buffer: BytesMut::new(), left: wish.limit };
    let mut reader = Reader::open(path, wish.tail);
    let mut enough = false;
    while let Some(line) = reader.next_line() {
        let entry = Entry::parse(&line).unwrap();
        let begins = reader.begins_line(&entry);
        if wish.since.is_some_and(|since| entry.time().unwrap() < since) {
            continue;
        }
        if output.write(&wish, &entry, begins).await.is_err() {
            enough = true;
            break;
        }
    }
    if !enough {
        output.flush().await.ok();
    }
    drop(output);
    let mut text = Vec::new();
    while let Some(piece) = stream.recv().await {
        text.extend(piece.unwrap());
    }
    String::from_utf8(text).unwrap()
}

fn rotated() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    append(&dir.path().join("0.log.2"), 0, 3);
    append(&dir.path().join("0.log.1"), 3, 6);
    append(&path, 6, 9);
    (dir, path)
}

fn lines(from: u32, to: u32) -> String {
    (from..to).map(|number| format!("line {number}\n")).collect()
}

#[tokio::test]
async fn files_are_read_in_order() {
    let (_dir, path) = rotated();
    assert_eq!(read(&path, Wish::default()).await, lines(0, 9));
}

#[tokio::test]
async fn the_last_lines_reach_back_over_files() {
    let (_dir, path) = rotated();
    for tail in 0..12 {
        let text = read(&path, Wish { tail: Some(tail), ..Wish::default() }).await;
        assert_eq!(text, lines(9 - u32::try_from(tail).unwrap().min(9), 9), "{tail}");
    }
}

#[tokio::test]
async fn many_last_lines_cross_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    append(&path, 0, 5000);
    assert_eq!(read(&path, Wish { tail: Some(4321), ..Wish::default() }).await, lines(5000 - 4321, 5000));
}

#[tokio::test]
async fn a_limit_cuts_exactly() {
    let (_dir, path) = rotated();
    assert_eq!(read(&path, Wish { limit: Some(10), ..Wish::default() }).await, "line 0\nlin");
}

#[tokio::test]
async fn times_filter_and_are_shown() {
    let (_dir, path) = rotated();
    let since = Some("2026-11-24T01:00:08Z".parse().unwrap());
    let wish = Wish { since, timestamps: true, ..Wish::default() };
    assert_eq!(read(&path, wish).await, "2026-11-24T01:00:08.000000000Z line 8\n");
}

#[tokio::test]
async fn parts_of_a_line_are_joined() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    fs::write(&path, "T1 stdout P one \nT2 stdout P two \nT3 stdout F three\nT4 stdout F next\n").unwrap();
    let wish = Wish { timestamps: true, ..Wish::default() };
    assert_eq!(read(&path, wish).await, "T1 one two three\nT4 next\n");
}

#[test]
fn reading_goes_on_in_the_next_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let mut reader = Reader::open(&path, None);
    assert!(reader.next_line().is_none(), "nothing is written yet");
    append(&path, 0, 1);
    assert!(reader.next_line().is_some());
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"half a ").unwrap();
    assert!(reader.next_line().is_none());
    file.write_all(b"line\n").unwrap();
    assert_eq!(reader.next_line().unwrap(), b"half a line");
    fs::rename(&path, dir.path().join("0.log.1")).unwrap();
    append(&path, 1, 2);
    assert!(reader.next_line().unwrap().ends_with(b"line 1"));
    assert!(reader.next_line().is_none());
}

#[tokio::test]
async fn a_change_wakes_the_watch() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("0.log");
    let mut watch = Watch::new(&path).unwrap();
    append(&path, 0, 1);
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap().unwrap();
}
