//! What browsers do: CORS, forms, websites.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use sealos_s3::Canned;

use crate::support::{BUCKET, Service, service};

const CORS: &str = "<CORSConfiguration><CORSRule><AllowedOrigin>https://*.example.org</AllowedOrigin>\
    <AllowedMethod>PUT</AllowedMethod><AllowedMethod>GET</AllowedMethod><AllowedHeader>x-amz-*</AllowedHeader>\
    <ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>300</MaxAgeSeconds></CORSRule></CORSConfiguration>";

async fn website(s3: &Service) {
    let site = "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>\
        <ErrorDocument><Key>404.html</Key></ErrorDocument><RoutingRules><RoutingRule><Condition><KeyPrefixEquals>old/\
        </KeyPrefixEquals></Condition><Redirect><ReplaceKeyPrefixWith>new/</ReplaceKeyPrefixWith></Redirect>\
        </RoutingRule></RoutingRules></WebsiteConfiguration>";
    s3.own(Method::PUT, "?website", site).await.expect(200);
    s3.s3.set_canned_policy(BUCKET, Canned::PublicRead).await.expect("a policy");
    for (key, body) in [("index.html", "home"), ("docs/index.html", "docs"), ("404.html", "lost")] {
        s3.own(Method::PUT, key, body).await.expect(200);
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_let_in_by_rule() {
    let s3 = service().await;
    let ask = [
        ("origin", "https://shop.example.org"),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "x-amz-date"),
    ];
    s3.plain(Method::OPTIONS, "/photos/k", &ask, "").await.expect(403);
    s3.own(Method::PUT, "?cors", CORS).await.expect(200);
    let granted = s3.plain(Method::OPTIONS, "/photos/k", &ask, "").await.expect(200);
    assert_eq!(granted.header("access-control-allow-origin"), "https://shop.example.org");
    assert_eq!(granted.header("access-control-max-age"), "300");
    let other = [("origin", "https://evil.example"), ask[1]];
    s3.plain(Method::OPTIONS, "/photos/k", &other, "").await.expect(403);
    let got = s3.plain(Method::GET, "/photos/k", &[ask[0]], "").await.expect(403);
    assert_eq!(got.header("access-control-allow-origin"), "https://shop.example.org");
    assert_eq!(got.header("access-control-expose-headers"), "ETag");
}

#[tokio::test]
async fn buckets_are_websites_on_hosts_of_their_own() {
    let s3 = service().await;
    website(&s3).await;
    let host = [("host", "photos.web.s3.localhost")];
    let visit = async |path: &str| s3.plain(Method::GET, path, &host, "").await;
    assert_eq!(visit("/").await.expect(200).text(), "home");
    assert_eq!(visit("/docs/").await.expect(200).text(), "docs");
    assert_eq!(visit("/docs").await.expect(302).header("location"), "/docs/");
    assert_eq!(visit("/nothing").await.expect(404).text(), "lost");
    let moved = visit("/old/page").await.expect(301);
    assert_eq!(moved.header("location"), "http://photos.web.s3.localhost/new/page");
    s3.plain(Method::PUT, "/k", &host, "x").await.expect(405);
    let none = [("host", "other.web.s3.localhost")];
    s3.plain(Method::GET, "/", &none, "").await.expect(404);
    s3.s3.set_canned_policy(BUCKET, Canned::Private).await.expect("a policy");
    visit("/").await.expect(403);
}

#[tokio::test]
async fn buckets_are_found_by_host() {
    let s3 = service().await;
    s3.own(Method::PUT, "a/b", "x").await.expect(200);
    s3.s3.set_canned_policy(BUCKET, Canned::PublicRead).await.expect("a policy");
    let got = s3.plain(Method::GET, "/a/b", &[("host", "photos.s3.localhost:9000")], "").await.expect(200);
    assert_eq!(got.text(), "x");
}

/// A form with an anonymous upload, which the canned policy allows.
#[tokio::test]
async fn forms_upload() {
    let s3 = service().await;
    let form = |fields: &str| {
        format!(
            "{fields}--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"cat.jpg\"\r\n\
            Content-Type: image/jpeg\r\n\r\nmeow\r\n--b--\r\n"
        )
    };
    let field = |name: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let kind = [("content-type", "multipart/form-data; boundary=b")];
    let body = form(&(field("key", "up/cat.jpg") + &field("success_action_status", "201")));
    s3.plain(Method::POST, "/photos", &kind, &body).await.expect(403);
    s3.s3.set_canned_policy(BUCKET, Canned::PublicReadwrite).await.expect("a policy");
    s3.plain(Method::POST, "/photos", &kind, &body).await.expect(201);
    assert_eq!(s3.own(Method::GET, "up/cat.jpg", "").await.expect(200).text(), "meow");
    let policy =
        STANDARD.encode(r#"{"expiration":"2000-01-01T00:00:00Z","conditions":[{"bucket":"photos"}]}"#);
    let body = form(&(field("key", "k") + &field("policy", &policy)));
    s3.plain(Method::POST, "/photos", &kind, &body).await.expect(403);
}
