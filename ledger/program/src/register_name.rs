//! 10 registerName(name short, root short, manifest short, royalty_bps u16, manager [u8; 32], splits)
//!
//! owner (signer, writable), name (writable), system program
//!
//! `short`: one length byte, then the bytes. First come, first served.

use crate::account::Context;
use crate::create::create_derived;
use crate::error::Error;
use crate::input::Input;
use crate::math::BPS_WHOLE;
use crate::splits;
use crate::state::{NAME_SEED, NAME_SIZE, Name};
use crate::syscalls::{Part, now, sha256};
use crate::system::{New, SYSTEM_PROGRAM};

/// With one hyphen for the dot and two for each hyphen a name must still fit a host label of 63 bytes.
const MAX_NAME: usize = 58;
const MAX_HOST_LABEL: usize = 63;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let text = input.short()?;
    let root = input.short()?;
    let manifest = input.short()?;
    let royalty_bps = input.u16()?;
    let manager = input.key()?;
    let [owner, account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    if !is_valid(text) {
        return Err(Error::InvalidName);
    }
    if royalty_bps as u64 > BPS_WHOLE {
        return Err(Error::InvalidRoyalty);
    }
    let hash = sha256(&[Part::of(text)]);
    let new = New { payer: owner, account, space: NAME_SIZE as u64, owner: context.program_id };
    let bump = create_derived(&new, [Part::of(NAME_SEED), Part::of(&hash)], context.program_id, Error::NameTaken)?;
    let name = Name::create(account, bump, text)?;
    name.set_root(root)?;
    name.set_manifest(manifest)?;
    name.set_owner(owner.key());
    name.set_manager(manager);
    name.set_registered_at(now());
    name.set_royalty_bps(royalty_bps);
    splits::replace(&name, input)?;
    input.end()
}

/// `label.tld`: a-z, 0-9 and hyphens, no hyphen at an edge, none at both the third and fourth place (that is how
/// encoded international labels are marked).
fn is_valid(text: &[u8]) -> bool {
    if text.len() > MAX_NAME {
        return false;
    }
    let mut dot = 0;
    let mut hyphens = 0;
    while dot < text.len() && text[dot] != b'.' {
        match text[dot] {
            b'a'..=b'z' | b'0'..=b'9' => {}
            b'-' => hyphens += 1,
            _ => return false,
        }
        dot += 1;
    }
    if dot == 0 || dot == text.len() || text.len() + hyphens > MAX_HOST_LABEL {
        return false;
    }
    if text[0] == b'-' || text[dot - 1] == b'-' {
        return false;
    }
    if dot >= 4 && text[2] == b'-' && text[3] == b'-' {
        return false;
    }
    is_known_ending(&text[dot + 1..])
}

fn is_known_ending(text: &[u8]) -> bool {
    match text.len() {
        3 => text == b"sso" || text == b"map",
        4 => text == b"web3",
        5 => text == b"image" || text == b"video" || text == b"route",
        _ => false,
    }
}
