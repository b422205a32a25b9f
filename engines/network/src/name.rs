//! Names of things in the kernel that must be short: a device name has at most 15 characters.

/// FNV-1a: stable over versions, which the standard hasher is not.
pub(crate) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// What the names of all pod devices of one cloud begin with.
pub(crate) fn device_prefix(id: &str) -> String {
    format!("s{:06x}-", hash(id.as_bytes()) & 0x00ff_ffff)
}

/// The host side of an attachment's veth. `attempt` tells apart names whose hashes meet.
pub(crate) fn device(id: &str, attachment: &str, attempt: u32) -> String {
    let hash = hash(format!("{attachment}#{attempt}").as_bytes()) & 0x0fff_ffff;
    format!("{}{hash:07x}", device_prefix(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_name_fits() {
        let name = device("0123abcd", "web-7f8d9c-xk2lp", 0);
        assert_eq!(name.len(), 15);
        assert!(name.starts_with(&device_prefix("0123abcd")));
        assert_ne!(name, device("0123abcd", "web-7f8d9c-xk2lp", 1));
    }
}
