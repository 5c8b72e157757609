//! 22 setTillTerms(min_deposit u64, opening u64)
//!
//! owner (signer), till (writable)
//!
//! For channels that are opened from now on. A payer names what it burns, so a change on the way costs nobody more.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::Till;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let min_deposit = input.u64()?;
    let opening = input.u64()?;
    input.end()?;
    let [owner, account] = context.accounts.exactly()?;
    let till = Till::load_mut(account, context.program_id)?;
    till.require_owner(owner)?;
    till.set_min_deposit(min_deposit);
    till.set_opening(opening);
    till.refresh_slot_rent()?;
    event::emit(22, 0, account.key(), owner.key(), [min_deposit, opening, till.slot_rent()]);
    Ok(())
}
