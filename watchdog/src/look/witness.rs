//! What a unit gets of the CPU and does for its clients, at one moment; two of them are the evidence of a heartbeat.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{own, pressure::directory};
use crate::{
    clock,
    model::{Connection, Evidence, Meaning, Mono, UnitState},
};

/// One sample. What cannot be read is left out.
#[derive(Clone, Debug)]
pub struct Sample {
    at: Mono,
    /// All in microseconds since some beginning.
    waited: Option<u64>,
    throttled: Option<u64>,
    ran: Option<u64>,
    busy: Option<u64>,
    connections: BTreeMap<(SocketAddr, SocketAddr), Connection>,
}

/// Takes one sample; `connections` are those of the unit's own ports at this moment.
pub fn sample(unit: Option<&UnitState>, connections: Vec<Connection>) -> Sample {
    let directory = unit.and_then(directory);
    let figure = |name: &str| fs::read_to_string(directory.as_deref()?.join(name)).ok();
    let (pressure, stat) = (figure("cpu.pressure"), figure("cpu.stat"));
    let of_stat = |name: &str| own::field(stat.as_deref()?, name);
    Sample {
        at: clock::now(),
        waited: pressure.and_then(|text| some_total(&text)),
        throttled: of_stat("throttled_usec"),
        ran: of_stat("usage_usec"),
        busy: fs::read_to_string("/proc/stat").ok().and_then(|text| own::busy(&text)),
        connections: connections.into_iter().map(|it| ((plain(it.local), plain(it.peer)), it)).collect(),
    }
}

impl Sample {
    /// What happened between two samples. `ours` are the ends of our own connections: they are no clients.
    pub fn until(&self, later: &Sample, ours: &BTreeSet<SocketAddr>) -> Evidence {
        let grown = |first: Option<u64>, then: Option<u64>| {
            first.zip(then).map(|(first, then)| Duration::from_micros(then.saturating_sub(first)))
        };
        let ran = grown(self.ran, later.ran);
        let busy = grown(self.busy, later.busy);
        let is_ours = |peer: &SocketAddr| ours.iter().any(|own| plain(*own) == *peer);
        let (mut accepted, mut served) = (0, 0);
        for (ends, then) in &later.connections {
            let first = self.connections.get(ends);
            let new = then.accepted && !first.is_some_and(|first| first.accepted);
            let ended = then.ended && !first.is_some_and(|first| first.ended);
            let sent = then.sent > first.map_or(0, |first| first.sent);
            accepted += u32::from(new);
            served += u32::from((ended || sent) && !is_ours(&ends.1));
        }
        Evidence {
            window: later.at.since(self.at),
            waited: grown(self.waited, later.waited),
            throttled: grown(self.throttled, later.throttled),
            others: busy.zip(ran).map(|(busy, ran)| busy.saturating_sub(ran)),
            ran,
            accepted,
            served,
            meaning: Meaning::Dead,
        }
    }
}

/// A client that came over IPv4 to a socket of IPv6 is one and the same.
fn plain(end: SocketAddr) -> SocketAddr {
    let ip: IpAddr = end.ip().to_canonical();
    SocketAddr::new(ip, end.port())
}

/// Of cpu.pressure: how long something was runnable and not run, in microseconds.
fn some_total(text: &str) -> Option<u64> {
    let words = text.lines().find_map(|line| line.strip_prefix("some "))?;
    words.split_whitespace().find_map(|word| word.strip_prefix("total="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "[::ffff:127.0.0.1]:5000";

    fn connection(peer: &str, accepted: bool, ended: bool, sent: u64) -> Connection {
        let end = |text: &str| text.parse().expect("an address");
        Connection { local: end("127.0.0.1:80"), peer: end(peer), accepted, ended, sent }
    }

    fn check(before: &[Connection], after: &[Connection], accepted: u32, served: u32) {
        let own = ["127.0.0.1:5000".parse().expect("an address")].into();
        let evidence = sample(None, before.to_vec()).until(&sample(None, after.to_vec()), &own);
        assert_eq!((evidence.accepted, evidence.served), (accepted, served), "{before:?} {after:?}");
    }

    #[test]
    fn g1_progress_is_what_was_accepted_and_what_others_were_sent() {
        let waits = connection("10.0.0.1:4000", false, false, 0);
        let accepted = connection("10.0.0.1:4000", true, false, 0);
        let answered = connection("10.0.0.1:4000", true, false, 300);
        let ended = connection("10.0.0.1:4000", false, true, 0);
        check(&[], &[waits], 0, 0);
        check(&[waits], &[accepted], 1, 0);
        check(&[accepted], &[accepted], 0, 0);
        check(&[accepted], &[answered], 0, 1);
        check(&[answered], &[answered], 0, 0);
        check(&[answered], &[ended], 0, 1);
        check(&[ended], &[ended], 0, 0);
        check(&[accepted], &[], 0, 0); // a client that is gone proves nothing
    }

    #[test]
    fn a_connection_of_ours_is_accepted_and_never_served() {
        check(&[], &[connection(OURS, true, false, 10)], 1, 0);
        check(&[connection(OURS, true, false, 10)], &[connection(OURS, false, true, 10)], 0, 0);
    }

    #[test]
    fn the_time_that_a_unit_waited_is_read_from_its_pressure() {
        let text = "some avg10=1.00 avg60=0.00 avg300=0.00 total=4711\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=9\n";
        assert_eq!((some_total(text), some_total("full total=9")), (Some(4_711), None));
    }
}
