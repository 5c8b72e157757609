//! 8 requestClose(slot u16, generation u32)
//!
//! payer (signer), till (writable), bank
//!
//! The challenge period counts seconds and slots: should the cluster stand still for as long as it lasts, it is not over in
//! the first slot afterwards.

use crate::account::Context;
use crate::bytes::same_key;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Till};
use crate::syscalls::now_and_slot;

/// How many slots a second of a delay takes at least: a cluster makes 2.5 or more.
pub const SLOTS_PER_SECOND: u64 = 2;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let number = input.u16()?;
    let generation = input.u32()?;
    input.end()?;
    let [payer, till_account, bank_account] = context.accounts.exactly()?;
    payer.require_signer()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    let bank = Bank::load(bank_account, context.program_id)?;
    let slot = till.channel(number, generation)?;
    if !same_key(slot.payer(), payer.key()) {
        return Err(Error::NotPayer);
    }
    if slot.close_at() != 0 {
        return Err(Error::ClosePending);
    }
    let (now, present) = now_and_slot();
    let challenge = bank.challenge_seconds();
    let close_at = now.checked_add_unsigned(challenge).ok_or(Error::Overflow)?;
    let close_slot = math::add(present, challenge.wrapping_mul(SLOTS_PER_SECOND))?;
    slot.set_close_at(close_at);
    slot.set_close_slot(close_slot);
    let channel = event::channel(number, generation);
    event::emit(8, channel, till_account.key(), payer.key(), [close_at as u64, close_slot, 0]);
    Ok(())
}
