//! 28 cancelRecovery()
//!
//! owner or recovery key (signer), name (writable)
//!
//! Until it is finished. The key stays: an owner who trusts it no more sets another.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::Name;
use crate::syscalls::now;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [signer, account] = context.accounts.exactly()?;
    signer.require_signer()?;
    let name = Name::load_mut(account, context.program_id)?;
    if !name.is_recovery_key(signer.key()) {
        name.require_owner(signer.key())?;
    }
    name.require_held(now())?;
    if name.recovers_at() == 0 {
        return Err(Error::NoRecovery);
    }
    name.end_recovery();
    name.raise_seq()?;
    event::emit(28, 0, account.key(), signer.key(), [name.seq(), 0, 0]);
    Ok(())
}
