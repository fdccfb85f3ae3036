//! The values that a release's template gives, to lie beneath everything else that the release says.
//! Must not hand on less than the configuration asks for: what a chart of ours cannot do is an error.

use kedactl_config::{Config, Release, ReleaseName, documents};
use serde_json::{Map, Value as Json};

use crate::error::Place;
use crate::{RenderError, Templates, engine, monitoring};

/// Renders the `valuesTemplate` of a release; empty where it has none.
///
/// # Errors
/// A template that is not there or cannot be rendered, output that is not one map, and values of the section `redis` that
/// our own chart does not know.
pub fn release_values(
    config: &Config,
    templates: &Templates,
    name: &ReleaseName,
    release: &Release,
) -> Result<Map<String, Json>, RenderError> {
    let Some(template) = release.values_template.as_deref() else {
        return Ok(Map::new());
    };
    let refuse = |place, message: String| RenderError::new(template, place, message);
    if OF_REDIS.contains(&template)
        && let Some(problem) = config.redis_chart_problems(release).into_iter().next()
    {
        let error = refuse(
            Place::Unknown,
            format!("{}: {}", problem.path, problem.message),
        );
        return Err(match problem.hint {
            Some(hint) => error.hint(hint),
            None => error,
        });
    }
    if templates.text(template).is_none() {
        let near = kedactl_config::nearest(template, templates.names());
        let meant = near.map(|near| format!(", did you mean `{near}`?"));
        let message = format!(
            "the release `{name}` names it, and there is no such template{}",
            meant.unwrap_or_default()
        );
        let hint = "templates lie below `templates/` of the project; the path of another file begins with `.` or `/`";
        return Err(refuse(Place::Unknown, message).hint(hint));
    }
    let told = ("monitoring", monitoring::computed(templates, config)?);
    let text = engine::render_with(templates, config, told, template)?;
    let mut parsed = documents(&text).map_err(|(line, message)| {
        let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        let shown = shown.trim().chars().take(80).collect();
        refuse(Place::Output(line, shown), message)
    })?;
    match (parsed.len(), parsed.pop()) {
        (0, _) => Ok(Map::new()),
        (1, Some(Json::Object(values))) => Ok(values),
        (1, _) => Err(refuse(
            Place::Unknown,
            "its output is not a map of values".into(),
        )),
        _ => Err(refuse(
            Place::Unknown,
            "its output is more than one YAML document".into(),
        )),
    }
}

/// Made for one chart each, from the section `redis`.
const OF_REDIS: [&str; 2] = [
    "releases/redis/bitnami.yaml.hbs",
    "releases/redis/own.yaml.hbs",
];
