//! Ids as applications have them, made up: what to measure a split over when nobody's ids are given.

use std::fmt;

/// A kind of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdShape {
    /// `user:1`, `user:2` …
    User,
    /// `1`, `2` …
    Number,
    /// `00000001`, `00000002` …
    Padded,
    /// Random UUIDs (version 4), the same ones every time.
    Uuid,
}

impl IdShape {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::User, Self::Number, Self::Padded, Self::Uuid];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Number => "number",
            Self::Padded => "padded",
            Self::Uuid => "uuid",
        }
    }

    /// How such ids look.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::User => "ids like user:42",
            Self::Number => "ids like 42",
            Self::Padded => "ids like 00000042",
            Self::Uuid => "random UUIDs",
        }
    }

    /// The `n`th id.
    #[must_use]
    pub fn id(self, n: u64) -> String {
        match self {
            Self::User => format!("user:{n}"),
            Self::Number => n.to_string(),
            Self::Padded => format!("{n:08}"),
            Self::Uuid => uuid(splitmix64(2 * n), splitmix64(2 * n + 1)),
        }
    }

    /// The first ids, from number 1 on.
    pub fn ids(self, count: u64) -> impl Iterator<Item = String> {
        (1..=count).map(move |n| self.id(n))
    }
}

impl fmt::Display for IdShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// Version 4, variant 1: RFC 9562, section 5.4.
fn uuid(high: u64, low: u64) -> String {
    let high = (high & !0xf000) | 0x4000;
    let low = (low & (u64::MAX >> 2)) | (1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

// The generator of https://prng.di.unimi.it/splitmix64.c, its state set by counting.
fn splitmix64(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_they_should() {
        let third = |shape: IdShape| shape.ids(3).last().unwrap();
        assert_eq!(third(IdShape::User), "user:3");
        assert_eq!(third(IdShape::Number), "3");
        assert_eq!(third(IdShape::Padded), "00000003");
        let uuid = third(IdShape::Uuid);
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
    }
}
