//! Who is asking, and may they.

pub(crate) mod authenticate;
pub(crate) mod rbac;
pub(crate) mod reviews;
pub(crate) mod roles;
pub(crate) mod token;
