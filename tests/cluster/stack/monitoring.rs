//! The monitoring on a real cluster, by our own chart with Debian's Prometheus and Alertmanager: what dashboards ask for is there, and a
//! real fault is one message in a chat until it ends.
//!
//! It must not test a rule's threshold: promtool does. Loki, Grafana and Alloy are left out, as their images cannot be had.

use crate::cluster::Cluster;
use crate::rig::Rig;
use crate::turn;
use kedactl_render::monitoring::dashboards;
use kedactl_testkit::{Telegram, TelegramMessage, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

const BOT: &str = "12345:AAtheTokenOfATest";
const CHAT: i64 = -100_200;
const WITHIN: Duration = Duration::from_mins(4);

/// What is scraped of a stack whose workers are there or not; `up` of each is 1.
const TARGETS: [&str; 6] = [
    "alertmanager",
    "api",
    "keda-operator",
    "kube-state-metrics",
    "prometheus",
    "webhook",
];

/// Queries that have nothing to show where nothing went wrong: no answer is right for them.
const OF_FAULTS: [&str; 9] = [
    "5..",
    "ALERTS{namespace",
    "container_restarts",
    "error",
    "failed",
    "failures",
    "kedactl_api_tasks_refused_total",
    // Without `maxmemory` there is no share of it.
    "redis_memory",
    "waiting_reason",
];

impl Cluster {
    /// The address of this machine that a node, and with it each of its pods, reaches.
    fn this_machine(&self) -> IpAddr {
        let nodes = self.json(&["get", "nodes"]);
        let addresses = nodes["items"][0]["status"]["addresses"].as_array().unwrap();
        let internal = addresses.iter().find(|it| it["type"] == "InternalIP");
        let node = internal.unwrap()["address"].as_str().unwrap();
        // Nothing is sent: it is asked by which way something would be.
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.connect((node, 9)).unwrap();
        socket.local_addr().unwrap().ip()
    }
}

/// A stack that is watched, sooner than usual, and tells a chat of this machine.
fn watched(purpose: &str, telegram: &Telegram) -> Rig {
    let api = telegram.url();
    let (host, port) = api.trim_start_matches("http://").rsplit_once(':').unwrap();
    let webhook = env!("CARGO_BIN_EXE_webhook-under-test");
    let rig = Rig::with(
        purpose,
        &format!(
            "images:
  build: [api, worker, webhook, redis, prometheus, alertmanager]
  programs: {{webhook: {webhook}}}
monitoring:
  profile: minimal
  rules:
    holdSeconds: 5
    windowSeconds: 20
    queue: {{ageSeconds: 5, stuckSeconds: 20}}
  alerts: {{groupWaitSeconds: 1, groupIntervalSeconds: 5}}
webhook:
  routes: {{default: {{chats: [{{id: {CHAT}}}]}}}}
  botApi: {api}
  botTokenFile: token
  egress: [{{cidr: {host}/32, ports: [{port}]}}]
releases:
  monitoring:
    values:
      prometheus: {{scrapeInterval: 2s, evaluationInterval: 2s, persistence: {{size: 64Mi}}, retentionSize: 50MB}}
      alertmanager: {{persistence: {{size: 16Mi}}}}
      loki: {{enabled: false}}
      alloy: {{enabled: false}}
      grafana: {{enabled: false}}
"
        ),
    );
    let token = rig.context.write("token", BOT);
    std::fs::set_permissions(token, std::fs::Permissions::from_mode(0o600)).unwrap();
    rig
}

/// What must not stand in a part of a URL.
fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let one = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(one).collect()
}

impl Rig {
    /// What Prometheus answers to a query; `None` while it is not reached.
    fn asked(&self, query: &str) -> Option<Vec<Value>> {
        let services = format!("/api/v1/namespaces/{}-monitoring/services", self.name);
        let path = format!(
            "{services}/prometheus:9090/proxy/api/v1/query?query={}",
            escaped(query)
        );
        let answer = self.cluster.try_kubectl(&["get", "--raw", &path]).ok()?;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        answer["data"]["result"].as_array().cloned()
    }

    /// Jobs whose targets all answer.
    fn scraped(&self) -> BTreeSet<String> {
        let jobs = self.asked("min by (job) (up) == 1").unwrap_or_default();
        let name = |it: &Value| it["metric"]["job"].as_str().unwrap().to_owned();
        jobs.iter().map(name).collect()
    }

