//! What names cost is burned, and is the treasury's to mint.

use crate::account::Account;
use crate::bytes::Key;
use crate::error::Error;
use crate::state::Bank;
use crate::token::{burn, require_account};

/// Takes `price` base units from the payer's token account; nothing is looked at when it is 0. Whoever may set prices
/// cannot take more than `max_price`, which the payer signed.
#[inline(never)]
pub fn charge(
    bank: &Bank,
    price: u64,
    max_price: u64,
    [payer, mint, source, token_program]: [&Account; 4],
    program_id: &Key,
) -> Result<(), Error> {
    if price > max_price {
        return Err(Error::PriceAboveMaximum);
    }
    if price == 0 {
        return Ok(());
    }
    bank.require_mint(mint)?;
    require_account(token_program, source, mint, payer.key())?;
    bank.charge(price)?;
    burn(source, mint, payer, price);
    Ok(())
}
