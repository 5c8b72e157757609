//! 24 payClaim()
//!
//! payer (writable), claim (writable), bank (writable), mint (writable), payer's token account (writable), token program
//!
//! Permissionless: credits and lamports can only go to the payer.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{Bank, Claim};
use crate::token::{mint_to, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [payer, claim_account, bank_account, mint, destination, token_program] = context.accounts.exactly()?;
    payer.require_writable()?;
    let claim = Claim::load_mut(claim_account, context.program_id)?;
    payer.require_key(claim.payer())?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, destination, mint, payer.key())?;
    let amount = claim.amount();
    if amount != 0 {
        bank.refund(amount)?;
        mint_to(bank_account, &bank, mint, destination, amount);
    }
    event::emit(24, 0, claim_account.key(), payer.key(), [amount, claim_account.lamports(), 0]);
    claim.close(claim_account, payer)
}