    fn submit(&self, body: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let length = body.len();
        write!(stream, "POST /v1/tasks HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    }
}

/// Every query of every dashboard that goes to Prometheus, as Grafana would ask it for a namespace, with the dashboard's name.
fn queries(namespace: &str) -> BTreeMap<String, &'static str> {
    fn of(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                let loki = map.get("datasource").is_some_and(|it| it["type"] == "loki");
                let expression = map.get("expr").and_then(Value::as_str);
                found.extend(expression.filter(|_| !loki).map(str::to_owned));
                map.values().for_each(|it| of(it, found));
            }
            Value::Array(all) => all.iter().for_each(|it| of(it, found)),
            _ => {}
        }
    }
    let mut all = BTreeMap::new();
    for dashboard in dashboards() {
        let mut found = Vec::new();
        of(&serde_json::from_str(dashboard.json).unwrap(), &mut found);
        for query in found {
            let query = query
                .replace("$__rate_interval", "30s")
                .replace("$namespace", namespace)
                .replace("$queue", ".+");
            assert!(!query.contains('$'), "{}: {query}", dashboard.name);
            all.insert(query, dashboard.name);
        }
    }
    all
}

/// The one message about an alert, once it is as wanted.
#[expect(
    clippy::disallowed_methods,
    reason = "says how long a fault took to be told"
)]
fn told(telegram: &Telegram, alert: &str, sign: char) -> TelegramMessage {
    let since = Instant::now();
    let about = |shown: &[TelegramMessage]| -> Vec<TelegramMessage> {
        let all = shown.iter().filter(|it| it.text.contains(alert));
        all.cloned().collect()
    };
    let shown = telegram.until(&format!("{alert} {sign}"), CHAT, WITHIN, |shown| {
        about(shown).iter().any(|it| it.text.starts_with(sign))
    });
    println!("{alert} {sign}: {:.1} s", since.elapsed().as_secs_f64());
    let messages = about(&shown);
    assert_eq!(messages.len(), 1, "one message: {messages:#?}");
    messages[0].clone()
}

#[test]
fn a_fault_is_one_message_until_it_ends_and_dashboards_have_something_to_show() {
    let _turn = turn::beside_others();
    let cluster = Cluster::of_this_run();
    let telegram = Telegram::start_at(BOT, cluster.this_machine());
    let rig = watched("watched", &telegram);
    rig.up(&[]).check(0);
    let wanted: BTreeSet<String> = TARGETS.map(str::to_owned).into();
    let mut scraped = BTreeSet::new();
    until("every target answers", WITHIN, || {
        scraped = rig.scraped();
        scraped.is_superset(&wanted)
    });
    println!("scraped: {scraped:?}");

    // Nobody takes tasks, and nobody knows but those who wait.
    let paused = "autoscaling.keda.sh/paused-replicas";
    rig.kubectl(&["annotate", "scaledobject", "worker", &format!("{paused}=0")]);
    rig.submit(r#"{"type":"echo","payload":{}}"#);
    told(&telegram, "QueueAgeHigh", '🔥');
    rig.kubectl(&["annotate", "scaledobject", "worker", &format!("{paused}-")]);
    let ended = told(&telegram, "QueueAgeHigh", '✅');
    assert!(ended.edits > 0, "{ended:?}");

    // The way there, as an operator tries it.
    let tried = rig.run(&["alerts", "test"]).expect(0);
    assert!(tried.stdout.contains("shown after"), "{tried:?}");

    let queries = queries(rig.namespace());
    assert!(queries.len() > 50, "{}", queries.len());
    // While there is work: without a worker nothing speaks of workers.
    let load = ["load", "--rps", "20", "--duration", "90s"];
    let load = rig.spawn(&[&load[..], &["-o", "json"]].concat());
    let mut silent = queries.clone();
    silent.retain(|query, _| !OF_FAULTS.iter().any(|it| query.contains(it)));
    until("every query has had an answer", WITHIN, || {
        let before = silent.len();
        silent.retain(|query, _| rig.asked(query).is_none_or(|it| it.is_empty()));
        if silent.len() < before {
            println!("without an answer so far: {silent:#?}");
        }
        silent.is_empty()
    });
    // Whether it left in time (7 says that it did not) is nothing here.
    let load = load.wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&load.stdout).unwrap();
    assert_eq!(report["audit"]["lost"], 0, "{}", report["audit"]);
    // Those of faults are asked as well: a query that Prometheus refuses ends the test.
    for query in queries.keys() {
        rig.asked(query);
    }
}
