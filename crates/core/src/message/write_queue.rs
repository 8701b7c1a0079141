//! What waits to be written: small frames copied together, large payloads shared.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::message::read_buffer::BUFFER_CAPACITY;

/// From this size on, a payload is queued as it is and written with a vectored write; below it,
/// copying is cheaper.
pub(crate) const SHARE_FROM: usize = 4096;

/// The most slices that one vectored write is given.
pub const MAX_SLICES: usize = 16;

/// The most capacity that is kept once everything is written, in bytes: a new one doubled thrice.
const LARGEST_KEPT: usize = 8 * BUFFER_CAPACITY;

/// The most places for shared payloads that are kept once everything is written.
const MOST_SHARED_KEPT: usize = 128;

/// Written bytes are moved out of the way when there are so many of them at least.
const COMPACT_FROM: usize = 4096;

/// Bytes in the order in which they go out: `inline`, interrupted by shared payloads.
#[derive(Debug, Default)]
pub(crate) struct WriteQueue {
    inline: Vec<u8>,
    /// Bytes of `inline` that are written.
    written: usize,
    queued: usize,
    /// There since the first shared payload; most queues never have one.
    shared: Option<Box<SharedPayloads>>,
}

#[derive(Debug, Default)]
struct SharedPayloads {
    payloads: VecDeque<Shared>,
    /// Bytes of `inline` that wait before the last of them.
    before: usize,
}

/// A payload that comes after the first `after` bytes that are in `inline` behind the shared
/// payload before it (or behind `written`).
#[derive(Debug)]
struct Shared {
    after: usize,
    payload: Bytes,
}

impl WriteQueue {
    pub(crate) const fn new() -> Self {
        Self { inline: Vec::new(), written: 0, queued: 0, shared: None }
    }

    /// Bytes that wait, framing included.
    #[inline]
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// Queues whatever `write` appends.
    // Inlined, so that a header just made is not loaded in other pieces than it was stored in.
    #[inline(always)]
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        // With a peer that is always a little behind, the queue is never empty. Moving at most as
        // many bytes as have been written costs no more than writing them did.
        if self.written >= COMPACT_FROM && self.written >= self.inline.len() / 2 {
            self.compact();
        }
        let before = self.inline.len();
        write(&mut self.inline);
        let added = self.inline.len().saturating_sub(before);
        self.queued = self.queued.saturating_add(added);
    }

    /// Moves written bytes out of the way.
    #[cold]
    fn compact(&mut self) {
        self.inline.drain(..self.written);
        self.written = 0;
    }

    /// Queues a payload without copying it.
    pub(crate) fn share(&mut self, payload: Bytes) {
        if payload.is_empty() {
            return;
        }
        self.queued = self.queued.saturating_add(payload.len());
        let pending = self.inline.len().saturating_sub(self.written);
        let shared = self.shared.get_or_insert_default();
        let after = pending.saturating_sub(shared.before);
        shared.before = pending;
        shared.payloads.push_back(Shared { after, payload });
    }

    /// The bytes to be written, if they all lie in one piece.
    #[inline]
    pub(crate) fn slice(&self) -> Option<&[u8]> {
        match &self.shared {
            Some(shared) if !shared.payloads.is_empty() => None,
            _ => self.inline.get(self.written..),
        }
    }

    /// The first bytes to be written, in at most [`MAX_SLICES`] slices; returns their number.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [&'a [u8]; MAX_SLICES]) -> usize {
        let mut inline = self.inline.get(self.written..).unwrap_or_default();
        let mut count = 0_usize;
        let mut places = slices.iter_mut();
        let mut put = |slice: &'a [u8]| {
            if slice.is_empty() {
                return true;
            }
            match places.next() {
                Some(place) => {
                    *place = slice;
                    count = count.wrapping_add(1);
                    true
                }
                None => false,
            }
        };
        for shared in self.shared.iter().flat_map(|shared| &shared.payloads) {
            let (before, after) = inline.split_at_checked(shared.after).unwrap_or((inline, &[]));
            inline = after;
            if !put(before) || !put(&shared.payload) {
                return count;
            }
        }
        put(inline);
        count
    }

    /// Drops the first `count` bytes, which are written.
    pub(crate) fn consume(&mut self, mut count: usize) {
        self.queued = self.queued.saturating_sub(count);
        if let Some(shared) = &mut self.shared {
            while let Some(first) = shared.payloads.front_mut() {
                let inline = count.min(first.after);
                first.after = first.after.saturating_sub(inline);
                shared.before = shared.before.saturating_sub(inline);
                self.written = self.written.saturating_add(inline);
                count = count.saturating_sub(inline);
                if count < first.payload.len() {
                    bytes::Buf::advance(&mut first.payload, count);
                    return;
                }
                count = count.saturating_sub(first.payload.len());
                shared.payloads.pop_front();
            }
        }
        self.written = self.written.saturating_add(count);
        if self.written >= self.inline.len() {
            self.inline.clear();
            self.written = 0;
            if self.inline.capacity() > LARGEST_KEPT {
                self.inline = Vec::new();
            }
            self.shared.take_if(|shared| shared.payloads.capacity() > MOST_SHARED_KEPT);
        }
    }

    /// Exchanges places with an empty batch.
    pub(crate) fn swap_into(&mut self, batch: &mut WriteBatch) {
        if batch.0.queued == 0 {
            core::mem::swap(self, &mut batch.0);
        }
    }

    /// Forgets everything.
    pub(crate) fn discard(&mut self) {
        *self = Self::new();
    }

    /// The buffers themselves, if nothing waits: an idle connection holds none.
    pub(crate) fn release(&mut self) -> Option<WriteBatch> {
        (self.queued == 0 && self.capacity() > 0).then(|| WriteBatch(core::mem::take(self)))
    }

    /// Whether there is no buffer to write into.
    #[inline]
    pub(crate) const fn needs_buffer(&self) -> bool {
        self.inline.capacity() == 0
    }

    /// Takes buffers to write into, if there is none.
    pub(crate) fn supply(&mut self, buffer: WriteBatch) {
        if self.needs_buffer() && self.queued == 0 && buffer.remaining() == 0 {
            *self = buffer.0;
        }
    }

    /// Bytes of memory that the queue takes up, shared payloads apart.
    pub(crate) fn capacity(&self) -> usize {
        let shared = self.shared.as_ref().map_or(0, |shared| {
            let places = shared.payloads.capacity().saturating_mul(size_of::<Shared>());
            places.saturating_add(size_of::<SharedPayloads>())
        });
        self.inline.capacity().saturating_add(shared)
    }
}

