//! The number of each actor, by its id: compact, and quick to ask for many at a time.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

/// How many ids are looked up together, so that the waits for memory overlap.
pub(super) const BATCH: usize = 128;

/// A place that holds nothing.
const NOTHING: u64 = u64::MAX;

/// Of what a place holds, how many bits say where a record is. The others are those of the hash.
const RECORD_BITS: u32 = 40;

/// Ids, each with a number: 0 for the first that was added, and so on.
#[derive(Debug, Default)]
pub(super) struct Ids {
    /// For each id a record: its number and its length, four bytes each, and the id.
    records: Vec<u8>,
    /// For each hash, at the place of its low bits or behind it: its high bits, and where the record is.
    /// A power of two of places, at most three quarters of them taken.
    places: Vec<u64>,
    count: u32,
    hashing: RandomState,
}

impl Ids {
    /// Adds an id that is not there yet, and returns its number.
    pub(super) fn add(&mut self, id: &str) -> u32 {
        if (self.count as usize + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        let (number, begin) = (self.count, self.records.len());
        let length = u32::try_from(id.len()).unwrap_or(u32::MAX);
        self.records.extend_from_slice(&number.to_le_bytes());
        self.records.extend_from_slice(&length.to_le_bytes());
        self.records.extend_from_slice(id.as_bytes());
        let hash = self.hash(id.as_bytes());
        place(&mut self.places, hash, begin);
        self.count += 1;
        number
    }

    fn grow(&mut self) {
        let mut places = vec![NOTHING; (self.places.len() * 2).max(16)];
        let mut begin = 0;
        while let Some((_, id)) = self.record(begin) {
            place(&mut places, self.hash(id), begin);
            begin += HEAD + id.len();
        }
        self.places = places;
    }

    /// The number and the id that begin there.
    #[inline]
    fn record(&self, begin: usize) -> Option<(u32, &[u8])> {
        let record = self.records.get(begin..)?;
        let (number, record) = record.split_first_chunk()?;
        let (length, record) = record.split_first_chunk()?;
        let id = record.get(..u32::from_le_bytes(*length) as usize)?;
        Some((u32::from_le_bytes(*number), id))
    }

    /// What an id is looked up by.
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
            if is_of(held, hash)
                && let Some((number, known)) = self.record(record_in(held))
                && known == id
            {
                return Some(number);
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
        for (held, hash) in held.iter_mut().zip(hashes) {
            let mut at = first_place(*hash, mask);
            while *held != NOTHING && !is_of(*held, *hash) {
                at = (at + 1) & mask;
                *held = self.places[at];
            }
        }
        let mut fetched = 0;
        for held in held.iter().take(hashes.len()) {
            // A record may lie in two lines of memory.
            for place in [0, HEAD + 12] {
                let byte = self.records.get(record_in(*held) + place);
                fetched |= byte.copied().unwrap_or_default();
            }
        }
        std::hint::black_box(fetched);
        let all = held.iter().zip(hashes).enumerate();
        numbers.extend(all.map(|(place, (held, hash))| {
            let id = id(place);
            match self.record(record_in(*held)) {
                Some((number, known)) if known == id => number,
                Some(_) => self.number_of(id, *hash).unwrap_or(u32::MAX),
                None => u32::MAX,
            }
        }));
    }
}

/// How long a record is before its id.
const HEAD: usize = 8;

/// Bytes that are hashed without their length, which their hash covers.
struct Bytes<'a>(&'a [u8]);

impl std::hash::Hash for Bytes<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

#[inline]
fn first_place(hash: u64, mask: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "only low bits are wanted")]
    let low = hash as usize;
    low & mask
}

/// Whether a place holds the record of a hash with these high bits.
#[inline]
fn is_of(held: u64, hash: u64) -> bool {
    (held ^ hash) >> RECORD_BITS == 0 && held != NOTHING
}

/// Where the record is; if there is none, nowhere.
#[inline]
fn record_in(held: u64) -> usize {
    (held & ((1 << RECORD_BITS) - 1)) as usize
}

fn place(places: &mut [u64], hash: u64, begin: usize) {
    let mask = places.len() - 1;
    let mut at = first_place(hash, mask);
    while places[at] != NOTHING {
        at = (at + 1) & mask;
    }
    places[at] = hash >> RECORD_BITS << RECORD_BITS | begin as u64;
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
        let mut numbers = 0..;
        for ids in ids.chunks(BATCH) {
            let ids: Vec<&str> = ids.iter().map(|id| &**id).collect();
            let numbers: Vec<u32> = numbers.by_ref().take(ids.len()).collect();
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
