//! `depends on`, when every service is known.

use std::collections::BTreeSet;

use super::{
    blocks::{Blocks, Home},
    change::Change,
    convert::Changes,
    draft::Draft,
    model::Says,
    report::Fate,
    source::Script,
};

/// Connects the services, without rings; the fate of each `depends` and of each gate is settled here.
pub(super) fn connect(
    script: &Script,
    blocks: &Blocks<'_>,
    homes: &[Option<usize>],
    drafts: &mut [Draft],
    fates: &mut [Option<Fate>],
    changes: &mut Changes,
) {
    for (block, home) in blocks.all.iter().zip(homes) {
        let Some(home) = *home else { continue };
        for index in &block.lines {
            let Some((said, Says::Depends(names))) = script.said.get(*index).map(|said| (said, &said.says))
            else {
                continue;
            };
            let at = said.statement.at();
            let mut less = Vec::new();
            for name in names {
                let other = blocks.all.iter().position(|block| block.check.name == *name);
                let wanted = match other.map(|other| (&blocks.all[other].home, homes[other])) {
                    None => Err(format!("there is no check {name} in these files")),
                    Some((Home::Gate(does), _)) if does.verb == "is-enabled" => {
                        match drafts[home].unit == does.unit {
                            true => {
                                drafts[home].main.set("only_if_enabled", "true", at);
                                changes.entry(Change::Gate).or_default().insert(at);
                                continue;
                            }
                            false => {
                                Err(format!("`only_if_enabled` asks for its own unit, not for {}", does.unit))
                            }
                        }
                    }
                    Some((Home::Gate(does), _)) => {
                        let service = drafts.iter().position(|draft| draft.unit == does.unit);
                        Ok((
                            service,
                            service.map_or(does.unit.clone(), |service| drafts[service].name.clone()),
                        ))
                    }
                    Some((_, Some(other))) => Ok((Some(other), drafts[other].name.clone())),
                    Some((_, None)) => Err("nothing came of the check that it names".to_owned()),
                };
                match wanted {
                    Err(why) => less.push(why),
                    Ok((Some(other), _)) if other == home => {} // checks that became one service
                    Ok((Some(other), name)) if reaches(drafts, other, home) => {
                        less.push(format!("{name} depends on {} itself", drafts[home].name));
                    }
                    Ok((_, name)) => {
                        if drafts[home].depends_on.iter().all(|(known, _)| *known != name) {
                            drafts[home].depends_on.push((name, at));
                        }
                        changes.entry(Change::Depends).or_default().insert(at);
                    }
                }
            }
            let fate = match less.len() == names.len() {
                true => Fate::lost(less.join("; ")),
                false => less.into_iter().fold(Fate::to("depends_on"), Fate::but),
            };
            if let Some(fates) = fates.get_mut(*index) {
                *fates = Some(fate);
            }
        }
    }
}

/// Whether a service depends on another, by however many between them.
fn reaches(drafts: &[Draft], from: usize, to: usize) -> bool {
    let (mut open, mut seen) = (vec![from], BTreeSet::new());
    while let Some(here) = open.pop() {
        if here == to {
            return true;
        }
        if !seen.insert(here) {
            continue;
        }
        let names = drafts.get(here).map(|draft| draft.depends_on.as_slice()).unwrap_or_default();
        open.extend(names.iter().filter_map(|(name, _)| drafts.iter().position(|draft| draft.name == *name)));
    }
    false
}
