//! Small numbers of the API: counts that are left out when zero, and shares of a count.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// Status counts are absent when zero.
pub(crate) fn nonzero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// A length as the API counts.
pub(crate) fn count(items: usize) -> i32 {
    i32::try_from(items).unwrap_or(i32::MAX)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    Up,
    Down,
}

/// A number as it stands or a percentage of `total`; what cannot be read counts as zero.
pub(crate) fn share(value: Option<&IntOrString>, default: &str, total: i32, round: Round) -> i32 {
    let text = match value {
        Some(IntOrString::Int(number)) => return *number,
        Some(IntOrString::String(text)) => text.as_str(),
        None => default,
    };
    let Some(percent) = text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()) else {
        return text.parse().unwrap_or(0);
    };
    let hundredfold = percent * i64::from(total);
    let share = match round {
        Round::Up => (hundredfold + 99).div_euclid(100),
        Round::Down => hundredfold.div_euclid(100),
    };
    i32::try_from(share).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_round_both_ways() {
        let percent = IntOrString::String("25%".to_owned());
        assert_eq!(share(Some(&percent), "", 3, Round::Up), 1);
        assert_eq!(share(Some(&percent), "", 3, Round::Down), 0);
        assert_eq!(share(None, "25%", 50, Round::Up), 13);
        assert_eq!(share(Some(&IntOrString::Int(4)), "25%", 50, Round::Up), 4);
    }
}
