//! The instruction's own data, read in order. Trailing bytes are refused by `end`.

use crate::bytes::Key;
use crate::error::Error;

pub struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    #[inline(always)]
    pub fn new(data: &'a [u8]) -> Self {
        Input { rest: data }
    }

    #[inline(always)]
    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], Error> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(Error::InvalidInstruction),
        }
    }

    #[inline(always)]
    pub fn u8(&mut self) -> Result<u8, Error> {
        Ok(self.take::<1>()?[0])
    }

    #[inline(always)]
    pub fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_le_bytes(*self.take()?))
    }

    #[inline(always)]
    pub fn u24(&mut self) -> Result<u32, Error> {
        let [low, middle, high] = *self.take()?;
        Ok(u32::from_le_bytes([low, middle, high, 0]))
    }

    #[inline(always)]
    pub fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_le_bytes(*self.take()?))
    }

    #[inline(always)]
    pub fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_le_bytes(*self.take()?))
    }

    #[inline(always)]
    pub fn key(&mut self) -> Result<&'a Key, Error> {
        self.take()
    }

    #[inline(always)]
    pub fn tag16(&mut self) -> Result<&'a [u8; 16], Error> {
        self.take()
    }

    #[inline(always)]
    pub fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        if length > self.rest.len() {
            return Err(Error::InvalidInstruction);
        }
        let (head, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(head)
    }

    /// One length byte, then that many bytes.
    #[inline(always)]
    pub fn short(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u8()? as usize;
        self.bytes(length)
    }

    #[inline(always)]
    pub fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(Error::InvalidInstruction) }
    }
}
