//! What many noisy rounds say, and whether they say anything.

use std::fmt;

/// The middle of some samples, with the range that holds the true middle with 95 of 100 chances. No shape of the noise is
/// assumed: the range's ends are samples, chosen by rank (the sign test turned round).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Middle {
    /// The median.
    pub median: f64,
    /// The low end of the range.
    pub low: f64,
    /// Its high end.
    pub high: f64,
}

impl Middle {
    /// Of these samples; all zero if there are none.
    #[must_use]
    pub fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let n = samples.len();
        let at = |rank: usize| samples.get(rank.min(n.saturating_sub(1))).copied().unwrap_or(0.0);
        // The number of samples below the true median is binomial (n, 1/2): 1.96 of its standard deviations.
        let reach = (1.96 * (n as f64).sqrt() / 2.0).ceil() as usize;
        let low = (n / 2).saturating_sub(reach);
        let median = if n.is_multiple_of(2) && n > 0 { (at(n / 2 - 1) + at(n / 2)) / 2.0 } else { at(n / 2) };
        Self { median, low: at(low), high: at(n.saturating_sub(1 + low)) }
    }

    /// Whether it is at most `limit`: only if all of the range is on one side.
    #[must_use]
    pub fn within(self, limit: f64) -> Verdict {
        if self.high <= limit {
            Verdict::Met
        } else if self.low > limit {
            Verdict::Missed
        } else {
            Verdict::Drowned
        }
    }

    /// The same, both ends multiplied.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self { median: self.median * factor, low: self.low * factor, high: self.high * factor }
    }
}

/// The median alone, of anything that can be ordered.
#[must_use]
pub fn median(samples: Vec<f64>) -> f64 {
    Middle::of(samples).median
}

/// What a measurement says about a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept.
    Met,
    /// It is not.
    Missed,
    /// The spread reaches over the limit: more rounds or a calmer machine would tell.
    Drowned,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Met => "met",
            Self::Missed => "not met",
            Self::Drowned => "no verdict: the spread drowns the difference",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_holds_the_median_and_leaves_outliers_out() {
        let mut samples: Vec<f64> = (0..100).map(f64::from).collect();
        samples.push(1e9);
        let middle = Middle::of(samples);
        assert_eq!(middle.median, 50.0);
        assert!(middle.low >= 39.0 && middle.high <= 61.0, "{middle:?}");
    }

    #[test]
    fn few_samples_give_a_wide_range() {
        let middle = Middle::of(vec![1.0, 2.0, 3.0]);
        assert_eq!((middle.low, middle.median, middle.high), (1.0, 2.0, 3.0));
        assert_eq!(Middle::of(Vec::new()).median, 0.0);
    }

    #[test]
    fn a_limit_within_the_range_gets_no_verdict() {
        let middle = Middle { median: 10.0, low: 8.0, high: 12.0 };
        assert_eq!(middle.within(12.0), Verdict::Met);
        assert_eq!(middle.within(11.0), Verdict::Drowned);
        assert_eq!(middle.within(7.0), Verdict::Missed);
    }
}
