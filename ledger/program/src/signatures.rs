//! What the ed25519 precompile verified in the instruction right before this one.
//!
//! The precompile runs before any program of the transaction, so a transaction that reaches us has only true
//! signatures. What must be checked is WHAT was signed: keys and messages must come from that very instruction and
//! nowhere else.

use crate::account::Account;
use crate::bytes::{Key, same_key};
use crate::channel::{CHANNEL_ID_SIZE, Counters};
use crate::error::Error;
use crate::message::{self, MESSAGE_SIZE};

/// Sysvar1nstructions1111111111111111111111111
const INSTRUCTIONS_SYSVAR: Key = [
    6, 167, 213, 23, 24, 123, 209, 102, 53, 218, 212, 4, 85, 253, 194, 192, 193, 36, 198, 143, 33, 86, 117, 165, 219,
    186, 203, 95, 8, 0, 0, 0,
];
/// Ed25519SigVerify111111111111111111111111111
const ED25519_PROGRAM: Key = [
    3, 125, 70, 214, 124, 147, 251, 190, 18, 249, 66, 143, 131, 141, 64, 255, 5, 112, 116, 73, 39, 244, 138, 100, 252,
    202, 112, 68, 128, 0, 0, 0,
];

const HEADER: usize = 2;
const ENTRY: usize = 14;
const META_SIZE: usize = 33;
/// "In this very instruction".
const HERE: u16 = 0xffff;

/// A receipt whose signature by `signer` is proven.
pub struct Receipt<'a> {
    pub signer: &'a Key,
    pub channel: &'a [u8; CHANNEL_ID_SIZE],
    pub counters: Counters,
}

pub struct Signatures<'a> {
    data: &'a [u8],
}

impl<'a> Signatures<'a> {
    /// The precompile's instruction right before the current one, when it verified exactly `count` signatures.
    #[inline(always)]
    pub fn load(sysvar: &'a Account, count: u8) -> Result<Self, Error> {
        sysvar.require_key(&INSTRUCTIONS_SYSVAR)?;
        // SAFETY: the loader serialized that many bytes.
        let all = unsafe { core::slice::from_raw_parts(sysvar.data() as *const u8, sysvar.data_len()) };
        let data = Self::previous(all).ok_or(Error::MissingSignatures)?;
        if data.first() == Some(&count) { Ok(Signatures { data }) } else { Err(Error::SignatureCount) }
    }

    /// Data of the instruction before the current one, when the precompile is its program. The sysvar holds: u16 count,
    /// u16 offset each; an instruction is u16 accounts, 33 bytes each, program id, u16 length, data; the last two bytes
    /// are the current index.
    #[inline(always)]
    fn previous(all: &'a [u8]) -> Option<&'a [u8]> {
        let current = u16_at(all, all.len().checked_sub(2)?)? as usize;
        let start = u16_at(all, 2 + 2 * current.checked_sub(1)?)? as usize;
        let program = start + 2 + META_SIZE * u16_at(all, start)? as usize;
        if !same_key(key_at(all, program)?, &ED25519_PROGRAM) {
            return None;
        }
        let length = u16_at(all, program + 32)? as usize;
        all.get(program + 34..)?.get(..length)
    }

    /// The signature of that number, below the count given to `load`.
    #[inline(always)]
    pub fn receipt(&self, index: usize) -> Result<Receipt<'a>, Error> {
        let entry = HEADER + ENTRY * index;
        let field = |number: usize| u16_at(self.data, entry + 2 * number).ok_or(Error::SignatureCount);
        if field(1)? != HERE || field(3)? != HERE || field(6)? != HERE {
            return Err(Error::ForeignSignatureData);
        }
        if field(5)? as usize != MESSAGE_SIZE {
            return Err(Error::InvalidReceipt);
        }
        let signer = key_at(self.data, field(2)? as usize).ok_or(Error::InvalidReceipt)?;
        let signed: &[u8; MESSAGE_SIZE] =
            self.data.get(field(4)? as usize..).and_then(|rest| rest.first_chunk()).ok_or(Error::InvalidReceipt)?;
        if signed[0] != message::TAG {
            return Err(Error::InvalidReceipt);
        }
        let at = signed.as_ptr();
        // SAFETY: tag 1, channel 22, amount 8, up 8, down 8 are the message's 47 bytes.
        unsafe {
            Ok(Receipt {
                signer,
                channel: &*(at.add(message::CHANNEL) as *const [u8; CHANNEL_ID_SIZE]),
                counters: message::counters(at),
            })
        }
    }
}

#[inline(always)]
fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline(always)]
fn key_at(bytes: &[u8], at: usize) -> Option<&Key> {
    bytes.get(at..)?.first_chunk()
}
