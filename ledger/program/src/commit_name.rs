//! 18 commitName(hash [u8; 32])
//!
//! committer (signer, writable), commitment (writable), system program
//!
//! hash = SHA-256("relaymint:name-commitment:v1" | owner | salt [u8; 32] | name): it tells nobody which name is meant,
//! and serves nobody but that owner.

use crate::account::Context;
use crate::create::create_derived;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::{COMMITMENT_SEED, COMMITMENT_SIZE, Commitment};
use crate::syscalls::{Part, now};
use crate::system::{New, SYSTEM_PROGRAM};

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let hash = input.key()?;
    input.end()?;
    let [committer, account, system_program] = context.accounts.exactly()?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    let place = Commitment::place(committer.key(), hash);
    let new = New { payer: committer, account, space: COMMITMENT_SIZE as u64, owner: context.program_id, prepaid: 0 };
    let seeds = [Part::of(COMMITMENT_SEED), Part::of(&place)];
    let bump = create_derived(&new, seeds, context.program_id, Error::AlreadyExists)?;
    let now = now();
    Commitment::create(account, bump, committer.key(), hash, now);
    event::emit(18, 0, account.key(), committer.key(), [now as u64, 0, 0]);
    Ok(())
}
