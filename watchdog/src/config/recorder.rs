//! `[watchdog.recorder]`.

use std::time::Duration;

use super::{
    reader::Reader,
    values::{self, Complaint},
};
use crate::recorder::{Kind, Settings};

/// What is kept as evidence; `None` where none is taken.
pub(super) fn read(host: &Reader<'_>) -> Option<Settings> {
    let Settings { kinds, within, size, files, total } = Settings::default();
    let Some(table) = host.table("recorder") else {
        return Some(Settings { kinds, within, size, files, total });
    };
    let kinds = table.list("kinds", "kinds of evidence", kind).map_or(kinds, |list| {
        for (index, (kind, place)) in list.iter().enumerate() {
            if let Some((_, first)) = list[..index].iter().find(|(other, _)| other == kind) {
                let spots = vec![(place.clone(), "here again".into()), (first.clone(), "first here".into())];
                table.log.fault("a kind of evidence stands here twice".into(), spots, "keep one of them");
            }
        }
        list.into_iter().map(|(kind, _)| kind).collect()
    });
    let size = table
        .text("size", |text| values::size(text, &(16 << 10..=64 << 20)))
        .map_or(size, |size| size as usize);
    let total = table.text("total", |text| values::size(text, &(64 << 10..=1 << 40))).unwrap_or(total);
    let settings = Settings {
        within: table
            .duration("within", Duration::from_millis(100)..=Duration::from_secs(5))
            .unwrap_or(within),
        files: table.count("files", 1..=100_000).map_or(files, |files| files as usize),
        kinds,
        size,
        total,
    };
    if total < size as u64 {
        let help = "a total of a hundred times `size` keeps the evidence of many incidents";
        table.log.warn(table.place("total"), "`total` is less than one file may have".into(), help);
    }
    let enabled = table.flag("enabled").unwrap_or(true);
    (enabled && !settings.kinds.is_empty()).then_some(settings)
}

fn kind(text: &str) -> Result<Kind, Complaint> {
    let found = Kind::ALL.iter().find(|(name, _)| *name == text);
    found.map(|(_, kind)| *kind).ok_or_else(|| {
        let names: Vec<&'static str> = Kind::ALL.iter().map(|(name, _)| *name).collect();
        Complaint::new(format!("expected one of {}", names.join(", ")), "").words(names)
    })
}
