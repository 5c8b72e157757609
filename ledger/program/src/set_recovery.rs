//! 26 setRecovery(key [u8; 32], delay u32)
//!
//! owner (signer, writable), name (writable), system program
//!
//! Which wallet may get the name to another one when its owner's is lost, and how many seconds that takes. Zeros: none.
//! It ends a recovery that was begun: whoever sets a key has not lost the wallet. A name of the first layout grows; the
//! owner pays the rent of that.

use crate::account::Context;
use crate::bytes::{is_zero, same_key};
use crate::create::{fill_up, rent_minimum};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{NAME_SIZE, Name};
use crate::syscalls::now;
use crate::system::SYSTEM_PROGRAM;

/// A day: long enough that an owner who still has the wallet finds out.
const MIN_DELAY: u32 = 86_400;
const MAX_DELAY: u32 = 7_776_000;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let key = input.key()?;
    let delay = input.u32()?;
    input.end()?;
    let [owner, account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    owner.require_signer()?;
    owner.require_writable()?;
    let name = Name::load_mut(account, context.program_id)?;
    name.require_owner(owner.key())?;
    name.require_held(now())?;
    name.raise_seq()?;
    event::emit(26, 0, account.key(), key, [delay as u64, name.seq(), 0]);
    if is_zero(key) {
        name.forget_recovery();
        return if delay == 0 { Ok(()) } else { Err(Error::InvalidRecovery) };
    }
    if same_key(key, owner.key()) || !(MIN_DELAY..=MAX_DELAY).contains(&delay) {
        return Err(Error::InvalidRecovery);
    }
    if !name.has_recovery() {
        fill_up(owner, account, rent_minimum(NAME_SIZE as u64)?);
        name.make_room(account);
    }
    name.set_recovery_key(key);
    name.set_recovery_delay(delay);
    name.end_recovery();
    Ok(())
}
