//! The loader's input buffer: accounts, instruction data, program id, read where they lie.

use core::mem::MaybeUninit;

use crate::bytes::{Key, put_key, read_u64, same_key, write_u64};
use crate::error::Error;

/// settleVerified takes four accounts and up to sixteen names.
pub const MAX_ACCOUNTS: usize = 20;
/// Room the loader leaves behind each account's data for growth.
const GROWTH: usize = 10_240;
const NOT_DUPLICATE: u8 = 0xff;
const SIGNER: usize = 1;
const WRITABLE: usize = 2;
const KEY: usize = 8;
const OWNER: usize = 40;
const LAMPORTS: usize = 72;
const DATA_LENGTH: usize = 80;
const DATA: usize = 88;

/// One account of the instruction. Copies are views of the same account.
#[derive(Clone, Copy)]
pub struct Account {
    at: *mut u8,
}

impl Account {
    #[inline(always)]
    pub fn key(&self) -> &Key {
        // SAFETY: the loader serialized a whole account at `at`; so for every method here.
        unsafe { &*(self.at.add(KEY) as *const Key) }
    }

    #[inline(always)]
    pub fn owner(&self) -> &Key {
        unsafe { &*(self.at.add(OWNER) as *const Key) }
    }

    /// 0 or 1.
    #[inline(always)]
    pub fn signer_flag(&self) -> u8 {
        unsafe { *self.at.add(SIGNER) }
    }

    /// 0 or 1.
    #[inline(always)]
    pub fn writable_flag(&self) -> u8 {
        unsafe { *self.at.add(WRITABLE) }
    }

    #[inline(always)]
    pub fn is_signer(&self) -> bool {
        self.signer_flag() != 0
    }

    #[inline(always)]
    pub fn is_writable(&self) -> bool {
        self.writable_flag() != 0
    }

    #[inline(always)]
    pub fn lamports(&self) -> u64 {
        unsafe { read_u64(self.at.add(LAMPORTS)) }
    }

    #[inline(always)]
    pub fn set_lamports(&self, value: u64) {
        unsafe { write_u64(self.at.add(LAMPORTS), value) }
    }

    #[inline(always)]
    pub fn data_len(&self) -> usize {
        unsafe { read_u64(self.at.add(DATA_LENGTH)) as usize }
    }

    /// Changes how many bytes the account has, by at most `GROWTH` more than the instruction found; the runtime takes the
    /// figure when the instruction ends. Bytes that were not there before are zeros.
    #[inline(always)]
    pub fn set_data_len(&self, length: usize) {
        unsafe { write_u64(self.at.add(DATA_LENGTH), length as u64) }
    }

    /// The runtime allows it for an account of ours that has no data left but zeros.
    #[inline(always)]
    pub fn set_owner(&self, owner: &Key) {
        unsafe { put_key(self.at.add(OWNER), owner) }
    }

    #[inline(always)]
    pub fn data(&self) -> *mut u8 {
        unsafe { self.at.add(DATA) }
    }

    #[inline(always)]
    pub fn lamports_address(&self) -> *mut u8 {
        unsafe { self.at.add(LAMPORTS) }
    }

    #[inline(always)]
    pub fn require_signer(&self) -> Result<(), Error> {
        if self.is_signer() { Ok(()) } else { Err(Error::NotSigner) }
    }

    #[inline(always)]
    pub fn require_writable(&self) -> Result<(), Error> {
        if self.is_writable() { Ok(()) } else { Err(Error::NotWritable) }
    }

    #[inline(always)]
    pub fn require_key(&self, expected: &Key) -> Result<(), Error> {
        if same_key(self.key(), expected) { Ok(()) } else { Err(Error::WrongAddress) }
    }

    #[inline(always)]
    pub fn require_owner(&self, expected: &Key) -> Result<(), Error> {
        if same_key(self.owner(), expected) { Ok(()) } else { Err(Error::WrongOwner) }
    }
}

/// Where `Context::parse` puts the accounts: the caller's, so that the list is never copied.
pub type AccountList = MaybeUninit<[Account; MAX_ACCOUNTS]>;

/// The accounts of the instruction, in its order.
pub struct Accounts<'a> {
    given: &'a [Account],
}

impl<'a> Accounts<'a> {
    /// Exactly N accounts.
    #[inline(always)]
    pub fn exactly<const N: usize>(&self) -> Result<&'a [Account; N], Error> {
        if self.given.len() != N {
            return Err(Error::WrongAccountCount);
        }
        self.given.first_chunk().ok_or(Error::WrongAccountCount)
    }

    /// N accounts, then any number of others.
    #[inline(always)]
    pub fn at_least<const N: usize>(&self) -> Result<(&'a [Account; N], &'a [Account]), Error> {
        self.given.split_first_chunk().ok_or(Error::WrongAccountCount)
    }
}

pub struct Context<'a> {
    pub accounts: Accounts<'a>,
    pub data: &'a [u8],
    pub program_id: &'a Key,
}

impl Context<'_> {
    /// # Safety
    /// `input` is the loader's buffer.
    #[inline(always)]
    pub unsafe fn parse<'a>(input: *mut u8, list: &'a mut AccountList) -> Result<Context<'a>, Error> {
        unsafe {
            let count = read_u64(input) as usize;
            if count > MAX_ACCOUNTS {
                return Err(Error::WrongAccountCount);
            }
            let first = list.as_mut_ptr() as *mut Account;
            let mut at = input.add(8);
            let mut index = 0;
            while index < count {
                let marker = *at;
                if marker == NOT_DUPLICATE {
                    let account = Account { at };
                    *first.add(index) = account;
                    // The loader's own length, at most 10 MiB.
                    let end = account.data_len().wrapping_add(DATA + GROWTH);
                    // Eight-byte alignment, then the rent epoch. Account buffers start aligned.
                    at = at.add((end.wrapping_add(7) & !7).wrapping_add(8));
                } else {
                    // The loader refers to an earlier account only.
                    *first.add(index) = *first.add(marker as usize);
                    at = at.add(8);
                }
                index += 1;
            }
            let length = read_u64(at) as usize;
            let data = core::slice::from_raw_parts(at.add(8), length);
            let program_id = &*(at.add(8).add(length) as *const Key);
            // The first `count` were written, at most MAX_ACCOUNTS.
            let given = core::slice::from_raw_parts(first as *const Account, count);
            Ok(Context { accounts: Accounts { given }, data, program_id })
        }
    }
}
