//! A whole audited run against a small platform: promises, records, faults that the audit must see.
//!
//! It must not know Redis: the platform is a table in memory behind HTTP.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test they help"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use kedactl_load::{
    Arrivals, AuditOptions, Hooks, NoObserver, Observe, Options, Outcome, Phase, Replicas,
    RunResult, Sample, Schedule, Target, TaskTemplate, run, verdict,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What the platform does wrong; 0 is never.
#[derive(Debug, Clone, Copy, Default)]
struct Sins {
    /// Promises every n-th task and never does it.
    loses: u64,
    /// Does every n-th task twice.
    repeats: u64,
    /// Refuses every n-th request, and does the task all the same.
    refuses: u64,
    /// Breaks off every n-th audit request.
    breaks: u64,
}

#[derive(Debug, Default)]
struct Platform {
    sins: Sins,
    records: Mutex<Vec<String>>,
    audits: Mutex<u64>,
}

fn is(index: u64, every: u64) -> bool {
    every > 0 && index.is_multiple_of(every)
}

fn start(sins: Sins) -> (Arc<Platform>, String) {
    let platform = Arc::new(Platform {
        sins,
        ..Platform::default()
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shared = Arc::clone(&platform);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let platform = Arc::clone(&shared);
            std::thread::spawn(move || platform.serve(&stream));
        }
    });
    (platform, url)
}

impl Platform {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let (mut head, mut length) = (String::new(), 0);
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let Some((status, answer)) = self.answer(&head, &body) else {
                return;
            };
            let text = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            );
            let mut writer = stream;
            if writer.write_all(text.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, head: &str, body: &[u8]) -> Option<(u16, String)> {
        let path = head.split(' ').nth(1).unwrap();
        if path == "/v1/tasks" {
            return Some((self.submit(body), "{}".to_owned()));
        }
        let query = path
            .strip_prefix("/v1/queues/default/audit/run-1?limit=")
            .unwrap();
        let (limit, after) = query.split_once("&after=").unwrap_or((query, "0"));
        let (after, limit): (usize, usize) = (after.parse().unwrap(), limit.parse().unwrap());
        let mut audits = self.audits.lock().unwrap();
        *audits += 1;
        if is(*audits, self.sins.breaks) {
            return None;
        }
        let records = self.records.lock().unwrap();
        let page: Vec<_> = records.iter().skip(after).take(limit).cloned().collect();
        let next = after + page.len();
        Some((
            200,
            format!(r#"{{"records":[{}],"next":"{next}"}}"#, page.join(",")),
        ))
    }

    fn submit(&self, body: &[u8]) -> u16 {
        let task: serde_json::Value = serde_json::from_slice(body).unwrap();
        assert_eq!(
            (task["queue"].as_str(), task["type"].as_str()),
            (Some("default"), Some("echo"))
        );
        let index = task["audit"]
            .as_str()
            .unwrap()
            .strip_prefix("run-1:")
            .unwrap();
        assert_eq!(task["payload"]["n"], format!("number {index}"));
        let index: u64 = index.parse().unwrap();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_micros();
        let times = if is(index + 1, self.sins.repeats) {
            2
        } else {
            1
        };
        let times = if is(index + 1, self.sins.loses) {
            0
        } else {
            times
        };
        let record = format!("[{index},1,{now},{},{},0]", now + 2_000, now + 5_000);
        self.records
            .lock()
            .unwrap()
            .extend((0..times).map(|_| record.clone()));
        if is(index + 1, self.sins.refuses) {
            503
        } else {
            202
        }
    }
}

async fn audited<O: Observe>(
    sins: Sins,
    observer: O,
    change: impl FnOnce(&mut Options),
) -> (RunResult, Vec<Phase>) {
    let (_platform, url) = start(sins);
    let run_id = "run-1".parse().unwrap();
    let task = TaskTemplate {
        queue: "default".to_owned(),
        kind: "echo".to_owned(),
        payload: serde_json::json!({ "n": "number {{index}}" }),
    };
    let target = Target::tasks(&run_id, &url, &task).unwrap();
    let schedule =
        Schedule::constant(400.0, Duration::from_millis(1_500), Arrivals::Poisson, 3).unwrap();
    let mut options = Options::new(run_id, schedule, target);
    let no_progress = Duration::from_secs(1);
    options.audit = Some(AuditOptions {
        page: 50,
        no_progress,
        ..AuditOptions::new(url, "default")
    });
    change(&mut options);
    let (progress, mut snapshots) = mpsc::channel(64);
    let hooks = Hooks {
        observer,
        progress: Some(progress),
        stop: CancellationToken::new(),
    };
    let result = run(options, hooks).await.unwrap();
    let mut phases = Vec::new();
    while let Some(snapshot) = snapshots.recv().await {
        phases.push(snapshot.phase);
    }
    (result, phases)
}

