//! 7 withdraw()
//!
//! owner (signer), till (writable), bank (writable), mint (writable), owner's token account (writable), token program

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{Bank, Till};
use crate::token::{mint_to, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [owner, till_account, bank_account, mint, destination, token_program] = context.accounts.exactly()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    till.require_owner(owner)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, destination, mint, owner.key())?;
    let earned = till.earned();
    if earned == 0 {
        return Ok(());
    }
    till.set_earned(0);
    bank.pay_out(earned)?;
    event::emit(7, 0, till_account.key(), owner.key(), [earned, 0, 0]);
    mint_to(bank_account, &bank, mint, destination, earned);
    Ok(())
}
