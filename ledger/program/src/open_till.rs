//! 3 openTill(slots u16)
//!
//! owner (signer, writable), till (writable), system program

use crate::account::Context;
use crate::create::create_derived;
use crate::error::Error;
use crate::input::Input;
use crate::state::{MAX_NEW_SLOTS, SLOT_SIZE, TILL_HEADER_SIZE, TILL_SEED, Till};
use crate::syscalls::Part;
use crate::system::{New, SYSTEM_PROGRAM};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let slots = input.u16()?;
    input.end()?;
    let [owner, account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    if slots == 0 || slots as usize > MAX_NEW_SLOTS {
        return Err(Error::InvalidSlotCount);
    }
    let space = (TILL_HEADER_SIZE + slots as usize * SLOT_SIZE) as u64;
    let new = New { payer: owner, account, space, owner: context.program_id };
    let seeds = [Part::of(TILL_SEED), Part::of(owner.key())];
    let bump = create_derived(&new, seeds, context.program_id, Error::AlreadyExists)?;
    Till::create(account, owner.key(), bump).extend(slots)
}
