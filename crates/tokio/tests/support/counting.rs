//! An allocator that counts what each thread does, for the tests of allocations.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<usize> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// The system's allocator, with counts.
pub struct Counting;

fn note(size: usize) {
    // A thread that is ending counts no more.
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + 1));
    let _ = BYTES.try_with(|bytes| bytes.set(bytes.get() + size));
}

fn live(change: isize) {
    let _ = LIVE.try_with(|live| live.set(live.get() + change));
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        live(layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        live(-layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        live(size.cast_signed() - layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is needed.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Allocations and bytes allocated so far by this thread.
pub fn counts() -> (usize, usize) {
    (CALLS.get(), BYTES.get())
}

/// Bytes that this thread has allocated and not freed.
pub fn live_bytes() -> isize {
    LIVE.get()
}
