//! The bytes that the allocator has handed out.

/// None where the allocator does not tell.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "glibc tells what is in use only through a C function")]
pub(crate) fn in_use() -> Option<u64> {
    // SAFETY: it takes no arguments, may be called at any time from any thread, and returns plain numbers.
    let info = unsafe { libc::mallinfo2() };
    // Blocks in the arenas, and those that are mapped one by one.
    u64::try_from(info.uordblks + info.hblkhd).ok()
}

/// None where the allocator does not tell.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn in_use() -> Option<u64> {
    None
}
