//! 4 openChannel(slot u16, delegate [u8; 32], deposit u64, opening u64)
//!
//! payer (signer), till (writable), bank (writable), mint (writable), payer's token account (writable), token program
//!
//! Deposit and opening payment are burned into the channel. What is not settled of the deposit comes back at the close, and of
//! the opening payment what the payee returns. The till's owner sets the least of both. The slot's
//! rent comes to the bank by a plain transfer before, in the same transaction, and goes back when the channel closes.

use crate::account::Context;
use crate::bytes::is_zero;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{Bank, Till};
use crate::token::{burn, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let number = input.u16()?;
    let delegate = input.key()?;
    let deposit = input.u64()?;
    let opening = input.u64()?;
    input.end()?;
    let [payer, till_account, bank_account, mint, source, token_program] = context.accounts.exactly()?;
    payer.require_signer()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, source, mint, payer.key())?;
    if deposit == 0 {
        return Err(Error::ZeroAmount);
    }
    if deposit < till.min_deposit() {
        return Err(Error::DepositBelowTerms);
    }
    if opening < till.opening() {
        return Err(Error::OpeningBelowTerms);
    }
    if is_zero(delegate) {
        return Err(Error::InvalidDelegate);
    }
    let slot = till.slot(number)?;
    if slot.is_open() {
        return Err(Error::SlotInUse);
    }
    // Closing it could not raise the generation: the rest of the deposit would stay in it.
    let generation = slot.generation();
    if generation == u32::MAX {
        return Err(Error::Overflow);
    }
    let rent = till.slot_rent();
    bank.take_slot_rent(bank_account, rent)?;
    let burned = bank.deposit(deposit, opening)?;
    slot.open(payer.key(), delegate, deposit, opening, rent);
    event::emit(4, event::channel(number, generation), till_account.key(), payer.key(), [deposit, opening, rent]);
    burn(source, mint, payer, burned);
    Ok(())
}
