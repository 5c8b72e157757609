//! A seller's till: a header, then its channel slots.

use super::{CLAIM_SIZE, MAX_SLOTS, SLOT_SIZE, TILL_DISCRIMINATOR, TILL_HEADER_SIZE, owned_data, require_own_address};
use crate::account::Account;
use crate::bytes::{Key, put_key, same_key};
use crate::create::rent_minimum;
use crate::error::Error;
use crate::syscalls::{Part, current_slot};

view!(Till);
impl Till {
    number!(discriminator, set_discriminator, u64, 0);
    number!(bump, set_bump, u8, 8);
    number!(slot_count, set_slot_count, u32, 12);
    key!(owner, set_owner, 16);
    number!(earned, set_earned, u64, 48);
    number!(lifetime_earned, set_lifetime_earned, u64, 56);
    key!(address, set_address, 64);
    number!(min_deposit, set_min_deposit, u64, 96);
    number!(opening, set_opening, u64, 104);
    number!(slot_rent, set_slot_rent, u64, 112);

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Till, Error> {
        account.require_writable()?;
        let till = Till { at: owned_data(account, program_id, TILL_HEADER_SIZE, TILL_DISCRIMINATOR)? };
        let slots = till.slot_count() as usize;
        if slots > MAX_SLOTS || account.data_len() != TILL_HEADER_SIZE + slots * SLOT_SIZE {
            return Err(Error::WrongAccountType);
        }
        require_own_address(account, till.address())?;
        Ok(till)
    }

    /// `account` was just allocated and is all zeros; its slots are added with `extend`.
    #[inline(always)]
    pub fn create(account: &Account, owner: &Key, bump: u8) -> Till {
        let till = Till { at: account.data() };
        till.set_discriminator(TILL_DISCRIMINATOR);
        till.set_bump(bump);
        till.set_owner(owner);
        till.set_address(account.key());
        till
    }

    /// Makes it `slots` slots, the new ones free. The account has room for them.
    #[inline(always)]
    pub fn extend(&self, slots: u16) -> Result<(), Error> {
        self.refresh_slot_rent()?;
        let generation = first_generation()?;
        let mut index = self.slot_count() as u16;
        self.set_slot_count(slots as u32);
        while index < slots {
            self.slot(index)?.free(generation);
            index += 1;
        }
        Ok(())
    }

    /// What openers pay from now on, in lamports: the rent of the claim that would take the slot's place, which is more
    /// than the slot's own. Only what was paid is ever given back, so a change of rent harms no channel.
    #[inline(always)]
    pub fn refresh_slot_rent(&self) -> Result<(), Error> {
        self.set_slot_rent(rent_minimum(CLAIM_SIZE as u64)?);
        Ok(())
    }

    #[inline(always)]
    pub fn require_owner(&self, account: &Account) -> Result<(), Error> {
        account.require_signer()?;
        if same_key(self.owner(), account.key()) { Ok(()) } else { Err(Error::NotTillOwner) }
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

/// The generation of slots that are made now: the cluster's slot. A till is only closed when all its generations lie
/// below it, so whatever the same owner opens later at the same address repeats none of them.
#[inline(always)]
pub fn first_generation() -> Result<u32, Error> {
    let slot = current_slot();
    if slot >> 32 == 0 { Ok((slot as u32).max(1)) } else { Err(Error::Overflow) }
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
    number!(close_slot, set_close_slot, u64, 112);
    number!(opening, set_opening, u64, 120);
    number!(rent, set_rent, u64, 128);

    #[inline(always)]
    pub fn is_open(&self) -> bool {
        self.flags() & OPEN != 0
    }

    #[inline(always)]
    pub fn require_open(&self) -> Result<(), Error> {
        if self.is_open() { Ok(()) } else { Err(Error::SlotNotOpen) }
    }

    #[inline(always)]
    pub fn open(&self, payer: &Key, delegate: &Key, deposit: u64, opening: u64, rent: u64) {
        self.set_payer(payer);
        self.set_delegate(delegate);
        self.set_deposit(deposit);
        self.set_opening(opening);
        self.set_rent(rent);
        self.set_flags(OPEN);
    }

    /// Frees the slot. Receipts of the old generation are dead from here on.
    #[inline(always)]
    pub fn clear(&self) -> Result<(), Error> {
        self.free(self.generation().checked_add(1).ok_or(Error::Overflow)?);
        Ok(())
    }

    /// All zeros, but for the generation of the next channel.
    #[inline(always)]
    fn free(&self, generation: u32) {
        // SAFETY: a slot has SLOT_SIZE bytes.
        unsafe { (self.at as *mut [u64; SLOT_SIZE / 8]).write_unaligned([0; SLOT_SIZE / 8]) };
        self.set_generation(generation);
    }
}
