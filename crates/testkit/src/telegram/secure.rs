//! TLS before HTTP, and a certificate of somebody else where that is wanted.
//!
//! It must not know what is said through it.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Shared;
use super::http;
use crate::Certificates;

#[derive(Debug)]
pub(super) struct Secure {
    own: Arc<ServerConfig>,
    strange: Arc<ServerConfig>,
    spoilt: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Secure {
    pub(super) fn new(certificates: &Certificates) -> Self {
        Self {
            own: config(certificates),
            strange: config(&Certificates::make()),
            spoilt: AtomicBool::new(false),
            open: Mutex::default(),
        }
    }

    pub(super) fn spoil(&self, spoilt: bool) {
        self.spoilt.store(spoilt, Ordering::SeqCst);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in open.drain(..) {
            // It may have ended by itself.
            let _ended = stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn serve(&self, stream: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
        http::prepare(&stream)?;
        let config = if self.spoilt.load(Ordering::SeqCst) {
            &self.strange
        } else {
            &self.own
        };
        let session = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        let kept = stream.try_clone()?;
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(kept);
        http::serve(StreamOwned::new(session, stream), shared)
    }
}

fn config(certificates: &Certificates) -> Arc<ServerConfig> {
    let chain = CertificateDer::from_pem_file(certificates.cert()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(certificates.key()).expect("its key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key);
    Arc::new(config.expect("a certificate with its key"))
}
