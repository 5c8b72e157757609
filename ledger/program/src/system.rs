//! Calls to the system program.

use crate::account::Account;
use crate::bytes::{Key, put_key, write_u64};
use crate::syscalls::{AccountInfo, Instruction, InstructionMeta, Part, invoke};

/// The system program's address: all zeros.
pub const SYSTEM_PROGRAM: Key = [0; 32];

const CREATE_ACCOUNT: u8 = 0;
const ASSIGN: u8 = 1;
const TRANSFER: u8 = 2;
const ALLOCATE: u8 = 8;

#[inline(always)]
pub fn meta(account: &Account, is_writable: bool, is_signer: bool) -> InstructionMeta {
    InstructionMeta { key: account.key(), is_writable, is_signer }
}

#[inline(always)]
pub fn info(account: &Account) -> AccountInfo {
    AccountInfo {
        key: account.key(),
        lamports: account.lamports_address(),
        data_len: account.data_len() as u64,
        data: account.data(),
        owner: account.owner(),
        rent_epoch: u64::MAX,
        is_signer: account.signer_flag(),
        is_writable: account.writable_flag(),
        executable: 0,
    }
}

/// An account to be created at a program-derived address.
#[derive(Clone, Copy)]
pub struct New<'a> {
    pub payer: &'a Account,
    pub account: &'a Account,
    /// Bytes of data.
    pub space: u64,
    pub owner: &'a Key,
    /// Lamports that the account will get without another program: as many need not be transferred to it.
    pub prepaid: u64,
}

/// The account signs by `seeds`.
#[inline(always)]
pub fn create_account(new: &New, lamports: u64, seeds: &[Part]) {
    let New { payer, account, space, owner, .. } = *new;
    let mut data = [0u8; 52];
    data[0] = CREATE_ACCOUNT;
    // SAFETY: 4 + 8 + 8 + 32 bytes.
    unsafe {
        write_u64(data.as_mut_ptr().add(4), lamports);
        write_u64(data.as_mut_ptr().add(12), space);
        put_key(data.as_mut_ptr().add(20), owner);
    }
    call(&[meta(payer, true, true), meta(account, true, true)], &data, &[info(payer), info(account)], seeds);
}

#[inline(always)]
pub fn transfer(from: &Account, to: &Account, lamports: u64) {
    let mut data = [0u8; 12];
    data[0] = TRANSFER;
    // SAFETY: 4 + 8 bytes.
    unsafe { write_u64(data.as_mut_ptr().add(4), lamports) };
    call(&[meta(from, true, true), meta(to, true, false)], &data, &[info(from), info(to)], &[]);
}

#[inline(always)]
pub fn allocate(account: &Account, space: u64, seeds: &[Part]) {
    let mut data = [0u8; 12];
    data[0] = ALLOCATE;
    // SAFETY: 4 + 8 bytes.
    unsafe { write_u64(data.as_mut_ptr().add(4), space) };
    call(&[meta(account, true, true)], &data, &[info(account)], seeds);
}

#[inline(always)]
pub fn assign(account: &Account, owner: &Key, seeds: &[Part]) {
    let mut data = [0u8; 36];
    data[0] = ASSIGN;
    // SAFETY: 4 + 32 bytes.
    unsafe { put_key(data.as_mut_ptr().add(4), owner) };
    call(&[meta(account, true, true)], &data, &[info(account)], seeds);
}

#[inline(always)]
fn call(accounts: &[InstructionMeta], data: &[u8], infos: &[AccountInfo], seeds: &[Part]) {
    let instruction = Instruction {
        program_id: &SYSTEM_PROGRAM,
        accounts: accounts.as_ptr(),
        accounts_len: accounts.len() as u64,
        data: data.as_ptr(),
        data_len: data.len() as u64,
    };
    invoke(&instruction, infos, seeds);
}
