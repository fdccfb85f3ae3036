//! Templates of messages: a head, a block for each alert, a foot.
//! Must not let a template of the user's lose an alert: where it fails, the built-in one is taken and the reason told.

use handlebars::Handlebars;
use serde::{Deserialize, Serialize};

use super::Rendered;
use super::compose::Blocks;
use super::context::{Group, One};
use crate::html::{self, Html};
use crate::{Notification, Status};

const HEAD: &str = include_str!("head.hbs");
const ALERT: &str = include_str!("alert.hbs");
const FOOT: &str = include_str!("foot.hbs");

/// Handlebars of Telegram's HTML for each block; what is not given is the built-in one's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateTexts {
    #[serde(default)]
    pub head: Option<String>,
    #[serde(default)]
    pub alert: Option<String>,
    #[serde(default)]
    pub foot: Option<String>,
}

/// A text that is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{block}: {problem}")]
pub struct BadTemplate {
    /// `head`, `alert` or `foot`.
    pub block: &'static str,
    pub problem: String,
}

/// A template that was read.
#[derive(Debug)]
pub struct Template {
    engine: Handlebars<'static>,
    built_in: bool,
}

impl Template {
    /// The one that is taken where nothing is said.
    pub fn built_in() -> Self {
        let texts = TemplateTexts::default();
        // The texts are part of this program, and a test reads them.
        let engine = engine(&texts).unwrap_or_default();
        Self {
            engine,
            built_in: true,
        }
    }

    /// Reads the user's.
    pub fn new(texts: &TemplateTexts) -> Result<Self, BadTemplate> {
        Ok(Self {
            engine: engine(texts)?,
            built_in: *texts == TemplateTexts::default(),
        })
    }

    /// The message of a notification that came by a route.
    pub fn render(&self, route: &str, notification: &Notification) -> Rendered {
        self.render_marked(route, notification, &Html::default())
    }

    /// The same with words of ours between its head and its alerts, which no template can leave out.
    pub fn render_marked(
        &self,
        route: &str,
        notification: &Notification,
        marks: &Html,
    ) -> Rendered {
        let finished = |mut blocks: Blocks, warning| {
            blocks.marks = marks.clone();
            finished(blocks, notification, warning)
        };
        let warning = match self.blocks(route, notification) {
            Ok(blocks) => return finished(blocks, None),
            Err(problem) => problem,
        };
        let built_in = (!self.built_in).then(Self::built_in);
        let blocks = built_in.map(|it| it.blocks(route, notification));
        let blocks = blocks.and_then(Result::ok).unwrap_or_else(|| Blocks {
            head: Html::of_text(&notification.receiver),
            ..Blocks::default()
        });
        finished(blocks, Some(warning))
    }

    fn blocks(&self, route: &str, notification: &Notification) -> Result<Blocks, String> {
        let group = Group::of(route, notification);
        // What fires comes first, and is never pushed out by what is over.
        let mut alerts: Vec<_> = notification.alerts.iter().collect();
        alerts.sort_by_key(|it| it.status);
        let alerts = alerts
            .into_iter()
            .map(|it| self.block("alert", &One::of(it, notification, &group)));
        Ok(Blocks {
            alerts: alerts.collect::<Result<_, _>>()?,
            head: self.block("head", &group)?,
            foot: self.block("foot", &group)?,
            marks: Html::default(),
        })
    }

    fn block(&self, name: &str, values: &impl Serialize) -> Result<Html, String> {
        let text = self.engine.render(name, values);
        let text = text.map_err(|error| format!("{name}: {}", one_line(&error.to_string())))?;
        Html::read(text.trim()).map_err(|error| format!("{name}: {error}"))
    }
}

fn finished(blocks: Blocks, notification: &Notification, warning: Option<String>) -> Rendered {
    let group = Group::of("", notification);
    let more = |count: usize| more(count, group.page());
    let (html, left_out) = blocks.compose(html::MESSAGE, more);
    // Telegram takes no message without a character.
    let html = if html.is_blank() {
        Html::of_text(match notification.status {
            Status::Firing => "firing",
            Status::Resolved => "resolved",
        })
    } else {
        html
    };
    Rendered {
        html,
        left_out,
        warning,
    }
}

/// `(+17 more)`, with the way to them where there is one.
fn more(count: usize, page: &str) -> Html {
    let text = format!("(+{count} more)");
    let linked = format!("<a href=\"{}\">{text}</a>", html::escape(page));
    let linked = Html::read(&linked).ok().filter(|_| !page.is_empty());
    linked.unwrap_or_else(|| Html::of_text(&text))
}

fn engine(texts: &TemplateTexts) -> Result<Handlebars<'static>, BadTemplate> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(html::escape);
    for (block, own, text) in [
        ("head", &texts.head, HEAD),
        ("alert", &texts.alert, ALERT),
        ("foot", &texts.foot, FOOT),
    ] {
        let text = own.as_deref().unwrap_or(text);
        engine
            .register_template_string(block, text)
            .map_err(|error| BadTemplate {
                block,
                problem: one_line(&error.to_string()),
            })?;
    }
    Ok(engine)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
