//! A proxy that lets a request through and cuts the connection in the middle of its answer.
//!
//! It must not touch requests: the server carries out what the client never hears of.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The running proxy; it ends with the runtime.
pub(crate) struct Cutter {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    armed: AtomicBool,
    cuts: AtomicUsize,
}

impl Cutter {
    pub(crate) async fn start(server_port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server_port))
                    .await
                    .unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&accepting)));
            }
        });
        Self { port, shared }
    }

    /// The next answer of a function call is cut.
    pub(crate) fn cut_soon(&self) {
        self.shared.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, shared: Arc<Shared>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut calls = false;
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(n @ 1..) = read else { return };
                calls = calls || up[..n].windows(5).any(|w| w == b"FCALL");
                if server.write_all(&up[..n]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(n @ 1..) = read else { return };
                let cut = calls && shared.armed.swap(false, Ordering::SeqCst);
                let kept = if cut { n / 2 } else { n };
                if client.write_all(&down[..kept]).await.is_err() {
                    return;
                }
                if cut {
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
        }
    }
}
