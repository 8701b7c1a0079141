//! How long a run takes.

use core::time::Duration;

/// A quick look, or figures to be quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// About three minutes in all.
    Quick,
    /// At most half an hour.
    Full,
}

impl Scale {
    /// About how long one round of one contender takes.
    #[must_use]
    pub const fn round(self) -> Duration {
        match self {
            Self::Quick => Duration::from_millis(2),
            Self::Full => Duration::from_millis(5),
        }
    }

    /// How many rounds each contender of a row has.
    #[must_use]
    pub const fn rounds(self) -> usize {
        match self {
            Self::Quick => 15,
            Self::Full => 51,
        }
    }

    /// The word for it in a report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
        }
    }
}
