//! Quantities as the metrics API writes them: `1234567n`, `52Ki`, `2`.

/// The value in the unit's base (cores, bytes); `None` for what is no quantity.
pub(crate) fn amount(text: &str) -> Option<f64> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let factor = match unit {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * factor)
}

/// Thousandths of a core, to three decimals: samples of an idle app are smaller than one.
pub(crate) fn millis(cores: f64) -> f64 {
    (cores * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::amount;

    #[test]
    fn reads_every_unit() {
        assert_eq!(amount("2"), Some(2.0));
        assert_eq!(amount("250m"), Some(0.25));
        assert_eq!(amount("52Ki"), Some(53_248.0));
        assert!((amount("1500000n").expect("nano") - 0.0015).abs() < 1e-12);
        assert_eq!(amount("many"), None);
        assert_eq!(amount("1e3"), None);
    }
}
