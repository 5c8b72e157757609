//! z * h mod L, where L = 2^252 + c is the order of the Ed25519 group and c is below 2^125.
//!
//! Numbers are limbs of 28 bits: nine are 252, five hold c, and a sum of ten products still fits 64 bits with its sign,
//! so that whole columns are added up without a carry. What stands above 2^252 folds away as 2^252 = -c. In between,
//! limbs may be negative or too great; the magnitudes that matter stand beside each step. No branch and no index
//! depends on a secret, for there is none. Depends on nothing, so that tests compile this very file for themselves.

const BITS: u32 = 28;
const MASK: i64 = (1 << BITS) - 1;

/// The limbs of c.
const C: [i64; 5] = [0xcf5d3ed, 0x12631a5, 0x79cd658, 0xf9dea2f, 0x14de];

/// `$from` and the listed products.
macro_rules! plus {
    ($from:expr, $($x:ident[$i:literal] $y:ident[$j:literal]),+) => {
        ($from)$(.wrapping_add($x[$i].wrapping_mul($y[$j])))+
    };
}

/// `$from` less the listed products.
macro_rules! less {
    ($from:expr, $($x:ident[$i:literal] $y:ident[$j:literal]),+) => {
        ($from)$(.wrapping_sub($x[$i].wrapping_mul($y[$j])))+
    };
}

/// What a limb has beyond 28 bits, its sign included, goes to the next.
macro_rules! carry {
    ($x:ident: $($from:literal),+) => {
        $($x[$from + 1] = $x[$from + 1].wrapping_add($x[$from] >> BITS);
        $x[$from] &= MASK;)+
    };
}

/// Bits 28 k .. 28 k + 27 of a number of 64-bit words.
#[inline(always)]
fn limb<const WORDS: usize>(words: &[u64; WORDS], k: usize) -> i64 {
    let (word, shift) = (k * BITS as usize / 64, k * BITS as usize % 64);
    let low = words[word] >> shift;
    let all = if shift > 64 - BITS as usize && word + 1 < WORDS { low | words[word + 1] << (64 - shift) } else { low };
    all as i64 & MASK
}

