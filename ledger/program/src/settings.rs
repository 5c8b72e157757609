//! The bank's settings that may change, and their limits: `initialize` and `configure` set them here alone.

use crate::bytes::{Key, is_zero};
use crate::error::Error;
use crate::state::Bank;

/// A tenth: whoever may set the fee can never take more.
const MAX_FEE_BPS: u16 = 1_000;
/// Keeps every price that is computed from it, premium included, within 64 bits.
const MAX_NAME_YEAR_PRICE: u64 = 1 << 40;
/// An hour: longer only delays who wants a name.
const MAX_COMMIT_SECONDS: u32 = 3_600;

pub fn set_fee_bps(bank: &Bank, fee_bps: u16) -> Result<(), Error> {
    if fee_bps > MAX_FEE_BPS {
        return Err(Error::InvalidConfiguration);
    }
    bank.set_fee_bps(fee_bps);
    Ok(())
}

pub fn set_treasury(bank: &Bank, treasury: &Key) -> Result<(), Error> {
    if is_zero(treasury) {
        return Err(Error::InvalidConfiguration);
    }
    bank.set_treasury(treasury);
    Ok(())
}

pub fn set_name_year_price(bank: &Bank, price: u64) -> Result<(), Error> {
    if price > MAX_NAME_YEAR_PRICE {
        return Err(Error::InvalidConfiguration);
    }
    bank.set_name_year_price(price);
    Ok(())
}

pub fn set_commit_seconds(bank: &Bank, seconds: u32) -> Result<(), Error> {
    if seconds == 0 || seconds > MAX_COMMIT_SECONDS {
        return Err(Error::InvalidConfiguration);
    }
    bank.set_commit_seconds(seconds);
    Ok(())
}
