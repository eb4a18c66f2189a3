//! The order in which many actors are taken.

/// The places of the actors, as they come.
pub(super) fn places(actors: &[&str]) -> Vec<u32> {
    (0..u32::try_from(actors.len()).unwrap_or(u32::MAX)).collect()
}

/// The places of the actors, in the order of the store's key; of equal ones, the first comes first.
pub(super) fn sorted(actors: &[&str]) -> Vec<u32> {
    if actors.is_sorted() {
        return places(actors);
    }
    // Most comparisons are decided by the eight bytes after what all begin with, without a look at
    // the text itself.
    let shared = shared_prefix(actors);
    let head = |actor: &str| {
        let rest = &actor.as_bytes()[shared..];
        let mut head = [0; 8];
        let length = rest.len().min(8);
        head[..length].copy_from_slice(&rest[..length]);
        u64::from_be_bytes(head)
    };
    let mut keyed: Vec<(u64, u32)> = places(actors)
        .into_iter()
        .map(|place| (head(actors[place as usize]), place))
        .collect();
    keyed.sort_unstable_by(|a, b| {
        let texts = || actors[a.1 as usize].cmp(actors[b.1 as usize]);
        a.0.cmp(&b.0).then_with(texts).then(a.1.cmp(&b.1))
    });
    keyed.into_iter().map(|(_, place)| place).collect()
}

/// How many bytes all of them begin with alike.
fn shared_prefix(actors: &[&str]) -> usize {
    let Some((first, others)) = actors.split_first() else {
        return 0;
    };
    let shared = |length: usize, other: &&str| {
        let pairs = first.as_bytes()[..length].iter().zip(other.as_bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    others.iter().fold(first.len(), shared)
}
