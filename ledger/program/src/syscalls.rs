//! What the runtime offers. Only syscalls that are active on every public cluster: the linker has the same list.

use core::mem::MaybeUninit;

use crate::bytes::Key;

#[repr(C)]
pub struct InstructionMeta {
    pub key: *const Key,
    pub is_writable: bool,
    pub is_signer: bool,
}

#[repr(C)]
pub struct Instruction {
    pub program_id: *const Key,
    pub accounts: *const InstructionMeta,
    pub accounts_len: u64,
    pub data: *const u8,
    pub data_len: u64,
}

#[repr(C)]
pub struct AccountInfo {
    pub key: *const Key,
    pub lamports: *const u8,
    pub data_len: u64,
    pub data: *const u8,
    pub owner: *const Key,
    pub rent_epoch: u64,
    /// 0 or 1, as the loader wrote them; so for the next two.
    pub is_signer: u8,
    pub is_writable: u8,
    pub executable: u8,
}

/// Pointer and length, as the runtime reads lists of byte strings.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Part {
    pub at: *const u8,
    pub length: u64,
}

impl Part {
    #[inline(always)]
    pub fn of(bytes: &[u8]) -> Self {
        Part { at: bytes.as_ptr(), length: bytes.len() as u64 }
    }
}

unsafe extern "C" {
    fn abort() -> !;
    fn sol_memcpy_(to: *mut u8, from: *const u8, length: u64);
    fn sol_sha256(parts: *const Part, count: u64, result: *mut u8) -> u64;
    fn sol_try_find_program_address(
        seeds: *const Part,
        count: u64,
        program_id: *const Key,
        address: *mut Key,
        bump: *mut u8,
    ) -> u64;
    fn sol_invoke_signed_c(
        instruction: *const Instruction,
        infos: *const AccountInfo,
        infos_len: u64,
        signers: *const Part,
        signers_len: u64,
    ) -> u64;
    fn sol_log_data(fields: *const Part, count: u64) -> u64;
    fn sol_get_clock_sysvar(clock: *mut u64) -> u64;
    fn sol_get_rent_sysvar(rent: *mut u64) -> u64;
    fn sol_curve_multiscalar_mul(curve: u64, scalars: *const u8, points: *const u8, count: u64, sum: *mut u8) -> u64;
    fn sol_curve_group_op(curve: u64, operation: u64, left: *const u8, right: *const u8, result: *mut u8) -> u64;
    #[cfg(relaymint_sha512_syscall)]
    fn sol_sha512(parts: *const Part, count: u64, result: *mut u8) -> u64;
}

pub fn stop() -> ! {
    // SAFETY: ends the program.
    unsafe { abort() }
}

/// A copy whose length is only known at run time; the target has no library to do it.
///
/// # Safety
/// As `core::ptr::copy_nonoverlapping`.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    unsafe { sol_memcpy_(to, from, length as u64) }
}

#[inline(always)]
pub fn sha256(parts: &[Part]) -> Key {
    let mut digest = MaybeUninit::<Key>::uninit();
    // SAFETY: the runtime reads the parts and writes 32 bytes.
    unsafe {
        sol_sha256(parts.as_ptr(), parts.len() as u64, digest.as_mut_ptr() as *mut u8);
        digest.assume_init()
    }
}

/// # Safety
/// `to` points to 32 writable bytes.
#[inline(always)]
pub unsafe fn sha256_into(to: *mut u8, parts: &[Part]) {
    unsafe { sol_sha256(parts.as_ptr(), parts.len() as u64, to) };
}

/// SHA-512 of R, A and the message of a receipt as little-endian words: by the program itself, since not every cluster
/// has the call for it.
///
/// # Safety
/// As `sha512::digest`.
#[cfg(not(relaymint_sha512_syscall))]
pub use crate::sha512::digest as receipt_digest;

