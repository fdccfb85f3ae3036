//! OTLP's protobuf: the few messages that a span needs, written field by field.
//!
//! It must not know where it goes. Numbers of fields are those of `opentelemetry/proto/trace/v1` and `…/common/v1`.

use super::context::{Hex, TraceContext};
use super::export::Resource;
use super::span::{Data, Value};

/// How the value of a field is written.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint(field << 3 | kind);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, BYTES);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    fn fixed64(&mut self, field: u64, number: u64) {
        self.key(field, FIXED64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn fixed32(&mut self, field: u64, number: u32) {
        self.key(field, FIXED32);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn attribute(&mut self, field: u64, key: &str, value: &Value) {
        self.message(field, |it| {
            it.bytes(1, key.as_bytes());
            it.message(2, |it| match value {
                Value::Text(text) => it.bytes(1, text.as_bytes()),
                Value::Number(number) => it.number(3, *number as u64),
            });
        });
    }

    /// The ids and the state, which spans and links have under the same numbers.
    fn place(&mut self, context: &TraceContext) {
        let (Hex(trace), Hex(span)) = (context.trace_id(), context.span_id());
        self.bytes(1, trace);
        self.bytes(2, span);
        if let Some(state) = context.tracestate() {
            self.bytes(3, state.as_bytes());
        }
    }

    fn span(&mut self, data: &Data) {
        self.place(&data.context);
        if let Some(parent) = &data.parent {
            self.bytes(4, parent.span_id().0);
        }
        self.bytes(5, data.name.as_bytes());
        self.number(6, data.kind as u64);
        self.fixed64(7, data.start);
        self.fixed64(8, data.end);
        for (key, value) in &data.attributes {
            self.attribute(9, key, value);
        }
        if let Some(link) = &data.link {
            self.message(13, |it| it.place(link));
        }
        if let Some(error) = &data.error {
            self.message(15, |it| {
                it.bytes(2, error.as_bytes());
                it.number(3, 2);
            });
        }
        self.fixed32(16, data.flags());
    }
}

/// One request with all the spans.
pub(super) fn request(resource: &Resource, spans: &[Data]) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |it| {
        it.message(1, |it| {
            for (key, value) in &resource.attributes {
                it.attribute(1, key, &Value::from(value.clone()));
            }
        });
        it.message(2, |it| {
            it.message(1, |it| {
                it.bytes(1, Resource::SCOPE.as_bytes());
                it.bytes(2, Resource::VERSION.as_bytes());
            });
            for data in spans {
                it.message(2, |it| it.span(data));
            }
        });
    });
    request.0
}

/// How many spans an answer says were not taken: field 1 of its field 1.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let number = || {
        let (_, inner) = varint(answer.strip_prefix(&[0x0a])?)?;
        Some(varint(inner.strip_prefix(&[0x08])?)?.0)
    };
    number().unwrap_or(0)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f) << (7 * at as u32);
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}
