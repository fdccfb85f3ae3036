//! 2: 4xx for what no retry mends, and then the operators are told; nothing is dropped in silence.

use crate::hook::Hook;
use crate::{OPERATORS, TOKEN, WITHIN, group};

#[tokio::test(flavor = "multi_thread")]
async fn r02_what_no_retry_mends_is_refused_and_told_to_the_operators() {
    let hook = Hook::with(&["--max-body-bytes=2048"]).await;
    let whole = group("A", &[("a", true)], 1).to_string();
    for token in ["", "0123456789abcdef012", "0123456789abcdef01234"] {
        assert_eq!(hook.send("default", token, whole.clone()).await.0, 401);
    }
    let deep = format!("{}{}", "[".repeat(70), "]".repeat(70));
    for (route, body, status) in [
        ("nowhere", whole.clone(), 404),
        ("default", "{\"alerts\": [".to_owned(), 400),
        ("default", deep, 400),
        ("default", "{\"alerts\": 1}".to_owned(), 400),
        ("default", "x".repeat(4096), 413),
    ] {
        let (answered, problem) = hook.send(route, TOKEN, body).await;
        assert_eq!(answered, status, "{problem}");
    }
    let kinds = [
        "there is no such route",
        "its token is not known",
        "no JSON",
        "no notification of Alertmanager",
        "of 4096 bytes for the route default was dropped: it is too large",
    ];
    let told = hook
        .telegram
        .until("five words", OPERATORS, WITHIN, |shown| {
            let told = |kind: &&str| shown.iter().any(|it| it.text.contains(kind));
            kinds.iter().all(told)
        });
    let all: Vec<&str> = told.iter().map(|it| it.text.as_str()).collect();
    // Three posts had a wrong token; with the tenth minute a second word of a kind may come.
    let of_token = all.iter().filter(|it| it.contains("token")).count();
    assert!((1..=2).contains(&of_token), "{all:?}");
    assert_eq!(
        hook.metric("kedactl_webhook_answers_total{class=\"4xx\"}")
            .await,
        8
    );
    hook.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_what_nobody_can_be_told_of_is_503() {
    let mut hook = Hook::with(&["--accept-timeout-ms=300", "--max-body-bytes=1024"]).await;
    hook.redis.kill();
    for (token, body) in [
        ("a-token-of-nobody-here", "{}".to_owned()),
        (TOKEN, "{".to_owned()),
        (TOKEN, "x".repeat(2000)),
    ] {
        assert_eq!(hook.send("default", token, body).await.0, 503);
    }
    hook.stop().await;
}

/// A body that is too slow, or is cut off, may be whole the next time.
#[tokio::test(flavor = "multi_thread")]
async fn r02_a_body_that_did_not_arrive_is_503() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let hook = Hook::with(&["--body-timeout-ms=300"]).await;
    for cut in [false, true] {
        let mut stream = tokio::net::TcpStream::connect(hook.at).await.unwrap();
        let head = format!(
            "POST /v1/alerts/default HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: 500\r\n\r\n{{\"alerts\": ["
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        if cut {
            stream.shutdown().await.unwrap();
        }
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 503");
    }
    hook.stop().await;
}
