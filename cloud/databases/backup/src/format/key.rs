//! The key of a workspace, and its name.

use ring::digest;

/// 32 secret bytes; shown only by their id.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// A new random key.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// From 64 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// As 64 hex digits, for the Secret.
    pub fn to_text(&self) -> String {
        hex::encode(self.0)
    }

    /// What names this key without giving it away: 16 hex digits.
    pub fn id(&self) -> String {
        hex::encode(self.id_bytes())
    }

    pub(super) fn id_bytes(&self) -> [u8; 8] {
        let sum = digest::digest(&digest::SHA256, &[b"sealos backup key id".as_slice(), &self.0].concat());
        let mut id = [0; 8];
        id.copy_from_slice(&sum.as_ref()[..8]);
        id
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id())
    }
}
