//! 20 transferName(new_owner [u8; 32])
//!
//! owner (signer), name (writable)
//!
//! The new owner manages it too. Root, royalty and splits stay until the new owner changes them: what was earned is
//! paid to those who earned it.

use crate::account::Context;
use crate::bytes::{is_zero, same_key};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::Name;
use crate::syscalls::now;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let new_owner = input.key()?;
    input.end()?;
    let [owner, account] = context.accounts.exactly()?;
    owner.require_signer()?;
    let name = Name::load_mut(account, context.program_id)?;
    if !same_key(owner.key(), name.owner()) {
        let manages = same_key(owner.key(), name.manager());
        return Err(if manages { Error::ManagerForbidden } else { Error::NotNameOwner });
    }
    name.require_held(now())?;
    if is_zero(new_owner) {
        return Err(Error::InvalidOwner);
    }
    name.set_owner(new_owner);
    name.set_manager(new_owner);
    name.set_seq(math::add(name.seq(), 1)?);
    event::emit(20, 0, account.key(), new_owner, [name.seq(), 0, 0]);
    Ok(())
}
