//! From an actor to a bucket, and from a bucket to a variant.

/// FNV-1a, 64 bits.
pub(super) fn fnv1a(text: &str) -> u64 {
    let mut hash: u64 = 14_695_981_039_346_656_037;
    for byte in text.bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(1_099_511_628_211);
    }
    hash
}

/// The finaliser of MurmurHash3, 64 bits.
pub(super) fn mix(mut hash: u64) -> u64 {
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(factor);
    }
    hash ^ (hash >> 33)
}

/// The plain hash modulo 10000, and the running sum of weights.
pub(super) fn choose(hashed: &str, actor: &str, variants: &[(String, u32)]) -> Option<String> {
    let hash = fnv1a(&format!("{hashed}:{actor}"));
    let total: u64 = variants.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let threshold = (hash % 10_000) * total / 10_000;
    let mut sum = 0;
    for (name, weight) in variants {
        sum += u64::from(*weight);
        if sum > threshold {
            return Some(name.clone());
        }
    }
    None
}
