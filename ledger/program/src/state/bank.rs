//! The bank: configuration, totals, mint authority.

use super::{BANK_DISCRIMINATOR, BANK_SIZE, owned_data, require_own_address};
use crate::account::Account;
use crate::bytes::{Key, put_key};
use crate::error::Error;
use crate::math;

view!(Bank);
impl Bank {
    number!(discriminator, set_discriminator, u64, 0);
    number!(bump, set_bump, u8, 8);
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
    key!(treasury, set_treasury, 136);
    number!(fees, set_fees, u64, 168);
    number!(name_year_price, set_name_year_price, u64, 176);
    number!(fee_bps, set_fee_bps, u16, 184);
    number!(fee_carry, set_fee_carry, u16, 186);
    number!(commit_seconds, set_commit_seconds, u32, 188);
    number!(lifetime_fees, set_lifetime_fees, u64, 192);
    key!(address, set_address, 200);
    key!(mint, set_mint, 232);
    number!(forgone, set_forgone, u64, 264);
    number!(rent, set_rent, u64, 272);
    number!(slot_rents, set_slot_rents, u64, 280);

    /// The bank, writable or not.
    #[inline(always)]
    pub fn load(account: &Account, program_id: &Key) -> Result<Bank, Error> {
        let bank = Bank { at: owned_data(account, program_id, BANK_SIZE, BANK_DISCRIMINATOR)? };
        require_own_address(account, bank.address())?;
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
        bank.set_address(account.key());
        // What its rent is now is what it keeps for it, whatever the cluster asks later.
        bank.set_rent(account.lamports());
        bank
    }

    #[inline(always)]
    pub fn require_mint(&self, account: &Account) -> Result<(), Error> {
        account.require_writable()?;
        account.require_key(self.mint())
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

    /// Credits burned into a channel: `amount` as its deposit, `opening` as what its payer stakes. Returns their sum.
    #[inline(always)]
    pub fn deposit(&self, amount: u64, opening: u64) -> Result<u64, Error> {
        let sum = math::add(amount, opening)?;
        self.set_open_deposits(math::add(self.open_deposits(), sum)?);
        self.set_burned(self.burned().wrapping_add(sum));
        Ok(sum)
    }

    /// Lamports that are somebody's: the bank's own rent, what backs the credits, and the rent of open slots.
    #[inline(always)]
    pub fn spoken_for(&self) -> Result<u64, Error> {
        math::add(math::add(self.rent(), self.reserve())?, self.slot_rents())
    }

    /// The rent of a slot that is opened: it was transferred to the bank before, in the same transaction. That is cheaper
    /// than asking the system program from here.
    #[inline(always)]
    pub fn take_slot_rent(&self, account: &Account, lamports: u64) -> Result<(), Error> {
        self.set_slot_rents(math::add(self.slot_rents(), lamports)?);
        if account.lamports() < self.spoken_for()? { Err(Error::SlotRentMissing) } else { Ok(()) }
    }

    /// Gives a slot's rent to `to`. Nothing may call another program afterwards: the runtime would find the sums unequal.
    #[inline(always)]
    pub fn return_slot_rent(&self, account: &Account, to: &Account, lamports: u64) -> Result<(), Error> {
        self.set_slot_rents(math::sub(self.slot_rents(), lamports)?);
        account.set_lamports(math::sub(account.lamports(), lamports)?);
        to.set_lamports(math::add(to.lamports(), lamports)?);
        Ok(())
    }

    /// Credits of open channels that now belong to tills and names.
    #[inline(always)]
    pub fn earn(&self, amount: u64) -> Result<(), Error> {
        self.set_open_deposits(math::sub(self.open_deposits(), amount)?);
        self.set_unminted(math::add(self.unminted(), amount)?);
        Ok(())
    }

    /// The treasury's part of what a settlement moved. It stays among the unminted until it is collected; what does not
    /// make a whole base unit is carried to the next settlement. At most `total`.
    #[inline(always)]
    pub fn take_fee(&self, total: u64) -> Result<u64, Error> {
        let (fee, carry) = math::share(total, self.fee_bps() as u64, self.fee_carry() as u64);
        self.set_fee_carry(carry as u16);
        self.set_fees(math::add(self.fees(), fee)?);
        self.set_lifetime_fees(self.lifetime_fees().wrapping_add(fee));
        Ok(fee)
    }

    /// What a royalty is counted on: the part of `gross` that the fee leaves, rounded down. However a settlement is cut
    /// into shares, these parts together are at most its total less `take_fee`, carry included.
    #[inline(always)]
    pub fn after_fee(&self, gross: u64) -> u64 {
        let left = math::BPS_WHOLE.saturating_sub(self.fee_bps() as u64);
        math::share(gross, left, 0).0
    }

    /// Credits burned for a name: the treasury's, and not yet minted.
    #[inline(always)]
    pub fn charge(&self, amount: u64) -> Result<(), Error> {
        self.set_unminted(math::add(self.unminted(), amount)?);
        self.set_fees(math::add(self.fees(), amount)?);
        self.set_burned(self.burned().wrapping_add(amount));
        self.set_lifetime_fees(self.lifetime_fees().wrapping_add(amount));
        Ok(())
    }

    /// Earned credits that are minted now.
    #[inline(always)]
    pub fn pay_out(&self, amount: u64) -> Result<(), Error> {
        self.set_unminted(math::sub(self.unminted(), amount)?);
        self.set_minted(self.minted().wrapping_add(amount));
        Ok(())
    }

    /// The opening payment of a channel that closes, as far as the payee has not returned it: nobody's from now on.
    #[inline(always)]
    pub fn forgo(&self, opening: u64) -> Result<(), Error> {
        self.set_open_deposits(math::sub(self.open_deposits(), opening)?);
        self.set_forgone(math::add(self.forgone(), opening)?);
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
