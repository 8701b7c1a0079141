//! Compressors and decompressors that connections share.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use crate::deflate::compressor::{Compressor, CompressorKind};
use crate::deflate::decompressor::Decompressor;

/// Where connections take compressors and decompressors from when they need one, and give them back
/// to as soon as they have no message in hand: so that an idle connection holds none.
///
/// What is kept, and for how long, is the pool's to decide: a connection that finds nothing
/// allocates its own, and one that is given what another had used before starts it anew. One that
/// is given what it had itself, which the [`Lineage`] tells, goes on with it, which is faster. Such
/// a pool is best one for each thread, with a bound.
pub trait CodecPool: fmt::Debug + Send + Sync {
    /// Hands out a compressor of this kind, if it has one: the one of this lineage, or else one
    /// that is not likely to be missed. Without a lineage one is as good as another.
    fn take_compressor(
        &self,
        kind: CompressorKind,
        lineage: Option<&Lineage>,
    ) -> Option<Box<Compressor>>;

    /// Takes one back.
    fn give_compressor(&self, compressor: Box<Compressor>);

    /// Hands out a decompressor, if it has one; likewise.
    fn take_decompressor(&self, lineage: Option<&Lineage>) -> Option<Box<Decompressor>>;

    /// Takes one back.
    fn give_decompressor(&self, decompressor: Box<Decompressor>);
}

/// Which stream of messages a compressor or a decompressor was used for last. Two are equal only if
/// they are copies of one another.
#[derive(Clone, Debug)]
pub struct Lineage(Arc<()>);

impl Lineage {
    pub(super) fn new() -> Self {
        Self(Arc::new(()))
    }
}

impl Lineage {
    /// Whether only one copy is left: that of a codec whose stream has ended, or has gone on with
    /// another one.
    #[must_use]
    pub fn is_orphaned(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl PartialEq for Lineage {
    fn eq(&self, other: &Self) -> bool {
        // Both are alive, so neither can have the address of one that is gone.
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Lineage {}
