//! 10 registerName(salt [u8; 32], name short, years u8, max_price u64, root short, manifest short, royalty_bps u16,
//! referrer_bps u16, manager [u8; 32], splits)
//!
//! owner (signer, writable), name (writable), commitment (writable), bank (writable); then mint (writable), owner's token
//! account (writable), token program, or this program's id in their places when the name is free; system program
//!
//! `short`: one length byte, then the bytes. Reveals what commitName hid: who sees the name here is too late to commit
//! to it. A name whose grace is over is registered in the account it has: `seq` goes on, so that readers follow.

use crate::account::{Account, Context};
use crate::bytes::{Key, same_key};
use crate::charge::charge;
use crate::create::create_derived;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math::{self, BPS_WHOLE};
use crate::splits;
use crate::state::{Bank, Commitment, NAME_SEED, NAME_SIZE, Name};
use crate::syscalls::{Part, now, sha256};
use crate::system::{New, SYSTEM_PROGRAM};
use crate::term;

/// With one hyphen for the dot and two for each hyphen a name must still fit a host label of 63 bytes.
const MAX_NAME: usize = 58;
const MAX_HOST_LABEL: usize = 63;
const COMMITMENT_DOMAIN: &[u8] = b"relaymint:name-commitment:v1";

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let salt = input.key()?;
    let text = input.short()?;
    let years = input.u8()?;
    let max_price = input.u64()?;
    let root = input.short()?;
    let manifest = input.short()?;
    let royalty_bps = input.u16()?;
    let referrer_bps = input.u16()?;
    let manager = input.key()?;
    let [owner, account, commitment_account, bank_account, mint, source, token_program, system_program] =
        context.accounts.exactly()?;
    owner.require_signer()?;
    owner.require_writable()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    if !is_valid(text) {
        return Err(Error::InvalidName);
    }
    if royalty_bps as u64 > BPS_WHOLE {
        return Err(Error::InvalidRoyalty);
    }
    if referrer_bps as u64 > BPS_WHOLE {
        return Err(Error::InvalidReferrerShare);
    }
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    let now = now();
    let commitment = committed(commitment_account, owner, salt, text, context.program_id)?;
    let age = commitment.age(now);
    if age < bank.commit_seconds() as u64 {
        return Err(Error::CommitmentTooYoung);
    }
    if age > term::COMMITMENT_LIFE {
        return Err(Error::CommitmentTooOld);
    }
    let expires_at = term::extend(now, years)?;
    let mut price = term::price(years, bank.name_year_price())?;

    let hash = sha256(&[Part::of(text)]);
    let name = if same_key(account.owner(), context.program_id) {
        let name = Name::load_mut_of(&hash, account, context.program_id)?;
        let elapsed = name.released_for(now).ok_or(Error::NameTaken)?;
        splits::require_distributed(&name)?;
        price = math::add(price, term::premium(elapsed, bank.name_year_price()))?;
        name.raise_seq()?;
        name.forget_recovery();
        name
    } else {
        let new = New { payer: owner, account, space: NAME_SIZE as u64, owner: context.program_id, prepaid: 0 };
        let seeds = [Part::of(NAME_SEED), Part::of(&hash)];
        let bump = create_derived(&new, seeds, context.program_id, Error::WrongOwner)?;
        Name::create(account, bump, text)?
    };
    name.set_root(root)?;
    name.set_manifest(manifest)?;
    name.set_owner(owner.key());
    name.set_manager(manager);
    name.set_registered_at(now);
    name.set_expires_at(expires_at);
    name.set_royalty_bps(royalty_bps);
    name.set_referrer_bps(referrer_bps);
    splits::replace(&name, input)?;
    input.end()?;
    charge(&bank, price, max_price, [owner, mint, source, token_program], context.program_id)?;
    event::emit(10, 0, account.key(), owner.key(), [price, expires_at as u64, name.seq()]);
    commitment.close(commitment_account, owner)
}

/// The owner's own commitment to this name with this salt.
#[inline(always)]
fn committed(
    account: &Account,
    owner: &Account,
    salt: &Key,
    text: &[u8],
    program_id: &Key,
) -> Result<Commitment, Error> {
    if same_key(account.owner(), &SYSTEM_PROGRAM) && account.data_len() == 0 {
        return Err(Error::NoCommitment);
    }
    let commitment = Commitment::load_mut(account, program_id)?;
    let hash = sha256(&[Part::of(COMMITMENT_DOMAIN), Part::of(owner.key()), Part::of(salt), Part::of(text)]);
    if same_key(commitment.hash(), &hash) && same_key(commitment.committer(), owner.key()) {
        Ok(commitment)
    } else {
        Err(Error::NoCommitment)
    }
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
