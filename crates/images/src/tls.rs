//! The one cryptography that connections use.
//! Must not choose another one where the program has chosen already.

use std::sync::Once;

/// To be called before the first connection.
pub(crate) fn prepare() {
    static TLS: Once = Once::new();
    // Another part of the program may have chosen the same provider before.
    TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
