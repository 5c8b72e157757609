//! The three account layouts. Offsets in bytes; the client's `layout.ts` and `idl.json` hold the same figures.
//!
//! A view is only made after owner, size, discriminator and address were checked, so its accessors stay in bounds.

use crate::account::Account;
use crate::bytes::{Key, put_key, same_key};
use crate::error::Error;
use crate::math;
use crate::syscalls::{Part, copy, sha256};

pub const BANK_SEED: &[u8] = b"bank";
pub const MINT_SEED: &[u8] = b"credit";
pub const TILL_SEED: &[u8] = b"till";
pub const NAME_SEED: &[u8] = b"name";
const ADDRESS_MARKER: &[u8] = b"ProgramDerivedAddress";

/// ASCII, a zero byte, then the layout's version.
const BANK_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMbank\0\x01");
const TILL_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMtill\0\x01");
const NAME_DISCRIMINATOR: u64 = u64::from_le_bytes(*b"RMname\0\x01");

pub const BANK_SIZE: usize = 200;
pub const TILL_HEADER_SIZE: usize = 96;
pub const SLOT_SIZE: usize = 112;
pub const NAME_SIZE: usize = 768;
pub const SPLIT_SIZE: usize = 48;

pub const MAX_SLOTS: usize = 64;
pub const MAX_SPLITS: usize = 8;
/// A CID field: one length byte and this much room.
pub const TEXT_ROOM: usize = 63;

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

view!(Bank);
impl Bank {
    number!(discriminator, set_discriminator, u64, 0);
    number!(mint_bump, set_mint_bump, u8, 8);
    number!(bump, set_bump, u8, 9);
    key!(admin, set_admin, 16);
    number!(units_per_lamport, set_units_per_lamport, u64, 64);
    number!(challenge_seconds, set_challenge_seconds, u64, 72);
    number!(bought, set_bought, u64, 80);
    number!(redeemed, set_redeemed, u64, 88);
    number!(burned, set_burned, u64, 96);
    number!(minted, set_minted, u64, 104);
    number!(open_deposits, set_open_deposits, u64, 112);
    number!(unminted, set_unminted, u64, 120);
    number!(reserve, set_reserve, u64, 128);

    /// The bank, writable or not.
    #[inline(always)]
    pub fn load(account: &Account, program_id: &Key) -> Result<Bank, Error> {
        let bank = Bank { at: owned_data(account, program_id, BANK_SIZE, BANK_DISCRIMINATOR)? };
        require_address(account, &[Part::of(BANK_SEED)], bank.bump(), program_id)?;
        Ok(bank)
    }

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Bank, Error> {
        account.require_writable()?;
        Bank::load(account, program_id)
    }

    #[inline(always)]
    pub fn create(account: &Account, bump: u8) -> Bank {
        let bank = Bank { at: account.data() };
        bank.set_discriminator(BANK_DISCRIMINATOR);
        bank.set_bump(bump);
        bank
    }

    #[inline(always)]
    pub fn require_mint(&self, account: &Account, program_id: &Key) -> Result<(), Error> {
        account.require_writable()?;
        require_address(account, &[Part::of(MINT_SEED)], self.mint_bump(), program_id)
    }

    #[inline(always)]
    pub fn cluster_tag(&self) -> &[u8; 16] {
        // SAFETY: 16 bytes at 48 lie inside the bank.
        unsafe { &*(self.at.add(48) as *const [u8; 16]) }
    }

    #[inline(always)]
    pub fn set_cluster_tag(&self, tag: &[u8; 16]) {
        // SAFETY: as above.
        unsafe { (self.at.add(48) as *mut [u8; 16]).write_unaligned(*tag) }
    }

    /// Credits that exist in any form. The two totals wrap: an outsider who buys and redeems in a circle must not be
    /// able to fill a counter and so lock everybody else's money. Their difference stays exact.
    #[inline(always)]
    pub fn outstanding(&self) -> u64 {
        self.bought().wrapping_sub(self.redeemed())
    }

    /// Credits burned into a channel.
    #[inline(always)]
    pub fn deposit(&self, amount: u64) -> Result<(), Error> {
        self.set_open_deposits(math::add(self.open_deposits(), amount)?);
        self.set_burned(self.burned().wrapping_add(amount));
        Ok(())
    }

