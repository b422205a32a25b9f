//! Debian base images from packages.
