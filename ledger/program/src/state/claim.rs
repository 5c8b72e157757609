//! What a payer gets of channels that their payees closed, until somebody pays it out.

use super::{CLAIM_DISCRIMINATOR, CLAIM_SEED, CLAIM_SIZE, owned_data, require_keyed_address};
use crate::account::Account;
use crate::bytes::{Key, put_key};
use crate::error::Error;
use crate::math;
use crate::system::SYSTEM_PROGRAM;

view!(Claim);
impl Claim {
    number!(discriminator, set_discriminator, u64, 0);
    number!(bump, set_bump, u8, 8);
    key!(payer, set_payer, 16);
    number!(amount, set_amount, u64, 48);

    #[inline(always)]
    pub fn load_mut(account: &Account, program_id: &Key) -> Result<Claim, Error> {
        account.require_writable()?;
        let claim = Claim { at: owned_data(account, program_id, CLAIM_SIZE, CLAIM_DISCRIMINATOR)? };
        require_keyed_address(account, CLAIM_SEED, claim.payer(), claim.bump(), program_id)?;
        Ok(claim)
    }

    /// `account` was just allocated and is all zeros.
    #[inline(always)]
    pub fn create(account: &Account, bump: u8, payer: &Key) -> Claim {
        let claim = Claim { at: account.data() };
        claim.set_discriminator(CLAIM_DISCRIMINATOR);
        claim.set_bump(bump);
        claim.set_payer(payer);
        claim
    }

    #[inline(always)]
    pub fn add(&self, amount: u64) -> Result<(), Error> {
        self.set_amount(math::add(self.amount(), amount)?);
        Ok(())
    }

    /// Gives its lamports to `to` and its address back to the system program. Nothing may call another program afterwards:
    /// the runtime would find the sums unequal.
    #[inline(always)]
    pub fn close(&self, account: &Account, to: &Account) -> Result<(), Error> {
        // SAFETY: the view has CLAIM_SIZE bytes.
        unsafe { (self.at as *mut [u64; CLAIM_SIZE / 8]).write_unaligned([0; CLAIM_SIZE / 8]) };
        to.set_lamports(math::add(to.lamports(), account.lamports())?);
        account.set_lamports(0);
        account.set_data_len(0);
        account.set_owner(&SYSTEM_PROGRAM);
        Ok(())
    }
}
