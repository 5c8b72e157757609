//! Arithmetic that the target's instruction set can do: 64-bit, no 128-bit products.

use crate::error::Error;

pub const BPS_WHOLE: u64 = 10_000;

#[inline(always)]
pub fn add(a: u64, b: u64) -> Result<u64, Error> {
    a.checked_add(b).ok_or(Error::Overflow)
}

#[inline(always)]
pub fn sub(a: u64, b: u64) -> Result<u64, Error> {
    a.checked_sub(b).ok_or(Error::Overflow)
}

/// By 32-bit halves: `checked_mul` would become a 128-bit product.
pub fn mul(a: u64, b: u64) -> Result<u64, Error> {
    let (a_high, a_low) = (a >> 32, a & 0xffff_ffff);
    let (b_high, b_low) = (b >> 32, b & 0xffff_ffff);
    if a_high != 0 && b_high != 0 {
        return Err(Error::Overflow);
    }
    // One of the two products is zero, and neither exceeds 64 bits.
    let cross = a_high.wrapping_mul(b_low) | a_low.wrapping_mul(b_high);
    if cross >> 32 != 0 {
        return Err(Error::Overflow);
    }
    add(a_low.wrapping_mul(b_low), cross << 32)
}

/// `(amount * bps + carry) / 10000` and its remainder, exactly. With `bps` <= 10000 and `carry` < 10000 the first is at
/// most `amount`.
#[inline(always)]
pub fn share(amount: u64, bps: u64, carry: u64) -> (u64, u64) {
    let rest = (amount % BPS_WHOLE).wrapping_mul(bps).wrapping_add(carry);
    // amount / 10000 * 10000 <= amount, and rest / 10000 < 10000 + 1: neither can wrap.
    let whole = (amount / BPS_WHOLE).wrapping_mul(bps).wrapping_add(rest / BPS_WHOLE);
    (whole, rest % BPS_WHOLE)
}
