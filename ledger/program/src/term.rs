//! How long names and commitments last, and what a term costs. Seconds and base units; the client's `term.ts` and
//! `idl.json` hold the same figures.

use crate::error::Error;
use crate::math;

/// A commitment can be revealed for this long.
pub const COMMITMENT_LIFE: u64 = 86_400;
/// How long after its expiry a name is still its owner's to renew.
pub const GRACE: u64 = 2_592_000;
pub const MAX_YEARS: u8 = 10;

const DAY: u64 = 86_400;
const YEAR: u64 = 31_536_000;
/// What a name costs on top when its grace has just ended: the price of 2^10 years.
const PREMIUM_YEARS_LOG2: u64 = 10;
/// Halved that often it is worth nothing.
const PREMIUM_DAYS: u64 = 21;

/// When a term of `years` ends that begins at `from`. @error InvalidYears outside 1 .. 10.
#[inline(always)]
pub fn extend(from: i64, years: u8) -> Result<i64, Error> {
    if years == 0 || years > MAX_YEARS {
        return Err(Error::InvalidYears);
    }
    from.checked_add_unsigned(years as u64 * YEAR).ok_or(Error::Overflow)
}

/// What `years` cost, base units. `year_price` is at most 2^40.
#[inline(always)]
pub fn price(years: u8, year_price: u64) -> Result<u64, Error> {
    math::mul(years as u64, year_price)
}

/// What a name costs on top `elapsed` seconds after its grace: halved every day, in a straight line within a day. So
/// the one who wants it most takes it when it is worth that much, and not the one with the fastest machine.
#[inline(always)]
pub fn premium(elapsed: u64, year_price: u64) -> u64 {
    let day = elapsed / DAY;
    if day >= PREMIUM_DAYS {
        return 0;
    }
    // At most 2^50, whose product with a day's seconds would not fit: hence in two parts, exactly.
    let high = (year_price << PREMIUM_YEARS_LOG2) >> day;
    let drop = high - (high >> 1);
    let rest = elapsed % DAY;
    high - (drop / DAY).wrapping_mul(rest) - (drop % DAY).wrapping_mul(rest) / DAY
}
