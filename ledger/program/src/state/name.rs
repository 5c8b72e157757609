//! A name: who owns it, what it points to, who earns from it.

use super::{
    FIRST_NAME_DISCRIMINATOR, MAX_SPLITS, NAME_DISCRIMINATOR, NAME_SEED, NAME_SIZE, SPLIT_SIZE,
    owned_name, require_keyed_address,
};
use crate::account::Account;
use crate::bytes::{Key, put_key, same_key};
use crate::error::Error;
use crate::math;
use crate::syscalls::{Part, copy, sha256};
use crate::term::GRACE;

/// A CID field: one length byte and this much room.
const TEXT_ROOM: usize = 63;

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
    number!(referrer_bps, set_referrer_bps, u16, 302);
    number!(accrued, set_accrued, u64, 688);
    number!(lifetime, set_lifetime, u64, 696);
    number!(referrer_carry, set_referrer_carry, u16, 704);
    number!(transfers, set_transfers, u32, 708);
    // Below only where `has_recovery` says so: a name of the first layout ends before.
    key!(recovery_key, set_recovery_key, 712);
    key!(new_owner, set_new_owner, 744);
    number!(recover_at, set_recover_at, i64, 776);
    number!(recover_slot, set_recover_slot, u64, 784);
    number!(recovery_delay, set_recovery_delay, u32, 792);

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Name, Error> {
        account.require_writable()?;
        let name = Name { at: owned_name(account, program_id)? };
        name.require_place(account, &sha256(&[Part::of(name.text())]), program_id)?;
        Ok(name)
    }

    /// Again an account that `load_mut` accepted in this instruction.
    #[inline(always)]
    pub fn loaded(account: &Account) -> Name {
        Name { at: account.data() }
    }

    /// The record of the name whose SHA-256 is `hash`.
    #[inline(always)]
    pub fn load_mut_of(hash: &Key, account: &Account, program_id: &Key) -> Result<Name, Error> {
        account.require_writable()?;
        let name = Name { at: owned_name(account, program_id)? };
        name.require_place(account, hash, program_id)?;
        Ok(name)
    }

    #[inline(always)]
    fn require_place(&self, account: &Account, hash: &Key, program_id: &Key) -> Result<(), Error> {
        require_keyed_address(account, NAME_SEED, hash, self.bump(), program_id)
    }

    /// Seconds since anybody may register it; None while it is its owner's. 0 as the expiry means never.
    #[inline(always)]
    pub fn released_for(&self, now: i64) -> Option<u64> {
        let expires_at = self.expires_at();
        let elapsed = now.checked_sub(expires_at.saturating_add(GRACE as i64))?;
        if expires_at == 0 || elapsed < 0 { None } else { Some(elapsed as u64) }
    }

    /// After its grace a name obeys neither owner nor manager: all it can be is registered.
    #[inline(always)]
    pub fn require_held(&self, now: i64) -> Result<(), Error> {
        if self.released_for(now).is_none() { Ok(()) } else { Err(Error::NameExpired) }
    }

    #[inline(always)]
    pub fn require_owner(&self, key: &Key) -> Result<(), Error> {
        if same_key(key, self.owner()) {
            return Ok(());
        }
        let manages = same_key(key, self.manager());
        Err(if manages { Error::ManagerForbidden } else { Error::NotNameOwner })
    }

    /// False for a name of before there was recovery, which has no room for it until it gets a key.
    #[inline(always)]
    pub fn has_recovery(&self) -> bool {
        self.discriminator() != FIRST_NAME_DISCRIMINATOR
    }

    /// Gives a name of the first layout the bytes of the present one; they come as zeros. The caller paid their rent.
    #[inline(always)]
    pub fn make_room(&self, account: &Account) {
        account.set_data_len(NAME_SIZE);
        self.set_discriminator(NAME_DISCRIMINATOR);
    }

    /// Seconds; 0 when no recovery was begun.
    #[inline(always)]
    pub fn recovers_at(&self) -> i64 {
        if self.has_recovery() { self.recover_at() } else { 0 }
    }

    #[inline(always)]
    pub fn is_recovery_key(&self, key: &Key) -> bool {
        // A signer's address is never zeros.
        self.has_recovery() && same_key(self.recovery_key(), key)
    }

    /// What was begun is over; the key stays.
    #[inline(always)]
    pub fn end_recovery(&self) {
        self.set_new_owner(&[0; 32]);
        self.set_recover_at(0);
        self.set_recover_slot(0);
    }

    /// Nobody has a claim on it any more but its owner: whoever gets a name gets it whole.
    #[inline(always)]
    pub fn forget_recovery(&self) {
        if self.has_recovery() {
            self.set_recovery_key(&[0; 32]);
            self.set_recovery_delay(0);
            self.end_recovery();
        }
    }

    #[inline(always)]
    pub fn raise_seq(&self) -> Result<(), Error> {
        self.set_seq(math::add(self.seq(), 1)?);
        Ok(())
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
