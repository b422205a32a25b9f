//! Signature V4, the making of it: for presigned URLs. Checking is `s3s`'s.

use ring::{digest, hmac};

/// What a signature is bound to besides the request.
pub(crate) struct Seal<'a> {
    pub(crate) secret: &'a str,
    pub(crate) region: &'a str,
    /// `20261124T160000Z`.
    pub(crate) date: &'a str,
}

impl Seal<'_> {
    /// `20261124/us-east-1/s3/aws4_request`.
    pub(crate) fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.day(), self.region)
    }

    /// The signature, in hex, of a canonical request.
    pub(crate) fn sign(&self, canonical_request: &str) -> String {
        let hash = hex(digest::digest(&digest::SHA256, canonical_request.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{}\n{hash}", self.date, self.scope());
        let mut key = mac(format!("AWS4{}", self.secret).as_bytes(), self.day());
        for step in [self.region, "s3", "aws4_request"] {
            key = mac(key.as_ref(), step);
        }
        hex(mac(key.as_ref(), &text).as_ref())
    }

    fn day(&self) -> &str {
        self.date.split('T').next().unwrap_or_default()
    }
}

fn mac(key: &[u8], text: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes all but the unreserved characters, as signatures and `encoding-type=url` want it.
pub(crate) fn encode(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keep_slash => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification ("Authenticating Requests: Using Query Parameters").
    #[test]
    fn signs_as_the_specification_does() {
        let seal = Seal {
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            date: "20130524T000000Z",
        };
        let request = "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE\
            %2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&\
            X-Amz-SignedHeaders=host\nhost:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD";
        let expected = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(seal.sign(request), expected);
    }

    #[test]
    fn encodes_what_is_not_plain() {
        assert_eq!(encode("a b/ü~", true), "a%20b/%C3%BC~");
        assert_eq!(encode("a/b", false), "a%2Fb");
    }
}
