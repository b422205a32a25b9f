//! Versions, delete markers and locks.

use http::Method;

use crate::support::{OWNER, Service, service};

const ON: &str = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";

async fn put(s3: &Service, key: &str, body: &str) -> String {
    s3.own(Method::PUT, key, body).await.expect(200).header("x-amz-version-id").to_owned()
}

#[tokio::test]
async fn old_versions_remain() {
    let s3 = service().await;
    s3.own(Method::PUT, "?versioning", ON).await.expect(200);
    let (first, second) = (put(&s3, "k", "one").await, put(&s3, "k", "two").await);
    assert_ne!(first, second);
    assert_eq!(s3.own(Method::GET, &format!("k?versionId={first}"), "").await.text(), "one");
    let marker = s3.own(Method::DELETE, "k", "").await.expect(204);
    assert_eq!(marker.header("x-amz-delete-marker"), "true");
    let gone = s3.own(Method::GET, "k", "").await.expect(404);
    assert_eq!(gone.header("x-amz-delete-marker"), "true");
    let named = format!("k?versionId={}", marker.header("x-amz-version-id"));
    s3.own(Method::GET, &named, "").await.expect(405);
    let listed = s3.own(Method::GET, "?versions", "").await.expect(200);
    assert_eq!(
        (listed.text().matches("<Version>").count(), listed.text().matches("<DeleteMarker>").count()),
        (2, 1)
    );
    s3.own(Method::DELETE, &named, "").await.expect(204);
    assert_eq!(s3.own(Method::GET, "k", "").await.expect(200).text(), "two");
    s3.own(Method::DELETE, &format!("k?versionId={second}"), "").await.expect(204);
    assert_eq!(s3.own(Method::GET, "k", "").await.expect(200).text(), "one");
}

#[tokio::test]
async fn locks_hold() {
    let s3 = service().await;
    let lock =
        "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>";
    s3.own(Method::PUT, "?object-lock", lock).await.expect(409);
    s3.own(Method::PUT, "?versioning", ON).await.expect(200);
    s3.own(Method::PUT, "?object-lock", lock).await.expect(200);
    let governed = [
        ("x-amz-object-lock-mode", "GOVERNANCE"),
        ("x-amz-object-lock-retain-until-date", "2100-01-01T00:00:00Z"),
    ];
    let put = s3.signed_with(OWNER, Method::PUT, "k", &governed, "x").await.expect(200);
    let version = format!("k?versionId={}", put.header("x-amz-version-id"));
    assert_eq!(s3.own(Method::DELETE, &version, "").await.expect(403).element("Code"), "AccessDenied");
    s3.own(Method::PUT, "k?legal-hold", "<LegalHold><Status>ON</Status></LegalHold>").await.expect(200);
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    s3.signed_with(OWNER, Method::DELETE, &version, &bypass, "").await.expect(403);
    s3.own(Method::PUT, "k?legal-hold", "<LegalHold><Status>OFF</Status></LegalHold>").await.expect(200);
    s3.signed_with(OWNER, Method::DELETE, &version, &bypass, "").await.expect(204);
}

#[tokio::test]
async fn tags_come_and_go() {
    let s3 = service().await;
    s3.signed_with(OWNER, Method::PUT, "k", &[("x-amz-tagging", "a=1&b=2")], "x").await.expect(200);
    assert_eq!(s3.own(Method::GET, "k", "").await.header("x-amz-tagging-count"), "2");
    let tags = "<Tagging><TagSet><Tag><Key>c</Key><Value>3</Value></Tag></TagSet></Tagging>";
    s3.own(Method::PUT, "k?tagging", tags).await.expect(200);
    let got = s3.own(Method::GET, "k?tagging", "").await.expect(200);
    assert_eq!((got.element("Key"), got.element("Value")), ("c", "3"));
    s3.own(Method::DELETE, "k?tagging", "").await.expect(204);
    assert_eq!(s3.own(Method::GET, "k", "").await.header("x-amz-tagging-count"), "");
}
