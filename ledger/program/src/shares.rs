//! The end of a settlement, whichever way its receipts were verified: the fee to the treasury, royalties to
//! the names and their referrers, the rest to the till.
//!
//! Data m u8, then of each share name u8, referrer u8, gross u64 and max_royalty_bps u16. Name and referrer are places in the
//! list of name accounts, each of which stands there once, whatever number of shares mention it; 0xff is no referrer.
//!
//! Which content earned the money, and which site showed it, is the seller's word alone, so shares need the till owner's
//! signature: a payer could else send its payee's income to a name of its own. With it the seller signs the greatest royalty
//! that it agrees to: a name's owner may change the royalty at any time, also after the content was served. What a referrer
//! gets is a part of that royalty, by the name's own terms, and costs the seller nothing.

use crate::account::Account;
use crate::bytes::{Key, same_key};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Name, Till};

/// Of the line that says what a share gave: no instruction has this tag.
const NAME_EARNED: u8 = 128;
/// Where there is no referrer.
static NOBODY: Key = [0; 32];
const MAX_SHARES: u8 = 8;
/// Each share's name and its referrer.
const MAX_NAMES: usize = 2 * MAX_SHARES as usize;
const NO_REFERRER: u8 = 0xff;

/// A batch whose receipts were verified and applied to their slots.
pub struct Batch<'a> {
    /// The instruction's own.
    pub tag: u8,
    pub address: &'a Key,
    pub till: &'a Till,
    pub bank: &'a Bank,
    pub owner: &'a Account,
    pub names: &'a [Account],
    pub program_id: &'a Key,
    /// What it moved from the deposits.
    pub total: u64,
}

/// Reads the rest of the instruction's data.
#[inline(never)]
pub fn credit(batch: &Batch, input: &mut Input) -> Result<(), Error> {
    let Batch { tag, address, till, bank, owner, names, program_id, total } = *batch;
    let shares = input.u8()?;
    if shares > MAX_SHARES {
        return Err(Error::InvalidBatch);
    }
    if names.len() > MAX_NAMES {
        return Err(Error::WrongAccountCount);
    }
    if shares > 0 {
        if !same_key(owner.key(), till.owner()) {
            return Err(Error::NotTillOwner);
        }
        owner.require_signer()?;
    }
    load(names, program_id)?;
    let royalties = share_out(names, shares, input, total, bank)?;
    input.end()?;

    let fee = bank.take_fee(total)?;
    let kept = math::sub(math::sub(total, fee)?, royalties)?;
    till.set_earned(math::add(till.earned(), kept)?);
    // A statistic: it wraps rather than stopping anybody's settlement.
    till.set_lifetime_earned(till.lifetime_earned().wrapping_add(kept));
    if total != 0 {
        event::emit(tag, 0, address, till.owner(), [total, fee, royalties]);
    }
    bank.earn(total)
}

/// Every account is a name's, and no two are the same: a name that came twice would be its own referrer.
#[inline(always)]
fn load(names: &[Account], program_id: &Key) -> Result<(), Error> {
    let mut index = 0;
    while index < names.len() {
        let account = &names[index];
        let mut earlier = 0;
        while earlier < index {
            if same_key(names[earlier].key(), account.key()) {
                return Err(Error::DuplicateName);
            }
            earlier += 1;
        }
        Name::load_mut(account, program_id)?;
        index += 1;
    }
    Ok(())
}

/// Credits names and referrers what each share gives them; returns the sum. Together the shares are at most what the batch
/// earned, so a batch that earned nothing new credits nothing twice.
#[inline(always)]
fn share_out(names: &[Account], shares: u8, input: &mut Input, total: u64, bank: &Bank) -> Result<u64, Error> {
    let (mut attributed, mut royalties) = (0, 0);
    // Bit by bit the accounts that a share mentions.
    let mut mentioned: u64 = 0;
    let mut left = shares;
    while left > 0 {
        let place = input.u8()?;
        let referrer_place = input.u8()?;
        let gross = input.u64()?;
        let cap = input.u16()?;
        let name = at(names, place, &mut mentioned)?;
        if gross == 0 {
            return Err(Error::ZeroShare);
        }
        if cap as u64 > math::BPS_WHOLE {
            return Err(Error::InvalidRoyalty);
        }
        attributed = math::add(attributed, gross)?;
        if attributed > total {
            return Err(Error::ShareExceedsBatch);
        }
        let base = bank.after_fee(gross);
        let wanted = name.royalty_bps();
        let bps = if wanted < cap { wanted } else { cap };
        let (royalty, carry) = math::share(base, bps as u64, name.royalty_carry() as u64);
        name.set_royalty_carry(carry as u16);
        royalties = math::add(royalties, royalty)?;
        let (referrer_key, referral) = if referrer_place == NO_REFERRER {
            (&NOBODY, 0)
        } else {
            // The client says 0xff: two ways to say the same would be one too many.
            if referrer_place == place {
                return Err(Error::SelfReferral);
            }
            let referrer = at(names, referrer_place, &mut mentioned)?;
            let (referral, carry) = math::share(royalty, name.referrer_bps() as u64, name.referrer_carry() as u64);
            name.set_referrer_carry(carry as u16);
            accrue(&referrer, referral)?;
            (names[referrer_place as usize].key(), referral)
        };
        accrue(&name, math::sub(royalty, referral)?)?;
        event::emit(NAME_EARNED, 0, names[place as usize].key(), referrer_key, [gross, royalty, referral]);
        left -= 1;
    }
    // One that no share mentions would only cost compute units.
    if mentioned != (1u64 << names.len()) - 1 {
        return Err(Error::WrongAccountCount);
    }
    Ok(royalties)
}

/// The name at that place of the list, which `load` accepted; marks it.
#[inline(always)]
fn at(names: &[Account], place: u8, mentioned: &mut u64) -> Result<Name, Error> {
    let account = names.get(place as usize).ok_or(Error::WrongAccountCount)?;
    *mentioned |= 1u64.wrapping_shl(place as u32);
    Ok(Name::loaded(account))
}

#[inline(always)]
fn accrue(name: &Name, earned: u64) -> Result<(), Error> {
    name.set_accrued(math::add(name.accrued(), earned)?);
    name.set_lifetime(name.lifetime().wrapping_add(earned));
    Ok(())
}
