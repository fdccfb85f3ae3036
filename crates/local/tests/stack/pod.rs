//! A pod that answers its probes as files in its directory tell it to.
//! Must not outlive the signal that stops it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
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

/// All of a request's head: what is left unread when a connection is closed takes the answer away from the other side.
fn head(stream: &mut TcpStream) -> String {
    let (mut request, mut part) = (Vec::new(), [0_u8; 2048]);
    loop {
        let length = stream.read(&mut part).unwrap_or(0);
        request.extend_from_slice(&part[..length]);
        if length == 0 || request.windows(4).any(|it| it == b"\r\n\r\n") {
            return String::from_utf8_lossy(&request).into_owned();
        }
    }
}

fn answer(listener: &TcpListener, name: &str) {
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let request = head(&mut stream);
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