    /// Credits of open channels that now belong to tills and names.
    #[inline(always)]
    pub fn earn(&self, amount: u64) -> Result<(), Error> {
        self.set_open_deposits(math::sub(self.open_deposits(), amount)?);
        self.set_unminted(math::add(self.unminted(), amount)?);
        Ok(())
    }

    /// Earned credits that are minted now.
    #[inline(always)]
    pub fn pay_out(&self, amount: u64) -> Result<(), Error> {
        self.set_unminted(math::sub(self.unminted(), amount)?);
        self.set_minted(self.minted().wrapping_add(amount));
        Ok(())
    }

    /// An unspent deposit that is minted back.
    #[inline(always)]
    pub fn refund(&self, amount: u64) -> Result<(), Error> {
        self.set_open_deposits(math::sub(self.open_deposits(), amount)?);
        self.set_minted(self.minted().wrapping_add(amount));
        Ok(())
    }
}

view!(Till);
impl Till {
    number!(discriminator, set_discriminator, u64, 0);
    number!(bump, set_bump, u8, 8);
    number!(slot_count, set_slot_count, u32, 12);
    key!(owner, set_owner, 16);
    number!(earned, set_earned, u64, 48);
    number!(lifetime_earned, set_lifetime_earned, u64, 56);

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Till, Error> {
        account.require_writable()?;
        let till = Till { at: owned_data(account, program_id, TILL_HEADER_SIZE, TILL_DISCRIMINATOR)? };
        let slots = till.slot_count() as usize;
        if slots > MAX_SLOTS || account.data_len() != TILL_HEADER_SIZE + slots * SLOT_SIZE {
            return Err(Error::WrongAccountType);
        }
        require_address(account, &[Part::of(TILL_SEED), Part::of(till.owner())], till.bump(), program_id)?;
        Ok(till)
    }

    /// `account` was just allocated for that many slots and is all zeros.
    #[inline(always)]
    pub fn create(account: &Account, owner: &Key, bump: u8, slots: u16) -> Till {
        let till = Till { at: account.data() };
        till.set_discriminator(TILL_DISCRIMINATOR);
        till.set_bump(bump);
        till.set_slot_count(slots as u32);
        till.set_owner(owner);
        till
    }

    #[inline(always)]
    pub fn slot(&self, index: u16) -> Result<Slot, Error> {
        if index as u32 >= self.slot_count() {
            return Err(Error::SlotOutOfRange);
        }
        // SAFETY: the account's size was checked against slot_count.
        Ok(Slot { at: unsafe { self.at.add(TILL_HEADER_SIZE + index as usize * SLOT_SIZE) } })
    }

    /// The slot, when it holds an open channel of this generation.
    #[inline(always)]
    pub fn channel(&self, index: u16, generation: u32) -> Result<Slot, Error> {
        let slot = self.slot(index)?;
        slot.require_open()?;
        if slot.generation() == generation { Ok(slot) } else { Err(Error::WrongGeneration) }
    }
}

const OPEN: u32 = 1;

view!(Slot);
impl Slot {
    key!(payer, set_payer, 0);
    key!(delegate, set_delegate, 32);
    number!(deposit, set_deposit, u64, 64);
    number!(settled, set_settled, u64, 72);
    number!(up, set_up, u64, 80);
    number!(down, set_down, u64, 88);
    number!(generation, set_generation, u32, 96);
    number!(flags, set_flags, u32, 100);
    number!(close_at, set_close_at, i64, 104);

    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.flags() & OPEN != 0
    }

    #[inline(always)]
    pub fn require_open(&self) -> Result<(), Error> {
        if self.is_open() { Ok(()) } else { Err(Error::SlotNotOpen) }
    }

    #[inline(always)]
    pub fn open(&self, payer: &Key, delegate: &Key, deposit: u64) {
        self.set_payer(payer);
        self.set_delegate(delegate);
        self.set_deposit(deposit);
        self.set_flags(OPEN);
    }

    /// Frees the slot. Receipts of the old generation are dead from here on.
    #[inline(always)]
    pub fn clear(&self) -> Result<(), Error> {
        let generation = self.generation().checked_add(1).ok_or(Error::Overflow)?;
        // SAFETY: a slot has SLOT_SIZE bytes.
        unsafe { (self.at as *mut [u64; SLOT_SIZE / 8]).write_unaligned([0; SLOT_SIZE / 8]) };
        self.set_generation(generation);
        Ok(())
    }
}

