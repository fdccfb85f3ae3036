//! Random values and passwords, made once and kept in files of mode 0600.
//! Must not print or log what it makes.

use std::fs;
use std::path::Path;

use crate::LocalError;
use crate::layout::{fail, write_private};

/// Random bytes of the kernel.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    let mut filled = 0;
    while filled < N {
        match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            // Interrupted before the pool was ready: ask again.
            Err(_) => std::thread::yield_now(),
        }
    }
    bytes
}

/// Random lower-case hex digits, two a byte.
pub(crate) fn random_hex<const N: usize>() -> String {
    crate::desired::hex(&random::<N>())
}

/// A short random name of letters and digits that are not mistaken for each other, as Kubernetes appends to pods.
pub(crate) fn random_suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    random::<5>()
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect()
}

/// The password in a file; made where there is none.
pub(crate) fn password(path: &Path) -> Result<String, LocalError> {
    if path.exists() {
        let text = fs::read_to_string(path).map_err(fail("read", path))?;
        let text = text.trim().to_owned();
        if !text.is_empty() {
            return Ok(text);
        }
    }
    let fresh = random_hex::<24>();
    write_private(path, fresh.as_bytes())?;
    Ok(fresh)
}

/// A secret of the user's, without the line's end.
pub(crate) fn given(path: &Path) -> Result<String, LocalError> {
    let text = fs::read_to_string(path).map_err(fail("read", path))?;
    Ok(text.trim().to_owned())
}
