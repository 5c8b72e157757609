//! 15 closeTill()
//!
//! owner (signer, writable), till (writable)
//!
//! The address follows from the owner, so a till may be opened there again. No channel id may then come back, or old
//! receipts would be worth money once more: every generation must lie below the one that new slots begin with.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Till, first_generation};
use crate::system::SYSTEM_PROGRAM;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [owner, account] = context.accounts.exactly()?;
    let till = Till::load_mut(account, context.program_id)?;
    till.require_owner(owner)?;
    owner.require_writable()?;
    if till.earned() != 0 {
        return Err(Error::TillNotEmpty);
    }
    // Where no generation is left to begin with, no till opens, and none comes back.
    let next = first_generation().unwrap_or(u32::MAX);
    let mut index = 0;
    while index < till.slot_count() as u16 {
        let slot = till.slot(index)?;
        if slot.is_open() {
            return Err(Error::TillInUse);
        }
        if slot.generation() >= next && next != u32::MAX {
            return Err(Error::TillTooFresh);
        }
        index += 1;
    }
    // Without data, owner and lamports it is an address like any other from here on: what somebody sends there later in
    // this transaction does not bring the till back.
    event::emit(15, 0, account.key(), owner.key(), [account.lamports(), 0, 0]);
    owner.set_lamports(math::add(owner.lamports(), account.lamports())?);
    account.set_lamports(0);
    account.set_data_len(0);
    account.set_owner(&SYSTEM_PROGRAM);
    Ok(())
}
