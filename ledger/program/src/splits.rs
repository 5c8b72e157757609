//! How a name's revenue is divided: count u8, then account [u8; 32] and bps u16 each.

use crate::bytes::{is_zero, same_key};
use crate::error::Error;
use crate::input::Input;
use crate::math::BPS_WHOLE;
use crate::state::{MAX_SPLITS, Name};

/// Base units that eight splits may be unable to divide.
const DUST: u64 = MAX_SPLITS as u64 - 1;

/// What the present splits earned must be theirs before the splits change. Nobody can prevent that: anyone may create
/// a token account for a split and have it paid.
#[inline(never)]
pub fn require_distributed(name: &Name) -> Result<(), Error> {
    if name.accrued() > DUST {
        return Err(Error::SplitsPending);
    }
    let mut index = 0;
    while index < MAX_SPLITS {
        if name.split(index).owed() != 0 {
            return Err(Error::SplitsPending);
        }
        index += 1;
    }
    Ok(())
}

/// Replaces the record's splits by those in the input. Nothing may be owed to the old ones.
#[inline(never)]
pub fn replace(name: &Name, input: &mut Input) -> Result<(), Error> {
    let count = input.u8()? as usize;
    if count == 0 || count > MAX_SPLITS {
        return Err(Error::InvalidSplits);
    }
    let mut sum = 0;
    let mut index = 0;
    while index < MAX_SPLITS {
        let split = name.split(index);
        split.clear();
        if index < count {
            let account = input.key()?;
            let bps = input.u16()?;
            let mut earlier = 0;
            while earlier < index {
                if same_key(name.split(earlier).account(), account) {
                    return Err(Error::InvalidSplits);
                }
                earlier += 1;
            }
            if bps == 0 || is_zero(account) {
                return Err(Error::InvalidSplits);
            }
            split.set_account(account);
            split.set_bps(bps);
            sum += bps as u64;
        }
        index += 1;
    }
    if sum != BPS_WHOLE {
        return Err(Error::InvalidSplits);
    }
    name.set_split_count(count as u8);
    Ok(())
}
