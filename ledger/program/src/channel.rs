//! A channel of a till: its id, and what a receipt does to it.

use crate::bytes::{Key, put_key};
use crate::error::Error;
use crate::math;
use crate::state::{Bank, Slot};
use crate::syscalls::{Part, sha256};

pub const CHANNEL_ID_SIZE: usize = 22;
const DOMAIN: &[u8; 20] = b"relaymint:channel:v1";
const CLUSTER_TAG: usize = 20;
const PROGRAM: usize = 36;
const TILL: usize = 68;
const SLOT: usize = 100;
const GENERATION: usize = 102;
const SIZE: usize = 106;

/// What a channel's id is the hash of. All but the last six bytes are the same for a whole till.
pub struct Channels {
    preimage: [u8; SIZE],
}

impl Channels {
    #[inline(always)]
    pub fn of(bank: &Bank, program_id: &Key, till: &Key) -> Self {
        let mut preimage = [0; SIZE];
        let at = preimage.as_mut_ptr();
        // SAFETY: each of them ends where the next begins, the last at SLOT.
        unsafe {
            (at as *mut [u8; 20]).write_unaligned(*DOMAIN);
            (at.add(CLUSTER_TAG) as *mut [u8; 16]).write_unaligned(*bank.cluster_tag());
            put_key(at.add(PROGRAM), program_id);
            put_key(at.add(TILL), till);
        }
        Channels { preimage }
    }

    /// The first CHANNEL_ID_SIZE bytes are the id.
    #[inline(always)]
    pub fn id(&mut self, number: u16, generation: u32) -> Key {
        let at = self.preimage.as_mut_ptr();
        // SAFETY: the last six bytes.
        unsafe {
            (at.add(SLOT) as *mut u16).write_unaligned(number);
            (at.add(GENERATION) as *mut u32).write_unaligned(generation);
        }
        sha256(&[Part::of(&self.preimage)])
    }
}

/// What a receipt says, cumulative since the channel opened.
#[derive(Clone, Copy)]
pub struct Counters {
    pub amount: u64,
    pub up: u64,
    pub down: u64,
}

/// Moves the slot to what the receipt says. Returns the increase of the amount: 0 for a receipt that is not newer, so that
/// sending a batch again is harmless.
///
/// The amount alone decides. Up and down are statistics and may go back: a payer could else settle a receipt of its own with
/// the greatest counts, and every receipt that its payee holds would be refused for ever.
#[inline(always)]
pub fn apply(slot: &Slot, receipt: &Counters) -> Result<u64, Error> {
    let settled = slot.settled();
    if receipt.amount <= settled {
        return Ok(0);
    }
    if receipt.amount > slot.deposit() {
        return Err(Error::DepositExceeded);
    }
    slot.set_settled(receipt.amount);
    slot.set_up(receipt.up);
    slot.set_down(receipt.down);
    math::sub(receipt.amount, settled)
}
