//! 13 settleVerified(n u8, slot u16 each; m u8, m shares: `shares.rs`)
//!
//! till (writable), bank (writable), instructions sysvar, till owner (signer) or this program's id when m = 0, then the name
//! accounts that the shares mention (writable)
//!
//! As `settle`, for receipts whose signatures the ed25519 precompile verified in the instruction right before this one.

use crate::account::Context;
use crate::bytes::{Key, read_u64, same_key};
use crate::channel::{CHANNEL_ID_SIZE, Channels, apply};
use crate::error::Error;
use crate::input::Input;
use crate::math;
use crate::shares::{self, Batch};
use crate::signatures::Signatures;
use crate::state::{Bank, Till};

const MAX_RECEIPTS: u8 = 8;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let (&[till_account, bank_account, sysvar, owner], names) = context.accounts.at_least()?;
    let till = Till::load_mut(&till_account, context.program_id)?;
    let bank = Bank::load_mut(&bank_account, context.program_id)?;

    let count = input.u8()?;
    if count == 0 || count > MAX_RECEIPTS {
        return Err(Error::InvalidBatch);
    }
    let signatures = Signatures::load(&sysvar, count)?;
    let mut channels = Channels::of(&bank, context.program_id, till_account.key());
    let mut total = 0;
    let mut index = 0;
    while index < count {
        let number = input.u16()?;
        let slot = till.slot(number)?;
        slot.require_open()?;
        let receipt = signatures.receipt(index as usize)?;
        if !same_key(receipt.signer, slot.delegate()) {
            return Err(Error::WrongDelegate);
        }
        if !same_channel(&channels.id(number, slot.generation()), receipt.channel) {
            return Err(Error::WrongChannel);
        }
        total = math::add(total, apply(&slot, &receipt.counters)?)?;
        index += 1;
    }
    let batch = Batch {
        tag: 13,
        address: till_account.key(),
        till: &till,
        bank: &bank,
        owner: &owner,
        names,
        program_id: context.program_id,
        total,
    };
    shares::credit(&batch, input)
}

/// First 22 bytes of the digest, compared in three overlapping words.
#[inline(always)]
fn same_channel(digest: &Key, channel: &[u8; CHANNEL_ID_SIZE]) -> bool {
    let (a, b) = (digest.as_ptr(), channel.as_ptr());
    // SAFETY: 14 + 8 = 22 bytes on both sides.
    unsafe {
        read_u64(a) == read_u64(b)
            && read_u64(a.add(8)) == read_u64(b.add(8))
            && read_u64(a.add(14)) == read_u64(b.add(14))
    }
}
