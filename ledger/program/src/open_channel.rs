//! 4 openChannel(slot u16, delegate [u8; 32], deposit u64)
//!
//! payer (signer), till (writable), bank (writable), mint (writable), payer's token account (writable), token program

use crate::account::Context;
use crate::bytes::is_zero;
use crate::error::Error;
use crate::input::Input;
use crate::state::{Bank, Till};
use crate::token::{burn, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let slot = input.u16()?;
    let delegate = input.key()?;
    let deposit = input.u64()?;
    input.end()?;
    let [payer, till_account, bank_account, mint, source, token_program] = context.accounts.exactly()?;
    payer.require_signer()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint, context.program_id)?;
    require_account(token_program, source, mint, payer.key())?;
    if deposit == 0 {
        return Err(Error::ZeroAmount);
    }
    if is_zero(delegate) {
        return Err(Error::InvalidDelegate);
    }
    let slot = till.slot(slot)?;
    if slot.is_open() {
        return Err(Error::SlotInUse);
    }
    // Closing it could not raise the generation: the rest of the deposit would stay in it.
    if slot.generation() == u32::MAX {
        return Err(Error::Overflow);
    }
    bank.deposit(deposit)?;
    slot.open(payer.key(), delegate, deposit);
    burn(source, mint, payer, deposit);
    Ok(())
}
