//! Rows that wait to be added up, so that their actors are looked up together.

use crate::results::ids::{BATCH, Ids};
use crate::rows::{Time, TimeUnit};

/// Up to [`BATCH`] rows, column by column, and the row that is being read.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// How many numbers a row has.
    width: usize,
    lines: Vec<u64>,
    ids: Vec<u8>,
    id_ends: Vec<usize>,
    hashes: Vec<u64>,
    times: Vec<i64>,
    numbers: Vec<f64>,
    by: Vec<u8>,
    by_ends: Vec<usize>,
    members: Vec<u32>,
    hash: Option<u64>,
    time: Option<Time>,
}

impl Batch {
    pub(super) fn new(width: usize) -> Self {
        Self {
            width,
            numbers: vec![f64::NAN; width],
            ..Self::default()
        }
    }

    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    #[inline]
    pub(super) fn set_id(&mut self, id: &[u8], hash: u64) {
        self.ids.extend_from_slice(id);
        self.hash = Some(hash);
    }

    #[inline]
    pub(super) fn set_time(&mut self, time: Time) {
        self.time = Some(time);
    }

    #[inline]
    pub(super) fn set_number(&mut self, place: usize, number: f64) {
        let row = self.numbers.len() - self.width;
        self.numbers[row + place] = number;
    }

    pub(super) fn set_by(&mut self, value: &[u8]) {
        self.by.extend_from_slice(value);
    }

    /// Whether the row that is being read has an actor.
    #[inline]
    pub(super) fn has_id(&self) -> bool {
        self.hash.is_some()
    }

    /// Whether the row that is being read has a time.
    #[inline]
    pub(super) fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// What the time of the row that is being read was written in.
    #[inline]
    pub(super) fn unit(&self) -> Option<TimeUnit> {
        self.time?.unit
    }

    /// Forgets the row that is being read.
    pub(super) fn drop_row(&mut self) {
        self.ids.truncate(self.id_ends.last().copied().unwrap_or(0));
        self.by.truncate(self.by_ends.last().copied().unwrap_or(0));
        let row = self.numbers.len() - self.width;
        self.numbers[row..].fill(f64::NAN);
        self.hash = None;
        self.time = None;
    }

    /// Ends the row that is being read. Returns whether there is no room for more.
    #[inline]
    pub(super) fn end_row(&mut self, line: u64) -> bool {
        self.lines.push(line);
        self.id_ends.push(self.ids.len());
        self.hashes.push(self.hash.take().unwrap_or_default());
        self.times
            .push(self.time.take().map_or(0, |time| time.secs));
        self.numbers
            .resize(self.numbers.len() + self.width, f64::NAN);
        self.by_ends.push(self.by.len());
        self.len() == BATCH
    }

    /// Looks up the actor of each row.
    pub(super) fn look_up(&mut self, ids: &Ids) -> &[u32] {
        let (text, ends) = (&self.ids, &self.id_ends);
        let id = |place| part(text, ends, place);
        ids.numbers(&self.hashes, id, &mut self.members);
        &self.members
    }

    /// Removes all rows that wait.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.ids.clear();
        self.id_ends.clear();
        self.hashes.clear();
        self.times.clear();
        self.numbers.clear();
        self.numbers.resize(self.width, f64::NAN);
        self.by.clear();
        self.by_ends.clear();
    }

    #[inline]
    pub(super) fn line(&self, place: usize) -> u64 {
        self.lines[place]
    }

    #[inline]
    pub(super) fn id(&self, place: usize) -> &[u8] {
        part(&self.ids, &self.id_ends, place)
    }

    /// The number of the actor, as it was looked up.
    #[inline]
    pub(super) fn number(&self, place: usize) -> u32 {
        self.members[place]
    }

    #[inline]
    pub(super) fn time(&self, place: usize) -> i64 {
        self.times[place]
    }

    #[inline]
    pub(super) fn numbers_of(&self, place: usize) -> &[f64] {
        &self.numbers[place * self.width..][..self.width]
    }

    pub(super) fn by(&self, place: usize) -> &[u8] {
        part(&self.by, &self.by_ends, place)
    }
}

#[inline]
fn part<'a>(text: &'a [u8], ends: &[usize], place: usize) -> &'a [u8] {
    let begin = place.checked_sub(1).map_or(0, |before| ends[before]);
    &text[begin..ends[place]]
}