/// The same by the runtime.
///
/// # Safety
/// As `sha512::digest`.
#[cfg(relaymint_sha512_syscall)]
#[inline(always)]
pub unsafe fn receipt_digest(points: *const u8, message: *const u8) -> [u64; 8] {
    use crate::sha512::{MESSAGE_SIZE, POINTS_SIZE};
    let parts = [Part { at: points, length: POINTS_SIZE as u64 }, Part { at: message, length: MESSAGE_SIZE as u64 }];
    let mut digest = [0; 8];
    unsafe { sol_sha512(parts.as_ptr(), parts.len() as u64, digest.as_mut_ptr() as *mut u8) };
    digest
}

const EDWARDS: u64 = 0;
const ADD: u64 = 0;

/// The sum of the points, each times its scalar. None for a point that is not on the curve or a scalar that is not
/// below the group order.
///
/// # Safety
/// `count` arrays of 32 bytes lie at both addresses.
#[inline(always)]
pub unsafe fn multiply_points(scalars: *const u8, points: *const u8, count: usize) -> Option<Key> {
    let mut sum = [0; 32];
    let failed = unsafe { sol_curve_multiscalar_mul(EDWARDS, scalars, points, count as u64, sum.as_mut_ptr()) };
    if failed == 0 { Some(sum) } else { None }
}

#[inline(always)]
pub fn add_points(left: &Key, right: &Key) -> Option<Key> {
    let mut sum = [0; 32];
    // SAFETY: the runtime reads two points and writes one.
    let failed = unsafe { sol_curve_group_op(EDWARDS, ADD, left.as_ptr(), right.as_ptr(), sum.as_mut_ptr()) };
    if failed == 0 { Some(sum) } else { None }
}

/// The address and the bump that makes it one. None after 256 tries, which nobody will see.
#[inline(always)]
pub fn find_address(seeds: &[Part], program_id: &Key) -> Option<(Key, u8)> {
    let (mut address, mut bump) = ([0; 32], 0);
    // SAFETY: the runtime reads the seeds and writes 32 + 1 bytes.
    let failed = unsafe {
        sol_try_find_program_address(seeds.as_ptr(), seeds.len() as u64, program_id, &mut address, &mut bump)
    };
    if failed == 0 { Some((address, bump)) } else { None }
}

/// A failing call ends the whole transaction, so there is no result to look at. `seeds` is empty when nobody but the
/// transaction's signers signs.
#[inline(always)]
pub fn invoke(instruction: &Instruction, infos: &[AccountInfo], seeds: &[Part]) {
    let signer = Part { at: seeds.as_ptr() as *const u8, length: seeds.len() as u64 };
    let signers = if seeds.is_empty() { 0 } else { 1 };
    // SAFETY: all pointers live until the call returns; the infos point into the loader's own buffer.
    unsafe { sol_invoke_signed_c(instruction, infos.as_ptr(), infos.len() as u64, &signer, signers) };
}

/// One line among the transaction's logs, each field in base64.
#[inline(always)]
pub fn log_data(fields: &[Part]) {
    // SAFETY: the runtime reads the fields.
    unsafe { sol_log_data(fields.as_ptr(), fields.len() as u64) };
}

/// Slot, start of the epoch, epoch, epoch of the leader schedule, seconds since 1970.
#[inline(always)]
fn clock() -> [u64; 5] {
    let mut clock = MaybeUninit::<[u64; 5]>::uninit();
    // SAFETY: the runtime writes the clock's 40 bytes.
    unsafe {
        sol_get_clock_sysvar(clock.as_mut_ptr() as *mut u64);
        clock.assume_init()
    }
}

/// Seconds since 1970 by the cluster's clock.
#[inline(always)]
pub fn now() -> i64 {
    clock()[4] as i64
}

/// Those seconds, and the cluster's slot.
#[inline(always)]
pub fn now_and_slot() -> (i64, u64) {
    let clock = clock();
    (clock[4] as i64, clock[0])
}

/// The cluster's slot, which only ever rises.
#[inline(always)]
pub fn current_slot() -> u64 {
    clock()[0]
}

/// Lamports per byte-year, and the exemption threshold in years as the bits of an f64.
#[inline(always)]
pub fn rent() -> (u64, u64) {
    let mut rent = [0u64; 3];
    // SAFETY: the rent has 17 bytes, padded to 24.
    unsafe { sol_get_rent_sysvar(rent.as_mut_ptr()) };
    (rent[0], rent[1])
}
