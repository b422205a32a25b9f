//! The three policies most buckets need, without writing one.

/// What everybody may do with a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Canned {
    /// Nothing.
    #[default]
    Private,
    /// Read and list.
    PublicRead,
    /// Read, list, write and delete.
    PublicReadwrite,
}

impl Canned {
    /// As it is called in objects and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "publicRead",
            Self::PublicReadwrite => "publicReadwrite",
        }
    }

    /// The policy of that name; anything unknown is private.
    pub(crate) fn from_bytes(name: &[u8]) -> Self {
        match name {
            b"publicRead" => Self::PublicRead,
            b"publicReadwrite" => Self::PublicReadwrite,
            _ => Self::Private,
        }
    }

    pub(super) fn allows(self, action: &str) -> bool {
        const READ: [&str; 4] =
            ["s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:GetBucketLocation"];
        const WRITE: [&str; 5] = [
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
            "s3:ListBucketMultipartUploads",
        ];
        match self {
            Self::Private => false,
            Self::PublicRead => READ.contains(&action),
            Self::PublicReadwrite => READ.contains(&action) || WRITE.contains(&action),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_no_more_than_it_says() {
        assert!(!Canned::Private.allows("s3:GetObject"));
        assert!(Canned::PublicRead.allows("s3:GetObject") && !Canned::PublicRead.allows("s3:PutObject"));
        assert!(Canned::PublicReadwrite.allows("s3:PutObject"));
        assert!(!Canned::PublicReadwrite.allows("s3:PutBucketPolicy"));
        assert!(!Canned::PublicReadwrite.allows("s3:DeleteObjectVersion"));
    }

    #[test]
    fn names_come_back() {
        for canned in [Canned::Private, Canned::PublicRead, Canned::PublicReadwrite] {
            assert_eq!(Canned::from_bytes(canned.name().as_bytes()), canned);
        }
    }
}
