//! Memory of images and masks in pages of 2 MB: an image of 64 MB is then 32 faults of the operating system instead of 16,000.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Linux's huge pages on x86-64 and on most others.
const PAGE: usize = 2 << 20;
/// Smaller pieces are left to the allocator.
const LEAST: usize = PAGE / 2;
/// Pieces from this size on have whole huge pages wherever they begin, and are zeroed by the operating system page by page, when
/// they are used. Smaller ones are made to begin with a huge page: masks, rows of large images.
const WHOLE: usize = 4 * PAGE;

/// The system's allocator, which asks for huge pages where a piece is large. Where Linux is told `never`
/// (`/sys/kernel/mm/transparent_hugepage/enabled`) it makes no difference.
#[derive(Debug, Clone, Copy, Default)]
pub struct HugePages;

/// What the system is asked for in place of a piece.
fn asked(layout: Layout) -> Layout {
    if !is_aligned(layout.size()) {
        return layout;
    }
    Layout::from_size_align(layout.size().next_multiple_of(PAGE), layout.align().max(PAGE)).unwrap_or(layout)
}

/// Whether a piece of so many bytes begins with a huge page.
fn is_aligned(bytes: usize) -> bool {
    (LEAST..WHOLE).contains(&bytes)
}

/// Asks for huge pages in the whole ones of a piece.
fn advise(start: *mut u8, bytes: usize) {
    if start.is_null() || bytes < PAGE {
        return;
    }
    let skipped = start.addr().next_multiple_of(PAGE) - start.addr();
    let whole = bytes.saturating_sub(skipped) / PAGE * PAGE;
    #[cfg(target_os = "linux")]
    if let Some(first) = NonNull::new(start.wrapping_add(skipped).cast::<c_void>()) {
        use nix::sys::mman::{MmapAdvise, madvise};
        // SAFETY: the pages are within the piece, which was just allocated, and the advice changes no content.
        let _ = unsafe { madvise(first, whole, MmapAdvise::MADV_HUGEPAGE) };
    }
}

// SAFETY: everything is the system allocator's, by a layout that follows from the piece's own and is no smaller; advice about a
// piece's pages changes neither its place nor its content.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let asked = asked(layout);
        // SAFETY: the caller's promise.
        let start = unsafe { System.alloc(asked) };
        advise(start, asked.size());
        start
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_aligned(layout.size()) {
            // SAFETY: the caller's promise.
            let start = unsafe { self.alloc(layout) };
            if !start.is_null() {
                // SAFETY: the piece has that many bytes.
                unsafe { start.write_bytes(0, layout.size()) };
            }
            return start;
        }
        // SAFETY: the caller's promise.
        let start = unsafe { System.alloc_zeroed(layout) };
        advise(start, layout.size());
        start
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if !is_aligned(layout.size()) && !is_aligned(bytes) {
            // SAFETY: the caller's promise.
            let start = unsafe { System.realloc(start, layout, bytes) };
            advise(start, bytes);
            return start;
        }
        // SAFETY: the caller's promise: the alignment is one, and the size is not too large for it.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(bytes, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both pieces have so many bytes, and the old one is not used any more.
            unsafe {
                moved.copy_from_nonoverlapping(start, layout.size().min(bytes));
                self.dealloc(start, layout);
            }
        }
        moved
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, asked(layout)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_pieces_are_the_systems() {
        for bytes in [1, LEAST / 2, LEAST - 1, LEAST, PAGE + 12_345, WHOLE - 1, WHOLE, 3 * WHOLE + 12_345] {
            let layout = Layout::from_size_align(bytes, 4).unwrap();
            // SAFETY: the layout is not empty; the piece is read and written within its size, and given back once.
            unsafe {
                let start = HugePages.alloc_zeroed(layout);
                assert_eq!((*start, *start.add(bytes - 1)), (0, 0));
                start.add(bytes - 1).write(7);
                let grown = HugePages.realloc(start, layout, 2 * bytes);
                assert_eq!(*grown.add(bytes - 1), 7);
                let layout = Layout::from_size_align(2 * bytes, 4).unwrap();
                let less = HugePages.realloc(grown, layout, bytes);
                assert_eq!((*less.add((bytes - 1) / 2), *less.add(bytes - 1)), (if bytes == 1 { 7 } else { 0 }, 7));
                HugePages.dealloc(less, Layout::from_size_align(bytes, 4).unwrap());
            }
        }
    }
}
