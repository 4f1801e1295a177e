//! What the kernel's statistics themselves take of each run: empty programs at the hooks of the probes.
//!
//! Two reads of a clock and the call are counted as a run's own time. An empty program costs nothing else, so that its mean is
//! what has to be taken off a probe's; it is that of the same hook, for a cold start costs more where processes end.

use std::{fs::File, path::Path};

use anyhow::{Context, Result};
use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, RawTracePoint},
};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// Each probe's empty twin, and the tracepoint where both run.
const TWINS: [(&str, &str, &str); 4] = [
    ("exit", "no_exit", "sched_process_exit"),
    ("signal", "no_signal", "signal_generate"),
    ("state", "no_state", "inet_sock_set_state"),
    ("command", "no_command", "sched_process_exec"),
];
const EGRESS: &str = "no_egress";

/// `r0 = 1; exit`: lets every packet pass, and is nothing to a tracepoint.
const CODE: [u8; 16] = [0xb7, 0, 0, 0, 1, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// The name of a probe's empty twin.
pub(super) fn twin(probe: &str) -> Option<&'static str> {
    let twin = TWINS.iter().find(|(name, ..)| *name == probe).map(|(_, twin, _)| *twin);
    twin.or_else(|| (probe == "egress").then_some(EGRESS))
}

/// Runs them until it is dropped; packets are those that leave this cgroup.
pub(super) fn attach(cgroup: &Path) -> Result<Ebpf> {
    let mut all = Ebpf::load(&object()?).context("cannot load empty programs")?;
    for (_, twin, tracepoint) in TWINS {
        let program: &mut RawTracePoint =
            all.program_mut(twin).context("a program is missing")?.try_into()?;
        program.load().with_context(|| format!("cannot load {twin}"))?;
        program.attach(tracepoint).with_context(|| format!("cannot attach {twin}"))?;
    }
    let program: &mut CgroupSkb = all.program_mut(EGRESS).context("a program is missing")?.try_into()?;
    program.load().with_context(|| format!("cannot load {EGRESS}"))?;
    let cgroup = File::open(cgroup).with_context(|| format!("cannot open {}", cgroup.display()))?;
    let attached = program.attach(cgroup, CgroupSkbAttachType::Egress, CgroupAttachMode::Single);
    attached.with_context(|| format!("cannot attach {EGRESS}"))?;
    Ok(all)
}

fn object() -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(vec![], b"license".to_vec(), SectionKind::Data);
    object.append_section_data(license, b"GPL\0", 1);
    let sections = TWINS.map(|(_, twin, _)| (twin, format!("raw_tp/{twin}")));
    for (name, section) in sections.into_iter().chain([(EGRESS, "cgroup_skb/egress".to_owned())]) {
        let section = object.add_section(vec![], section.into_bytes(), SectionKind::Text);
        let value = object.append_section_data(section, &CODE, 8);
        object.add_symbol(Symbol {
            name: name.into(),
            value,
            size: CODE.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    object.write().context("cannot write an object of empty programs")
}
