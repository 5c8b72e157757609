//! The program's own SHA-512 and arithmetic modulo L, as a program: built by the same tool-chain from the same files, it
//! computes what a test lays out for it. `arithmetic.slow.test.ts` runs it.
//!
//! Data: which u8 (0 a receipt's digest, 1 a whole block, 2 a product). One writable account of records of 128 bytes: the
//! input at their beginning is replaced by the result.
#![no_std]

#[path = "../../../../../ledger/program/src/scalar.rs"]
mod scalar;
#[path = "../../../../../ledger/program/src/sha512.rs"]
mod sha512;

const RECORD: usize = 128;
const DATA_LENGTH: usize = 88;
const DATA: usize = 96;
const GROWTH: usize = 10_240;

/// # Safety
/// `input` is the loader's own buffer, with one account.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    unsafe {
        let length = *(input.add(DATA_LENGTH) as *const u64) as usize;
        let records = input.add(DATA);
        let which = *records.add(((length + GROWTH + 7) & !7) + 16);
        let mut at = 0;
        while at + RECORD <= length {
            compute(which, records.add(at));
            at += RECORD;
        }
    }
    0
}

#[inline(always)]
unsafe fn compute(which: u8, record: *mut u8) {
    unsafe {
        match which {
            0 => *(record as *mut [u64; 8]) = sha512::digest(record, record.add(sha512::POINTS_SIZE)),
            1 => {
                let mut words = *(record as *const [u64; 16]);
                let mut index = 0;
                while index < 16 {
                    words[index] = words[index].swap_bytes();
                    index += 1;
                }
                *(record as *mut [u64; 8]) = sha512::compress(words);
            }
            _ => {
                let product = scalar::product(&*(record as *const [u64; 4]), &*(record.add(32) as *const [u64; 8]));
                *(record as *mut [u64; 4]) = product;
            }
        }
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}
