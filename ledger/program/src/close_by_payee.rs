//! 23 closeByPayee(slot u16, generation u32)
//!
//! till owner (signer, writable), till (writable), bank (writable), claim of the channel's payer (writable), system program
//!
//! What the payee has not settled before is lost to it, and what it has not returned of the opening payment is nobody's. The
//! rest of the deposit and the slot's rent become the payer's claim. So neither a token account that is gone nor a key that is lost keeps a slot or a
//! till from being closed, and the payee pays nothing for it.

use crate::account::Context;
use crate::bytes::same_key;
use crate::create::create_derived;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, CLAIM_SEED, CLAIM_SIZE, Claim, Till};
use crate::syscalls::Part;
use crate::system::{New, SYSTEM_PROGRAM};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let number = input.u16()?;
    let generation = input.u32()?;
    input.end()?;
    let [owner, till_account, bank_account, claim_account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    let program_id = context.program_id;
    let till = Till::load_mut(till_account, program_id)?;
    till.require_owner(owner)?;
    let bank = Bank::load_mut(bank_account, program_id)?;
    let slot = till.channel(number, generation)?;
    let payer = *slot.payer();
    let rent = slot.rent();
    let claim = if same_key(claim_account.owner(), program_id) {
        let claim = Claim::load_mut(claim_account, program_id)?;
        if !same_key(claim.payer(), &payer) {
            return Err(Error::WrongAddress);
        }
        claim
    } else {
        // The slot's rent follows below. Should the cluster ask for more by now, the owner adds it.
        let space = CLAIM_SIZE as u64;
        let new = New { payer: owner, account: claim_account, space, owner: program_id, prepaid: rent };
        let bump =
            create_derived(&new, [Part::of(CLAIM_SEED), Part::of(&payer)], program_id, Error::WrongAccountType)?;
        Claim::create(claim_account, bump, &payer)
    };
    let settled = slot.settled();
    let rest = math::sub(slot.deposit(), settled)?;
    bank.forgo(slot.opening())?;
    slot.clear()?;
    claim.add(rest)?;
    event::emit(23, event::channel(number, generation), till_account.key(), &payer, [settled, rest, rent]);
    bank.return_slot_rent(bank_account, claim_account, rent)
}
