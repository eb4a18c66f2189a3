//! The number of each actor, by its id: compact, and quick to ask for many at a time.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

/// How many ids are looked up together, so that the waits for memory overlap.
pub(super) const BATCH: usize = 128;

/// A place that holds nothing.
const NOTHING: u64 = u64::MAX;

/// Ids, each with a number: 0 for the first that was added, and so on.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// All ids, one behind the other.
    text: Vec<u8>,
    /// Where each ends.
    ends: Vec<u64>,
    /// For each hash, at the place of its low bits or behind it: the high half of the hash, then the number.
    /// A power of two of places, at most three quarters of them taken.
    places: Vec<u64>,
    hashing: RandomState,
}

impl Ids {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Adds an id that is not there yet, and returns its number.
    pub(super) fn add(&mut self, id: &str) -> u32 {
        if (self.len() + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        // There is memory for fewer.
        let number = u32::try_from(self.len()).unwrap_or(u32::MAX);
        self.text.extend_from_slice(id.as_bytes());
        self.ends.push(self.text.len() as u64);
        let hash = self.hash(id.as_bytes());
        place(&mut self.places, hash, number);
        number
    }

    fn grow(&mut self) {
        let mut places = vec![NOTHING; (self.places.len() * 2).max(16)];
        for number in 0..self.len() {
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            place(&mut places, self.hash(self.id(number)), number);
        }
        self.places = places;
    }

    /// The id of a number.
    pub(super) fn id(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        #[expect(clippy::cast_possible_truncation, reason = "it is in memory")]
        &self.text[begin as usize..self.ends[number] as usize]
    }

    /// What it is looked up by.
    #[inline]
    pub(super) fn hash(&self, id: &[u8]) -> u64 {
        self.hashing.hash_one(Bytes(id))
    }

    /// The number of an id.
    pub(super) fn number(&self, id: &[u8]) -> Option<u32> {
        self.number_of(id, self.hash(id))
    }

    /// The number of an id with this hash.
    fn number_of(&self, id: &[u8], hash: u64) -> Option<u32> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = first_place(hash, mask);
        loop {
            let held = self.places[at];
            if held == NOTHING {
                return None;
            }
            if is_of(held, hash) && self.id(number_in(held)) == id {
                return Some(number_in(held));
            }
            at = (at + 1) & mask;
        }
    }

    /// The numbers of up to [`BATCH`] ids, each with its hash; [`u32::MAX`] for one that is not there.
    pub(super) fn numbers<'a>(
        &self,
        hashes: &[u64],
        id: impl Fn(usize) -> &'a [u8],
        numbers: &mut Vec<u32>,
    ) {
        numbers.clear();
        let Some(mask) = self.places.len().checked_sub(1) else {
            numbers.resize(hashes.len(), u32::MAX);
            return;
        };
        // Each loop asks for memory that the next one needs, and waits for none of it.
        let mut held = [NOTHING; BATCH];
        for (held, hash) in held.iter_mut().zip(hashes) {
            *held = self.places[first_place(*hash, mask)];
        }
        let mut begins = [0; BATCH];
        for ((begin, held), hash) in begins.iter_mut().zip(&held).zip(hashes) {
            if is_of(*held, *hash) {
                let number = number_in(*held) as usize;
                *begin = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            }
        }
        let mut firsts = [0; BATCH];
        for (first, begin) in firsts.iter_mut().zip(&begins).take(hashes.len()) {
            #[expect(clippy::cast_possible_truncation, reason = "it is in memory")]
            let byte = self.text.get(*begin as usize);
            *first = byte.copied().unwrap_or_default();
        }
        std::hint::black_box(&firsts);
        let all = hashes.iter().enumerate();
        numbers.extend(all.map(|(place, hash)| {
            let (held, id) = (held[place], id(place));
            if is_of(held, *hash) && self.id(number_in(held)) == id {
                return number_in(held);
            }
            self.number_of(id, *hash).unwrap_or(u32::MAX)
        }));
    }
}

/// Bytes that are hashed without their length, which their hash covers.
struct Bytes<'a>(&'a [u8]);

impl std::hash::Hash for Bytes<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

fn first_place(hash: u64, mask: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "only low bits are wanted")]
    let low = hash as usize;
    low & mask
}

/// Whether a place holds the number of a hash with this high half.
fn is_of(held: u64, hash: u64) -> bool {
    (held ^ hash) >> 32 == 0 && held != NOTHING
}

fn number_in(held: u64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number is the low half"
    )]
    let number = held as u32;
    number
}

fn place(places: &mut [u64], hash: u64, number: u32) {
    let mask = places.len() - 1;
    let mut at = first_place(hash, mask);
    while places[at] != NOTHING {
        at = (at + 1) & mask;
    }
    places[at] = hash >> 32 << 32 | u64::from(number);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_has_the_number_of_its_turn() {
        let ids: Vec<String> = (0..5000).map(|n| format!("user:{n}")).collect();
        let mut table = Ids::default();
        let found = |table: &Ids, asked: &[&str]| {
            let hashes: Vec<u64> = asked.iter().map(|id| table.hash(id.as_bytes())).collect();
            let mut numbers = Vec::new();
            table.numbers(&hashes, |place| asked[place].as_bytes(), &mut numbers);
            for (id, number) in asked.iter().zip(&numbers) {
                let alone = table.number(id.as_bytes()).unwrap_or(u32::MAX);
                assert_eq!(alone, *number, "{id}");
            }
            numbers
        };
        assert_eq!(found(&table, &["user:0", ""]), [u32::MAX; 2]);
        for (number, id) in ids.iter().enumerate() {
            assert_eq!(table.add(id) as usize, number);
        }
        for (turn, ids) in ids.chunks(BATCH).enumerate() {
            let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
            let first = (turn * BATCH) as u32;
            let numbers: Vec<u32> = (first..).take(ids.len()).collect();
            assert_eq!(found(&table, &ids), numbers);
        }
        let strangers = ["user:5000", "", "user:", "user:00", "user:1 "];
        assert_eq!(found(&table, &strangers), [u32::MAX; 5]);
    }

    /// The empty place looks like a hash of all ones.
    #[test]
    fn no_hash_is_taken_for_an_empty_place() {
        let mut table = Ids::default();
        table.add("a");
        assert_eq!(table.number_of(b"a", u64::MAX), None);
        let mut numbers = Vec::new();
        table.numbers(&[u64::MAX], |_| b"a", &mut numbers);
        assert_eq!(numbers, [u32::MAX]);
    }
}
