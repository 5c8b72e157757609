//! 0 initialize(cluster_tag [u8; 16], units_per_lamport u64, challenge_seconds u64, name_year_price u64,
//! commit_seconds u32, fee_bps u16, treasury [u8; 32])
//!
//! admin (signer, writable), bank (writable), mint (writable), token program, system program, this program's data account
//!
//! Only who may upgrade the program may set it up: nobody else can be first.

use crate::account::Context;
use crate::create::{create_derived, fill_up, rent_minimum};
use crate::error::Error;
use crate::event;
use crate::input::Input;
use crate::math;
use crate::settings;
use crate::state::{BANK_SEED, BANK_SIZE, Bank, MINT_SEED};
use crate::syscalls::Part;
use crate::system::{New, SYSTEM_PROGRAM};
use crate::token::{MINT_SIZE, TOKEN_PROGRAM, initialize_mint};
use crate::upgrade_authority;

/// 90 days: longer would lock a payer's money without protecting anybody more.
const MAX_CHALLENGE_SECONDS: u64 = 7_776_000;
/// How many times its rent the bank holds from the start. The runtime lets nobody take from an account that holds less than
/// its rent, so the cluster's price may rise that much before the last credits could not be redeemed any more.
const RENT_CUSHION: u64 = 10;

#[inline(never)]
pub fn run(context: &Context, input: &mut Input) -> Result<(), Error> {
    let cluster_tag = input.tag16()?;
    let units_per_lamport = input.u64()?;
    let challenge_seconds = input.u64()?;
    let name_year_price = input.u64()?;
    let commit_seconds = input.u32()?;
    let fee_bps = input.u16()?;
    let treasury = input.key()?;
    input.end()?;
    let [admin, bank_account, mint, token_program, system_program, program_data] = context.accounts.exactly()?;
    token_program.require_key(&TOKEN_PROGRAM)?;
    system_program.require_key(&SYSTEM_PROGRAM)?;
    if units_per_lamport == 0 || challenge_seconds == 0 || challenge_seconds > MAX_CHALLENGE_SECONDS {
        return Err(Error::InvalidConfiguration);
    }
    let program_id = context.program_id;
    upgrade_authority::require(admin, program_data, program_id)?;
    let nothing = Part::of(&[]);
    let new_bank = New { payer: admin, account: bank_account, space: BANK_SIZE as u64, owner: program_id, prepaid: 0 };
    let bump = create_derived(&new_bank, [Part::of(BANK_SEED), nothing], program_id, Error::AlreadyExists)?;
    fill_up(admin, bank_account, math::mul(rent_minimum(BANK_SIZE as u64)?, RENT_CUSHION)?);
    let new_mint = New { payer: admin, account: mint, space: MINT_SIZE, owner: &TOKEN_PROGRAM, prepaid: 0 };
    create_derived(&new_mint, [Part::of(MINT_SEED), nothing], program_id, Error::AlreadyExists)?;
    initialize_mint(mint, bank_account.key());

    let bank = Bank::create(bank_account, bump);
    bank.set_mint(mint.key());
    bank.set_admin(admin.key());
    bank.set_cluster_tag(cluster_tag);
    bank.set_units_per_lamport(units_per_lamport);
    bank.set_challenge_seconds(challenge_seconds);
    event::emit(0, 0, bank_account.key(), admin.key(), [units_per_lamport, challenge_seconds, fee_bps as u64]);
    settings::set_fee_bps(&bank, fee_bps)?;
    settings::set_treasury(&bank, treasury)?;
    settings::set_name_year_price(&bank, name_year_price)?;
    settings::set_commit_seconds(&bank, commit_seconds)
}
