//! 3 openTill(slots u16, min_deposit u64, opening u64)
//!
//! owner (signer, writable), till (writable), system program

use crate::account::Context;
use crate::create::create_derived;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{MAX_NEW_SLOTS, SLOT_SIZE, TILL_HEADER_SIZE, TILL_SEED, Till};
use crate::syscalls::Part;
use crate::system::{New, SYSTEM_PROGRAM};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let slots = input.u16()?;
    let min_deposit = input.u64()?;
    let opening = input.u64()?;
    input.end()?;
    let [owner, account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    if slots == 0 || slots as usize > MAX_NEW_SLOTS {
        return Err(Error::InvalidSlotCount);
    }
    let space = (TILL_HEADER_SIZE + slots as usize * SLOT_SIZE) as u64;
    let new = New { payer: owner, account, space, owner: context.program_id, prepaid: 0 };
    let seeds = [Part::of(TILL_SEED), Part::of(owner.key())];
    let bump = create_derived(&new, seeds, context.program_id, Error::AlreadyExists)?;
    let till = Till::create(account, owner.key(), bump);
    till.set_min_deposit(min_deposit);
    till.set_opening(opening);
    event::emit(3, 0, account.key(), owner.key(), [slots as u64, min_deposit, opening]);
    till.extend(slots)
}
