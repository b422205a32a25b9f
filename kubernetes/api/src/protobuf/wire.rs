//! Protobuf's wire format: numbered fields, each a number or bytes.

use super::Error;

/// One field's content.
#[derive(Clone, Copy, Debug)]
pub(super) enum Item<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], Error> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(Error::Malformed) }
    }

    pub(super) fn integer(self) -> Result<i64, Error> {
        match self {
            // Negative numbers are written as 64 bits of two's complement.
            Self::Varint(number) => Ok(number.cast_signed()),
            Self::Fixed32(number) => Ok(i64::from(number)),
            Self::Bytes([]) => Ok(0),
            _ => Err(Error::Malformed),
        }
    }

    pub(super) fn double(self) -> Result<f64, Error> {
        if let Self::Fixed64(bits) = self { Ok(f64::from_bits(bits)) } else { Err(Error::Malformed) }
    }
}

/// The fields of a message, in the order they were written. Ends after the first mistake.
pub(super) struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u32, Item<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok()?;
        let item = match tag & 7 {
            0 => Item::Varint(self.varint()?),
            1 => Item::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Item::Bytes(self.take(length)?)
            }
            5 => Item::Fixed32(u32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((number, item))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<(u32, Item<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field().ok_or(Error::Malformed);
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