view!(Name);
impl Name {
    number!(discriminator, set_discriminator, u64, 0);
    number!(bump, set_bump, u8, 8);
    key!(owner, set_owner, 80);
    key!(manager, set_manager, 112);
    number!(registered_at, set_registered_at, i64, 144);
    number!(expires_at, set_expires_at, i64, 152);
    number!(seq, set_seq, u64, 160);
    number!(royalty_bps, set_royalty_bps, u16, 296);
    number!(royalty_carry, set_royalty_carry, u16, 298);
    number!(split_count, set_split_count, u8, 300);
    number!(accrued, set_accrued, u64, 688);
    number!(lifetime, set_lifetime, u64, 696);

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Name, Error> {
        account.require_writable()?;
        let name = Name { at: owned_data(account, program_id, NAME_SIZE, NAME_DISCRIMINATOR)? };
        let hash = sha256(&[Part::of(name.text())]);
        require_address(account, &[Part::of(NAME_SEED), Part::of(&hash)], name.bump(), program_id)?;
        Ok(name)
    }

    /// `account` was just allocated and is all zeros.
    #[inline(always)]
    pub fn create(account: &Account, bump: u8, text: &[u8]) -> Result<Name, Error> {
        let name = Name { at: account.data() };
        name.set_discriminator(NAME_DISCRIMINATOR);
        name.set_bump(bump);
        name.put_text(9, text)?;
        Ok(name)
    }

    #[inline(always)]
    fn text(&self) -> &[u8] {
        // SAFETY: one length byte and 63 bytes of room at 9; the length is bounded before use.
        unsafe { core::slice::from_raw_parts(self.at.add(10), (*self.at.add(9) as usize).min(TEXT_ROOM)) }
    }

    #[inline(always)]
    pub fn set_root(&self, cid: &[u8]) -> Result<(), Error> {
        self.put_text(168, cid)
    }

    #[inline(always)]
    pub fn set_manifest(&self, cid: &[u8]) -> Result<(), Error> {
        self.put_text(232, cid)
    }

    /// Writes length and bytes, and zeros what a longer value left behind.
    fn put_text(&self, offset: usize, value: &[u8]) -> Result<(), Error> {
        if value.len() > TEXT_ROOM {
            return Err(Error::FieldTooLong);
        }
        // SAFETY: the field has 64 bytes and the length was checked.
        unsafe {
            let at = self.at.add(offset);
            (at as *mut [u64; 8]).write_unaligned([0; 8]);
            *at = value.len() as u8;
            copy(at.add(1), value.as_ptr(), value.len());
        }
        Ok(())
    }

    /// A view of one of the eight; `index` below MAX_SPLITS.
    #[inline(always)]
    pub fn split(&self, index: usize) -> Split {
        // SAFETY: `min` keeps it inside the list.
        Split { at: unsafe { self.at.add(304 + index.min(MAX_SPLITS - 1) * SPLIT_SIZE) } }
    }
}

view!(Split);
impl Split {
    key!(account, set_account, 0);
    number!(bps, set_bps, u16, 32);
    number!(owed, set_owed, u64, 40);

    #[inline(always)]
    pub fn clear(&self) {
        // SAFETY: a split has SPLIT_SIZE bytes.
        unsafe { (self.at as *mut [u64; SPLIT_SIZE / 8]).write_unaligned([0; SPLIT_SIZE / 8]) }
    }
}

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

/// Recomputes a program-derived address from its stored bump: one hash, where the runtime's own call costs ten times as
/// much. That the bump gives a point off the curve was proven when the account was created.
#[inline(always)]
fn require_address(account: &Account, seeds: &[Part], bump: u8, program_id: &Key) -> Result<(), Error> {
    let bump = [bump];
    let mut parts = [Part::of(ADDRESS_MARKER); 5];
    let mut count = 0;
    while count < seeds.len() && count < 2 {
        parts[count] = seeds[count];
        count += 1;
    }
    parts[count] = Part::of(&bump);
    parts[count + 1] = Part::of(program_id);
    let digest = sha256(parts.get(..count + 3).unwrap_or(&[]));
    if same_key(&digest, account.key()) { Ok(()) } else { Err(Error::WrongAddress) }
}
