//! 20 transferName(new_owner [u8; 32])
//!
//! owner (signer), name (writable)
//!
//! The new owner manages it too. Root, royalty and splits stay until the new owner changes them: what was earned is
//! paid to those who earned it. The recovery key goes: who gave a name away cannot take it back. `transfers` tells
//! one holder from the next.

use crate::account::Context;
use crate::bytes::is_zero;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::Name;
use crate::syscalls::now;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let new_owner = input.key()?;
    input.end()?;
    let [owner, account] = context.accounts.exactly()?;
    owner.require_signer()?;
    let name = Name::load_mut(account, context.program_id)?;
    name.require_owner(owner.key())?;
    name.require_held(now())?;
    if is_zero(new_owner) {
        return Err(Error::InvalidOwner);
    }
    name.set_owner(new_owner);
    name.set_manager(new_owner);
    name.set_transfers(name.transfers().checked_add(1).ok_or(Error::Overflow)?);
    name.forget_recovery();
    name.raise_seq()?;
    event::emit(20, 0, account.key(), new_owner, [name.seq(), 0, 0]);
    Ok(())
}
