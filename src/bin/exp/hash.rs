//! The hash of what was read, as `sha256sum` prints it.

use std::fmt;
use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// A hash of all that is written to it.
#[derive(Clone, Default)]
pub(crate) struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256 ")?;
        let bytes = self.0.clone().finalize();
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What is read, and the hash of it.
pub(crate) struct Hashed<R> {
    input: R,
    pub(crate) hash: Hash,
}

impl<R: Read> Hashed<R> {
    pub(crate) fn new(input: R) -> Self {
        let hash = Hash::default();
        Self { input, hash }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.hash.write_all(&buffer[..read])?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_sha256sum_prints() {
        let mut hashed = Hashed::new(&b"abc"[..]);
        io::copy(&mut hashed, &mut io::sink()).unwrap();
        let expected = "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hashed.hash.to_string(), expected);
    }
}
