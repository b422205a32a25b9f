//! What happens without a request: lifecycle and notifications.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::Method;
use sealos_s3::{Clock, S3};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{OWNER, service, service_with, until};

const DAY: u64 = 24 * 3600;

/// A clock that a test moves, in days from now.
fn moving() -> (Arc<AtomicU64>, Clock) {
    let days = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&days);
    let clock = Clock::of(move || SystemTime::now() + Duration::from_secs(DAY * seen.load(Ordering::SeqCst)));
    (days, clock)
}

#[tokio::test]
async fn rules_expire_by_prefix_and_abort_uploads() {
    let (days, clock) = moving();
    let s3 = service_with(|config| config.clock = clock).await;
    let rules = "<LifecycleConfiguration><Rule><ID>logs</ID><Filter><Prefix>logs/</Prefix></Filter>\
        <Status>Enabled</Status><Expiration><Days>3</Days></Expiration></Rule><Rule><Filter><Prefix></Prefix></Filter>\
        <Status>Enabled</Status><AbortIncompleteMultipartUpload><DaysAfterInitiation>5</DaysAfterInitiation>\
        </AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";
    s3.own(Method::PUT, "?lifecycle", rules).await.expect(200);
    for key in ["logs/a", "kept"] {
        s3.own(Method::PUT, key, "x").await.expect(200);
    }
    s3.own(Method::POST, "big?uploads", "").await.expect(200);
    days.store(2, Ordering::SeqCst);
    s3.s3.run_lifecycle().await.expect("a round");
    s3.own(Method::HEAD, "logs/a", "").await.expect(200);
    days.store(7, Ordering::SeqCst);
    s3.s3.run_lifecycle().await.expect("a round");
    s3.own(Method::HEAD, "logs/a", "").await.expect(404);
    s3.own(Method::HEAD, "kept", "").await.expect(200);
    assert!(!s3.own(Method::GET, "?uploads", "").await.text().contains("<Upload>"));
    let tiers = rules.replace(
        "<Expiration><Days>3</Days></Expiration>",
        "<Transition><Days>1</Days>\
        <StorageClass>GLACIER</StorageClass></Transition>",
    );
    s3.own(Method::PUT, "?lifecycle", &tiers).await.expect(501);
}

#[tokio::test]
async fn rules_clear_old_versions_and_lone_markers() {
    let (days, clock) = moving();
    let s3 = service_with(|config| config.clock = clock).await;
    let on = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    s3.own(Method::PUT, "?versioning", on).await.expect(200);
    let rules = "<LifecycleConfiguration><Rule><Filter/><Status>Enabled</Status><Expiration>\
        <ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration><NoncurrentVersionExpiration>\
        <NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>";
    s3.own(Method::PUT, "?lifecycle", rules).await.expect(200);
    s3.own(Method::PUT, "k", "x").await.expect(200);
    s3.own(Method::DELETE, "k", "").await.expect(204);
    days.store(3, Ordering::SeqCst);
    s3.s3.run_lifecycle().await.expect("a round");
    s3.s3.run_lifecycle().await.expect("a round");
    let left = s3.own(Method::GET, "?versions", "").await.expect(200);
    assert!(!left.text().contains("<Key>k</Key>"), "{left:?}");
}

/// A webhook that answers each request with the next status, and hands over what it was told.
async fn webhook(statuses: Vec<u16>) -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for status in statuses {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let mut text = Vec::new();
            let mut piece = [0; 4096];
            while !String::from_utf8_lossy(&text).ends_with("]}") {
                let Ok(read) = stream.read(&mut piece).await else { return };
                text.extend_from_slice(&piece[..read]);
            }
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err()
                || sender.send(String::from_utf8_lossy(&text).into_owned()).is_err()
            {
                return;
            }
        }
    });
    (url, receiver)
}

fn notify(url: &str) -> String {
    format!(
        "<NotificationConfiguration><QueueConfiguration><Id>n</Id><Queue>{url}</Queue>\
        <Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>suffix</Name><Value>.jpg</Value></FilterRule>\
        </S3Key></Filter></QueueConfiguration></NotificationConfiguration>"
    )
}

#[tokio::test]
async fn webhooks_hear_of_events_even_after_a_failure_and_a_restart() {
    let s3 = service_with(|config| config.local_webhooks = true).await;
    let (url, mut heard) = webhook(vec![500, 200]).await;
    s3.own(Method::PUT, "?notification", &notify(&url)).await.expect(200);
    s3.own(Method::PUT, "other.txt", "x").await.expect(200);
    s3.own(Method::PUT, "cat a.jpg", "x").await.expect(200);
    let dir = s3.dir.path().join("s3");
    // The first service ends before anything was delivered.
    s3.closing.cancel();
    s3.s3.close().await;
    let mut config = sealos_s3::Config::at(&dir);
    config.local_webhooks = true;
    let again = S3::open(config).await.expect("the service again");
    let closing = CancellationToken::new();
    let background = tokio::spawn(again.clone().background(closing.clone()));
    for _ in 0..2 {
        let told = tokio::time::timeout(Duration::from_secs(20), heard.recv())
            .await
            .expect("in time")
            .expect("told");
        assert!(told.contains(r#""eventName":"ObjectCreated:Put""#) && told.contains("cat+a.jpg"), "{told}");
        assert!(told.contains(OWNER) && !told.contains("other.txt"), "{told}");
    }
    until("the queue is empty", async || {
        std::fs::read_dir(dir.join("outbox")).expect("the queue").next().is_none()
    })
    .await;
    closing.cancel();
    background.await.expect("an end");
}

#[tokio::test]
async fn destinations_that_cannot_be_told_are_refused() {
    let s3 = service().await;
    for url in ["arn:aws:sqs:us-east-1:1:q", "https://a.example/"] {
        let refused = s3.own(Method::PUT, "?notification", &notify(url)).await.expect(400);
        assert_eq!(refused.element("Code"), "InvalidArgument");
    }
}
