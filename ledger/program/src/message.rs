//! The 47 bytes that a payer signs: tag u8, channel id, amount, up and down u64.

use crate::bytes::{read_u64, write_u64};
use crate::channel::{CHANNEL_ID_SIZE, Counters};

pub const MESSAGE_SIZE: usize = 47;
pub const TAG: u8 = 1;
pub const CHANNEL: usize = 1;
const AMOUNT: usize = CHANNEL + CHANNEL_ID_SIZE;
const UP: usize = AMOUNT + 8;
const DOWN: usize = UP + 8;

/// # Safety
/// `at` points to MESSAGE_SIZE readable bytes.
#[inline(always)]
pub unsafe fn counters(at: *const u8) -> Counters {
    unsafe { Counters { amount: read_u64(at.add(AMOUNT)), up: read_u64(at.add(UP)), down: read_u64(at.add(DOWN)) } }
}

/// # Safety
/// `at` points to MESSAGE_SIZE writable bytes, `channel` to 24 readable ones that begin with the id.
#[inline(always)]
pub unsafe fn write(at: *mut u8, channel: *const u8, counters: &Counters) {
    unsafe {
        *at = TAG;
        write_u64(at.add(CHANNEL), read_u64(channel));
        write_u64(at.add(CHANNEL + 8), read_u64(channel.add(8)));
        // Two bytes too many, which the amount overwrites.
        write_u64(at.add(CHANNEL + 16), read_u64(channel.add(16)));
        write_u64(at.add(AMOUNT), counters.amount);
        write_u64(at.add(UP), counters.up);
        write_u64(at.add(DOWN), counters.down);
    }
}
