//! 1 buy(lamports u64)
//!
//! buyer (signer, writable), bank (writable), mint (writable), destination token account (writable), token program,
//! system program

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::Bank;
use crate::system::{SYSTEM_PROGRAM, transfer};
use crate::token::{TOKEN_PROGRAM, mint_to};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let lamports = input.u64()?;
    input.end()?;
    let [buyer, bank_account, mint, destination, token_program, system_program] = context.accounts.exactly()?;
    buyer.require_signer()?;
    buyer.require_writable()?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    destination.require_writable()?;
    // Anyone's token account of this mint: the token program checks that it is one.
    destination.require_owner(&TOKEN_PROGRAM)?;
    token_program.require_key(&TOKEN_PROGRAM)?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    if lamports == 0 {
        return Err(Error::ZeroAmount);
    }
    let units = math::mul(lamports, bank.units_per_lamport())?;
    math::add(bank.outstanding(), units)?;
    bank.set_reserve(math::add(bank.reserve(), lamports)?);
    bank.set_bought(bank.bought().wrapping_add(units));
    event::emit(1, 0, bank_account.key(), buyer.key(), [lamports, units, 0]);
    transfer(buyer, bank_account, lamports);
    mint_to(bank_account, &bank, mint, destination, units);
    Ok(())
}
