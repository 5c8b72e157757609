//! SHA-512 of what a receipt's signature covers: R, A and the 47-byte message. 111 bytes are one block exactly.
//!
//! Written for the target, which has 64-bit registers and no rotation: each one costs four instructions or five. Several
//! rotations of the same word are therefore nested: `rotr 28 ^ rotr 34 ^ rotr 39` is `rotr 28 (x ^ rotr 6 (x ^ rotr 5 x))`.
//! Depends on nothing, so that tests compile this very file for themselves.

/// Bytes of R and A.
pub const POINTS_SIZE: usize = 64;
pub const MESSAGE_SIZE: usize = 47;

/// The initial state: fractional parts of the square roots of the first eight primes.
const INITIAL: [u64; 8] = [
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1,
    0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
];

/// Fractional parts of the cube roots of the first eighty primes.
static ROUND: [u64; 80] = [
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
];

/// One round. `$p` is `$b ^ $c`, and becomes `$a ^ $b`, which is that of the next round. The order of the sums keeps few
/// values alive at a time: the target has ten registers.
macro_rules! round {
    ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $p:ident, $word:expr, $constant:expr) => {
        let sum = rotated($e, 4, 23, 14);
        let choice = (($f ^ $g) & $e) ^ $g;
        $h = $h.wrapping_add(sum).wrapping_add(choice).wrapping_add($constant).wrapping_add($word);
        $d = $d.wrapping_add($h);
        let both = $a ^ $b;
        $p &= both;
        $h = $h.wrapping_add($p ^ $b).wrapping_add(rotated($a, 6, 5, 28));
        $p = both;
    };
}

/// `rotr outer ^ rotr (outer + middle) ^ rotr (outer + middle + inner)`.
#[inline(always)]
fn rotated(x: u64, middle: u32, inner: u32, outer: u32) -> u64 {
    (x ^ (x ^ x.rotate_right(inner)).rotate_right(middle)).rotate_right(outer)
}

/// `rotr 1 ^ rotr 8 ^ shr 7`.
#[inline(always)]
fn small0(x: u64) -> u64 {
    (x ^ x.rotate_right(7)).rotate_right(1) ^ (x >> 7)
}

/// `rotr 19 ^ rotr 61 ^ shr 6`.
#[inline(always)]
fn small1(x: u64) -> u64 {
    (x ^ x.rotate_right(42)).rotate_right(19) ^ (x >> 6)
}

/// Sixteen rounds with the words `$w` and the constants `$k`.
macro_rules! sixteen {
    ($s:ident, $p:ident, $w:ident, $k:ident) => {
        let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = $s;
        round!(a b c d e f g h, $p, $w[0], $k[0]);
        round!(h a b c d e f g, $p, $w[1], $k[1]);
        round!(g h a b c d e f, $p, $w[2], $k[2]);
        round!(f g h a b c d e, $p, $w[3], $k[3]);
        round!(e f g h a b c d, $p, $w[4], $k[4]);
        round!(d e f g h a b c, $p, $w[5], $k[5]);
        round!(c d e f g h a b, $p, $w[6], $k[6]);
        round!(b c d e f g h a, $p, $w[7], $k[7]);
        round!(a b c d e f g h, $p, $w[8], $k[8]);
        round!(h a b c d e f g, $p, $w[9], $k[9]);
        round!(g h a b c d e f, $p, $w[10], $k[10]);
        round!(f g h a b c d e, $p, $w[11], $k[11]);
        round!(e f g h a b c d, $p, $w[12], $k[12]);
        round!(d e f g h a b c, $p, $w[13], $k[13]);
        round!(c d e f g h a b, $p, $w[14], $k[14]);
        round!(b c d e f g h a, $p, $w[15], $k[15]);
        $s = [a, b, c, d, e, f, g, h];
    };
}

/// The next sixteen words: each replaces the one sixteen before it.
macro_rules! schedule {
    ($w:ident, $($t:literal)+) => {
        $($w[$t] = $w[$t]
            .wrapping_add(small0($w[($t + 1) % 16]))
            .wrapping_add($w[($t + 9) % 16])
            .wrapping_add(small1($w[($t + 14) % 16]));)+
    };
}

/// The digest as eight little-endian words.
///
/// # Safety
/// `points` are POINTS_SIZE readable bytes, `message` MESSAGE_SIZE and one more, whatever it is.
#[inline(never)]
pub unsafe fn digest(points: *const u8, message: *const u8) -> [u64; 8] {
    let mut w = [0; 16];
    let mut index = 0;
    while index < POINTS_SIZE / 8 {
        w[index] = unsafe { (points as *const u64).add(index).read_unaligned() }.swap_bytes();
        index += 1;
    }
    index = 0;
    while index < MESSAGE_SIZE.div_ceil(8) {
        w[8 + index] = unsafe { (message as *const u64).add(index).read_unaligned() }.swap_bytes();
        index += 1;
    }
    // A 1 bit follows the message; the last words are its length in bits.
    w[13] = (w[13] & !0xff) | 0x80;
    w[15] = 8 * (POINTS_SIZE + MESSAGE_SIZE) as u64;
    compress(w)
}

/// The digest of a message of one block, which `w` is with its padding.
#[inline(always)]
pub fn compress(mut w: [u64; 16]) -> [u64; 8] {
    let mut s = INITIAL;
    let mut p = INITIAL[1] ^ INITIAL[2];
    sixteen!(s, p, w, ROUND);
    let mut at = 16;
    while at < 80 {
        schedule!(w, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        // SAFETY: at most 64, and sixteen constants follow.
        let constants = unsafe { &*(ROUND.as_ptr().add(at) as *const [u64; 16]) };
        sixteen!(s, p, w, constants);
        at += 16;
    }
    let mut index = 0;
    while index < 8 {
        s[index] = s[index].wrapping_add(INITIAL[index]).swap_bytes();
        index += 1;
    }
    s
}
