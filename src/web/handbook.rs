//! The handbook: Markdown files made into pages when the server starts.
//!
//! The files read well as they are, too: they link to one another as `seats.md#clock-jumps`, and
//! those links become paths here. Raw HTML in Markdown is shown as text, never passed on.

use std::collections::HashMap;
use std::fmt::Write;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

/// The pages in reading order; each is the name of a file without `.md`.
const ORDER: [&str; 20] = [
    "index",
    "getting-started",
    "nine-steps",
    "payments",
    "analytics",
    "organisations",
    "single-sign-on",
    "provisioning",
    "configuration",
    "licenses",
    "seats",
    "client",
    "api",
    "mail",
    "operations",
    "command-line",
    "backup-and-restore",
    "upgrade",
    "security",
    "asvs",
];

/// Stands in `configuration.md` where the reference of all settings goes.
const REFERENCE_MARK: &str = "{{config-reference}}";

/// A page ready to be served.
pub struct Page {
    /// Where it is served, `/handbook` or `/handbook/<name>`.
    pub path: String,
    /// The whole document.
    pub html: String,
}

/// A chapter while it is made: what the Markdown gave.
struct Chapter {
    name: &'static str,
    title: String,
    body: String,
    /// (id, text) of each second-level heading.
    sections: Vec<(String, String)>,
}

/// All pages of the handbook. `text` reads a file of its folder; `page.html` there is the
/// template. A chapter whose file is missing is left out.
pub fn pages(text: &dyn Fn(&str) -> Option<String>, config_reference: &str) -> Vec<Page> {
    let template = text("page.html").unwrap_or_else(|| "<!--content-->".to_owned());
    let chapters: Vec<Chapter> = ORDER
        .into_iter()
        .filter_map(|name| {
            let markdown = text(&format!("{name}.md"))?;
            Some(render(name, &markdown.replace(REFERENCE_MARK, without_title(config_reference))))
        })
        .collect();
    (0..chapters.len()).map(|at| page(&template, &chapters, at)).collect()
}

/// Markdown without a heading of the first level at its beginning: a page has one title, its own.
fn without_title(markdown: &str) -> &str {
    let markdown = markdown.trim_start();
    match markdown.split_once('\n') {
        Some((first, rest)) if first.starts_with("# ") => rest,
        _ => markdown,
    }
}

fn page(template: &str, chapters: &[Chapter], at: usize) -> Page {
    let chapter = &chapters[at];
    // The content goes in last, so that a mark quoted in it stays what it is.
    let html = template
        .replace("<!--title-->", &escape(&chapter.title))
        .replace("<!--nav-->", &navigation(chapters, at))
        .replace("<!--sections-->", &sections(chapter))
        .replace("<!--turn-->", &turn(chapters, at))
        .replace("<!--content-->", &chapter.body);
    Page { path: path_of(chapter.name), html }
}

fn path_of(name: &str) -> String {
    if name == "index" { "/handbook".to_owned() } else { format!("/handbook/{name}") }
}

fn navigation(chapters: &[Chapter], at: usize) -> String {
    let mut out = String::new();
    for (i, chapter) in chapters.iter().enumerate() {
        let here = if i == at { " aria-current=\"page\"" } else { "" };
        let (path, title) = (path_of(chapter.name), escape(&chapter.title));
        let _ = writeln!(out, "<li><a href=\"{path}\"{here}>{title}</a></li>");
    }
    out
}

fn sections(chapter: &Chapter) -> String {
    if chapter.sections.len() < 2 {
        return String::new();
    }
    let mut out = "<nav class=\"sections\" aria-label=\"On this page\"><ul>\n".to_owned();
    for (id, text) in &chapter.sections {
        let _ = writeln!(out, "<li><a href=\"#{id}\">{}</a></li>", escape(text));
    }
    out + "</ul></nav>"
}

/// Links to the chapters before and after.
fn turn(chapters: &[Chapter], at: usize) -> String {
    let link = |chapter: &Chapter, rel: &str, word: &str| {
        let (path, title) = (path_of(chapter.name), escape(&chapter.title));
        format!("<a rel=\"{rel}\" href=\"{path}\"><span>{word}</span> {title}</a>\n")
    };
    let before = at.checked_sub(1).and_then(|i| chapters.get(i));
    let after = chapters.get(at + 1);
    before.map(|c| link(c, "prev", "Before:")).unwrap_or_default()
        + &after.map(|c| link(c, "next", "Next:")).unwrap_or_default()
}

