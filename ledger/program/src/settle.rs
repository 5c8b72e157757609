//! 6 settle(n u8, s [u8; 32]; n receipts; m u8, m shares: `shares.rs`)
//!
//! till (writable), bank (writable), till owner (signer) or this program's id when m = 0, then the name accounts that the
//! shares mention (writable)
//!
//! A receipt is what the program cannot know by itself: a header u24 (slot in the low 15 bits, then the bytes of
//! amount, up and down less one, 3 bits each), amount, up and down in as many bytes, and R, the first half of its
//! signature. The second halves are in s, together (`aggregate.rs`). Channel id and key come from the slot, and with
//! them the message.
//!
//! Anyone may submit receipts: they only say what the payers signed. Shares need the till owner's signature.

use crate::account::Context;
use crate::aggregate::Aggregate;
use crate::bytes::read_u64;
use crate::channel::{Channels, Counters, apply};
use crate::error::Error;
use crate::input::Input;
use crate::math;
use crate::shares::{self, Batch};
use crate::state::{Bank, Till};

/// About what a transaction of 4,096 bytes holds.
const MAX_RECEIPTS: usize = 64;
const R_SIZE: usize = 32;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let (&[till_account, bank_account, owner], names) = context.accounts.at_least()?;
    let till = Till::load_mut(&till_account, context.program_id)?;
    let bank = Bank::load_mut(&bank_account, context.program_id)?;

    let count = input.u8()? as usize;
    if count == 0 || count > MAX_RECEIPTS {
        return Err(Error::InvalidBatch);
    }
    let s = input.key()?;
    let mut channels = Channels::of(&bank, context.program_id, till_account.key());
    let aggregate = Aggregate::<MAX_RECEIPTS>::new(count)?;
    let mut total = 0;
    let mut index = 0;
    while index < count {
        let Given { number, counters, r } = read(input)?;
        let slot = till.slot(number)?;
        slot.require_open()?;
        let channel = channels.id(number, slot.generation());
        // SAFETY: below count; R has 32 bytes.
        unsafe { aggregate.put(index, r, slot.delegate(), &channel, &counters) };
        total = math::add(total, apply(&slot, &counters)?)?;
        index += 1;
    }
    // What was applied above is undone with the whole transaction when this fails.
    aggregate.verify(s)?;
    let batch = Batch {
        tag: 6,
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

struct Given {
    number: u16,
    counters: Counters,
    r: *const u8,
}

#[inline(always)]
fn read(input: &mut Input) -> Result<Given, Error> {
    let header = input.u24()?;
    let length = |shift: u32| ((header >> shift) as usize & 7) + 1;
    let (amount, up, down) = (length(15), length(18), length(21));
    let at = input.bytes(amount + up + down + R_SIZE)?.as_ptr();
    // SAFETY: R follows the three numbers, so eight bytes can be read where any of them starts.
    unsafe {
        let counters = Counters {
            amount: number(at, amount),
            up: number(at.add(amount), up),
            down: number(at.add(amount + up), down),
        };
        Ok(Given { number: header as u16 & 0x7fff, counters, r: at.add(amount + up + down) })
    }
}

/// The first `length` bytes, 1 to 8, of the eight at `at`.
#[inline(always)]
unsafe fn number(at: *const u8, length: usize) -> u64 {
    let unused = 64 - 8 * length as u32;
    unsafe { read_u64(at) }.wrapping_shl(unused).wrapping_shr(unused)
}
