//! Who may: signatures, other users, everybody, keys for one bucket.

use std::time::Duration;

use http::Method;
use sealos_s3::{AccessKey, Canned, Presign, Quota, Scope, User};

use crate::support::{BUCKET, OWNER, service};

#[tokio::test]
async fn signatures_are_checked() {
    let s3 = service().await;
    s3.own(Method::PUT, "k", "x").await.expect(200);
    let anonymous = s3.plain(Method::GET, "/photos/k", &[], "").await.expect(403);
    assert_eq!(anonymous.element("Code"), "AccessDenied");
    s3.s3.put_user(User { name: "eve".into(), ..User::default() }, "other").await.expect("a user");
    s3.signed("eve", Method::GET, "k", "").await.expect(403);
    let stale = format!(
        "/photos/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=alice%2F20260101%2Fus-east-1%2Fs3%2Faws4_request\
        &X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
        "0".repeat(64)
    );
    let expired = s3.plain(Method::GET, &stale, &[], "").await.expect(403);
    assert!(expired.element("Message").contains("expired"), "{expired:?}");
    let base = format!("http://{}", s3.address);
    let presign = Presign {
        method: "GET",
        bucket: BUCKET,
        key: "k",
        access_key: OWNER,
        expires: Duration::from_secs(60),
        base: &base,
        query: &[],
    };
    let url = s3.s3.presign(presign).await.expect("a URL");
    let path = url.strip_prefix(&base).expect("our base");
    s3.plain(Method::GET, path, &[], "").await.expect(200);
    let forged = s3.plain(Method::GET, &path.replace("/k?", "/l?"), &[], "").await.expect(403);
    assert_eq!(forged.element("Code"), "SignatureDoesNotMatch");
    let unknown = s3.plain(Method::GET, &path.replace("=alice", "=nobody"), &[], "").await.expect(403);
    assert_eq!(unknown.element("Code"), "InvalidAccessKeyId");
}

#[tokio::test]
async fn canned_policies_open_for_everybody() {
    let s3 = service().await;
    s3.own(Method::PUT, "k", "x").await.expect(200);
    let anybody = async |method: Method, path: &str| s3.plain(method, path, &[], "y").await.status.as_u16();
    s3.s3.set_canned_policy(BUCKET, Canned::PublicRead).await.expect("a policy");
    assert_eq!(anybody(Method::GET, "/photos/k").await, 200);
    assert_eq!(anybody(Method::GET, "/photos").await, 200);
    assert_eq!(anybody(Method::PUT, "/photos/k").await, 403);
    s3.s3.set_canned_policy(BUCKET, Canned::PublicReadwrite).await.expect("a policy");
    assert_eq!(anybody(Method::PUT, "/photos/new").await, 200);
    assert_eq!(anybody(Method::GET, "/photos?policy").await, 403);
    s3.s3.set_canned_policy(BUCKET, Canned::Private).await.expect("a policy");
    assert_eq!(anybody(Method::GET, "/photos/k").await, 403);
}

#[tokio::test]
async fn bucket_policies_decide() {
    let s3 = service().await;
    for key in ["open/k", "closed/k"] {
        s3.own(Method::PUT, key, "x").await.expect(200);
    }
    let policy = r#"{"Version":"2012-10-17","Statement":[
        {"Effect":"Allow","Principal":{"AWS":"bob"},"Action":["s3:GetObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::photos/*"},
        {"Effect":"Allow","Principal":"*","Action":"s3:ListBucket","Resource":"arn:aws:s3:::photos",
         "Condition":{"StringLike":{"s3:prefix":"open/*"}}},
        {"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/closed/*"}]}"#;
    s3.own(Method::PUT, "?policy", policy).await.expect(204);
    s3.signed("bob", Method::GET, "open/k", "").await.expect(200);
    s3.signed("bob", Method::GET, "closed/k", "").await.expect(403);
    s3.own(Method::GET, "closed/k", "").await.expect(403);
    s3.signed("bob", Method::PUT, "open/k", "y").await.expect(403);
    s3.plain(Method::GET, "/photos?prefix=open/", &[], "").await.expect(200);
    s3.plain(Method::GET, "/photos?prefix=closed/", &[], "").await.expect(403);
    let many = "<Delete><Object><Key>open/k</Key></Object></Delete>";
    s3.plain(Method::POST, "/photos?delete", &[], many).await.expect(200);
    s3.own(Method::HEAD, "open/k", "").await.expect(200);
    let odd = policy.replace("s3:prefix", "aws:PrincipalOrgID");
    assert_eq!(s3.own(Method::PUT, "?policy", &odd).await.expect(400).element("Code"), "MalformedPolicy");
    s3.own(Method::DELETE, "?policy", "").await.expect(204);
    s3.own(Method::GET, "closed/k", "").await.expect(200);
}

#[tokio::test]
async fn a_key_for_one_bucket_opens_that_one() {
    let s3 = service().await;
    s3.s3.create_bucket("other", OWNER).await.expect("a bucket");
    let key = |bucket: &str| AccessKey {
        access_key: format!("{bucket}-key"),
        secret: "s".into(),
        user: OWNER.into(),
        scope: Scope::Bucket(bucket.into()),
    };
    s3.s3.put_key(key(BUCKET)).await.expect("a key");
    s3.s3.put_key(key("other")).await.expect("a key");
    s3.signed("photos-key", Method::PUT, "k", "x").await.expect(200);
    s3.signed("other-key", Method::GET, "k", "").await.expect(403);
    s3.s3.remove_key("photos-key").await.expect("a removal");
    let base = s3.signed("other-key", Method::GET, "?list-type=2", "").await.expect(403);
    assert_eq!(base.element("Code"), "AccessDenied");
}

#[tokio::test]
async fn quotas_stop_writes_and_nothing_else() {
    let s3 = service().await;
    s3.own(Method::PUT, "k", "12345").await.expect(200);
    let quota = Quota { bytes: Some(8), ..Quota::default() };
    let user = User { name: OWNER.into(), quota, ..User::default() };
    s3.s3.put_user(user.clone(), "secret").await.expect("a user");
    assert_eq!(s3.own(Method::PUT, "l", "12345").await.expect(403).element("Code"), "QuotaExceeded");
    s3.own(Method::GET, "k", "").await.expect(200);
    s3.own(Method::DELETE, "k", "").await.expect(204);
    s3.own(Method::PUT, "l", "12345").await.expect(200);
    s3.s3.put_user(User { deny_write: true, ..user }, "secret").await.expect("a user");
    s3.own(Method::PUT, "m", "1").await.expect(403);
    assert_eq!(s3.s3.bucket_usage(BUCKET).await.expect("usage").bytes, 5);
}
