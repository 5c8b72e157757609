//! Unaligned little-endian access and comparisons that compile to plain loads: the target refuses library calls.

pub type Key = [u8; 32];

/// # Safety
/// `at` points to eight readable bytes.
#[inline(always)]
pub unsafe fn read_u64(at: *const u8) -> u64 {
    unsafe { (at as *const u64).read_unaligned() }
}

/// # Safety
/// `at` points to eight writable bytes.
#[inline(always)]
pub unsafe fn write_u64(at: *mut u8, value: u64) {
    unsafe { (at as *mut u64).write_unaligned(value) }
}

#[inline(always)]
pub fn same_key(a: &Key, b: &Key) -> bool {
    let (a, b) = (a.as_ptr(), b.as_ptr());
    // SAFETY: both have 32 bytes.
    unsafe {
        read_u64(a) == read_u64(b)
            && read_u64(a.add(8)) == read_u64(b.add(8))
            && read_u64(a.add(16)) == read_u64(b.add(16))
            && read_u64(a.add(24)) == read_u64(b.add(24))
    }
}

#[inline(always)]
pub fn is_zero(key: &Key) -> bool {
    same_key(key, &[0; 32])
}

/// Copies a key as four words.
///
/// # Safety
/// `to` points to 32 writable bytes.
#[inline(always)]
pub unsafe fn put_key(to: *mut u8, key: &Key) {
    unsafe { (to as *mut Key).write_unaligned(*key) }
}
