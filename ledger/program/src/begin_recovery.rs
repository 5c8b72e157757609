//! 27 beginRecovery(new_owner [u8; 32])
//!
//! recovery key (signer), name (writable)
//!
//! The name shows to whom it goes, and when: once the delay is over, finishRecovery may be called. The delay counts seconds
//! and slots, as a challenge period does: no owner loses a name while the cluster stands still.

use crate::account::Context;
use crate::bytes::is_zero;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::request_close::SLOTS_PER_SECOND;
use crate::state::Name;
use crate::syscalls::now_and_slot;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let new_owner = input.key()?;
    input.end()?;
    let [key, account] = context.accounts.exactly()?;
    key.require_signer()?;
    let name = Name::load_mut(account, context.program_id)?;
    if !name.is_recovery_key(key.key()) {
        return Err(Error::NotRecoveryKey);
    }
    let (now, slot) = now_and_slot();
    name.require_held(now)?;
    if is_zero(new_owner) {
        return Err(Error::InvalidOwner);
    }
    if name.recovers_at() != 0 {
        return Err(Error::RecoveryPending);
    }
    let delay = name.recovery_delay() as u64;
    let recover_at = now.checked_add_unsigned(delay).ok_or(Error::Overflow)?;
    let recover_slot = math::add(slot, delay.wrapping_mul(SLOTS_PER_SECOND))?;
    name.set_new_owner(new_owner);
    name.set_recover_at(recover_at);
    name.set_recover_slot(recover_slot);
    name.raise_seq()?;
    event::emit(27, 0, account.key(), new_owner, [recover_at as u64, recover_slot, name.seq()]);
    Ok(())
}
