//! `tidegate routes`: the table, for people.

use std::fmt::Write;
use std::process::ExitCode;

use crate::cli::{in_runtime, print, unusable};
use crate::gateway::Gateway;
use crate::generation::{BuiltRoute, Service};
use crate::source::ConfigSource;

pub(super) fn routes(gateway: &Gateway, source: &ConfigSource) -> ExitCode {
    let (generation, _) = match in_runtime(|| gateway.dry_run(source)) {
        Ok(built) => built,
        Err(bad) => return unusable(&bad),
    };
    let rows: Vec<_> = generation.routes.iter().map(row).collect();
    print(&table(&["ROUTE", "MATCHES", "SERVED BY", "PLUGINS"], &rows))
}

fn row(route: &BuiltRoute) -> [String; 4] {
    let plugins: Vec<_> = route.policies.iter().map(|(name, _)| *name).collect();
    [route.route.name().to_string(), route.route.summary().to_owned(), served_by(&route.serve), plugins.join(" ")]
}

/// What serves a route, in a few words.
pub(super) fn served_by(service: &Service) -> String {
    match service {
        Service::Pool(pool) => format!("upstream {}", pool.name()),
        Service::Split(split, _) => {
            let total: u64 = split.arms.iter().map(|arm| u64::from(arm.weight)).sum();
            let arms = split.arms.iter().map(|arm| {
                let share = f64::from(arm.weight) * 100.0 / total.max(1) as f64;
                format!("{} {share:.1}%", arm.upstream)
            });
            format!("split {}", arms.collect::<Vec<_>>().join(", "))
        }
        Service::Endpoint(_) => "endpoint".to_owned(),
        Service::Nothing => "404".to_owned(),
    }
}

fn table(head: &[&str; 4], rows: &[[String; 4]]) -> String {
    let widths: Vec<usize> = (0..4)
        .map(|column| rows.iter().map(|row| row[column].chars().count()).chain([head[column].len()]).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    let heads = head.map(str::to_owned);
    for row in [&heads].into_iter().chain(rows) {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
