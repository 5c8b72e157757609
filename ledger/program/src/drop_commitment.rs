//! 21 dropCommitment()
//!
//! signer, commitment (writable), committer (writable)
//!
//! The rent goes to the committer, whoever asks. Others than the committer may ask once it can no longer be revealed.

use crate::account::Context;
use crate::bytes::same_key;
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::state::Commitment;
use crate::syscalls::now;
use crate::term::COMMITMENT_LIFE;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    input.end()?;
    let [signer, account, committer] = context.accounts.exactly()?;
    signer.require_signer()?;
    committer.require_writable()?;
    let commitment = Commitment::load_mut(account, context.program_id)?;
    committer.require_key(commitment.committer())?;
    if !same_key(signer.key(), committer.key()) && commitment.age(now()) <= COMMITMENT_LIFE {
        return Err(Error::NotCommitter);
    }
    event::emit(21, 0, account.key(), committer.key(), [account.lamports(), 0, 0]);
    commitment.close(account, committer)
}
