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
    fn sol_get_clock_sysvar(clock: *mut u64) -> u64;
    fn sol_get_rent_sysvar(rent: *mut u64) -> u64;
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
