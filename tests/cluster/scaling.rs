//! The real KEDA on the test cluster: a Deployment from zero to many and back by the length of a Redis list.
//!
//! It must not test kedactl.

use crate::cluster::Cluster;
use crate::namespace::SAMPLE;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);

fn objects(namespace: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: redis}}
spec:
  selector: {{matchLabels: {{app: redis}}}}
  template:
    metadata: {{labels: {{app: redis}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: redis
        image: {SAMPLE}
        command: [redis-server, --protected-mode, 'no', --save, '']
        readinessProbe: {{exec: {{command: [redis-cli, ping]}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: redis}}
spec:
  selector: {{app: redis}}
  ports: [{{port: 6379}}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: worker}}
spec:
  replicas: 0
  selector: {{matchLabels: {{app: worker}}}}
  template:
    metadata: {{labels: {{app: worker}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: worker
        image: {SAMPLE}
        command: [sleep, '1000000']
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {{name: worker}}
spec:
  scaleTargetRef: {{name: worker}}
  pollingInterval: 1
  cooldownPeriod: 2
  minReplicaCount: 0
  maxReplicaCount: 4
  advanced:
    horizontalPodAutoscalerConfig:
      behavior: {{scaleDown: {{stabilizationWindowSeconds: 0}}}}
  triggers:
  - type: redis
    metadata: {{address: 'redis.{namespace}.svc:6379', listName: tasks, listLength: '5'}}
"
    )
}

#[test]
fn keda_follows_a_list_from_zero_to_four_to_two_to_zero() {
    let cluster = Cluster::of_this_run();
    let namespace = cluster.namespace("keda");
    namespace.apply(&objects(&namespace.name));
    namespace.until_available("redis");
    namespace.kubectl(&[
        "wait",
        "--for=condition=Ready",
        "--timeout=60s",
        "scaledobject/worker",
    ]);
    namespace.until_ready("worker", 0, SOON);
    let tasks: Vec<String> = (0..18).map(|task| task.to_string()).collect();
    let push: Vec<&str> = ["redis-cli", "RPUSH", "tasks"]
        .into_iter()
        .chain(tasks.iter().map(String::as_str))
        .collect();
    namespace.inside("deploy/redis", &push).unwrap();
    namespace.until_ready("worker", 4, SOON); // ceil(18 / 5)
    namespace
        .inside("deploy/redis", &["redis-cli", "LTRIM", "tasks", "0", "9"])
        .unwrap();
    namespace.until_ready("worker", 2, SOON); // ceil(10 / 5)
    namespace
        .inside("deploy/redis", &["redis-cli", "DEL", "tasks"])
        .unwrap();
    namespace.until_ready("worker", 0, SOON);
}
