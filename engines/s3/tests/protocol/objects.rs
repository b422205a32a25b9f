//! Objects: put, get, ranges, conditions, checksums, copies, listings, uploads in parts.

use http::Method;

use crate::support::{BUCKET, OWNER, service};

#[tokio::test]
async fn what_was_put_comes_back() {
    let s3 = service().await;
    let headers =
        [("content-type", "text/plain"), ("x-amz-meta-colour", "blue"), ("cache-control", "no-store")];
    let put = s3.signed_with(OWNER, Method::PUT, "a b/ü+c", &headers, "hello").await.expect(200);
    assert_eq!(put.header("etag"), "\"5d41402abc4b2a76b9719d911017c592\"");
    let got = s3.own(Method::GET, "a b/ü+c", "").await.expect(200);
    assert_eq!(got.text(), "hello");
    for (name, value) in headers {
        assert_eq!(got.header(name), value);
    }
    let head = s3.own(Method::HEAD, "a b/ü+c", "").await.expect(200);
    assert_eq!((head.header("content-length"), head.body.len()), ("5", 0));
    s3.own(Method::DELETE, "a b/ü+c", "").await.expect(204);
    let gone = s3.own(Method::GET, "a b/ü+c", "").await.expect(404);
    assert_eq!(gone.element("Code"), "NoSuchKey");
}

#[tokio::test]
async fn ranges_and_overrides() {
    let s3 = service().await;
    s3.own(Method::PUT, "k", "0123456789").await.expect(200);
    for (range, text, shown) in [
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=5-100", "56789", "bytes 5-9/10"),
    ] {
        let got = s3.signed_with(OWNER, Method::GET, "k", &[("range", range)], "").await.expect(206);
        assert_eq!((got.text(), got.header("content-range")), (text, shown));
    }
    let beyond = s3.signed_with(OWNER, Method::GET, "k", &[("range", "bytes=10-")], "").await.expect(416);
    assert_eq!(beyond.element("Code"), "InvalidRange");
    let got = s3.own(Method::GET, "k?response-content-type=text/x&response-cache-control=no-cache", "").await;
    assert_eq!((got.header("content-type"), got.header("cache-control")), ("text/x", "no-cache"));
}

#[tokio::test]
async fn conditions_hold_or_refuse() {
    let s3 = service().await;
    let etag = s3.own(Method::PUT, "k", "one").await.expect(200).header("etag").to_owned();
    let get = async |name: &str, value: &str| {
        s3.signed_with(OWNER, Method::GET, "k", &[(name, value)], "").await.status.as_u16()
    };
    assert_eq!(get("if-match", &etag).await, 200);
    assert_eq!(get("if-match", "\"other\"").await, 412);
    assert_eq!(get("if-none-match", &etag).await, 304);
    assert_eq!(get("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT").await, 304);
    assert_eq!(get("if-unmodified-since", "Fri, 01 Jan 1999 00:00:00 GMT").await, 412);
    let put = async |key: &str, name: &str, value: &str| {
        s3.signed_with(OWNER, Method::PUT, key, &[(name, value)], "two").await.status.as_u16()
    };
    assert_eq!(put("k", "if-none-match", "*").await, 412);
    assert_eq!(put("new", "if-none-match", "*").await, 200);
    assert_eq!(put("k", "if-match", "\"other\"").await, 412);
    assert_eq!(put("k", "if-match", &etag).await, 200);
}

#[tokio::test]
async fn checksums_are_compared_and_given_back() {
    let s3 = service().await;
    let crc = ("x-amz-checksum-crc32", "NhCmhg==");
    s3.signed_with(OWNER, Method::PUT, "k", &[crc], "hello").await.expect(200);
    let head = s3.signed_with(OWNER, Method::HEAD, "k", &[("x-amz-checksum-mode", "ENABLED")], "").await;
    assert_eq!((head.header(crc.0), head.header("x-amz-checksum-type")), (crc.1, "FULL_OBJECT"));
    let wrong = s3.signed_with(OWNER, Method::PUT, "w", &[crc], "hullo").await.expect(400);
    assert_eq!(wrong.element("Code"), "BadDigest");
    s3.own(Method::HEAD, "w", "").await.expect(404);
    let md5 =
        s3.signed_with(OWNER, Method::PUT, "w", &[("content-md5", "XrY7u+Ae7tCTyyK7j1rNww==")], "x").await;
    assert_eq!(md5.element("Code"), "BadDigest");
    let odd = s3.signed_with(OWNER, Method::PUT, "w", &[("content-md5", "nonsense")], "x").await;
    assert_eq!(odd.element("Code"), "InvalidDigest");
}

