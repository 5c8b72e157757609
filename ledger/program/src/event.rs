//! One log line of fixed layout for each instruction that changed something, and for each share of a settlement, so that an indexer need
//! not compare accounts.
//!
//! tag u8 (the instruction's own, or a share's), version u8, slot u16, generation u32; account [u8; 32], who [u8; 32]; then three u64,
//! whose meaning is the tag's: `idl.json` lists them. Slot and generation are 0 where there is no channel.

use crate::bytes::{Key, put_key, write_u64};
use crate::syscalls::{Part, log_data};

pub const SIZE: usize = 96;
const VERSION: u64 = 1;
const ACCOUNT: usize = 8;
const WHO: usize = 40;
const VALUES: usize = 72;

/// Where a channel is: slot and generation as `emit` writes them.
#[inline(always)]
pub fn channel(slot: u16, generation: u32) -> u64 {
    (slot as u64) << 16 | (generation as u64) << 32
}

/// `channel`: 0, or what `channel` says. `account`: what changed. `who`: whose it is, or who did it.
#[inline(always)]
pub fn emit(tag: u8, channel: u64, account: &Key, who: &Key, values: [u64; 3]) {
    let mut line = [0u8; SIZE];
    let at = line.as_mut_ptr();
    // SAFETY: 8 + 32 + 32 + 24 bytes.
    unsafe {
        write_u64(at, tag as u64 | VERSION << 8 | channel);
        put_key(at.add(ACCOUNT), account);
        put_key(at.add(WHO), who);
        write_u64(at.add(VALUES), values[0]);
        write_u64(at.add(VALUES + 8), values[1]);
        write_u64(at.add(VALUES + 16), values[2]);
    }
    log_data(&[Part::of(&line)]);
}
