//! 6 settle(n u8, slot u16 each; m u8, gross u64 each)
//!
//! till (writable), bank (writable), instructions sysvar, till owner (signer) or this program's id when m = 0,
//! then m name accounts (writable)
//!
//! Anyone may submit receipts: they only say what the payers signed. Which content earned the money is the seller's
//! word alone, so shares need the till owner's signature; a payer could else send its payee's income to its own name.

use crate::account::{Account, Context};
use crate::bytes::{Key, read_u64, same_key};
use crate::error::Error;
use crate::input::Input;
use crate::math;
use crate::signatures::{CHANNEL_ID_SIZE, Receipt, Signatures};
use crate::state::{Bank, Name, Slot, Till};
use crate::syscalls::{Part, sha256};

const MAX_RECEIPTS: u8 = 8;
const MAX_SHARES: u8 = 8;
const CHANNEL_DOMAIN: &[u8] = b"relaymint:channel:v1";

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let (&[till_account, bank_account, sysvar, owner], names) = context.accounts.at_least()?;
    let till = Till::load_mut(&till_account, context.program_id)?;
    let bank = Bank::load_mut(&bank_account, context.program_id)?;

    let receipts = input.u8()?;
    if receipts == 0 || receipts > MAX_RECEIPTS {
        return Err(Error::InvalidBatch);
    }
    let signatures = Signatures::load(&sysvar, receipts)?;
    let mut total = 0;
    let mut index = 0;
    while index < receipts {
        let number = input.u16()?;
        let slot = till.slot(number)?;
        slot.require_open()?;
        let receipt = signatures.receipt(index as usize)?;
        let place = Place { bank: &bank, program_id: context.program_id, till: till_account.key(), number };
        place.require_channel(&slot, &receipt)?;
        total = math::add(total, apply(&slot, &receipt)?)?;
        index += 1;
    }

    let shares = input.u8()?;
    if shares > MAX_SHARES {
        return Err(Error::InvalidBatch);
    }
    if names.len() != shares as usize {
        return Err(Error::WrongAccountCount);
    }
    if shares > 0 {
        if !same_key(owner.key(), till.owner()) {
            return Err(Error::NotTillOwner);
        }
        owner.require_signer()?;
    }
    let royalties = share_out(names, input, total, &bank, context.program_id)?;
    input.end()?;

    let kept = math::sub(math::sub(total, bank.take_fee(total)?)?, royalties)?;
    till.set_earned(math::add(till.earned(), kept)?);
    // A statistic: it wraps rather than stopping anybody's settlement.
    till.set_lifetime_earned(till.lifetime_earned().wrapping_add(kept));
    bank.earn(total)
}

/// What a channel's id is computed from, besides the slot's generation.
struct Place<'a> {
    bank: &'a Bank,
    program_id: &'a Key,
    till: &'a Key,
    number: u16,
}

impl Place<'_> {
    /// The receipt was signed by this channel's delegate and names this channel, generation and cluster.
    #[inline(always)]
    fn require_channel(&self, slot: &Slot, receipt: &Receipt) -> Result<(), Error> {
        if !same_key(receipt.signer, slot.delegate()) {
            return Err(Error::WrongDelegate);
        }
        let number = self.number.to_le_bytes();
        let generation = slot.generation().to_le_bytes();
        let digest = sha256(&[
            Part::of(CHANNEL_DOMAIN),
            Part::of(self.bank.cluster_tag()),
            Part::of(self.program_id),
            Part::of(self.till),
            Part::of(&number),
            Part::of(&generation),
        ]);
        if same_channel(&digest, receipt.channel) { Ok(()) } else { Err(Error::WrongChannel) }
    }
}

/// First 22 bytes of the digest, compared in three overlapping words.
#[inline(always)]
fn same_channel(digest: &Key, channel: &[u8; CHANNEL_ID_SIZE]) -> bool {
    let (a, b) = (digest.as_ptr(), channel.as_ptr());
    // SAFETY: 14 + 8 = 22 bytes on both sides.
    unsafe {
        read_u64(a) == read_u64(b)
            && read_u64(a.add(8)) == read_u64(b.add(8))
            && read_u64(a.add(14)) == read_u64(b.add(14))
    }
}

/// Moves the slot's counters up to the receipt's. Returns the increase: 0 for a receipt that is not newer, so that
/// sending a batch again is harmless.
#[inline(always)]
fn apply(slot: &Slot, receipt: &Receipt) -> Result<u64, Error> {
    let settled = slot.settled();
    if receipt.amount <= settled {
        return Ok(0);
    }
    if receipt.amount > slot.deposit() {
        return Err(Error::DepositExceeded);
    }
    if receipt.up < slot.up() || receipt.down < slot.down() {
        return Err(Error::CounterDecreased);
    }
    slot.set_settled(receipt.amount);
    slot.set_up(receipt.up);
    slot.set_down(receipt.down);
    math::sub(receipt.amount, settled)
}

/// Credits each name its royalty; returns their sum. Together the shares are at most what the batch earned, so a batch
/// that earned nothing new credits nothing twice.
#[inline(always)]
fn share_out(names: &[Account], input: &mut Input, total: u64, bank: &Bank, program_id: &Key) -> Result<u64, Error> {
    let (mut attributed, mut royalties) = (0, 0);
    let mut index = 0;
    while index < names.len() {
        let account = &names[index];
        let mut earlier = 0;
        while earlier < index {
            if same_key(names[earlier].key(), account.key()) {
                return Err(Error::DuplicateName);
            }
            earlier += 1;
        }
        let name = Name::load_mut(account, program_id)?;
        let gross = input.u64()?;
        if gross == 0 {
            return Err(Error::ZeroShare);
        }
        attributed = math::add(attributed, gross)?;
        if attributed > total {
            return Err(Error::ShareExceedsBatch);
        }
        let base = bank.after_fee(gross);
        let (royalty, carry) = math::share(base, name.royalty_bps() as u64, name.royalty_carry() as u64);
        name.set_royalty_carry(carry as u16);
        name.set_accrued(math::add(name.accrued(), royalty)?);
        name.set_lifetime(name.lifetime().wrapping_add(royalty));
        royalties = math::add(royalties, royalty)?;
        index += 1;
    }
    Ok(royalties)
}
