//! Memory of whole images in pages of 2 MB: an image of 64 MB is then 32 faults of the operating system instead of 16,000.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr::NonNull;

/// Smaller pieces are left to the allocator: they are used again and again.
const LEAST: usize = 8 << 20;
/// Linux's huge pages on x86-64 and on most others.
const PAGE: usize = 2 << 20;

/// The system's allocator, which asks for huge pages where a piece is large. Where Linux is told `never`
/// (`/sys/kernel/mm/transparent_hugepage/enabled`) it makes no difference.
#[derive(Debug, Clone, Copy, Default)]
pub struct HugePages;

/// Asks for huge pages in the whole ones of a piece.
fn advise(start: *mut u8, bytes: usize) {
    if start.is_null() || bytes < LEAST {
        return;
    }
    let skipped = start.addr().next_multiple_of(PAGE) - start.addr();
    let whole = (bytes - skipped) / PAGE * PAGE;
    #[cfg(target_os = "linux")]
    if let Some(first) = NonNull::new(start.wrapping_add(skipped).cast::<c_void>()) {
        use nix::sys::mman::{MmapAdvise, madvise};
        // SAFETY: the pages are within the piece, which was just allocated, and the advice changes no content.
        let _ = unsafe { madvise(first, whole, MmapAdvise::MADV_HUGEPAGE) };
    }
}

// SAFETY: everything is the system allocator's; advice about a piece's pages changes neither its place nor its content.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let start = unsafe { System.alloc(layout) };
        advise(start, layout.size());
        start
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let start = unsafe { System.alloc_zeroed(layout) };
        advise(start, layout.size());
        start
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let start = unsafe { System.realloc(start, layout, bytes) };
        advise(start, bytes);
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(start, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_and_small_pieces_are_the_systems() {
        for bytes in [1, LEAST - 1, LEAST, 3 * LEAST + 12_345] {
            let layout = Layout::from_size_align(bytes, 4).unwrap();
            // SAFETY: the layout is not empty; the piece is read and written within its size, and given back once.
            unsafe {
                let start = HugePages.alloc_zeroed(layout);
                assert_eq!((*start, *start.add(bytes - 1)), (0, 0));
                start.add(bytes - 1).write(7);
                let grown = HugePages.realloc(start, layout, 2 * bytes);
                assert_eq!(*grown.add(bytes - 1), 7);
                HugePages.dealloc(grown, Layout::from_size_align(2 * bytes, 4).unwrap());
            }
        }
    }
}
