//! 29 finishRecovery()
//!
//! name (writable)
//!
//! Anybody may call it once the delay is over. The new owner manages the name too and has the former owner's split: it is
//! the same person, whose wallet nobody can open any more. So `transfers` stays. The recovery key is used up.

use crate::account::Context;
use crate::bytes::{Key, same_key};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{MAX_SPLITS, Name};
use crate::syscalls::now_and_slot;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [account] = context.accounts.exactly()?;
    let name = Name::load_mut(account, context.program_id)?;
    let (now, slot) = now_and_slot();
    name.require_held(now)?;
    if name.recovers_at() == 0 {
        return Err(Error::NoRecovery);
    }
    if now < name.recover_at() || slot < name.recover_slot() {
        return Err(Error::RecoveryNotDue);
    }
    let new_owner = *name.new_owner();
    pass_split(&name, &new_owner);
    name.set_owner(&new_owner);
    name.set_manager(&new_owner);
    name.forget_recovery();
    name.raise_seq()?;
    event::emit(29, 0, account.key(), &new_owner, [name.seq(), 0, 0]);
    Ok(())
}

/// What the former owner has of the revenue, with what is owed of it. Where the new owner has a share of its own, both
/// stay: no account comes twice.
#[inline(always)]
fn pass_split(name: &Name, new_owner: &Key) {
    let mut own = MAX_SPLITS;
    let mut index = 0;
    while index < MAX_SPLITS {
        let account = *name.split(index).account();
        if same_key(&account, new_owner) {
            return;
        }
        if same_key(&account, name.owner()) {
            own = index;
        }
        index += 1;
    }
    if own < MAX_SPLITS {
        name.split(own).set_account(new_owner);
    }
}