#[tokio::test]
async fn listings_roll_up_and_go_on() {
    let s3 = service().await;
    for key in ["a/1", "a/2", "b", "c/1", "d e"] {
        s3.own(Method::PUT, key, "x").await.expect(200);
    }
    let page = s3.own(Method::GET, "?list-type=2&delimiter=/&max-keys=2", "").await.expect(200);
    assert!(page.text().contains("<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes>"), "{page:?}");
    assert!(page.text().contains("<Key>b</Key>") && page.element("IsTruncated") == "true", "{page:?}");
    let token = page.element("NextContinuationToken").to_owned();
    let target = format!("?list-type=2&delimiter=/&continuation-token={token}&encoding-type=url");
    let rest = s3.own(Method::GET, &target, "").await.expect(200);
    assert!(
        rest.text().contains("<Prefix>c/</Prefix>") && rest.text().contains("<Key>d%20e</Key>"),
        "{rest:?}"
    );
    let none = s3.own(Method::GET, "?delimiter=", "").await.expect(200);
    assert_eq!(none.text().matches("<Key>").count(), 5);
}

#[tokio::test]
async fn copies_keep_or_replace() {
    let s3 = service().await;
    s3.signed_with(OWNER, Method::PUT, "k", &[("x-amz-meta-a", "1")], "hello").await.expect(200);
    let source = format!("/{BUCKET}/k");
    let from = ("x-amz-copy-source", source.as_str());
    s3.signed_with(OWNER, Method::PUT, "kept", &[from], "").await.expect(200);
    assert_eq!(s3.own(Method::GET, "kept", "").await.header("x-amz-meta-a"), "1");
    let replace = [from, ("x-amz-metadata-directive", "REPLACE"), ("x-amz-meta-b", "2")];
    s3.signed_with(OWNER, Method::PUT, "k", &replace, "").await.expect(200);
    let got = s3.own(Method::GET, "k", "").await.expect(200);
    assert_eq!((got.header("x-amz-meta-a"), got.header("x-amz-meta-b"), got.text()), ("", "2", "hello"));
    let same = s3.signed_with(OWNER, Method::PUT, "k", &[from], "").await.expect(400);
    assert_eq!(same.element("Code"), "InvalidRequest");
}

#[tokio::test]
async fn parts_become_one_object() {
    let s3 = service().await;
    let begun = s3.own(Method::POST, "big?uploads", "").await.expect(200);
    let id = begun.element("UploadId").to_owned();
    let mut list = String::new();
    let large = "x".repeat(5 << 20);
    for (number, body) in [(1, large.as_str()), (2, "tail")] {
        let target = format!("big?partNumber={number}&uploadId={id}");
        let etag = s3.own(Method::PUT, &target, body).await.expect(200).header("etag").to_owned();
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let uploads = s3.own(Method::GET, "?uploads", "").await.expect(200);
    assert_eq!(uploads.element("UploadId"), id);
    let whole = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let done = s3.own(Method::POST, &format!("big?uploadId={id}"), &whole).await.expect(200);
    assert!(done.element("ETag").contains("-2"), "{done:?}");
    let got = s3.own(Method::GET, "big?partNumber=2", "").await.expect(206);
    assert_eq!((got.text(), got.header("x-amz-mp-parts-count")), ("tail", "2"));
    assert_eq!(s3.own(Method::HEAD, "big", "").await.header("content-length"), (large.len() + 4).to_string());
    let gone = s3.own(Method::GET, &format!("big?uploadId={id}"), "").await.expect(404);
    assert_eq!(gone.element("Code"), "NoSuchUpload");
}

#[tokio::test]
async fn refuses_what_it_cannot_honour() {
    let s3 = service().await;
    let public =
        s3.signed_with(OWNER, Method::PUT, "k", &[("x-amz-acl", "public-read")], "x").await.expect(400);
    assert_eq!(public.element("Code"), "AccessControlListNotSupported");
    let sealed = [("x-amz-server-side-encryption", "AES256")];
    s3.signed_with(OWNER, Method::PUT, "k", &sealed, "x").await.expect(501);
    s3.own(Method::GET, "?replication", "").await.expect(501);
    let metadata = "v".repeat(3000);
    let large =
        s3.signed_with(OWNER, Method::PUT, "k", &[("x-amz-meta-a", &metadata)], "x").await.expect(400);
    assert_eq!(large.element("Code"), "MetadataTooLarge");
    let long = s3.own(Method::PUT, &"k".repeat(1025), "x").await.expect(400);
    assert_eq!(long.element("Code"), "KeyTooLongError");
}
