//! What a Helm release rendered, from the record that helm keeps of it.
//! Must not let out anything but that text: the record holds values too.

use std::io::Read as _;

use flate2::read::GzDecoder;
use k8s_openapi::ByteString;
use serde_json::Value as Json;

use crate::connect::Cluster;
use crate::error::Error;
use crate::object::ObjectRef;

/// Most bytes of a record, unpacked. Records are limited to 1 MiB packed.
const MOST: u64 = 64 << 20;

/// The rendered text of a revision; `None` where it is not kept. It may hold Secrets: it is not for printing.
pub async fn release_manifest(
    cluster: &Cluster,
    namespace: &str,
    release: &str,
    revision: u64,
) -> Result<Option<String>, Error> {
    let name = format!("sh.helm.release.v1.{release}.v{revision}");
    let record = ObjectRef::new("v1", "Secret", Some(namespace), &name);
    let Some(secret) = cluster.get(&record).await? else {
        return Ok(None);
    };
    unpack(&secret).map(Some).ok_or_else(|| Error::Malformed {
        what: record.to_string(),
        problem: "it is not a record of helm".to_owned(),
    })
}

/// Helm packs its JSON, writes that in base 64, and Kubernetes writes the result in base 64 once more.
fn unpack(secret: &Json) -> Option<String> {
    let value = secret.pointer("/data/release")?;
    let inner: ByteString = serde_json::from_value(value.clone()).ok()?;
    let inner = String::from_utf8(inner.0).ok()?;
    let packed: ByteString = serde_json::from_value(Json::String(inner)).ok()?;
    let mut text = String::new();
    let mut unpacked = GzDecoder::new(packed.0.as_slice()).take(MOST);
    unpacked.read_to_string(&mut text).ok()?;
    let record: Json = serde_json::from_str(&text).ok()?;
    Some(record.get("manifest")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;
    use std::io::Write as _;

    #[test]
    fn a_record_of_helm_is_unpacked() {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        let record =
            json!({"name": "redis", "manifest": "---\nkind: Deployment\n", "config": {"a": 1}});
        packed.write_all(record.to_string().as_bytes()).unwrap();
        let inner = json!(ByteString(packed.finish().unwrap()));
        let outer = json!(ByteString(inner.as_str().unwrap().as_bytes().to_vec()));
        let secret = json!({"data": {"release": outer}});
        assert_eq!(unpack(&secret).unwrap(), "---\nkind: Deployment\n");
        assert_eq!(unpack(&json!({"data": {"release": "eA=="}})), None);
    }
}
