//! 11 updateName(seq u64, flags u8, then each field whose flag is set: root short, manifest short, royalty_bps u16,
//! manager [u8; 32], splits, referrer_bps u16)
//!
//! owner or manager (signer), name (writable)

use crate::account::Context;
use crate::bytes::same_key;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math::{BPS_WHOLE, add};
use crate::splits;
use crate::state::Name;
use crate::syscalls::now;

const ROOT: u8 = 1;
const MANIFEST: u8 = 2;
const ROYALTY: u8 = 4;
const MANAGER: u8 = 8;
const SPLITS: u8 = 16;
const REFERRER: u8 = 32;
const ALL: u8 = 63;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let seq = input.u64()?;
    let flags = input.u8()?;
    let [signer, account] = context.accounts.exactly()?;
    signer.require_signer()?;
    let name = Name::load_mut(account, context.program_id)?;
    if !same_key(signer.key(), name.owner()) {
        if !same_key(signer.key(), name.manager()) {
            return Err(Error::NotNameOwner);
        }
        if flags & !(ROOT | MANIFEST) != 0 {
            return Err(Error::ManagerForbidden);
        }
    }
    name.require_held(now())?;
    if flags == 0 || flags & !ALL != 0 {
        return Err(Error::InvalidInstruction);
    }
    if seq != name.seq() {
        return Err(Error::StaleSequence);
    }
    name.set_seq(add(seq, 1)?);
    if flags & ROOT != 0 {
        name.set_root(input.short()?)?;
    }
    if flags & MANIFEST != 0 {
        name.set_manifest(input.short()?)?;
    }
    if flags & ROYALTY != 0 {
        let bps = input.u16()?;
        if bps as u64 > BPS_WHOLE {
            return Err(Error::InvalidRoyalty);
        }
        name.set_royalty_bps(bps);
    }
    if flags & MANAGER != 0 {
        name.set_manager(input.key()?);
    }
    if flags & SPLITS != 0 {
        splits::require_distributed(&name)?;
        splits::replace(&name, input)?;
    }
    if flags & REFERRER != 0 {
        let bps = input.u16()?;
        if bps as u64 > BPS_WHOLE {
            return Err(Error::InvalidReferrerShare);
        }
        name.set_referrer_bps(bps);
    }
    event::emit(11, 0, account.key(), name.owner(), [name.seq(), flags as u64, 0]);
    input.end()
}
