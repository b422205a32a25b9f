//! Stock clients against the service, each doing what people do with it. Clients that are missing are
//! installed by the machine's own package managers: Debian packages, a Python environment and a folder of
//! npm packages below the build directory.

mod programs;
mod service;

use std::path::Path;

use programs::{Tools, run};
use service::Service;

/// Each client has its own buckets, so they run side by side.
#[tokio::test(flavor = "multi_thread")]
async fn s3cmd() {
    let service = Service::start().await;
    run(&service, "sh", &[script("s3cmd.sh")], &[("S3CMD", Tools::debian("s3cmd"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone() {
    let service = Service::start().await;
    run(&service, "sh", &[script("rclone.sh")], &[("RCLONE", Tools::debian("rclone"))]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn boto3() {
    let service = Service::start().await;
    let python = Tools::python("boto3");
    run(&service, &python, &[script("boto3_suite.py")], &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript() {
    let service = Service::start().await;
    let modules =
        Tools::node(&["@aws-sdk/client-s3", "@aws-sdk/lib-storage", "@aws-sdk/s3-request-presigner"]);
    run(&service, "node", &[script("javascript.cjs")], &[("NODE_PATH", modules)]).await;
}

fn script(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name);
    path.to_str().expect("a path in UTF-8").to_owned()
}
