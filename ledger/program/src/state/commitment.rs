//! A commitment to a name that is not told yet: who made it, and when.

use super::{COMMITMENT_DISCRIMINATOR, COMMITMENT_SEED, COMMITMENT_SIZE, owned_data, require_keyed_address};
use crate::account::Account;
use crate::bytes::{Key, put_key};
use crate::error::Error;
use crate::math;
use crate::syscalls::{Part, sha256};
use crate::system::SYSTEM_PROGRAM;

view!(Commitment);
impl Commitment {
    number!(discriminator, set_discriminator, u64, 0);
    number!(bump, set_bump, u8, 8);
    key!(committer, set_committer, 16);
    key!(hash, set_hash, 48);
    number!(committed_at, set_committed_at, i64, 80);

    /// The second seed of the address. The committer is part of it: who copies a hash that is under way only makes a
    /// commitment of its own, and cannot stand in the way of the first.
    #[inline(always)]
    pub fn place(committer: &Key, hash: &Key) -> Key {
        sha256(&[Part::of(committer), Part::of(hash)])
    }

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Commitment, Error> {
        account.require_writable()?;
        let at = owned_data(account, program_id, COMMITMENT_SIZE, COMMITMENT_DISCRIMINATOR)?;
        let commitment = Commitment { at };
        let place = Commitment::place(commitment.committer(), commitment.hash());
        require_keyed_address(account, COMMITMENT_SEED, &place, commitment.bump(), program_id)?;
        Ok(commitment)
    }

    /// `account` was just allocated and is all zeros.
    #[inline(always)]
    pub fn create(account: &Account, bump: u8, committer: &Key, hash: &Key, committed_at: i64) {
        let commitment = Commitment { at: account.data() };
        commitment.set_discriminator(COMMITMENT_DISCRIMINATOR);
        commitment.set_bump(bump);
        commitment.set_committer(committer);
        commitment.set_hash(hash);
        commitment.set_committed_at(committed_at);
    }

    /// Seconds since it was made; 0 should the clock have gone back.
    #[inline(always)]
    pub fn age(&self, now: i64) -> u64 {
        now.saturating_sub(self.committed_at()).max(0) as u64
    }

    /// Gives its lamports to `to` and its address back to the system program, so that it cannot be revived. Nothing may call another program afterwards: the
    /// runtime would find the sums unequal.
    #[inline(always)]
    pub fn close(&self, account: &Account, to: &Account) -> Result<(), Error> {
        // SAFETY: the view has COMMITMENT_SIZE bytes.
        unsafe { (self.at as *mut [u64; COMMITMENT_SIZE / 8]).write_unaligned([0; COMMITMENT_SIZE / 8]) };
        to.set_lamports(math::add(to.lamports(), account.lamports())?);
        account.set_lamports(0);
        account.set_data_len(0);
        account.set_owner(&SYSTEM_PROGRAM);
        Ok(())
    }
}
