//! How fast pods come and go. The limits are generous: the tests run unoptimised, on busy machines.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::cloud::Cloud;
use crate::{Test, Work};

pub(crate) const TESTS: &[Test] = &[("one_pod_is_ready_soon", one_pod), ("fifty_pods", fifty)];

fn one_pod(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        for round in 0..5 {
            let name = format!("p{round}");
            let begun = Instant::now();
            cloud
                .pod(
                    &name,
                    json!({"containers": [{"name": "c", "command": ["sh", "-c", "httpd -f -p 80 -h /etc"],
                        "readinessProbe": {"httpGet": {"port": 80, "path": "/passwd"}}}]}),
                )
                .await;
            cloud.until_ready(&name).await;
            let up = begun.elapsed();
            let begun = Instant::now();
            cloud.delete(&name).await;
            println!("ready after {up:?}, deleted after {:?}", begun.elapsed());
            assert!(up < Duration::from_secs(2));
        }
    })
}

fn fifty(cloud: &mut Cloud) -> Work<'_> {
    Box::pin(async {
        let begun = Instant::now();
        for i in 0..50 {
            let sleeper =
                json!({"name": "c", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]});
            cloud.pod(&format!("p{i}"), json!({"containers": [sleeper]})).await;
        }
        for i in 0..50 {
            cloud.until_ready(&format!("p{i}")).await;
        }
        println!("50 pods ready after {:?}", begun.elapsed());
        let begun = Instant::now();
        let deletions = (0..50).map(|i| {
            let cloud = &*cloud;
            async move { cloud.delete(&format!("p{i}")).await }
        });
        futures::future::join_all(deletions).await;
        println!("50 pods deleted after {:?}", begun.elapsed());
    })
}
