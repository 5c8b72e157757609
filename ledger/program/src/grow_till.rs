//! 14 growTill(slots u16)
//!
//! owner (signer, writable), till (writable), system program
//!
//! `slots`: how many the till has afterwards, so that sending it twice grows once. The owner pays the rent of what is new.

use crate::account::Context;
use crate::create::{fill_up, rent_minimum};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{MAX_NEW_SLOTS, MAX_SLOTS, SLOT_SIZE, TILL_HEADER_SIZE, Till};
use crate::system::SYSTEM_PROGRAM;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let slots = input.u16()?;
    input.end()?;
    let [owner, account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    let till = Till::load_mut(account, context.program_id)?;
    till.require_owner(owner)?;
    owner.require_writable()?;
    let (before, after) = (till.slot_count() as usize, slots as usize);
    if after <= before || after > MAX_SLOTS || after - before > MAX_NEW_SLOTS {
        return Err(Error::InvalidSlotCount);
    }
    let size = TILL_HEADER_SIZE + after * SLOT_SIZE;
    fill_up(owner, account, rent_minimum(size as u64)?);
    account.set_data_len(size);
    event::emit(14, 0, account.key(), owner.key(), [slots as u64, 0, 0]);
    till.extend(slots)
}
