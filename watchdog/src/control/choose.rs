//! Which services are meant by names, units, groups and patterns.

use std::collections::BTreeSet;

use crate::model::ServiceStatus;

/// So many names are said where none is near.
const NAMES: usize = 12;

/// A name that nothing has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no service, unit or group {asked:?}: {help}")]
pub struct Unknown {
    /// The name.
    pub asked: String,
    /// What was probably meant, or what there is.
    pub help: String,
}

/// The places of the services that are meant, in their order, each once. A service's own name or unit comes before a group of
/// that name; `*` and `?` make a pattern, for names, units and groups.
///
/// # Errors
/// The first name that nothing has.
pub fn choose(asked: &[String], services: &[ServiceStatus]) -> Result<Vec<usize>, Unknown> {
    let mut chosen = BTreeSet::new();
    for asked in asked {
        let found = meant(asked, services);
        if found.is_empty() {
            return Err(Unknown { asked: asked.clone(), help: help(asked, services) });
        }
        chosen.extend(found);
    }
    Ok(chosen.into_iter().collect())
}

fn meant(asked: &str, services: &[ServiceStatus]) -> Vec<usize> {
    let places = |is_meant: &dyn Fn(&ServiceStatus) -> bool| -> Vec<usize> {
        services.iter().enumerate().filter(|(_, it)| is_meant(it)).map(|(at, _)| at).collect()
    };
    if asked.contains(['*', '?']) {
        return places(&|it| names(it).any(|name| fits(asked, name)));
    }
    let own = places(&|it| it.service.as_str() == asked || it.unit.as_str() == asked);
    if own.is_empty() { places(&|it| it.group.as_deref() == Some(asked)) } else { own }
}

fn names(it: &ServiceStatus) -> impl Iterator<Item = &str> {
    [it.service.as_str(), it.unit.as_str()].into_iter().chain(it.group.as_deref())
}

/// `*` stands for any letters, `?` for one.
fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut of) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[at] => (at, of) = (at + 1, of + 1),
            Some(_) | None => {
                let Some((back, from)) = star else { return false };
                star = Some((back, from + 1));
                (at, of) = (from + 1, back + 1);
            }
        }
    }
    pattern[of..].iter().all(|letter| *letter == '*')
}

fn help(asked: &str, services: &[ServiceStatus]) -> String {
    let known: BTreeSet<&str> = services.iter().flat_map(names).collect();
    let distance = |name: &&str| strsim::damerau_levenshtein(asked, name);
    let near = |name: &&str| {
        distance(name) <= name.chars().count().max(asked.chars().count()) / 3
            || (asked.len() > 2 && name.contains(asked))
    };
    let mut near: Vec<&str> = known.iter().copied().filter(near).collect();
    near.sort_by_key(distance);
    near.truncate(3);
    if !near.is_empty() {
        return format!("did you mean {}?", near.join(" or "));
    }
    let names: Vec<&str> = services.iter().map(|it| it.service.as_str()).collect();
    match names.len() {
        0 => "no service is configured".to_owned(),
        1..=NAMES => format!("there are {}", names.join(", ")),
        many => format!("there are {} and {} more", names[..NAMES].join(", "), many - NAMES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_whole_names() {
        let fits = |pattern, names: [&str; 4]| names.map(|name| fits(pattern, name));
        assert_eq!(fits("web*", ["web", "web1", "aweb", "we"]), [true, true, false, false]);
        assert_eq!(fits("*b?", ["web1", "b", "ab", "bb"]), [true, false, false, true]);
        assert_eq!(fits("*", ["", "a", "é", "*"]), [true; 4]);
        assert_eq!(fits("*a*b*c", ["abc", "aXbYc", "acb", "abcabc"]), [true, true, false, true]);
        assert_eq!(fits("?", ["é", "ab", "", "?"]), [true, false, false, true]);
    }
}
