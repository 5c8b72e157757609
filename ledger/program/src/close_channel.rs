//! 9 closeChannel(slot u16, generation u32)
//!
//! payer (signer, writable), till (writable), bank (writable), mint (writable), payer's token account (writable), token program,
//! till owner (signer) or this program's id when absent
//!
//! The payer gets the rest of the deposit and the slot's rent. Alone it closes after the challenge period, and what the payee
//! has not returned of the opening payment is nobody's. With the payee's signature it closes at once, and gets that too.

use crate::account::Context;
use crate::bytes::same_key;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Till};
use crate::syscalls::now_and_slot;
use crate::token::{mint_to, require_account};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let number = input.u16()?;
    let generation = input.u32()?;
    input.end()?;
    let [payer, till_account, bank_account, mint, destination, token_program, till_owner] =
        context.accounts.exactly()?;
    payer.require_signer()?;
    payer.require_writable()?;
    let till = Till::load_mut(till_account, context.program_id)?;
    let bank = Bank::load_mut(bank_account, context.program_id)?;
    bank.require_mint(mint)?;
    require_account(token_program, destination, mint, payer.key())?;
    let slot = till.channel(number, generation)?;
    if !same_key(slot.payer(), payer.key()) {
        return Err(Error::NotPayer);
    }
    let kept = if same_key(till_owner.key(), context.program_id) {
        let close_at = slot.close_at();
        if close_at == 0 {
            return Err(Error::CloseNotRequested);
        }
        let (now, present) = now_and_slot();
        if now < close_at || present < slot.close_slot() {
            return Err(Error::ChallengePending);
        }
        slot.opening()
    } else {
        if !same_key(till_owner.key(), till.owner()) {
            return Err(Error::NotTillOwner);
        }
        till_owner.require_signer()?;
        0
    };
    let settled = slot.settled();
    let rent = slot.rent();
    // At most what the bank counts among the open deposits.
    let held = math::add(slot.deposit(), slot.opening())?;
    let refund = math::sub(math::sub(held, settled)?, kept)?;
    bank.forgo(kept)?;
    slot.clear()?;
    event::emit(9, event::channel(number, generation), till_account.key(), payer.key(), [settled, refund, rent]);
    if refund != 0 {
        bank.refund(refund)?;
        mint_to(bank_account, &bank, mint, destination, refund);
    }
    bank.return_slot_rent(bank_account, payer, rent)
}
