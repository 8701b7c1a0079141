//! Pools of compressors and decompressors, a plain one and one that cannot be relied upon.

use std::sync::Mutex;

use duologue_core::deflate::{CodecPool, Compressor, CompressorKind, Decompressor, Lineage};

/// A bounded pool.
#[derive(Debug)]
pub(crate) struct Pool {
    shelves: Mutex<Shelves>,
    /// Whether it often has nothing, hands out what is another's, and forgets.
    is_fickle: bool,
}

/// More than this of each are not kept.
const MOST: usize = 3;

#[derive(Debug, Default)]
#[allow(clippy::vec_box, reason = "a codec comes and goes in its box")]
struct Shelves {
    compressors: Vec<Box<Compressor>>,
    decompressors: Vec<Box<Decompressor>>,
    turns: u32,
}

impl Shelves {
    /// The next number of a sequence that looks random.
    fn turn(&mut self) -> u32 {
        self.turns = self.turns.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.turns >> 24
    }
}

impl Pool {
    /// A pool that keeps what it is given, up to a few, and hands out what was asked for if it can.
    pub(crate) fn plain() -> &'static Self {
        Self::leaked(false, 0)
    }

    /// A pool that does whatever it may. Another seed makes it do so in another order.
    pub(crate) fn fickle(seed: u32) -> &'static Self {
        Self::leaked(true, seed)
    }

    fn leaked(is_fickle: bool, turns: u32) -> &'static Self {
        let shelves = Mutex::new(Shelves { turns, ..Shelves::default() });
        Box::leak(Box::new(Self { shelves, is_fickle }))
    }

    /// Drops everything in it.
    pub(crate) fn clear(&self) {
        let mut shelves = self.shelves.lock().unwrap();
        shelves.compressors = Vec::new();
        shelves.decompressors = Vec::new();
    }

    /// How many compressors and decompressors are in it.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let shelves = self.shelves.lock().unwrap();
        (shelves.compressors.len(), shelves.decompressors.len())
    }

    /// Which of `count` codecs to hand out, of which the one at `wanted` was asked for.
    fn choice(&self, turn: u32, count: usize, wanted: Option<usize>) -> Option<usize> {
        match turn % 4 {
            _ if count == 0 => None,
            0 if self.is_fickle => None,
            1 if self.is_fickle => Some(turn as usize / 4 % count),
            _ => wanted.or(Some(0)),
        }
    }

    fn keeps(&self, turn: u32) -> bool {
        !self.is_fickle || !turn.is_multiple_of(4)
    }
}

impl CodecPool for Pool {
    fn take_compressor(
        &self,
        kind: CompressorKind,
        lineage: Option<&Lineage>,
    ) -> Option<Box<Compressor>> {
        let mut shelves = self.shelves.lock().unwrap();
        let turn = shelves.turn();
        let mut all = shelves.compressors.iter();
        let wanted = all.position(|one| lineage.is_some() && one.lineage() == lineage);
        let wanted = wanted.or(shelves.compressors.iter().position(|one| one.kind() == kind));
        let choice = self.choice(turn, shelves.compressors.len(), wanted);
        choice.map(|at| shelves.compressors.remove(at))
    }

    fn give_compressor(&self, compressor: Box<Compressor>) {
        let mut shelves = self.shelves.lock().unwrap();
        let turn = shelves.turn();
        if self.keeps(turn) {
            shelves.compressors.push(compressor);
            let surplus = shelves.compressors.len().saturating_sub(MOST);
            shelves.compressors.drain(..surplus);
        }
    }

    fn take_decompressor(&self, lineage: Option<&Lineage>) -> Option<Box<Decompressor>> {
        let mut shelves = self.shelves.lock().unwrap();
        let turn = shelves.turn();
        let mut all = shelves.decompressors.iter();
        let wanted = all.position(|one| lineage.is_some() && one.lineage() == lineage);
        let choice = self.choice(turn, shelves.decompressors.len(), wanted);
        choice.map(|at| shelves.decompressors.remove(at))
    }

    fn give_decompressor(&self, decompressor: Box<Decompressor>) {
        let mut shelves = self.shelves.lock().unwrap();
        let turn = shelves.turn();
        if self.keeps(turn) {
            shelves.decompressors.push(decompressor);
            let surplus = shelves.decompressors.len().saturating_sub(MOST);
            shelves.decompressors.drain(..surplus);
        }
    }
}
