//! The JSON schema of the configuration: what editors complete from and what [`crate::load`] checks against.
//! One source of rules; nothing is checked here.

use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::Config;

static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    let mut schema = schemars::schema_for!(Config);
    schema.insert("title".into(), "kedactl.yaml".into());
    schema.to_value()
});

/// The JSON schema (draft 2020-12) of `kedactl.yaml`, for editors. Every key of a map is optional there, since what is
/// missing comes from the layers below; only list entries stand for themselves.
pub fn schema() -> Json {
    let mut schema = SCHEMA.clone();
    let Some(root) = schema.as_object_mut() else {
        return schema;
    };
    root.remove("required");
    let definitions = root.get_mut("$defs").and_then(Json::as_object_mut);
    for (name, definition) in definitions.into_iter().flatten() {
        if !LIST_ENTRIES.contains(&name.as_str())
            && let Some(definition) = definition.as_object_mut()
        {
            definition.remove("required");
        }
    }
    schema
}

/// Definitions that stand in lists, which no layer merges.
const LIST_ENTRIES: &[&str] = &["AlertRoute", "Detect", "Egress", "ScalingPolicy"];

/// A schema node with everything that it refers to, nearest first.
pub(crate) struct Rule(Vec<&'static Map<String, Json>>);

impl Rule {
    /// The rule of the whole file.
    pub(crate) fn root() -> Self {
        Self::of(&SCHEMA)
    }

    /// The rule that a schema node stands for: references followed, `null` alternatives left out.
    pub(crate) fn of(schema: &'static Json) -> Self {
        let mut parts = Vec::new();
        let mut next = schema.as_object();
        while let Some(part) = next {
            parts.push(part);
            next = part.get("$ref").and_then(Json::as_str).and_then(definition);
            if let Some(Json::Array(options)) = part.get("anyOf") {
                let real = |option: &&Json| option.get("type") != Some(&Json::from("null"));
                next = options.iter().find(real).and_then(Json::as_object);
            }
        }
        Self(parts)
    }

    pub(crate) fn get(&self, keyword: &str) -> Option<&'static Json> {
        self.0.iter().find_map(|part| part.get(keyword))
    }

    pub(crate) fn text(&self, keyword: &str) -> Option<&'static str> {
        self.get(keyword)?.as_str()
    }

    pub(crate) fn number(&self, keyword: &str) -> Option<i128> {
        let number = self.get(keyword)?;
        number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
    }

    /// The one type besides `null`.
    pub(crate) fn kind(&self) -> &'static str {
        match self.get("type") {
            Some(Json::String(kind)) => kind,
            Some(Json::Array(kinds)) => kinds
                .iter()
                .filter_map(Json::as_str)
                .find(|kind| *kind != "null")
                .unwrap_or(""),
            _ if self.get("oneOf").is_some() => "string",
            _ => "",
        }
    }

    /// A map of which nothing is known: what stands in it is somebody else's.
    pub(crate) fn is_free(&self) -> bool {
        self.get("additionalProperties") == Some(&Json::Bool(true))
    }

    /// The words that are accepted, empty where any text is.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        match (self.get("enum"), self.get("oneOf")) {
            (Some(Json::Array(words)), _) => words.iter().filter_map(Json::as_str).collect(),
            (_, Some(Json::Array(options))) => options
                .iter()
                .filter_map(|option| option.get("const")?.as_str())
                .collect(),
            _ => Vec::new(),
        }
    }
}

/// Whether a schema takes `null` as a value of its own, and not for a key that is not there.
pub(crate) fn nullable(schema: &Json) -> bool {
    let options = schema.get("anyOf").and_then(Json::as_array);
    let null = |option: &Json| option.get("type") == Some(&Json::from("null"));
    options.is_some_and(|options| options.iter().any(null))
}

fn definition(reference: &str) -> Option<&'static Map<String, Json>> {
    let name = reference.strip_prefix("#/$defs/")?;
    SCHEMA.get("$defs")?.get(name)?.as_object()
}
