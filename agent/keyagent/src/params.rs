//! What a registration asks for, in the kernel's form.

use std::ffi::CString;
use std::time::Duration;

use super::{Error, Result};

const MAX_TYPE: usize = 31;
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
const MAX_WINDOW: u32 = 1024;
const FALLBACK: u32 = 1;

/// `struct keyagent_params`, apart from the signal.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Params {
    pub(crate) timeout: Option<Duration>,
    pub(crate) window: Option<u32>,
    pub(crate) fallback: bool,
}

impl Params {
    /// The payload of the keyagent key.
    pub(crate) fn payload(self, signal: i32) -> Result<[u8; 16]> {
        let flags = if self.fallback { FALLBACK } else { 0 };
        let words = [signal.cast_unsigned(), flags, self.timeout_ms()?, self.window()?];
        let mut bytes = [0; 16];
        let (places, _) = bytes.as_chunks_mut::<4>();
        places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_ne_bytes());
        Ok(bytes)
    }

    /// 0 for the kernel's default.
    fn timeout_ms(self) -> Result<u32> {
        let Some(timeout) = self.timeout else { return Ok(0) };
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or_default();
        if milliseconds == 0 || timeout > MAX_TIMEOUT {
            return Err(Error::Timeout(timeout));
        }
        Ok(milliseconds)
    }

    /// 0 for the kernel's default.
    fn window(self) -> Result<u32> {
        match self.window {
            None => Ok(0),
            Some(window @ 1..=MAX_WINDOW) => Ok(window),
            Some(window) => Err(Error::Window(window)),
        }
    }
}

/// Checks the name of a type of key that an agent is to serve.
pub(crate) fn key_type(name: &str) -> Result<CString> {
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~');
    let fits = (1..=MAX_TYPE).contains(&name.len()) && name.bytes().all(is_printable);
    let is_reserved = name.starts_with('.') || matches!(name, "keyagent" | "keyring");
    let name = if fits && !is_reserved { CString::new(name).map_err(|_| name) } else { Err(name) };
    name.map_err(|name| Error::KeyType(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_has_the_kernels_layout() {
        let params = Params { timeout: Some(Duration::from_millis(2500)), window: Some(4), fallback: true };
        let words: Vec<u32> =
            params.payload(40).unwrap().as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        assert_eq!(words, [40, 1, 2500, 4]);
        assert_eq!(Params::default().payload(0).unwrap(), [0; 16]);
    }

    #[test]
    fn values_beyond_the_kernels_limits_are_refused() {
        let timeout = |timeout| Params { timeout: Some(timeout), ..Params::default() }.payload(40);
        assert!(timeout(MAX_TIMEOUT).is_ok());
        for wrong in [Duration::ZERO, Duration::from_micros(999), MAX_TIMEOUT + Duration::from_nanos(1)] {
            assert!(matches!(timeout(wrong), Err(Error::Timeout(_))), "{wrong:?}");
        }
        for wrong in [0, 1025] {
            let params = Params { window: Some(wrong), ..Params::default() };
            assert!(matches!(params.payload(40), Err(Error::Window(_))));
        }
    }

    #[test]
    fn reserved_and_unprintable_types_are_refused() {
        for right in ["user", "dns_resolver", &"x".repeat(31)] {
            assert!(key_type(right).is_ok(), "{right}");
        }
        for wrong in ["", "keyagent", "keyring", ".user", "a\n", "ä", &"x".repeat(32)] {
            assert!(matches!(key_type(wrong), Err(Error::KeyType(_))), "{wrong}");
        }
    }
}
