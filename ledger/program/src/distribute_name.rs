//! 12 distributeName()
//!
//! name (writable), bank (writable), mint (writable), token program, then for each split in its order a token account
//! (writable) or this program's id when absent
//!
//! Permissionless. A split without a usable token account stays owed and holds up nobody else.

use crate::account::Context;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::state::{Bank, Name};
use crate::token::{TOKEN_PROGRAM, is_account_of, mint_to};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let (&[name_account, bank_account, mint, token_program], destinations) = context.accounts.at_least()?;
    let name = Name::load_mut(&name_account, context.program_id)?;
    let bank = Bank::load_mut(&bank_account, context.program_id)?;
    bank.require_mint(&mint)?;
    token_program.require_key(&TOKEN_PROGRAM)?;
    if destinations.len() != name.split_count() as usize {
        return Err(Error::WrongAccountCount);
    }
    let accrued = name.accrued();
    let mut undivided = accrued;
    let mut paid = 0;
    let mut index = 0;
    while index < destinations.len() {
        let split = name.split(index);
        let (part, _) = math::share(accrued, split.bps() as u64, 0);
        undivided = math::sub(undivided, part)?;
        let owed = math::add(split.owed(), part)?;
        let destination = &destinations[index];
        if owed != 0 && destination.is_writable() && is_account_of(destination, &mint, split.account()) {
            split.set_owed(0);
            bank.pay_out(owed)?;
            paid = math::add(paid, owed)?;
            mint_to(&bank_account, &bank, &mint, destination, owed);
        } else {
            split.set_owed(owed);
        }
        index += 1;
    }
    name.set_accrued(undivided);
    let divided = math::sub(accrued, undivided)?;
    if divided != 0 || paid != 0 {
        event::emit(12, 0, name_account.key(), name.owner(), [divided, paid, undivided]);
    }
    Ok(())
}
