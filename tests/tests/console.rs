//! The console in Chromium against a real cloud; the browser's part is `cloud/console/web/e2e`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Result, ensure};
use sealos_tests::{Check, Cloud, Suite, busybox_context, need, run};

fn main() -> ExitCode {
    let checks: Vec<Check<Cloud>> = vec![("people_use_the_console_in_a_browser", browser)];
    Suite::new(checks).main(|| {
        need("chromium", "chromium")?;
        let cloud = Cloud::start()?;
        let serve = "RUN echo hello > /www/index.html\nEXPOSE 8080\nCMD [\"httpd\", \"-f\", \"-v\", \"-p\", \"8080\", \"-h\", \"/www\"]";
        let context = busybox_context(cloud.scratch(), serve)?;
        cloud.sealos(&["build", &context.display().to_string(), "--tag", "sealos.local/test/web:1"])?.ok()?;
        Ok(cloud)
    })
}

fn browser(cloud: &Cloud) -> Result<()> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cloud/console/web");
    if !web.join("node_modules").exists() {
        run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&web))?.ok()?;
    }
    let link = cloud.sealos(&["console"])?.ok()?;
    let mut npm = Command::new("npm");
    npm.args(["run", "e2e"]).current_dir(&web).env("SEALOS_CONSOLE_LINK", &link);
    let done = run(npm.env("SEALOS_E2E_IMAGE", "sealos.local/test/web:1"))?;
    let said = format!("{}{}", done.stdout, done.stderr);
    ensure!(done.code == 0 && said.contains("passed, 0 failed"), "{said}");
    Ok(())
}
