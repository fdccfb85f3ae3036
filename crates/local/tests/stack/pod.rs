//! A pod that answers its probes as files in its directory tell it to.
//! Must not outlive the signal that stops it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "a pod reads its own environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// Serves `/healthz`, `/readyz` and anything else on every port that it was given, for ever.
pub(crate) fn serve() {
    let name = variable("KEDACTL_STACK_MEMBER");
    println!("pod {name} starts");
    assert!(!Path::new("crash").exists(), "told to crash");
    let ports = [
        variable("KEDACTL_PORT_HTTP"),
        variable("KEDACTL_PORT_METRICS"),
    ];
    let threads: Vec<_> = ports
        .into_iter()
        .filter_map(|port| port.parse::<u16>().ok())
        .map(|port| {
            let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
            let name = name.clone();
            std::thread::spawn(move || answer(&listener, &name))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn answer(listener: &TcpListener, name: &str) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let mut request = [0_u8; 2048];
        let length = stream.read(&mut request).unwrap_or(0);
        let request = String::from_utf8_lossy(&request[..length]).into_owned();
        let path = request.split(' ').nth(1).unwrap_or_default();
        let sick = Path::new(&format!("sick-{name}")).exists() && path == "/healthz";
        let status = if sick {
            "500 Internal Server Error"
        } else {
            "200 OK"
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}",
            name.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            eprintln!("client went away");
        }
    }
}
