//! An allocator that counts while it is asked to.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};
use std::alloc::{GlobalAlloc, Layout, System};

/// Nothing is counted while time is measured: a test of this flag is all that it costs then.
static ENABLED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    /// Bytes asked for that have not been given back.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, with counts.
#[derive(Clone, Copy, Debug)]
pub struct Counting;

#[inline]
fn note(size: usize) {
    if ENABLED.load(Ordering::Relaxed) {
        // A thread that is ending counts no more.
        let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
        let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + size as u64));
    }
}

/// So many bytes more, or fewer, are held.
#[inline]
fn hold(size: usize, back: usize) {
    if ENABLED.load(Ordering::Relaxed) {
        #[allow(clippy::cast_possible_wrap, reason = "no allocation is larger than isize::MAX")]
        let more = size as i64 - back as i64;
        let _ = HELD.try_with(|held| held.set(held.get() + more));
    }
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        hold(layout.size(), 0);
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        hold(layout.size(), 0);
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.dealloc(at, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        hold(size, layout.size());
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// How often this thread allocated during `work`, and how many bytes. Nothing is counted unless
/// [`Counting`] is the program's allocator.
pub fn count(work: impl FnOnce()) -> (u64, u64) {
    let before = (CALLS.get(), BYTES.get());
    ENABLED.store(true, Ordering::Relaxed);
    work();
    ENABLED.store(false, Ordering::Relaxed);
    (CALLS.get() - before.0, BYTES.get() - before.1)
}

/// What `work` comes to, and how many more bytes this thread holds after it: fewer, if it is
/// negative. As with [`count`], [`Counting`] has to be the program's allocator.
pub fn kept<T>(work: impl FnOnce() -> T) -> (T, i64) {
    let before = HELD.get();
    ENABLED.store(true, Ordering::Relaxed);
    let result = work();
    ENABLED.store(false, Ordering::Relaxed);
    (result, HELD.get() - before)
}
