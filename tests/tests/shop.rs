//! The web app that needs a database and a bucket: one small file, one command.

use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use sealos_tests::{Check, Cloud, Suite, run, until};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(60);
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/shop");
/// The smallest PNG there is: one pixel.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xff\xff?\0\x05\xfe\x02\xfe\xa75\x81\x84\0\0\0\0IEND\xaeB`\x82";

fn main() -> ExitCode {
    let checks: Vec<Check<Cloud>> = vec![
        ("the_shop_is_deployed_with_its_services_in_one_command", deploy),
        ("rows_and_pictures_are_stored_and_served", sell),
        ("the_shop_outlives_its_databases_pod", database_pod),
        ("deploying_again_keeps_database_and_bucket", again),
        ("the_long_form_by_kubectl_is_the_same", long_form),
        ("bad_services_are_refused_before_anything_is_made", bad_input),
    ];
    Suite::new(checks).main(Cloud::start)
}

fn deploy(cloud: &Cloud) -> Result<()> {
    let url = cloud.sealos(&["deploy", SOURCE, "--timeout", "420"])?.ok()?;
    ensure!(url == format!("http://shop-default.localhost:{}", cloud.http_port()), "{url}");
    ensure!(curl(cloud, &["/healthz"])? == "ok", "database and bucket answer");
    let env = cloud.kubectl(&[
        "get",
        "deployment",
        "shop",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].env}",
    ])?;
    let env: Value = serde_json::from_str(&env.ok()?).context("read the variables")?;
    let password = env.as_array().and_then(|all| all.iter().find(|v| v["name"] == "DATABASE_PASSWORD"));
    let key = &password.context("a password")?["valueFrom"]["secretKeyRef"];
    ensure!(key["name"] == "shop-db-conn-credential", "credentials are references: {key}");
    Ok(())
}

fn sell(cloud: &Cloud) -> Result<()> {
    let picture = cloud.scratch().join("pixel.png");
    std::fs::write(&picture, PNG).context("write a picture")?;
    let photo = format!("photo=@{};type=image/png", picture.display());
    let form = ["-F", "name=Teapot", "-F", "price=4.50", "-F", "stock=2", "-F", &photo];
    let made = curl(cloud, &[&["-H", "Accept: application/json"], &form[..], &["/products"]].concat())?;
    let number = serde_json::from_str::<Value>(&made).context("read the answer")?["id"].clone();
    for _ in 0..3 {
        curl(cloud, &["-X", "POST", &format!("/products/{number}/order")])?;
    }
    let listed: Value =
        serde_json::from_str(&curl(cloud, &["/products.json"])?).context("read the products")?;
    ensure!(listed[0]["name"] == "Teapot" && listed[0]["stock"] == 0 && listed[0]["sold"] == 2, "{listed}");
    let back = cloud.scratch().join("back.png");
    curl(cloud, &["-o", &back.display().to_string(), &format!("/products/{number}/photo")])?;
    ensure!(std::fs::read(&back).context("read the picture")? == PNG, "the picture comes back whole");
    let objects = cloud.sealos(&["bucket", "ls", "photos/products/"])?.ok()?;
    ensure!(objects.contains(".png"), "it is in the bucket: {objects}");
    Ok(())
}

fn database_pod(cloud: &Cloud) -> Result<()> {
    let selector = "app.kubernetes.io/instance=shop-db";
    cloud.kubectl(&["delete", "pod", "-l", selector, "--grace-period=0", "--force", "--wait=true"])?.ok()?;
    until(LIMIT, || {
        let listed = curl(cloud, &["/products.json"])?;
        ensure!(listed.contains("Teapot"), "{listed}");
        Ok(())
    })
}

fn again(cloud: &Cloud) -> Result<()> {
    let uid = || cloud.kubectl(&["get", "cluster", "shop-db", "-o", "jsonpath={.metadata.uid}"])?.ok();
    let before = uid()?;
    cloud.sealos(&["deploy", SOURCE, "--timeout", "420"])?.ok()?;
    ensure!(uid()? == before, "the database is the same");
    ensure!(curl(cloud, &["/products.json"])?.contains("Teapot"), "with its rows");
    cloud.sealos(&["delete", "shop", "--yes"])?.ok()?;
    ensure!(uid()? == before, "data outlives the app that used it");
    Ok(())
}

/// `kubernetes.yaml` with kubectl: the same database, the same bucket, the same rows.
fn long_form(cloud: &Cloud) -> Result<()> {
    cloud.sealos(&["build", SOURCE, "--tag", "shop:1"])?.ok()?;
    cloud.kubectl(&["apply", "-f", &format!("{SOURCE}/kubernetes.yaml")])?.ok()?;
    cloud.kubectl(&["rollout", "status", "deployment/shop", "--timeout=120s"])?.ok()?;
    until(LIMIT, || {
        let host = format!("http://shop.localhost:{}", cloud.http_port());
        let listed = fetch(cloud, "shop.localhost", &[&format!("{host}/products.json")])?;
        ensure!(listed.contains("Teapot"), "{listed}");
        Ok(())
    })
}

fn bad_input(cloud: &Cloud) -> Result<()> {
    let dir = cloud.scratch().join("bad");
    std::fs::create_dir_all(&dir).context("make a directory")?;
    let manifest = "name: bad\nimage: shop:1\ndatabase: {engine: oracle, replicas: 0}\nbucket: No Bucket\n";
    std::fs::write(dir.join("sealos.yaml"), manifest).context("write a manifest")?;
    let said = cloud.sealos(&["deploy", &dir.display().to_string()])?.err()?;
    for what in
        ["`oracle` is no engine; take one of postgres", "one replica at least", "not a valid bucket name"]
    {
        ensure!(said.contains(what), "`{what}` is missing in: {said}");
    }
    let clusters = cloud.kubectl(&["get", "clusters", "-o", "name"])?.ok()?;
    ensure!(!clusters.contains("bad"), "nothing was made: {clusters}");
    Ok(())
}

/// The last argument is a path of the shop.
fn curl(cloud: &Cloud, args: &[&str]) -> Result<String> {
    let (path, flags) = args.split_last().context("a path")?;
    let url = format!("http://shop-default.localhost:{}{path}", cloud.http_port());
    fetch(cloud, "shop-default.localhost", &[flags, &[url.as_str()]].concat())
}

fn fetch(cloud: &Cloud, host: &str, args: &[&str]) -> Result<String> {
    let resolve = format!("{host}:{}:127.0.0.1", cloud.http_port());
    run(Command::new("curl").args(["-sS", "--fail", "--max-time", "30", "--resolve", &resolve]).args(args))?
        .ok()
}