fn render(name: &'static str, markdown: &str) -> Chapter {
    let mut chapter =
        Chapter { name, title: name.to_owned(), body: String::new(), sections: Vec::new() };
    let mut ids = Ids::default();
    let mut events: Vec<Event> = Vec::new();
    // Where the heading that is open stands in `events`.
    let mut heading = None;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => events.push(Event::Text(text)),
            Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                let dest_url = rewrite(dest_url);
                events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            Event::Start(Tag::Table(columns)) => {
                // A wide table scrolls by itself; tabindex lets the keyboard reach it.
                events.push(Event::Html("<div class=\"scroll\" tabindex=\"0\">".into()));
                events.push(Event::Start(Tag::Table(columns)));
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                events.push(Event::Html("</div>".into()));
            }
            // So does a long line of code.
            Event::Start(Tag::CodeBlock(_)) => {
                events.push(Event::Html("<pre tabindex=\"0\"><code>".into()));
            }
            Event::End(TagEnd::CodeBlock) => events.push(Event::Html("</code></pre>\n".into())),
            Event::Start(Tag::Heading { .. }) => {
                heading = Some(events.len());
                events.push(event);
            }
            Event::End(TagEnd::Heading(level)) => {
                if let Some(start) = heading.take() {
                    let text = plain(&events[start..]);
                    let id = ids.unique(&slug(&text));
                    if let Event::Start(Tag::Heading { id: slot, .. }) = &mut events[start] {
                        *slot = Some(CowStr::from(id.clone()));
                    }
                    match level {
                        HeadingLevel::H1 => chapter.title = text,
                        HeadingLevel::H2 => chapter.sections.push((id, text)),
                        _ => {}
                    }
                }
                events.push(event);
            }
            event => events.push(event),
        }
    }
    html::push_html(&mut chapter.body, events.into_iter());
    chapter
}

/// `seats.md#clock-jumps` -> `/handbook/seats#clock-jumps`; other links stay.
fn rewrite(link: CowStr<'_>) -> CowStr<'_> {
    let (file, fragment) = match link.split_once('#') {
        Some((file, fragment)) => (file, format!("#{fragment}")),
        None => (&*link, String::new()),
    };
    match file.strip_suffix(".md") {
        Some(name) => CowStr::from(path_of(name) + &fragment),
        None => link,
    }
}

/// The words of a heading without its markup.
fn plain(events: &[Event]) -> String {
    let words = events.iter().filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(&**text),
        _ => None,
    });
    words.collect()
}

/// An id for a heading. Underscores stay: problem details link to `api#no_seats_available`.
fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let parts = lower.split(|c: char| !c.is_alphanumeric() && c != '_');
    let words = parts.filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Hands out ids, numbering a second one of the same name.
#[derive(Default)]
struct Ids(HashMap<String, u32>);

impl Ids {
    fn unique(&mut self, wanted: &str) -> String {
        let times = self.0.entry(wanted.to_owned()).or_insert(0);
        *times += 1;
        if *times == 1 { wanted.to_owned() } else { format!("{wanted}-{times}") }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_html_is_shown_as_text() {
        let chapter =
            render("x", "# T\n\n<script>alert(1)</script>\n\nan <b onclick=\"x()\">aside</b>");
        assert!(!chapter.body.contains("<script"), "{}", chapter.body);
        assert!(!chapter.body.contains("<b "), "{}", chapter.body);
        assert!(chapter.body.contains("&lt;script&gt;"), "{}", chapter.body);
    }

    #[test]
    fn headings_get_ids_that_differ_and_are_listed() {
        let chapter = render("x", "# A title\n## The `same`\n## The same\n### deeper");
        assert_eq!(chapter.title, "A title");
        let ids: Vec<&str> = chapter.sections.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["the-same", "the-same-2"]);
        assert!(chapter.body.contains("<h3 id=\"deeper\">"), "{}", chapter.body);
    }

    #[test]
    fn links_between_files_become_links_between_pages() {
        assert_eq!(&*rewrite("seats.md#clock-jumps".into()), "/handbook/seats#clock-jumps");
        assert_eq!(&*rewrite("index.md".into()), "/handbook");
        assert_eq!(&*rewrite("#here".into()), "#here");
        assert_eq!(&*rewrite("/docs".into()), "/docs");
    }
}
