//! Buckets as Kubernetes objects (`objectstorage.sealos.io/v1`): users, buckets, keys, quotas.
