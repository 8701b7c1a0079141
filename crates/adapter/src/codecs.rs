//! Compressors and decompressors, shared by the connections of each thread.
//!
//! A connection has one only while it has a message in hand, and finds the one again that it had
//! before if there were few others meanwhile; otherwise it starts anew, with what it remembers. Nothing
//! is locked. A thread keeps at most [`MOST_KEPT`] of each kind; those that have gone unused for longest
//! are dropped.

use std::cell::RefCell;

use duologue_core::deflate::{CodecPool, Compressor, CompressorKind, Decompressor, Lineage};

/// How many compressors, and how many decompressors, a thread keeps.
pub const MOST_KEPT: usize = 8;

/// The pool of whatever thread uses it.
#[derive(Clone, Copy, Debug)]
pub struct ThreadCodecs;

/// The pool, to be handed to an endpoint.
pub static THREAD_CODECS: ThreadCodecs = ThreadCodecs;

/// What is kept of one kind, the one unused for longest first. A codec stays in its box from one
/// connection to the next.
type Kept<T> = RefCell<Vec<Box<T>>>;

thread_local! {
    static COMPRESSORS: Kept<Compressor> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSORS: Kept<Decompressor> = const { RefCell::new(Vec::new()) };
}

/// The last one used that is `wanted`. If there is none, and no room for one more, the first that will
/// do.
fn take<T>(
    kept: &Kept<T>,
    wanted: impl Fn(&T) -> bool,
    will_do: impl Fn(&T) -> bool,
) -> Option<Box<T>> {
    let mut kept = kept.borrow_mut();
    let is_full = kept.len() >= MOST_KEPT;
    let first = || kept.iter().position(|codec| is_full && will_do(codec));
    let index = kept.iter().rposition(|codec| wanted(codec)).or_else(first)?;
    Some(kept.remove(index))
}

fn keep<T>(kept: &Kept<T>, codec: Box<T>) {
    let mut kept = kept.borrow_mut();
    if kept.len() >= MOST_KEPT {
        kept.remove(0);
    }
    kept.push(codec);
}

impl CodecPool for ThreadCodecs {
    fn take_compressor(
        &self,
        kind: CompressorKind,
        lineage: Option<&Lineage>,
    ) -> Option<Box<Compressor>> {
        let of_kind = |codec: &Compressor| codec.kind() == kind;
        let wanted = |codec: &Compressor| {
            of_kind(codec) && (lineage.is_none() || codec.lineage() == lineage)
        };
        // A thread that is ending has none.
        COMPRESSORS.try_with(|kept| take(kept, wanted, of_kind)).ok().flatten()
    }

    fn give_compressor(&self, compressor: Box<Compressor>) {
        let _ = COMPRESSORS.try_with(|kept| keep(kept, compressor));
    }

    fn take_decompressor(&self, lineage: Option<&Lineage>) -> Option<Box<Decompressor>> {
        let wanted = |codec: &Decompressor| lineage.is_none() || codec.lineage() == lineage;
        DECOMPRESSORS.try_with(|kept| take(kept, wanted, |_| true)).ok().flatten()
    }

    fn give_decompressor(&self, decompressor: Box<Decompressor>) {
        let _ = DECOMPRESSORS.try_with(|kept| keep(kept, decompressor));
    }
}
