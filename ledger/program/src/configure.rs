//! 16 configure(flags u8, then each field whose flag is set: fee_bps u16, treasury [u8; 32], name_year_price u64,
//! commit_seconds u32, admin [u8; 32])
//!
//! admin (signer), bank (writable), new admin (signer) or this program's id when there is none
//!
//! A new admin signs too, so that the bank is not handed to a key that nobody holds. All zeros give it up for ever. The
//! price of credits, the challenge period and the cluster tag never change.

use crate::account::Context;
use crate::bytes::{is_zero, same_key};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::settings;
use crate::state::Bank;

const FEE: u8 = 1;
const TREASURY: u8 = 2;
const NAME_YEAR_PRICE: u8 = 4;
const COMMIT_SECONDS: u8 = 8;
const ADMIN: u8 = 16;
const ALL: u8 = 31;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let flags = input.u8()?;
    let [admin, bank_account, new_admin] = context.accounts.exactly()?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    if is_zero(bank.admin()) {
        return Err(Error::ConfigurationFinal);
    }
    admin.require_signer()?;
    if !same_key(admin.key(), bank.admin()) {
        return Err(Error::NotAdmin);
    }
    if flags == 0 || flags & !ALL != 0 {
        return Err(Error::InvalidInstruction);
    }
    if flags & FEE != 0 {
        settings::set_fee_bps(&bank, input.u16()?)?;
    }
    if flags & TREASURY != 0 {
        settings::set_treasury(&bank, input.key()?)?;
    }
    if flags & NAME_YEAR_PRICE != 0 {
        settings::set_name_year_price(&bank, input.u64()?)?;
    }
    if flags & COMMIT_SECONDS != 0 {
        settings::set_commit_seconds(&bank, input.u32()?)?;
    }
    if flags & ADMIN != 0 {
        let key = input.key()?;
        if !is_zero(key) {
            new_admin.require_key(key)?;
            new_admin.require_signer()?;
        }
        bank.set_admin(key);
    }
    event::emit(16, 0, bank_account.key(), bank.admin(), [flags as u64, 0, 0]);
    input.end()
}
