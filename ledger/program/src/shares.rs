//! The end of a settlement, whichever way its receipts were verified: the fee to the treasury, royalties to
//! the names, the rest to the till.
//!
//! Data m u8, then gross u64 and max_royalty_bps u16 of each name account. Which content earned the money is the seller's
//! word alone, so shares need the till owner's signature: a payer could else send its payee's income to a name of its own.
//! With it the seller signs the greatest royalty that it agrees to: a name's owner may change the royalty at any time, also
//! after the content was served.

use crate::account::Account;
use crate::bytes::{Key, same_key};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Name, Till};

const MAX_SHARES: u8 = 8;

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
    if names.len() != shares as usize {
        return Err(Error::WrongAccountCount);
    }
    if shares > 0 {
        if !same_key(owner.key(), till.owner()) {
            return Err(Error::NotTillOwner);
        }
        owner.require_signer()?;
    }
    let royalties = share_out(names, input, total, bank, program_id)?;
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

/// Credits each name its royalty; returns their sum. Together the shares are at most what the batch earned, so a batch
/// that earned nothing new credits nothing twice.
#[inline(always)]
fn share_out(names: &[Account], input: &mut Input, total: u64, bank: &Bank, program_id: &Key) -> Result<u64, Error> {
    let (mut attributed, mut royalties) = (0, 0);
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
        let name = Name::load_mut(account, program_id)?;
        let gross = input.u64()?;
        if gross == 0 {
            return Err(Error::ZeroShare);
        }
        let cap = input.u16()?;
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
        name.set_accrued(math::add(name.accrued(), royalty)?);
        name.set_lifetime(name.lifetime().wrapping_add(royalty));
        royalties = math::add(royalties, royalty)?;
        index += 1;
    }
    Ok(royalties)
}