/// Bytes taken out of an [`Endpoint`](super::Endpoint) to be written while others go on queueing;
/// see [`Endpoint::take_batch`](super::Endpoint::take_batch). An empty one is the buffer that an
/// endpoint writes into, and that idle ones pass on.
#[derive(Debug, Default)]
pub struct WriteBatch(WriteQueue);

impl WriteBatch {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self(WriteQueue::new())
    }

    /// An empty batch with room for `bytes` bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        let mut batch = Self::new();
        batch.0.inline.reserve(bytes);
        batch
    }

    /// Bytes of memory that it takes up, shared payloads apart.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Bytes that are not written yet.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.0.queued()
    }

    /// The bytes to be written next, in `slices`; returns how many slices there are.
    pub fn slices<'a>(&'a self, slices: &mut [&'a [u8]; MAX_SLICES]) -> usize {
        self.0.slices(slices)
    }

    /// The transport took `count` bytes.
    pub fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }

    /// Forgets what is not written.
    pub fn discard(&mut self) {
        self.0.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Op {
        Inline(Vec<u8>),
        Shared(Vec<u8>),
        Write(usize),
        TakeBatch,
    }

    fn op() -> impl Strategy<Value = Op> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..20);
        prop_oneof![
            bytes().prop_map(Op::Inline),
            bytes().prop_map(Op::Shared),
            (0_usize..40).prop_map(Op::Write),
            Just(Op::TakeBatch),
        ]
    }

    #[test]
    fn a_queue_that_is_never_empty_stays_small() {
        let mut queue = WriteQueue::new();
        queue.append(|inline| inline.extend_from_slice(&[0; 100]));
        for _ in 0..10_000 {
            queue.append(|inline| inline.extend_from_slice(&[1; 100]));
            queue.consume(100);
        }
        assert_eq!(queue.queued(), 100);
        assert!(queue.capacity() < 4 * COMPACT_FROM, "{}", queue.capacity());
    }

    proptest! {
        #[test]
        fn any_mixture_goes_out_in_order(ops in proptest::collection::vec(op(), 0..60)) {
            let (mut queue, mut batch) = (WriteQueue::new(), WriteBatch::new());
            let (mut expected, mut out) = (Vec::new(), Vec::new());
            for op in ops.into_iter().chain(core::iter::repeat_n(Op::Write(40), 60)) {
                match op {
                    Op::Inline(bytes) => {
                        expected.extend_from_slice(&bytes);
                        queue.append(|inline| inline.extend_from_slice(&bytes));
                    }
                    Op::Shared(bytes) => {
                        expected.extend_from_slice(&bytes);
                        queue.share(bytes.into());
                    }
                    Op::Write(limit) => {
                        let mut slices = [&[][..]; MAX_SLICES];
                        let first = if batch.remaining() > 0 { &mut batch.0 } else { &mut queue };
                        let count = first.slices(&mut slices);
                        let mut left = limit;
                        for slice in &slices[..count] {
                            let length = left.min(slice.len());
                            out.extend_from_slice(&slice[..length]);
                            left -= length;
                        }
                        first.consume(limit - left);
                    }
                    Op::TakeBatch => queue.swap_into(&mut batch),
                }
                let waiting = queue.queued() + batch.remaining();
                prop_assert_eq!(waiting, expected.len() - out.len());
            }
            prop_assert_eq!(out, expected);
            prop_assert_eq!(queue.queued(), 0);
        }
    }
}