#[tokio::test]
async fn every_promise_kept_is_seen_through_broken_reads() {
    let sins = Sins {
        breaks: 3,
        ..Sins::default()
    };
    let (result, phases) = audited(sins, NoObserver, |_| ()).await;
    let audit = result.audit.as_ref().unwrap();
    assert_eq!(
        (audit.acknowledged, audit.done, audit.lost, audit.duplicated),
        (600, 600, 0, 0)
    );
    // Three significant digits.
    assert!(
        audit.wait.p50.abs_diff(2_000) <= 2 && audit.run.p50.abs_diff(3_000) <= 3,
        "{audit:?}"
    );
    assert!(
        audit.total.p50 >= 5_000 && audit.total.count == 600,
        "{audit:?}"
    );
    assert_eq!(audit.gave_up, None);
    assert!(
        phases.contains(&Phase::Sending) && phases.last() == Some(&Phase::Done),
        "{phases:?}"
    );
    let judged = verdict(
        &result,
        &kedactl_load::parse_slos("e2e_p95<5s,lost=0,achieved>=99%").unwrap(),
    );
    assert!(
        matches!(judged.outcome, Outcome::Passed | Outcome::GeneratorLimited),
        "{judged:?}"
    );
}

#[tokio::test]
async fn a_lost_task_fails_the_run() {
    let sins = Sins {
        loses: 100,
        repeats: 7,
        refuses: 11,
        ..Sins::default()
    };
    let (result, _) = audited(sins, NoObserver, |_| ()).await;
    let audit = result.audit.as_ref().unwrap();
    let refused = (1..=600).filter(|i| i % 11 == 0).count() as u64;
    let lost: Vec<u64> = (0..600)
        .filter(|i| is(i + 1, 100) && !is(i + 1, 11))
        .collect();
    let twice = (1..=600).filter(|i| i % 7 == 0 && i % 100 != 0).count() as u64;
    assert_eq!(audit.acknowledged, 600 - refused);
    assert_eq!((audit.lost, &audit.lost_sample), (lost.len() as u64, &lost));
    assert_eq!((audit.duplicated, audit.unexpected), (twice, refused));
    assert!(
        audit
            .gave_up
            .as_ref()
            .unwrap()
            .contains("none finished for 1s"),
        "{audit:?}"
    );
    let judged = verdict(&result, &[]);
    assert_eq!(
        (judged.outcome, judged.outcome.exit_code()),
        (Outcome::AuditFailed, 4)
    );
}

/// One worker more at each look, and none from the sixth on.
struct Rising(Mutex<u32>);

impl Observe for Rising {
    async fn sample(&self) -> Option<Sample> {
        let mut looks = self.0.lock().unwrap();
        *looks += 1;
        let ready = if *looks < 6 { *looks - 1 } else { 0 };
        let workers = Replicas {
            desired: ready,
            ready,
        };
        Some(Sample {
            workers,
            reasons: vec![format!("look {looks}")],
            ..Sample::default()
        })
    }
}

#[tokio::test]
async fn the_platform_is_watched_until_it_is_back_at_zero() {
    let wait = |options: &mut Options| options.wait_zero = Some(Duration::from_secs(20));
    let (result, phases) = audited(Sins::default(), Rising(Mutex::new(0)), wait).await;
    let scaling = result.scaling.as_ref().unwrap();
    assert_eq!((scaling.workers_at_start, scaling.workers_peak), (0, 4));
    assert!(
        scaling.to_zero_s.is_some() && scaling.drain_s.is_some(),
        "{scaling:?}"
    );
    assert!(phases.contains(&Phase::WaitingForZero), "{phases:?}");
    assert_eq!(result.timeline[0].sample.reasons, ["look 1"]);
}
