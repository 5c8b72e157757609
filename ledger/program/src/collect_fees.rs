//! 17 collectFees()
//!
//! bank (writable), mint (writable), treasury's token account (writable), token program
//!
//! Permissionless: the money can only go to the treasury.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::Bank;
use crate::token::{mint_to, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [bank_account, mint, destination, token_program] = context.accounts.exactly()?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, destination, mint, bank.treasury())?;
    let fees = bank.fees();
    if fees == 0 {
        return Ok(());
    }
    bank.set_fees(0);
    bank.pay_out(fees)?;
    event::emit(17, 0, bank_account.key(), bank.treasury(), [fees, 0, 0]);
    mint_to(bank_account, &bank, mint, destination, fees);
    Ok(())
}
