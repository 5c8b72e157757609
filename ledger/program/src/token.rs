//! Calls to the SPL token program, and what we check of its accounts.

use crate::account::Account;
use crate::bytes::{Key, put_key, same_key, write_u64};
use crate::error::Error;
use crate::state::{BANK_SEED, Bank};
use crate::syscalls::{AccountInfo, Instruction, InstructionMeta, Part, invoke};
use crate::system::{info, meta};

/// TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA
pub const TOKEN_PROGRAM: Key = [
    6, 221, 246, 225, 215, 101, 161, 147, 217, 203, 225, 70, 206, 235, 121, 172, 28, 180, 133, 237, 95, 91, 55, 145,
    58, 140, 245, 133, 126, 255, 0, 169,
];

pub const MINT_SIZE: u64 = 82;
const ACCOUNT_SIZE: usize = 165;
const ACCOUNT_OWNER: usize = 32;
const ACCOUNT_STATE: usize = 108;
const INITIALIZED: u8 = 1;

const MINT_TO: u8 = 7;
const BURN: u8 = 8;
const INITIALIZE_MINT2: u8 = 20;
const DECIMALS: u8 = 6;

/// True for a token account of `mint` that belongs to `owner` and may receive.
#[inline(always)]
pub fn is_account_of(account: &Account, mint: &Account, owner: &Key) -> bool {
    if !same_key(account.owner(), &TOKEN_PROGRAM) || account.data_len() != ACCOUNT_SIZE {
        return false;
    }
    let at = account.data() as *const u8;
    // SAFETY: the size was just checked.
    unsafe {
        *at.add(ACCOUNT_STATE) == INITIALIZED
            && same_key(&*(at as *const Key), mint.key())
            && same_key(&*(at.add(ACCOUNT_OWNER) as *const Key), owner)
    }
}

/// The token program itself, and a writable token account of `mint` that belongs to `owner`.
#[inline(always)]
pub fn require_account(program: &Account, account: &Account, mint: &Account, owner: &Key) -> Result<(), Error> {
    program.require_key(&TOKEN_PROGRAM)?;
    account.require_writable()?;
    if is_account_of(account, mint, owner) { Ok(()) } else { Err(Error::WrongTokenAccount) }
}

/// Six decimals, the bank as authority, nobody who could freeze.
#[inline(always)]
pub fn initialize_mint(mint: &Account, authority: &Key) {
    let mut data = [0u8; 35];
    data[0] = INITIALIZE_MINT2;
    data[1] = DECIMALS;
    // SAFETY: 2 + 32 + 1 bytes.
    unsafe { put_key(data.as_mut_ptr().add(2), authority) };
    call(&[meta(mint, true, false)], &data, &[info(mint)], &[]);
}

/// The bank signs.
pub fn mint_to(bank_account: &Account, bank: &Bank, mint: &Account, to: &Account, amount: u64) {
    let bump = [bank.bump()];
    let metas = [meta(mint, true, false), meta(to, true, false), meta(bank_account, false, true)];
    let infos = [info(mint), info(to), info(bank_account)];
    call(&metas, &amount_data(MINT_TO, amount), &infos, &[Part::of(BANK_SEED), Part::of(&bump)]);
}

/// `owner` signed the transaction.
pub fn burn(from: &Account, mint: &Account, owner: &Account, amount: u64) {
    let metas = [meta(from, true, false), meta(mint, true, false), meta(owner, false, true)];
    let infos = [info(from), info(mint), info(owner)];
    call(&metas, &amount_data(BURN, amount), &infos, &[]);
}

#[inline(always)]
fn amount_data(tag: u8, amount: u64) -> [u8; 9] {
    let mut data = [tag; 9];
    // SAFETY: 1 + 8 bytes.
    unsafe { write_u64(data.as_mut_ptr().add(1), amount) };
    data
}

#[inline(always)]
fn call(accounts: &[InstructionMeta], data: &[u8], infos: &[AccountInfo], seeds: &[Part]) {
    let instruction = Instruction {
        program_id: &TOKEN_PROGRAM,
        accounts: accounts.as_ptr(),
        accounts_len: accounts.len() as u64,
        data: data.as_ptr(),
        data_len: data.len() as u64,
    };
    invoke(&instruction, infos, seeds);
}
