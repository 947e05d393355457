//! A share, as it is written: `"20%"`, `"99.9%"`.

use std::fmt;

/// A share of something, exact to a hundredth of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent {
    hundredths: u32,
}

impl Percent {
    /// `Percent::whole(20)` is `20%`. Beyond 40 million it stays there; what a key allows is far less.
    pub const fn whole(percent: u32) -> Self {
        Self {
            hundredths: percent.saturating_mul(100),
        }
    }

    /// In hundredths of a percent: `9990` is `99.9%`.
    pub const fn of_hundredths(hundredths: u32) -> Self {
        Self { hundredths }
    }

    /// In hundredths of a percent.
    pub const fn hundredths(self) -> u32 {
        self.hundredths
    }

    /// `"20%"` is 0.2.
    pub fn fraction(self) -> f64 {
        f64::from(self.hundredths) / 10_000.0
    }

    /// This share of a number, rounded down.
    pub const fn of(self, number: u64) -> u64 {
        let share = number as u128 * self.hundredths as u128 / 10_000;
        if share > u64::MAX as u128 {
            u64::MAX
        } else {
            share as u64
        }
    }
}

impl fmt::Display for Percent {
    /// As it is written in the config, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.hundredths / 100, self.hundredths % 100);
        match rest {
            0 => write!(f, "{whole}%"),
            tenths if tenths.is_multiple_of(10) => write!(f, "{whole}.{}%", tenths / 10),
            _ => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Percent;

    #[test]
    fn a_percent_is_written_as_short_as_it_can_be() {
        for (hundredths, text) in [(0, "0%"), (2000, "20%"), (9990, "99.9%"), (5, "0.05%")] {
            assert_eq!(Percent::of_hundredths(hundredths).to_string(), text);
        }
    }

    #[test]
    fn a_share_of_a_number_is_rounded_down() {
        assert_eq!(Percent::whole(20).of(9), 1);
        assert_eq!(Percent::whole(125).of(8), 10);
        assert_eq!(Percent::whole(125).of(u64::MAX), u64::MAX);
    }
}
