//! 2 redeem(amount u64)
//!
//! owner (signer, writable), bank (writable), mint (writable), source token account (writable), token program

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::Bank;
use crate::token::{burn, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let amount = input.u64()?;
    input.end()?;
    let [owner, bank_account, mint, source, token_program] = context.accounts.exactly()?;
    owner.require_signer()?;
    owner.require_writable()?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, source, mint, owner.key())?;
    if amount == 0 {
        return Err(Error::ZeroAmount);
    }
    let price = bank.units_per_lamport();
    if price == 0 || amount % price != 0 {
        return Err(Error::NotWholeLamports);
    }
    let lamports = amount / price;
    burn(source, mint, owner, amount);

    bank.set_redeemed(bank.redeemed().wrapping_add(amount));
    let reserve = bank.reserve().checked_sub(lamports).ok_or(Error::ReserveTooLow)?;
    bank.set_reserve(reserve);
    // What is left must back what is left. A product beyond 64 bits backs more than can exist.
    if let Ok(backed) = math::mul(reserve, price)
        && backed < bank.outstanding()
    {
        return Err(Error::ReserveTooLow);
    }
    let held = bank_account.lamports().checked_sub(lamports).ok_or(Error::ReserveTooLow)?;
    // What the bank holds for others stays whole. Whether the rest is rent enough is the runtime's affair: no rise of rent
    // keeps anybody from redeeming.
    if held < bank.spoken_for()? {
        return Err(Error::ReserveTooLow);
    }
    event::emit(2, 0, bank_account.key(), owner.key(), [amount, lamports, 0]);
    bank_account.set_lamports(held);
    owner.set_lamports(math::add(owner.lamports(), lamports)?);
    Ok(())
}
