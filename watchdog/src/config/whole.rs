//! What only all services together can show: names and units that are claimed twice, and what depends on what.

use std::collections::{BTreeMap, BTreeSet};

use super::{fault::Place, keys, reader::Log, service::Draft};
use crate::{
    model::{Service, Unit},
    policy::Dependency,
};

/// Checks the services against each other and returns what each depends on, in their order. Where a file could not be read
/// (`gaps`), a name that nobody has is no fault: it may stand there.
pub(super) fn check(drafts: &[Draft], gaps: bool, log: &Log) -> Vec<Vec<Dependency>> {
    let mut names: BTreeMap<&str, &Place> = BTreeMap::new();
    let mut units: BTreeMap<&Unit, (&str, &Place)> = BTreeMap::new();
    for draft in drafts {
        if let Some(first) = names.insert(&draft.name, &draft.opened) {
            let spots =
                vec![(draft.opened.clone(), "here again".into()), (first.clone(), "first here".into())];
            let title = format!("[service.{}] stands in two places", draft.name);
            log.fault(title, spots, "a service is whole in one file: bring it together");
            continue;
        }
        let Some((unit, place)) = &draft.unit else { continue };
        if let Some((other, first)) = units.insert(unit, (&draft.name, place)) {
            let spots = vec![
                (place.clone(), format!("by `{}`", draft.name)),
                (first.clone(), format!("by `{other}`")),
            ];
            let title = format!("{unit} is claimed by two services");
            let help =
                "make them one service; several sites of one server are several [[service.NAME.heartbeat]]";
            log.fault(title, spots, help);
        }
    }
    for (group, place) in drafts.iter().filter_map(|draft| draft.group.as_ref()) {
        if names.contains_key(group.as_str()) {
            let title =
                format!("`{group}` is the name of a group and of a service: commands mean the service");
            log.warn(place.clone(), title, "give one of them another name");
        }
    }
    let depends_on: Vec<_> =
        drafts.iter().map(|draft| dependencies(draft, &names, &units, gaps, log)).collect();
    cycles(drafts, &depends_on, log);
    depends_on
}

fn dependencies(
    draft: &Draft,
    names: &BTreeMap<&str, &Place>,
    units: &BTreeMap<&Unit, (&str, &Place)>,
    gaps: bool,
    log: &Log,
) -> Vec<Dependency> {
    let mut found: Vec<Dependency> = Vec::new();
    for (text, place) in &draft.depends_on {
        let fault = |title: String, label: &str, help: &str| {
            log.fault(title, vec![(place.clone(), label.into())], help)
        };
        let unit = text.parse::<Unit>();
        let dependency = match (names.contains_key(text.as_str()), unit) {
            (true, _) => Dependency::Service(Service::new(text)),
            (false, Ok(unit)) => match units.get(&unit) {
                Some((service, _)) => Dependency::Service(Service::new(service)),
                None => Dependency::Unit(unit),
            },
            (false, Err(_)) if gaps => continue,
            (false, Err(_)) => {
                let near = keys::meant(text, names.keys().copied());
                let label = near
                    .map_or("neither a service of this configuration nor a unit".into(), |near| {
                        format!("did you mean `{near}`?")
                    });
                let help = format!("a unit has its whole name: \"{text}.service\"");
                fault(format!("`{}` cannot depend on {text:?}", draft.name), &label, &help);
                continue;
            }
        };
        if dependency == Dependency::Service(Service::new(&draft.name)) {
            fault(
                format!("`{}` depends on itself", draft.name),
                "this is its own name or unit",
                "take it out",
            );
        } else if found.contains(&dependency) {
            fault(format!("`{}` depends twice on {text:?}", draft.name), "named before", "take it out");
        } else {
            found.push(dependency);
        }
    }
    found
}

/// Services that wait for each other would wait for ever. Each ring is told once, from the first of its names.
fn cycles(drafts: &[Draft], depends_on: &[Vec<Dependency>], log: &Log) {
    let edges: BTreeMap<&str, Vec<&str>> = drafts
        .iter()
        .zip(depends_on)
        .map(|(draft, list)| {
            let services = list.iter().filter_map(|dependency| match dependency {
                Dependency::Service(service) => Some(service.as_str()),
                Dependency::Unit(_) => None,
            });
            (draft.name.as_str(), services.collect())
        })
        .collect();
    for draft in drafts {
        let Some(ring) = ring(&draft.name, &edges) else { continue };
        if ring.iter().any(|name| *name < draft.name.as_str()) {
            continue;
        }
        let spots = ring.iter().filter_map(|name| {
            let draft = drafts.iter().find(|draft| draft.name == *name)?;
            let (_, place) = draft.depends_on.first()?;
            Some((place.clone(), format!("`{name}` waits")))
        });
        let title = format!("services depend on each other in a ring: {} → {}", ring.join(" → "), draft.name);
        log.fault(
            title,
            spots.collect(),
            "take one of these dependencies out: none of them could ever be restarted",
        );
    }
}

/// The shortest way from a service back to itself.
fn ring<'a>(start: &'a str, edges: &BTreeMap<&'a str, Vec<&'a str>>) -> Option<Vec<&'a str>> {
    let mut ways = std::collections::VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let here = way.last()?;
        for next in edges.get(here).into_iter().flatten() {
            if *next == start {
                return Some(way);
            }
            if seen.insert(*next) {
                ways.push_back(way.iter().copied().chain([*next]).collect());
            }
        }
    }
    None
}
