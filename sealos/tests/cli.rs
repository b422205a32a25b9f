//! What the program says without any cloud.

use std::process::{Command, Output};

fn sealos(args: &[&str]) -> Output {
    let nowhere = std::env::temp_dir().join("sealos-nowhere");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sealos"));
    command.args(args).env("SEALOS_DATA_DIR", nowhere).output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn help_names_every_command() {
    let help = text(&sealos(&["--help"]).stdout);
    for command in ["up", "down", "deploy", "apps", "logs", "exec", "scale", "image", "build", "kubeconfig"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is missing in:\n{help}");
    }
}

#[test]
fn without_a_cloud_every_command_says_how_to_start_one() {
    for args in
        [&["apps"][..], &["status"], &["deploy", "nginx"], &["logs", "x"], &["console"], &["image", "ls"]]
    {
        let output = sealos(args);
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{args:?}");
        assert!(said.contains("sealos up") && said.lines().count() == 1, "{args:?}: {said}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_wrong_flag_is_named() {
    let output = sealos(&["deploy", "nginx", "--replicsa", "2"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--replicas"), "{}", text(&output.stderr));
}

#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let output = Command::new("sh")
        .args(["-c", "\"$0\" man | head -n 1", env!("CARGO_BIN_EXE_sealos")])
        .output()
        .expect("a shell runs");
    assert!(output.status.success());
    assert_eq!(text(&output.stderr), "");
}
