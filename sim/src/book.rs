//! What is known of one service, and of a restart of it that is on its way.

use std::collections::VecDeque;

use watchdog::model::{ActiveState, FileState, Incarnation, JobKind, LoadState, Mono, OrderId, Verdict};

/// What is known of one service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// Since when it is configured.
    pub(crate) since: Mono,
    pub(crate) state: Option<(ActiveState, LoadState, FileState)>,
    /// A socket that starts it listens.
    pub(crate) has_socket: bool,
    /// The run that an order must name.
    pub(crate) run: Option<Incarnation>,
    /// An operator's stop is done, and nothing has started the unit since.
    pub(crate) stop_stands: bool,
    /// The end of a job said that it is up, at this moment; which run that is comes later.
    pub(crate) up_since: Option<Mono>,
    /// A restart or start of ours that has not come up yet, and the run before it.
    pub(crate) owed: Option<Option<Incarnation>>,
    /// systemd's words were missed since it was heard to be up.
    pub(crate) gap: bool,
    /// It is down after a start that was done, too.
    pub(crate) oneshot: bool,
    pub(crate) acting: Option<Acting>,
    /// Since when it runs without a good answer.
    pub(crate) warming: Option<Mono>,
    /// The last run that came up.
    pub(crate) came_up: Option<Incarnation>,
    /// By heartbeat: failures since the incident began, and the last verdict.
    pub(crate) beats: Vec<(u32, Option<Verdict>)>,
    pub(crate) last_dead: Option<Mono>,
    /// Its budget is spent since then, and it has not been well; how often it was tried since.
    pub(crate) quarantined: Option<Mono>,
    pub(crate) tried: u32,
    /// The unit was seen to end in this incident.
    pub(crate) ended: bool,
    pub(crate) paused: Option<Mono>,
    pub(crate) tries: VecDeque<(Mono, OrderId)>,
    /// The next try may not come before.
    pub(crate) not_before: Mono,
    /// The last looks at what may stand against a plan, and whether it does.
    pub(crate) looked_at: Mono,
    pub(crate) held_port: Option<(OrderId, bool)>,
    pub(crate) broken: Option<(OrderId, bool)>,
    pub(crate) full_disk: Option<(OrderId, bool)>,
    /// Someone was told that it waits for what it needs, and is tried once without it.
    pub(crate) waived: bool,
    pub(crate) waits_for_need: bool,
    /// Someone was told that it waits for the host, and is tried once in spite of that.
    pub(crate) spited: bool,
    /// It was told that the unit is left as it is.
    pub(crate) left_alone: bool,
    /// The last jobs on the unit of which it was told what they do.
    pub(crate) kinds: VecDeque<(u32, JobKind)>,
    pub(crate) own: VecDeque<u32>,
    pub(crate) over: VecDeque<u32>,
}

/// A restart or start on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acting {
    pub(crate) order: OrderId,
    pub(crate) at: Mono,
    pub(crate) job: Option<u32>,
    pub(crate) living: bool,
}
