//! The five account layouts. Offsets in bytes; the client's `layout.ts` and `idl.json` hold the same figures.
//!
//! A view is only made after owner, size, discriminator and address were checked, so its accessors stay in bounds.

use crate::account::Account;
use crate::bytes::{Key, same_key};
use crate::error::Error;
use crate::syscalls::{Part, sha256};

pub const BANK_SEED: &[u8; 4] = b"bank";
pub const MINT_SEED: &[u8; 6] = b"credit";
pub const TILL_SEED: &[u8] = b"till";
pub const NAME_SEED: &[u8] = b"name";
pub const COMMITMENT_SEED: &[u8] = b"commit";
pub const CLAIM_SEED: &[u8] = b"claim";
const ADDRESS_MARKER: &[u8] = b"ProgramDerivedAddress";

/// ASCII, a zero byte, then the layout's version.
const BANK_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMbank\0\x03");
const TILL_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMtill\0\x02");
const NAME_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMname\0\x02");
/// Of names of before there was recovery: the same fields up to its own, which they lack.
const FIRST_NAME_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMname\0\x01");
const COMMITMENT_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMcmit\0\x01");
const CLAIM_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMowed\0\x01");

pub const BANK_SIZE: usize = 288;
pub const TILL_HEADER_SIZE: usize = 128;
pub const SLOT_SIZE: usize = 136;
pub const NAME_SIZE: usize = 800;
pub const FIRST_NAME_SIZE: usize = 768;
pub const SPLIT_SIZE: usize = 48;
pub const COMMITMENT_SIZE: usize = 88;
pub const CLAIM_SIZE: usize = 56;

pub const MAX_SLOTS: usize = 1024;
/// The 10,240 bytes that one instruction may allocate hold the header and this many slots.
pub const MAX_NEW_SLOTS: usize = 74;
pub const MAX_SPLITS: usize = 8;

macro_rules! number {
    ($get:ident, $set:ident, $type:ty, $offset:expr) => {
        #[allow(dead_code)] // the layout is written down whole
        #[inline(always)]
        pub fn $get(&self) -> $type {
            // SAFETY: the view's size was checked and the offset lies inside it.
            unsafe { (self.at.add($offset) as *const $type).read_unaligned() }
        }

        #[allow(dead_code)]
        #[inline(always)]
        pub fn $set(&self, value: $type) {
            // SAFETY: as above; the account was checked to be writable, or the runtime refuses the change.
            unsafe { (self.at.add($offset) as *mut $type).write_unaligned(value) }
        }
    };
}

macro_rules! key {
    ($get:ident, $set:ident, $offset:expr) => {
        #[allow(dead_code)] // the layout is written down whole
        #[inline(always)]
        pub fn $get(&self) -> &Key {
            // SAFETY: the view's size was checked and the offset lies inside it.
            unsafe { &*(self.at.add($offset) as *const Key) }
        }

        #[inline(always)]
        pub fn $set(&self, value: &Key) {
            // SAFETY: as above.
            unsafe { put_key(self.at.add($offset), value) }
        }
    };
}

macro_rules! view {
    ($name:ident) => {
        #[derive(Clone, Copy)]
        pub struct $name {
            at: *mut u8,
        }
    };
}

mod bank;
mod claim;
mod commitment;
mod name;
mod till;

pub use bank::Bank;
pub use claim::Claim;
pub use commitment::Commitment;
pub use name::Name;
pub use till::{Slot, Till, first_generation};

/// The data of an account of ours with that discriminator and at least that size (exactly, where the size is fixed).
#[inline(always)]
fn owned_data(account: &Account, program_id: &Key, size: usize, discriminator: u64) -> Result<*mut u8, Error> {
    account.require_owner(program_id)?;
    let length = account.data_len();
    if length < size || (discriminator != TILL_DISCRIMINATOR && length != size) {
        return Err(Error::WrongAccountType);
    }
    let at = account.data();
    // SAFETY: at least `size` >= 8 bytes.
    if unsafe { (at as *const u64).read_unaligned() } != discriminator {
        return Err(Error::WrongAccountType);
    }
    Ok(at)
}

/// The data of a name of either layout, each with its own size.
#[inline(always)]
fn owned_name(account: &Account, program_id: &Key) -> Result<*mut u8, Error> {
    if account.data_len() == FIRST_NAME_SIZE {
        owned_data(account, program_id, FIRST_NAME_SIZE, FIRST_NAME_DISCRIMINATOR)
    } else {
        owned_data(account, program_id, NAME_SIZE, NAME_DISCRIMINATOR)
    }
}

/// Bank and till hold their own address since they were created there, and the instructions that move money look at it
/// instead of deriving it again: a hash costs ten times as much. Nothing is lost by that. An account that this program owns
/// has our discriminator only where `create` wrote it, and `create` derives the address.
#[inline(always)]
fn require_own_address(account: &Account, own: &Key) -> Result<(), Error> {
    if same_key(account.key(), own) { Ok(()) } else { Err(Error::WrongAddress) }
}

/// Recomputes a program-derived address from its stored bump: one hash, where the runtime's own call costs ten times as
/// much. That the bump gives a point off the curve was proven when the account was created.
#[inline(always)]
fn require_keyed_address(account: &Account, seed: &[u8], of: &Key, bump: u8, program_id: &Key) -> Result<(), Error> {
    let bump = [bump];
    let (seed, of, bump) = (Part::of(seed), Part::of(of), Part::of(&bump));
    let digest = sha256(&[seed, of, bump, Part::of(program_id), Part::of(ADDRESS_MARKER)]);
    if same_key(&digest, account.key()) { Ok(()) } else { Err(Error::WrongAddress) }
}
