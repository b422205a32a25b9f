//! Service account tokens: signed JWTs, bound to an account and maybe to a pod.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// Signs and checks tokens with one key.
pub(crate) struct Tokens {
    key: EcdsaKeyPair,
    random: SystemRandom,
    key_id: String,
    issuer: String,
}

/// What a token says about its bearer.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    pub(crate) namespace: String,
    pub(crate) account: String,
    pub(crate) account_uid: String,
    /// Name and uid of the pod the token ends with.
    pub(crate) pod: Option<(String, String)>,
    pub(crate) audiences: Vec<String>,
    /// Seconds since 1970.
    pub(crate) issued: i64,
    pub(crate) expires: i64,
}

impl Tokens {
    pub(crate) fn new(key: &rcgen::KeyPair, cluster_domain: &str) -> Result<Self, Error> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &random)
            .map_err(|error| Error::Tls(error.to_string().into()))?;
        let key_id = BASE64.encode(Sha256::digest(key.public_key().as_ref()));
        let issuer = format!("https://kubernetes.default.svc.{cluster_domain}");
        Ok(Self { key, random, key_id, issuer })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The token's text; `None` only when the system has no randomness.
    pub(crate) fn sign(&self, claims: &Claims) -> Option<String> {
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": self.key_id });
        let mut bound = json!({
            "namespace": claims.namespace,
            "serviceaccount": { "name": claims.account, "uid": claims.account_uid },
        });
        if let Some((name, uid)) = &claims.pod {
            bound["pod"] = json!({ "name": name, "uid": uid });
        }
        let payload = json!({
            "iss": self.issuer,
            "sub": format!("system:serviceaccount:{}:{}", claims.namespace, claims.account),
            "aud": claims.audiences,
            "iat": claims.issued, "nbf": claims.issued, "exp": claims.expires,
            "jti": uuid::Uuid::new_v4().to_string(),
            "kubernetes.io": bound,
        });
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(payload.to_string()));
        let signature = self.key.sign(&self.random, signed.as_bytes()).ok()?;
        Some(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that we signed and that is valid at `now`.
    pub(crate) fn verify(&self, token: &str, now: i64) -> Result<Claims, &'static str> {
        let (signed, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
        let (_, payload) = signed.split_once('.').ok_or("it is no JWT")?;
        let signature = BASE64.decode(signature).map_err(|_| "its signature is not base64")?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.key.public_key().as_ref())
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| "its signature is wrong")?;
        let payload = BASE64.decode(payload).map_err(|_| "its payload is not base64")?;
        let payload: Value = serde_json::from_slice(&payload).map_err(|_| "its payload is not JSON")?;
        let claims = claims(&payload).ok_or("a claim is missing")?;
        if payload.get("iss").and_then(Value::as_str) != Some(&self.issuer) {
            return Err("it has another issuer");
        }
        if now >= claims.expires {
            return Err("it has expired");
        }
        Ok(claims)
    }

    /// The public key, as a JSON web key set.
    pub(crate) fn key_set(&self) -> Value {
        // An uncompressed point: one byte of form, then x and y.
        let point = self.key.public_key().as_ref();
        let coordinate = |from: usize| BASE64.encode(point.get(from..from + 32).unwrap_or_default());
        json!({ "keys": [{
            "use": "sig", "kty": "EC", "kid": self.key_id, "alg": "ES256", "crv": "P-256",
            "x": coordinate(1), "y": coordinate(33),
        }] })
    }
}

fn claims(payload: &Value) -> Option<Claims> {
    let text = |pointer: &str| payload.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let pod = text("/kubernetes.io/pod/name").zip(text("/kubernetes.io/pod/uid"));
    let audiences = payload.get("aud")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
    Some(Claims {
        namespace: text("/kubernetes.io/namespace")?,
        account: text("/kubernetes.io/serviceaccount/name")?,
        account_uid: text("/kubernetes.io/serviceaccount/uid")?,
        pod,
        audiences: audiences.collect(),
        issued: payload.get("iat")?.as_i64()?,
        expires: payload.get("exp")?.as_i64()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Claims {
        Claims {
            namespace: "default".to_owned(),
            account: "web".to_owned(),
            account_uid: "1".to_owned(),
            pod: Some(("web-0".to_owned(), "2".to_owned())),
            audiences: vec!["api".to_owned()],
            issued: 100,
            expires: 200,
        }
    }

    fn tokens() -> Tokens {
        let key = rcgen::KeyPair::generate().expect("a key can be made");
        Tokens::new(&key, "cluster.local").expect("the key fits")
    }

    #[test]
    fn believes_its_own_tokens_until_they_expire() {
        let tokens = tokens();
        let token = tokens.sign(&sample()).expect("signed");
        let claims = tokens.verify(&token, 150).expect("valid");
        assert_eq!(
            (claims.account.as_str(), claims.pod),
            ("web", Some(("web-0".to_owned(), "2".to_owned())))
        );
        assert_eq!(tokens.verify(&token, 200).err(), Some("it has expired"));
    }

    #[test]
    fn refuses_what_others_signed() {
        let token = tokens().sign(&sample()).expect("signed");
        assert_eq!(tokens().verify(&token, 150).err(), Some("its signature is wrong"));
        assert!(tokens().verify("a.b", 150).is_err());
    }
}
