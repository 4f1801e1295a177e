//! Loading, and being refused: what watchdog says then.

use std::thread;

use anyhow::Result;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use watchdog::{
    model::{Port, Saw, Watch},
    sources::ebpf::{Error, Probes},
};

use crate::stage::object;

/// Loads in a thread that has these capabilities only.
fn with(capabilities: CapabilitySet) -> Result<Result<usize, Error>> {
    let object = object()?;
    let thread = thread::spawn(move || -> Result<Result<usize, Error>> {
        let sets = CapabilitySets {
            effective: capabilities,
            permitted: capabilities,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets)?;
        Ok(Probes::load_object(&object, &Watch::default()).map(|(_, missing)| missing.len()))
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[test]
fn two_capabilities_are_enough() -> Result<()> {
    assert_eq!(with(CapabilitySet::BPF | CapabilitySet::PERFMON)??, 0);
    Ok(())
}

#[test]
fn without_capabilities_the_error_says_which() -> Result<()> {
    let Err(error) = with(CapabilitySet::empty())? else { panic!("the probes were loaded") };
    let expected = "cannot load the probes: bpf() is not permitted; run watchdog as root, or with the capabilities \
        CAP_BPF and CAP_PERFMON, and without a SystemCallFilter= that denies it";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

#[test]
fn with_half_of_the_capabilities_the_error_says_which() -> Result<()> {
    let Err(error) = with(CapabilitySet::BPF)? else { panic!("the probes were loaded") };
    assert!(matches!(error, Error::NotPermitted { .. }), "{error:?}");
    Ok(())
}

#[test]
fn an_object_of_another_agreement_is_refused() -> Result<()> {
    let mut other = object()?;
    let name = b"WATCHDOG_ABI_";
    let found = other.windows(name.len()).enumerate().filter(|(_, window)| window == name);
    let versions: Vec<usize> = found.map(|(at, _)| at + name.len()).collect();
    assert!(!versions.is_empty(), "the object says no version");
    versions.into_iter().for_each(|at| other[at] = b'0');
    let Err(error) = Probes::load_object(&other, &Watch::default()) else { panic!("it was loaded") };
    let expected = "cannot use this object of the probes: it lacks WATCHDOG_ABI_5; \
                    build it again with `cargo xtask build-ebpf`";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

#[test]
fn what_is_no_object_is_refused() -> Result<()> {
    let Err(error) = Probes::load_object(b"no object", &Watch::default()) else { panic!("it was loaded") };
    assert!(matches!(error, Error::Object { .. }), "{error:?}");
    Ok(())
}

#[test]
fn too_many_ports_are_named_and_the_others_are_watched() -> Result<()> {
    crate::stage::play(async |stage| {
        let (mut one, mut two) = (stage.stranger()?, stage.stranger()?);
        one.act("listen-shared 8080")?;
        two.act("listen-shared 8080")?;
        let error = stage.watch_ports(8080, 258).expect_err("258 ports");
        assert_eq!(
            error.to_string(),
            "cannot watch more than 256 ports, these are left out: 8336, 8337; split the configuration over several \
             hosts, or watch fewer ports"
        );
        one.act("unlisten")?;
        // the word of the ports and the record come by two ways, in any order
        let seen = [stage.saw().await?, stage.saw().await?];
        assert!(seen.contains(&Saw::ListenerDown { port: Port(8080), left: 1 }), "{seen:?}");
        let said =
            |saw: &Saw| matches!(saw, Saw::Working { works: false, why } if why.contains("8336, 8337"));
        assert!(seen.iter().any(said), "{seen:?}");
        Ok(())
    })
}
