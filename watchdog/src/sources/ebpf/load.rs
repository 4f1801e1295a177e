//! Brings the object into the kernel, each program on its own: what this kernel cannot serve is left out and told.

use std::{
    fs, io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

use aya::{
    Btf as AyaBtf, Ebpf, EbpfLoader,
    programs::{BtfTracePoint, CgroupSkb, Iter, ProgramError},
};
use rustix::time::{ClockId, clock_getres};
use sha2::{Digest, Sha256};
use watchdog_common::{ABI, ABI_SYMBOL};

use super::{
    btf::Btf,
    classic::{self, Classic},
    error::{Error, denied, refusal},
    links::{Links, SOCKETS},
    missing::{Missing, Program, Refusal},
    offsets,
};

/// The kernel's own types.
const TYPES: &str = "/sys/kernel/btf/vmlinux";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
pub(super) const PID_NAMESPACE: &str = "/proc/thread-self/ns/pid";
const NET_NAMESPACE: &str = "/proc/thread-self/ns/net";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Loads and attaches what can be, each program on the best rung that this kernel has; `typed`: on the first of them too.
pub(super) fn load(
    object: &[u8],
    typed: bool,
    refusals: &mut Vec<Refusal>,
) -> Result<(Ebpf, Links, Vec<Missing>), Error> {
    let types = match typed {
        true => fs::read(TYPES),
        false => Err(io::Error::other("not asked for")),
    };
    let (offsets, untyped) = match types {
        Ok(types) => {
            let btf = Btf::parse(&types).ok_or_else(|| Error::BadTypes { path: TYPES.into() })?;
            (offsets::look_up(&btf), None)
        }
        Err(source) => {
            let why = Error::NoTypes { path: TYPES.into(), source };
            (offsets::nothing(&why.chain()), Some(why))
        }
    };
    let classic =
        classic::look_up().map_err(|source| Error::Namespace { path: PID_NAMESPACE.into(), source })?;
    let mut bpf = create(object, &offsets.globals, &classic)?;
    let mut links = Links::default();
    let (mut missing, refused) = start(&mut bpf, &mut links, offsets.missing, refusals)?;
    classic.stand_in(&mut bpf, &mut missing);
    trim();
    let lacks = |program: &Program| missing.iter().any(|it| it.program == *program && !it.classic);
    if !Program::ALL.iter().all(lacks) {
        return Ok((bpf, links, missing));
    }
    match (untyped, refused) {
        _ if is_locked_down() => Err(Error::LockedDown),
        (Some(untyped), _) => Err(untyped),
        (None, Some(error)) if denied(&error) => Err(Error::NotPermitted { source: Box::new(error) }),
        (None, Some(_) | None) => Err(Error::NoProgram(missing)),
    }
}

fn create(object: &[u8], globals: &[(&'static str, u32)], classic: &Classic) -> Result<Ebpf, Error> {
    let pid_namespace = namespace(PID_NAMESPACE)?;
    let net_namespace = namespace(NET_NAMESPACE)?;
    let jiffy = jiffy_ns();
    let mut loader = EbpfLoader::new();
    // An object of another agreement has no such symbol, and is refused for that.
    loader.override_global(ABI_SYMBOL, &ABI, true);
    loader.override_global("PID_NAMESPACE", &pid_namespace, true);
    loader.override_global("NET_NAMESPACE", &net_namespace, true);
    loader.override_global("JIFFY_NS", &jiffy, true);
    for (name, value) in globals.iter().chain(&classic.words) {
        loader.override_global(name, value, true);
    }
    for (name, value) in &classic.longs {
        loader.override_global(name, value, true);
    }
    loader.load(object).map_err(Error::object)
}

/// Starts every program that is not missing already; with the last refusal.
fn start(
    bpf: &mut Ebpf,
    links: &mut Links,
    mut missing: Vec<Missing>,
    refusals: &mut Vec<Refusal>,
) -> Result<(Vec<Missing>, Option<ProgramError>), Error> {
    let lacks = |missing: &[Missing], program| missing.iter().any(|known| known.program == program);
    let mut refused = None;
    if Program::ALL.into_iter().all(|program| lacks(&missing, program)) {
        return Ok((missing, refused));
    }
    let kernel = AyaBtf::from_sys_fs().map_err(|source| Error::Object { source: Box::new(source.into()) })?;
    for program in Program::ALL {
        if lacks(&missing, program) {
            continue;
        }
        if program == Program::Egress && lacks(&missing, Program::State) {
            missing.push(Missing::new(program, "own heartbeats are not known from clients".to_owned()));
            continue;
        }
        if let Err(error) = start_one(bpf, links, program, &kernel) {
            refusals.push(Refusal { program: program.name(), words: error.to_string() });
            missing.push(Missing::new(program, refusal(&error)));
            refused = Some(error);
        }
    }
    Ok((missing, refused))
}

fn start_one(
    bpf: &mut Ebpf,
    links: &mut Links,
    program: Program,
    kernel: &AyaBtf,
) -> Result<(), ProgramError> {
    let loaded = bpf.program_mut(program.name()).ok_or(ProgramError::NotLoaded)?;
    let loaded = match offsets::hook(program) {
        Some((tracepoint, _)) => {
            let probe: &mut BtfTracePoint = loaded.try_into()?;
            probe.load(tracepoint, kernel)?;
            probe.fd()?
        }
        None if program == Program::Egress => {
            let reader: &mut CgroupSkb = loaded.try_into()?;
            reader.load()?;
            reader.fd()?
        }
        None => {
            let iterator: &mut Iter = loaded.try_into()?;
            iterator.load(SOCKETS, kernel)?;
            iterator.fd()?
        }
    };
    Ok(links.tie(program, loaded.as_fd())?)
}

/// Looks once at every TCP socket of this thread's network namespace: those that listen on watched ports are remembered.
pub(super) fn seed(links: &Links) -> Result<(), Error> {
    let Some(pass) = links.pass() else { return Ok(()) };
    // It writes nothing: the reading is what makes it run.
    let read = pass.and_then(|mut pass| io::copy(&mut pass, &mut io::sink()));
    read.map(drop).map_err(|source| Error::Seed { source: source.into() })
}

fn is_locked_down() -> bool {
    fs::read_to_string(LOCKDOWN).is_ok_and(|text| text.contains("[confidentiality]"))
}

/// What makes a loaded object this one, on this kernel, in these namespaces: who finds it loaded by another process need not
/// load it again.
pub(super) fn identity(object: &[u8]) -> io::Result<String> {
    let mut hash = Sha256::new();
    for place in [PID_NAMESPACE, NET_NAMESPACE] {
        hash.update(fs::metadata(place)?.ino().to_ne_bytes());
    }
    hash.update(fs::read(BOOT)?);
    hash.update(object);
    let hash = hash.finalize();
    Ok(hash.iter().take(8).fold(format!("{ABI}-"), |text, byte| format!("{text}{byte:02x}")))
}

/// The number of one of our namespaces, as the kernel's own structures have it.
fn namespace(path: &str) -> Result<u32, Error> {
    let found = fs::metadata(Path::new(path));
    let inode = found.map_err(|source| Error::Namespace { path: path.into(), source })?.ino();
    u32::try_from(inode).map_err(|why| Error::Namespace { path: path.into(), source: io::Error::other(why) })
}

/// The length of a jiffy: by definition the resolution of the coarse clocks, which step at each.
fn jiffy_ns() -> u64 {
    let resolution = clock_getres(ClockId::MonotonicCoarse);
    resolution.tv_sec.unsigned_abs() * 1_000_000_000 + resolution.tv_nsec.unsigned_abs()
}

/// Gives the memory back that the kernel's types took while they were parsed: some 40 MB that are never needed again.
fn trim() {
    #[cfg(target_env = "gnu")]
    #[allow(unsafe_code, reason = "a call into the C library, without pointers")]
    // SAFETY: malloc_trim may be called at any time, from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
