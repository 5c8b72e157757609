//! Half-aggregated Ed25519: one check for the receipts of many payers.
//!
//! A signature is (R, s) with s B = R + h A, where h = SHA-512(R, A, message). Whoever settles sends every R and one
//! s = sum of z_i s_i, and the program checks
//!
//!   8 (sum of z_i R_i + sum of z_i h_i A_i - s B) = identity
//!
//! The factors z_i are hashes of the whole batch, so that nobody can choose signatures that only hold together:
//!
//!   T   = SHA-256("relaymint:half-aggregate:v1", n u8, R_1, A_1, .. R_n, A_n, message_1, .. message_n)
//!   z_i = SHA-256(T, i u8) without its top four bits, little-endian; i counts from 0
//!
//! 252 bits are below the group order, hence canonical as they stand. What this proves and what it takes stands in
//! docs/settlement-security.md. `ledger/receipt/aggregate.ts` makes s.
//!
//! The arrays of points, scalars and messages lie in the heap, at fixed places: nothing else uses it.

use crate::bytes::{Key, put_key, same_key};
use crate::channel::Counters;
use crate::error::Error;
use crate::message::{self, MESSAGE_SIZE};
use crate::scalar;
use crate::syscalls::{Part, add_points, multiply_points, receipt_digest, sha256, sha256_into};

const DOMAIN: &[u8] = b"relaymint:half-aggregate:v1";
const IDENTITY: Key = {
    let mut point = [0; 32];
    point[0] = 1;
    point
};
/// -B: the base point's y with the other sign.
const MINUS_BASE: Key = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point[31] = 0xe6;
    point
};

/// The 32 KiB that the runtime gives every program, zeroed.
const HEAP: usize = 0x3_0000_0000;
const HEAP_SIZE: usize = 32 * 1024;
const POINT: usize = 32;
/// R and A of a receipt, or their scalars.
const PAIR: usize = 2 * POINT;
/// Of the multi-scalar multiplication.
const MAX_POINTS: usize = 512;

/// Up to MAX receipts. There may be one at a time.
pub struct Aggregate<const MAX: usize> {
    count: usize,
}

impl<const MAX: usize> Aggregate<MAX> {
    const POINTS: usize = HEAP;
    const SCALARS: usize = Self::POINTS + MAX * PAIR + POINT;
    const MESSAGES: usize = Self::SCALARS + MAX * PAIR + POINT;
    /// One byte more than the messages have: the hash reads whole words.
    const FITS: () = assert!(Self::MESSAGES + MAX * MESSAGE_SIZE < HEAP + HEAP_SIZE && 2 * MAX < MAX_POINTS && MAX <= 255);

    #[inline(always)]
    pub fn new(count: usize) -> Result<Self, Error> {
        const { Self::FITS };
        if count > MAX { Err(Error::InvalidBatch) } else { Ok(Aggregate { count }) }
    }

    #[inline(always)]
    fn points(&self, index: usize) -> *mut u8 {
        (Self::POINTS + index * PAIR) as *mut u8
    }

    #[inline(always)]
    fn scalars(&self, index: usize) -> *mut u8 {
        (Self::SCALARS + index * PAIR) as *mut u8
    }

    #[inline(always)]
    fn message(&self, index: usize) -> *mut u8 {
        (Self::MESSAGES + index * MESSAGE_SIZE) as *mut u8
    }

    /// The receipt of that number; each is put once.
    ///
    /// # Safety
    /// `index` is below the count; `r` points to 32 bytes.
    #[inline(always)]
    pub unsafe fn put(&self, index: usize, r: *const u8, key: &Key, channel: &Key, counters: &Counters) {
        unsafe {
            put_key(self.points(index), &*(r as *const Key));
            put_key(self.points(index).add(POINT), key);
            message::write(self.message(index), channel.as_ptr(), counters);
        }
    }

    /// Every receipt was put: all their signatures hold, with `s` for their second halves.
    #[inline(always)]
    pub fn verify(&self, s: &Key) -> Result<(), Error> {
        let count = self.count;
        // SAFETY: as many as were put, within the heap.
        let (points, messages) = unsafe {
            (
                core::slice::from_raw_parts(self.points(0), count * PAIR),
                core::slice::from_raw_parts(self.message(0), count * MESSAGE_SIZE),
            )
        };
        let number = [count as u8];
        let transcript = sha256(&[Part::of(DOMAIN), Part::of(&number), Part::of(points), Part::of(messages)]);
        let mut seed = [0; POINT + 1];
        // SAFETY: 32 of 33 bytes.
        unsafe { put_key(seed.as_mut_ptr(), &transcript) };
        let mut index = 0;
        while index < count {
            seed[POINT] = index as u8;
            // SAFETY: below the count.
            unsafe { self.weigh(index, &seed) };
            index += 1;
        }
        // SAFETY: one place follows the pairs.
        let sum = unsafe {
            put_key(self.points(count), &MINUS_BASE);
            put_key(self.scalars(count), s);
            multiply_points(self.scalars(0), self.points(0), 2 * count + 1)
        };
        // Refused: a point that is not on the curve, or an s that is not below the group order.
        let sum = sum.ok_or(Error::MalformedAggregate)?;
        if is_identity(&sum) { Ok(()) } else { require_small_order(sum) }
    }

    /// The scalars of a receipt: z and z h.
    #[inline(always)]
    unsafe fn weigh(&self, index: usize, seed: &[u8]) {
        let scalars = self.scalars(index);
        unsafe {
            sha256_into(scalars, &[Part::of(seed)]);
            *scalars.add(POINT - 1) &= 0x0f;
            let h = receipt_digest(self.points(index), self.message(index));
            let product = scalar::product(&*(scalars as *const [u64; 4]), &h);
            (scalars.add(POINT) as *mut [u64; 4]).write_unaligned(product);
        }
    }
}

#[inline(always)]
fn is_identity(point: &Key) -> bool {
    same_key(point, &IDENTITY)
}

/// Eight times the point is the identity. Honest signatures sum up to the identity itself; a payer whose key has a part of
/// small order can sign so that the payee's check passes and this sum is off by such a point.
#[inline(never)]
fn require_small_order(mut sum: Key) -> Result<(), Error> {
    let mut doublings = 0;
    while doublings < 3 {
        sum = add_points(&sum, &sum).ok_or(Error::MalformedAggregate)?;
        doublings += 1;
    }
    if is_identity(&sum) { Ok(()) } else { Err(Error::WrongAggregate) }
}
