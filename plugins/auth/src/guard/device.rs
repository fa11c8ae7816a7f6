//! Devices that have logged in to an account before (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Guard;
use crate::id::Millis;

/// For how long a device is known after its last login.
pub(crate) const KNOWN_FOR: Duration = Duration::from_secs(180 * 24 * 3600);

/// For which the gateways' key signs.
const PURPOSE: &str = "device";
/// Of a token as text: 8 bytes of time, 32 of HMAC.
const TEXT: usize = 54;

impl Guard {
    /// What a device that has just logged in to `account` (the normalised name) shows the next time. Nothing is kept.
    /// `None` while there are no keys.
    pub(crate) fn device_token(&self, account: &str) -> Option<String> {
        let until = self.now().plus(KNOWN_FOR);
        let mac = self.device_mac(until, account)?;
        let mut token = [0; 40];
        token[..8].copy_from_slice(&until.0.to_be_bytes());
        token[8..].copy_from_slice(&mac);
        Some(URL_SAFE_NO_PAD.encode(token))
    }

    /// Whether the device that shows this has logged in to `account`. It is bound to the name, not to the user: whether
    /// there is one is not looked up yet.
    pub(crate) fn knows(&self, account: &str, token: Option<&str>) -> bool {
        token.is_some_and(|token| self.is_of(account, token).unwrap_or_default())
    }

    fn is_of(&self, account: &str, token: &str) -> Option<bool> {
        let token = (token.len() == TEXT).then(|| URL_SAFE_NO_PAD.decode(token).ok())??;
        let (until, mac) = token.split_first_chunk::<8>()?;
        let until = Millis(u64::from_be_bytes(*until));
        let expected = self.device_mac(until, account)?;
        Some(verify_slices_are_equal(mac, &expected).is_ok() && until > self.now())
    }

    fn device_mac(&self, until: Millis, account: &str) -> Option<[u8; 32]> {
        let data = [&until.0.to_be_bytes(), account.as_bytes()].concat();
        (self.mac)(PURPOSE, &data).ok()
    }
}
