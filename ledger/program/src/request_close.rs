//! 8 requestClose(slot u16, generation u32)
//!
//! payer (signer), till (writable), bank

use crate::account::Context;
use crate::bytes::same_key;
use crate::error::Error;
use crate::input::Input;
use crate::state::{Bank, Till};
use crate::syscalls::now;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let slot = input.u16()?;
    let generation = input.u32()?;
    input.end()?;
    let [payer, till_account, bank_account] = context.accounts.exactly()?;
    payer.require_signer()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    let bank = Bank::load(bank_account, context.program_id)?;
    let slot = till.channel(slot, generation)?;
    if !same_key(slot.payer(), payer.key()) {
        return Err(Error::NotPayer);
    }
    if slot.close_at() != 0 {
        return Err(Error::ClosePending);
    }
    let close_at = now().checked_add_unsigned(bank.challenge_seconds()).ok_or(Error::Overflow)?;
    slot.set_close_at(close_at);
    Ok(())
}
