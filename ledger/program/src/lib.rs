//! The on-chain program of Relaymint. No crates, no allocation: it reads the loader's input where it lies.
//!
//! One file an instruction. `account` and `input` are the only ways to the outside data, `system` and `token` the only
//! calls to other programs, `state` holds the layouts, `error` the codes.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]

mod account;
mod aggregate;
mod bytes;
mod channel;
mod charge;
mod create;
mod error;
mod event;
mod input;
mod math;
mod message;
mod scalar;
#[cfg_attr(relaymint_sha512_syscall, allow(dead_code))]
mod sha512;
mod settings;
mod shares;
mod signatures;
mod splits;
mod state;
mod syscalls;
mod system;
mod term;
mod token;
mod upgrade_authority;

mod begin_recovery;
mod buy;
mod cancel_recovery;
mod close_by_payee;
mod close_channel;
mod close_till;
mod collect_fees;
mod commit_name;
mod configure;
mod distribute_name;
mod drop_commitment;
mod finish_recovery;
mod grow_till;
mod initialize;
mod open_channel;
mod open_till;
mod pay_claim;
mod redeem;
mod register_name;
mod renew_name;
mod request_close;
mod return_opening;
mod set_recovery;
mod set_till_terms;
mod settle;
mod settle_verified;
mod top_up;
mod transfer_name;
mod update_name;
mod withdraw;

use core::mem::MaybeUninit;

use account::{AccountList, Context};
use error::Error;
use input::Input;

/// Called by the loader with its serialized accounts, instruction data and program id.
///
/// # Safety
/// `input` is the loader's own, well-formed buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn entrypoint(input: *mut u8) -> u64 {
    let mut list: AccountList = MaybeUninit::uninit();
    let context = match unsafe { Context::parse(input, &mut list) } {
        Ok(context) => context,
        Err(error) => return error as u64,
    };
    match dispatch(&context) {
        Ok(()) => 0,
        Err(error) => error as u64,
    }
}

#[inline(always)]
fn dispatch(context: &Context) -> Result<(), Error> {
    let mut input = Input::new(context.data);
    match input.u8()? {
        0 => initialize::run(context, &mut input),
        1 => buy::run(context, &mut input),
        2 => redeem::run(context, &mut input),
        3 => open_till::run(context, &mut input),
        4 => open_channel::run(context, &mut input),
        5 => top_up::run(context, &mut input),
        6 => settle::run(context, &mut input),
        7 => withdraw::run(context, &mut input),
        8 => request_close::run(context, &mut input),
        9 => close_channel::run(context, &mut input),
        10 => register_name::run(context, &mut input),
        11 => update_name::run(context, &mut input),
        12 => distribute_name::run(context, &mut input),
        13 => settle_verified::run(context, &mut input),
        14 => grow_till::run(context, &mut input),
        15 => close_till::run(context, &mut input),
        16 => configure::run(context, &mut input),
        17 => collect_fees::run(context, &mut input),
        18 => commit_name::run(context, &mut input),
        19 => renew_name::run(context, &mut input),
        20 => transfer_name::run(context, &mut input),
        21 => drop_commitment::run(context, &mut input),
        22 => set_till_terms::run(context, &mut input),
        23 => close_by_payee::run(context, &mut input),
        24 => pay_claim::run(context, &mut input),
        25 => return_opening::run(context, &mut input),
        26 => set_recovery::run(context, &mut input),
        27 => begin_recovery::run(context, &mut input),
        28 => cancel_recovery::run(context, &mut input),
        29 => finish_recovery::run(context, &mut input),
        _ => Err(Error::InvalidInstruction),
    }
}

/// Every check is explicit, so a panic is a fault of ours: the transaction fails and nothing is kept.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    syscalls::stop()
}
