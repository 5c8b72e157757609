//! 25 returnOpening(slot u16, generation u32, amount u64)
//!
//! till owner (signer, writable), till (writable), bank (writable)
//!
//! `amount` of a channel's opening payment becomes deposit, and so the payer's again when the channel closes. What a payer
//! left unpaid the payee keeps back; nobody gets that. The payee does it for the payer, so the payer pays what it costs: of
//! its slot's rent, once it asked to close, and only where all comes back and is worth twice as much.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Till};

/// The network's fee for a signature, lamports.
const FEE: u64 = 5_000;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let number = input.u16()?;
    let generation = input.u32()?;
    let amount = input.u64()?;
    input.end()?;
    let [owner, till_account, bank_account] = context.accounts.exactly()?;
    owner.require_writable()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    till.require_owner(owner)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    if amount == 0 {
        return Err(Error::ZeroAmount);
    }
    let slot = till.channel(number, generation)?;
    let kept = slot.opening().checked_sub(amount).ok_or(Error::OpeningExceeded)?;
    slot.set_opening(kept);
    slot.set_deposit(math::add(slot.deposit(), amount)?);
    let is_owed = slot.close_at() != 0 && kept == 0 && amount / bank.units_per_lamport() >= 2 * FEE;
    let fee = if is_owed && slot.rent() >= FEE { FEE } else { 0 };
    slot.set_rent(math::sub(slot.rent(), fee)?);
    event::emit(25, event::channel(number, generation), till_account.key(), slot.payer(), [amount, kept, fee]);
    bank.return_slot_rent(bank_account, owner, fee)
}
