//! Who may replace the program: what the upgradeable loader keeps beside its code.

use crate::account::Account;
use crate::bytes::{Key, same_key};
use crate::error::Error;
use crate::syscalls::{Part, find_address};

/// BPFLoaderUpgradeab1e11111111111111111111111
const LOADER: Key = [
    2, 168, 246, 145, 78, 136, 161, 176, 226, 16, 21, 62, 247, 99, 174, 43, 0, 194, 185, 61, 22, 193, 36, 210, 192, 83,
    122, 16, 4, 128, 0, 0,
];
/// kind u32, slot u64, whether there is an authority u8, authority [u8; 32].
const HEADER: usize = 45;
const PROGRAM_DATA: u32 = 3;
const PRESENT: usize = 12;
const AUTHORITY: usize = 13;

/// `data` is this program's own data account, and names `account`, which signed.
#[inline(never)]
pub fn require(account: &Account, data: &Account, program_id: &Key) -> Result<(), Error> {
    account.require_signer()?;
    let seeds = [Part::of(program_id), Part::of(&[])];
    let Some((address, _)) = find_address(&seeds, &LOADER) else {
        return Err(Error::WrongAddress);
    };
    data.require_key(&address)?;
    data.require_owner(&LOADER)?;
    if data.data_len() < HEADER {
        return Err(Error::WrongAccountType);
    }
    let at = data.data() as *const u8;
    // SAFETY: the size was just checked.
    unsafe {
        if (at as *const u32).read_unaligned() != PROGRAM_DATA {
            return Err(Error::WrongAccountType);
        }
        let authority = &*(at.add(AUTHORITY) as *const Key);
        if *at.add(PRESENT) == 1 && same_key(authority, account.key()) {
            Ok(())
        } else {
            Err(Error::NotUpgradeAuthority)
        }
    }
}
