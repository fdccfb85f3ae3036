//! Fixtures that start real servers for tests.
//!
//! Law: it depends on no crate of the product, leaves nothing behind, and every wait has a deadline.

mod alertmanager;
mod charts;
mod collector;
mod containerd;
mod dice;
mod engines;
mod flood;
mod minikube;
mod ports;
mod process;
mod program;
mod redis_server;
mod registry;
mod sentinel_stack;
mod telegram;
mod tls;
mod wait;

pub use alertmanager::Alertmanager;
pub use charts::{Asked, ChartServer, Fault, packed_chart};
pub use collector::{Collector, OtlpRequest};
pub use containerd::Containerd;
pub use dice::Dice;
pub use engines::{DockerEngine, PodmanStorage};
pub use flood::flood;
pub use minikube::FakeMinikube;
pub use ports::free_port;
pub use process::Child;
pub use program::{helms, redis_has_tls, redis_program, skipped};
pub use redis_server::{RedisOptions, RedisServer};
pub use registry::{Registry, RegistryOptions};
pub use sentinel_stack::{SentinelOptions, SentinelStack};
pub use telegram::{Telegram, TelegramAnswer, TelegramCall, TelegramFault, TelegramMessage};
pub use tls::Certificates;
pub use wait::{until, until_async};