/// `z` below 2^252 and any `h`, as words from the lowest; the result likewise, below L.
#[inline(never)]
pub fn product(z: &[u64; 4], h: &[u64; 8]) -> [u64; 4] {
    let t: [i64; 19] = [
        limb(h, 0), limb(h, 1), limb(h, 2), limb(h, 3), limb(h, 4), limb(h, 5), limb(h, 6), limb(h, 7), limb(h, 8), limb(h, 9), limb(h, 10), limb(h, 11), limb(h, 12), limb(h, 13), limb(h, 14), limb(h, 15), limb(h, 16), limb(h, 17), limb(h, 18),
    ];
    // h below 2^512 becomes u, between -2^385 and 2^252: limbs of less than 2^59.
    let mut u: [i64; 14] = [
        less!(t[0], C[0] t[9]),
        less!(t[1], C[0] t[10], C[1] t[9]),
        less!(t[2], C[0] t[11], C[1] t[10], C[2] t[9]),
        less!(t[3], C[0] t[12], C[1] t[11], C[2] t[10], C[3] t[9]),
        less!(t[4], C[0] t[13], C[1] t[12], C[2] t[11], C[3] t[10], C[4] t[9]),
        less!(t[5], C[0] t[14], C[1] t[13], C[2] t[12], C[3] t[11], C[4] t[10]),
        less!(t[6], C[0] t[15], C[1] t[14], C[2] t[13], C[3] t[12], C[4] t[11]),
        less!(t[7], C[0] t[16], C[1] t[15], C[2] t[14], C[3] t[13], C[4] t[12]),
        less!(t[8], C[0] t[17], C[1] t[16], C[2] t[15], C[3] t[14], C[4] t[13]),
        less!(0i64, C[0] t[18], C[1] t[17], C[2] t[16], C[3] t[15], C[4] t[14]),
        less!(0i64, C[1] t[18], C[2] t[17], C[3] t[16], C[4] t[15]),
        less!(0i64, C[2] t[18], C[3] t[17], C[4] t[16]),
        less!(0i64, C[3] t[18], C[4] t[17]),
        less!(0i64, C[4] t[18]),
    ];
    carry!(u: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    // u[13] has 21 bits and the sign. v is at least 0 and below 2^259.
    let mut v: [i64; 10] = [
        less!(u[0], C[0] u[9]),
        less!(u[1], C[0] u[10], C[1] u[9]),
        less!(u[2], C[0] u[11], C[1] u[10], C[2] u[9]),
        less!(u[3], C[0] u[12], C[1] u[11], C[2] u[10], C[3] u[9]),
        less!(u[4], C[0] u[13], C[1] u[12], C[2] u[11], C[3] u[10], C[4] u[9]),
        less!(u[5], C[1] u[13], C[2] u[12], C[3] u[11], C[4] u[10]),
        less!(u[6], C[2] u[13], C[3] u[12], C[4] u[11]),
        less!(u[7], C[3] u[13], C[4] u[12]),
        less!(u[8], C[4] u[13]),
        0,
    ];
    carry!(v: 0, 1, 2, 3, 4, 5, 6, 7, 8);
    // v[9] has 7 bits. The columns of the product are below 2^60.
    let y: [i64; 9] = [limb(z, 0), limb(z, 1), limb(z, 2), limb(z, 3), limb(z, 4), limb(z, 5), limb(z, 6), limb(z, 7), limb(z, 8)];
    let mut p: [i64; 19] = [
        plus!(0i64, y[0] v[0]),
        plus!(0i64, y[0] v[1], y[1] v[0]),
        plus!(0i64, y[0] v[2], y[1] v[1], y[2] v[0]),
        plus!(0i64, y[0] v[3], y[1] v[2], y[2] v[1], y[3] v[0]),
        plus!(0i64, y[0] v[4], y[1] v[3], y[2] v[2], y[3] v[1], y[4] v[0]),
        plus!(0i64, y[0] v[5], y[1] v[4], y[2] v[3], y[3] v[2], y[4] v[1], y[5] v[0]),
        plus!(0i64, y[0] v[6], y[1] v[5], y[2] v[4], y[3] v[3], y[4] v[2], y[5] v[1], y[6] v[0]),
        plus!(0i64, y[0] v[7], y[1] v[6], y[2] v[5], y[3] v[4], y[4] v[3], y[5] v[2], y[6] v[1], y[7] v[0]),
        plus!(0i64, y[0] v[8], y[1] v[7], y[2] v[6], y[3] v[5], y[4] v[4], y[5] v[3], y[6] v[2], y[7] v[1], y[8] v[0]),
        plus!(0i64, y[0] v[9], y[1] v[8], y[2] v[7], y[3] v[6], y[4] v[5], y[5] v[4], y[6] v[3], y[7] v[2], y[8] v[1]),
        plus!(0i64, y[1] v[9], y[2] v[8], y[3] v[7], y[4] v[6], y[5] v[5], y[6] v[4], y[7] v[3], y[8] v[2]),
        plus!(0i64, y[2] v[9], y[3] v[8], y[4] v[7], y[5] v[6], y[6] v[5], y[7] v[4], y[8] v[3]),
        plus!(0i64, y[3] v[9], y[4] v[8], y[5] v[7], y[6] v[6], y[7] v[5], y[8] v[4]),
        plus!(0i64, y[4] v[9], y[5] v[8], y[6] v[7], y[7] v[6], y[8] v[5]),
        plus!(0i64, y[5] v[9], y[6] v[8], y[7] v[7], y[8] v[6]),
        plus!(0i64, y[6] v[9], y[7] v[8], y[8] v[7]),
        plus!(0i64, y[7] v[9], y[8] v[8]),
        plus!(0i64, y[8] v[9]),
        0,
    ];
    carry!(p: 9, 10, 11, 12, 13, 14, 15, 16, 17);
    // p[18] has 8 bits. q is between -2^384 and 2^284.
    let mut q: [i64; 14] = [
        less!(p[0], C[0] p[9]),
        less!(p[1], C[0] p[10], C[1] p[9]),
        less!(p[2], C[0] p[11], C[1] p[10], C[2] p[9]),
        less!(p[3], C[0] p[12], C[1] p[11], C[2] p[10], C[3] p[9]),
        less!(p[4], C[0] p[13], C[1] p[12], C[2] p[11], C[3] p[10], C[4] p[9]),
        less!(p[5], C[0] p[14], C[1] p[13], C[2] p[12], C[3] p[11], C[4] p[10]),
        less!(p[6], C[0] p[15], C[1] p[14], C[2] p[13], C[3] p[12], C[4] p[11]),
        less!(p[7], C[0] p[16], C[1] p[15], C[2] p[14], C[3] p[13], C[4] p[12]),
        less!(p[8], C[0] p[17], C[1] p[16], C[2] p[15], C[3] p[14], C[4] p[13]),
        less!(0i64, C[0] p[18], C[1] p[17], C[2] p[16], C[3] p[15], C[4] p[14]),
        less!(0i64, C[1] p[18], C[2] p[17], C[3] p[16], C[4] p[15]),
        less!(0i64, C[2] p[18], C[3] p[17], C[4] p[16]),
        less!(0i64, C[3] p[18], C[4] p[17]),
        less!(0i64, C[4] p[18]),
    ];
    carry!(q: 9, 10, 11, 12);
    // q[13] has 21 bits and the sign; the columns below were not carried, so r lies within 2^284 either way.
    let mut r: [i64; 10] = [
        less!(q[0], C[0] q[9]),
        less!(q[1], C[0] q[10], C[1] q[9]),
        less!(q[2], C[0] q[11], C[1] q[10], C[2] q[9]),
        less!(q[3], C[0] q[12], C[1] q[11], C[2] q[10], C[3] q[9]),
        less!(q[4], C[0] q[13], C[1] q[12], C[2] q[11], C[3] q[10], C[4] q[9]),
        less!(q[5], C[1] q[13], C[2] q[12], C[3] q[11], C[4] q[10]),
        less!(q[6], C[2] q[13], C[3] q[12], C[4] q[11]),
        less!(q[7], C[3] q[13], C[4] q[12]),
        less!(q[8], C[4] q[13]),
        0,
    ];
    carry!(r: 0, 1, 2, 3, 4, 5, 6, 7, 8);
    fold(&mut r);
    // Between -2^156 and 2^252 + 2^156: mostly without a limb 9, and then below L. Otherwise once more, which leaves what
    // is below L or, after a 1, perhaps negative by less than c.
    if r[9] != 0 {
        fold(&mut r);
        if r[9] < 0 {
            add_order(&mut r);
        }
    }
    [
        (r[0] | r[1] << 28 | r[2] << 56) as u64,
        (r[2] >> 8 | r[3] << 20 | r[4] << 48) as u64,
        (r[4] >> 16 | r[5] << 12 | r[6] << 40) as u64,
        (r[6] >> 24 | r[7] << 4 | r[8] << 32 | r[9] << 60) as u64,
    ]
}

/// Limb 9, which counts 2^252, becomes -c.
#[inline(always)]
fn fold(r: &mut [i64; 10]) {
    let top = r[9];
    r[9] = 0;
    let mut limb = 0;
    while limb < C.len() {
        r[limb] = r[limb].wrapping_sub(top.wrapping_mul(C[limb]));
        limb += 1;
    }
    carry!(r: 0, 1, 2, 3, 4, 5, 6, 7, 8);
}

#[inline(always)]
fn add_order(r: &mut [i64; 10]) {
    let mut limb = 0;
    while limb < C.len() {
        r[limb] = r[limb].wrapping_add(C[limb]);
        limb += 1;
    }
    r[9] = r[9].wrapping_add(1);
    carry!(r: 0, 1, 2, 3, 4, 5, 6, 7, 8);
}
