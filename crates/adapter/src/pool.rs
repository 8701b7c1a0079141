//! Pools of buffers, one for each thread: an idle connection holds none, and a busy one finds one
//! that is warm in the cache. Nothing is locked.
//!
//! A pool keeps at most [`MOST_KEPT`] buffers of each kind and none that has grown past
//! [`LARGEST_READ`] or [`LARGEST_WRITE`], so a thread keeps at most 8.1 MiB.

use std::cell::RefCell;

use bytes::BytesMut;
use duologue_core::{BUFFER_CAPACITY, READ_SIZE, WriteBatch};

/// How many buffers of each kind a thread keeps.
pub const MOST_KEPT: usize = 32;

/// The largest read buffer that is kept, in bytes: a new one doubled thrice, as one is in which a
/// message of 64 KiB has come in reads that ended inside it.
pub const LARGEST_READ: usize = 8 * BUFFER_CAPACITY;

/// The largest write buffer that is kept, in bytes: a new one doubled thrice, which holds what may
/// wait below the default high-water mark and a message as large.
pub const LARGEST_WRITE: usize = 8 * BUFFER_CAPACITY;

thread_local! {
    static READ: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
    static WRITE: RefCell<Vec<WriteBatch>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer with room for [`READ_SIZE`] bytes at least.
#[must_use]
pub fn take_read() -> BytesMut {
    let kept = READ.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| BytesMut::with_capacity(BUFFER_CAPACITY))
}

/// Gives a read buffer back; its contents are dropped. If messages still lie in its memory, too
/// little of it is free, or it has grown too large, it is not kept.
pub fn give_read(buffer: BytesMut) {
    drop(share_read(buffer));
}

/// As [`give_read`], of a connection that goes on soon: a buffer that has grown too large is
/// returned, empty.
#[must_use]
pub fn share_read(mut buffer: BytesMut) -> Option<BytesMut> {
    buffer.clear();
    // All that it holds counts, not only what messages that are gone have left of it.
    let _ = buffer.try_reclaim(buffer.capacity().saturating_add(1));
    if buffer.capacity() > LARGEST_READ {
        return Some(buffer);
    }
    if buffer.capacity() >= READ_SIZE {
        // A thread that is ending keeps nothing.
        let _ = READ.try_with(|pool| keep(&mut pool.borrow_mut(), buffer));
    }
    None
}

/// An empty buffer with room for [`READ_SIZE`] bytes at least.
#[must_use]
pub fn take_write() -> WriteBatch {
    let kept = WRITE.try_with(|pool| pool.borrow_mut().pop()).ok().flatten();
    kept.unwrap_or_else(|| WriteBatch::with_capacity(BUFFER_CAPACITY))
}

/// Gives a write buffer back. If something is left in it, or it is too small or too large, it is
/// not kept.
pub fn give_write(buffer: WriteBatch) {
    if buffer.remaining() == 0 && (READ_SIZE..=LARGEST_WRITE).contains(&buffer.capacity()) {
        let _ = WRITE.try_with(|pool| keep(&mut pool.borrow_mut(), buffer));
    }
}

fn keep<T>(pool: &mut Vec<T>, buffer: T) {
    if pool.len() < MOST_KEPT {
        pool.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> (usize, usize) {
        (READ.with_borrow(Vec::len), WRITE.with_borrow(Vec::len))
    }

    #[test]
    fn a_buffer_given_back_is_taken_again_and_empty() {
        let mut buffer = take_read();
        buffer.extend_from_slice(b"abc");
        let at = buffer.as_ptr();
        give_read(buffer);
        let again = take_read();
        assert_eq!(again.as_ptr(), at);
        assert!(again.is_empty() && again.capacity() >= READ_SIZE);

        let buffer = take_write();
        assert!(buffer.remaining() == 0 && buffer.capacity() >= READ_SIZE);
        give_write(buffer);
        assert_eq!(kept().1, 1);
        assert!(take_write().capacity() >= READ_SIZE);
        assert_eq!(kept().1, 0);
    }

    #[test]
    fn buffers_too_small_or_too_large_are_not_kept() {
        give_read(BytesMut::new());
        give_read(BytesMut::with_capacity(READ_SIZE - 1));
        give_read(BytesMut::with_capacity(LARGEST_READ + 1));
        let shared = share_read(BytesMut::with_capacity(LARGEST_READ + 1));
        assert!(shared.is_some_and(|buffer| buffer.capacity() > LARGEST_READ));
        give_write(WriteBatch::new());
        give_write(WriteBatch::with_capacity(READ_SIZE - 1));
        give_write(WriteBatch::with_capacity(LARGEST_WRITE + 1));
        assert_eq!(kept(), (0, 0));
    }

    #[test]
    fn a_buffer_in_which_a_message_lies_is_kept_once_the_message_is_gone() {
        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        buffer.extend_from_slice(b"message");
        let message = buffer.split_to(7).freeze();
        give_read(buffer);
        assert_eq!(kept().0, 0);

        let mut buffer = BytesMut::with_capacity(READ_SIZE);
        buffer.extend_from_slice(b"message");
        drop(buffer.split_to(7).freeze());
        give_read(buffer);
        assert_eq!(kept().0, 1);
        assert_eq!(message, "message");
    }

    #[test]
    fn a_buffer_of_which_a_large_message_left_a_little_is_not_kept() {
        let mut buffer = BytesMut::with_capacity(1 << 20);
        buffer.resize((1 << 20) - READ_SIZE, 0);
        drop(buffer.split().freeze());
        assert_eq!(buffer.capacity(), READ_SIZE);
        give_read(buffer);
        assert_eq!(kept().0, 0);
    }

    #[test]
    fn a_thread_keeps_a_bounded_number() {
        for _ in 0..2 * MOST_KEPT {
            give_read(BytesMut::with_capacity(READ_SIZE));
            give_write(WriteBatch::with_capacity(READ_SIZE));
        }
        assert_eq!(kept(), (MOST_KEPT, MOST_KEPT));
    }
}
