//! The words that all rooms share, and no behaviour.
//!
//! *service*: one `[service.NAME]`. *unit*: the systemd unit behind it; *incarnation*: its InvocationID. *sign*: one raw
//! thing that a source saw. *fact*: what the policy asked to be looked up. *suspicion*: signs that make a service worth a
//! heartbeat. *heartbeat*: one check with a deadline; its *verdict* is alive, dead or unknown. *order*: what the policy
//! wants done; *outcome*: what became of it. *incident*: everything from the first sign to recovered, quarantined, stood
//! down or superseded.
//!
//! Invariant: plain data; every enum is closed and matched in full. Deliberately absent: clocks, files, sockets.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

mod ailment;
mod change;
mod command;
mod evidence;
mod name;
mod notice;
mod order;
mod others;
mod pid_file;
mod pressure;
mod rung;
mod sign;
mod status;
mod suspicion;
mod tell;
mod time;
mod unit;
mod verdict;

pub use ailment::{Ailing, Ailment, Ailments};
pub use change::{Asker, Audit, Change, Changed, Injury, Wish};
pub use command::{Command, Pause};
pub use evidence::{Connection, Evidence, Meaning};
pub use name::{CgroupId, Incarnation, IncidentId, InvalidUnit, OrderId, Port, Service, Unit};
pub use notice::{Fate, NoticeKind, Notified};
pub use order::{
    Act, Action, Ask, Fact, Holder, Known, Look, Moment, Order, Outcome, Preflight, Question, Recorded,
    Result,
};
pub use others::{Others, SystemState};
pub use pid_file::{Lodger, PidFile, PidStamp};
pub use pressure::{Averages, Disk, Pressed, Pressure, Tasks};
pub use rung::{FailureClass, Rung, Serving};
pub use sign::{
    CommandRun, Exit, Job, JobResult, JobStep, Listener, LogErrors, Loss, OomKill, Place, Saw, Sender,
    ServerErrors, Sign, SignalSent, Source, Stall, UnixStall,
};
pub use status::{
    Budget, Counts, Health, Held, LastIncident, OpenIncident, ServiceStatus, SinkStatus, SourceStatus,
    Status, Tick,
};
pub use suspicion::{Finding, Storm, Suspicion, Watch, WatchedPort, Why};
pub use tell::{Decision, Gate, Hold, IncidentEnd, Step, Story, Tell};
pub use time::{Mono, Wall};
pub use unit::{ActiveState, Cause, Ends, FileState, JobKind, LoadState, PendingJob, RestartOn, UnitState};
pub use verdict::{Answer, Connect, End, OnFailure, OwnFault, Phase, Verdict, Warning};
