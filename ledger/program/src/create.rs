//! Creates accounts at program-derived addresses.

use crate::account::Account;
use crate::bytes::{Key, same_key};
use crate::error::Error;
use crate::math;
use crate::syscalls::{Part, find_address, rent};
use crate::system::{New, SYSTEM_PROGRAM, allocate, assign, create_account, transfer};

/// Bytes the runtime charges rent for besides the data.
const ACCOUNT_OVERHEAD: u64 = 128;

/// What an account of that size must hold to live for ever, in lamports.
#[inline(always)]
pub fn rent_minimum(space: u64) -> Result<u64, Error> {
    let (lamports_per_byte_year, threshold_bits) = rent();
    // The threshold is 2.0, or 1.0 since the price itself was doubled: a power of two, so its exponent is enough. The
    // target has no floating point. Any other value is rounded up, which only over-pays.
    let exponent = threshold_bits >> 52;
    if !(1023..1040).contains(&exponent) {
        return Err(Error::Overflow);
    }
    let fraction = if threshold_bits << 12 == 0 { 0 } else { 1 };
    math::mul(lamports_per_byte_year << (exponent - 1023 + fraction), space + ACCOUNT_OVERHEAD)
}

/// Finds the address of `seeds`, requires that `account` has it, and creates it with `space` zero bytes and `owner`.
/// Whoever sends lamports there beforehand only makes it cheaper. Returns the bump.
/// `taken`: the error when it exists already.
pub fn create_derived(target: &New, seeds: [Part; 2], program_id: &Key, taken: Error) -> Result<u8, Error> {
    let New { payer, account, space, owner, prepaid } = *target;
    payer.require_signer()?;
    payer.require_writable()?;
    account.require_writable()?;
    let Some((address, bump)) = find_address(&seeds, program_id) else {
        return Err(Error::WrongAddress);
    };
    account.require_key(&address)?;
    if !same_key(account.owner(), &SYSTEM_PROGRAM) || account.data_len() != 0 {
        return Err(taken);
    }
    let bump_seed = [bump];
    let signer = [seeds[0], seeds[1], Part::of(&bump_seed)];
    let minimum = rent_minimum(space)?.saturating_sub(prepaid);
    if account.lamports() == 0 && prepaid == 0 {
        create_account(target, minimum, &signer);
    } else {
        fill_up(payer, account, minimum);
        allocate(account, space, &signer);
        assign(account, owner, &signer);
    }
    Ok(bump)
}

/// Transfers what `account` lacks to hold `minimum` lamports.
#[inline(always)]
pub fn fill_up(payer: &Account, account: &Account, minimum: u64) {
    let held = account.lamports();
    if held < minimum {
        transfer(payer, account, minimum - held);
    }
}
