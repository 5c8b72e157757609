//! 19 renewName(years u8, max_price u64)
//!
//! payer (signer), name (writable), bank (writable); then mint (writable), payer's token account (writable), token
//! program, or this program's id in their places when a year is free
//!
//! Anybody may pay. The term is added to the old one, in the grace period too. `seq` stays: what the name says does not
//! change, and an update that is under way need not be signed anew.

use crate::account::Context;
use crate::charge::charge;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{Bank, Name};
use crate::syscalls::now;
use crate::term;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let years = input.u8()?;
    let max_price = input.u64()?;
    input.end()?;
    let [payer, account, bank_account, mint, source, token_program] = context.accounts.exactly()?;
    payer.require_signer()?;
    let name = Name::load_mut(account, context.program_id)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    let now = now();
    name.require_held(now)?;
    let expires_at = term::extend(name.expires_at(), years)?;
    // A name of before there were terms never expires; there is nothing to add to.
    if name.expires_at() == 0 || expires_at > term::extend(now, term::MAX_YEARS)? {
        return Err(Error::TermTooLong);
    }
    name.set_expires_at(expires_at);
    let price = term::price(years, bank.name_year_price())?;
    event::emit(19, 0, account.key(), name.owner(), [price, expires_at as u64, name.seq()]);
    charge(&bank, price, max_price, [payer, mint, source, token_program], context.program_id)
}
