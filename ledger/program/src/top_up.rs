//! 5 topUp(slot u16, generation u32, amount u64, opening u64)
//!
//! funder (signer), till (writable), bank (writable), mint (writable), funder's token account (writable), token program
//!
//! `amount` goes to the deposit, `opening` to the opening payment; one of them may be 0. Anyone may fund a channel. A close request stays in force.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Till};
use crate::token::{burn, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let number = input.u16()?;
    let generation = input.u32()?;
    let amount = input.u64()?;
    let opening = input.u64()?;
    input.end()?;
    let [funder, till_account, bank_account, mint, source, token_program] = context.accounts.exactly()?;
    funder.require_signer()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, source, mint, funder.key())?;
    if amount == 0 && opening == 0 {
        return Err(Error::ZeroAmount);
    }
    let slot = till.channel(number, generation)?;
    slot.set_deposit(math::add(slot.deposit(), amount)?);
    slot.set_opening(math::add(slot.opening(), opening)?);
    let burned = bank.deposit(amount, opening)?;
    event::emit(5, event::channel(number, generation), till_account.key(), funder.key(), [amount, opening, 0]);
    burn(source, mint, funder, burned);
    Ok(())
}
