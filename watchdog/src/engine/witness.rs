//! Watches a unit while a heartbeat of it is late: a healthy one is answered long before that and costs nothing.

use std::{
    collections::BTreeSet,
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    select,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use crate::{
    heartbeat,
    look::{self, Sample},
    model::{Answer, Connection, Port, UnitState, Verdict},
    policy,
    sources::sock_diag::SockDiag,
};

/// A verdict waits no longer than this for its evidence.
const PATIENCE: Duration = Duration::from_millis(300);

/// And for what ails the unit's processes: that takes some milliseconds.
const EXAMINED: Duration = Duration::from_millis(100);

/// What is watched.
pub(super) struct Witness {
    pub(super) unit: Option<UnitState>,
    /// The unit's own: what another unit serves is no excuse for this one.
    pub(super) ports: BTreeSet<Port>,
    pub(super) sockets: Arc<Mutex<SockDiag>>,
}

/// Waits for the answer. One that is bad and came late is weighed by what was seen meanwhile.
pub(super) async fn beside(
    asking: impl Future<Output = Answer>,
    limit: Duration,
    witness: Witness,
) -> Answer {
    let mut asking = pin!(asking);
    select! {
        biased;
        answer = &mut asking => return examined(answer, witness.unit).await,
        () = sleep(limit / 2) => {}
    }
    let witness = Arc::new(witness);
    let first = spawn_blocking({
        let witness = witness.clone();
        move || witness.sample()
    });
    let mut answer = asking.await;
    if answer.verdict != Verdict::Dead {
        return answer;
    }
    let unit = witness.unit.clone();
    let both = async { Some((first.await.ok()?, spawn_blocking(move || witness.sample()).await.ok()?)) };
    if let Ok(Some((first, last))) = timeout(PATIENCE, both).await {
        let mut evidence = first.until(&last, &heartbeat::own_ends());
        evidence.meaning = policy::weigh(&answer.end, &evidence);
        answer.verdict = policy::excused(evidence.meaning);
        answer.evidence = Some(evidence);
    }
    examined(answer, unit).await
}

/// What ails the unit's processes is said with the verdict, where it is known in time.
async fn examined(mut answer: Answer, unit: Option<UnitState>) -> Answer {
    let Some(unit) = unit.filter(|_| answer.verdict == Verdict::Dead) else { return answer };
    let look = spawn_blocking(move || look::ailments(&unit));
    if let Ok(Ok(found)) = timeout(EXAMINED, look).await {
        answer.ailments = Some(found).filter(|found| !found.ailing.is_empty());
    }
    answer
}

impl Witness {
    fn sample(&self) -> Sample {
        look::sample(self.unit.as_ref(), self.connections())
    }

    fn connections(&self) -> Vec<Connection> {
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        // connections that come through its .socket unit bear that one's
        let own = self.unit.as_ref().filter(|unit| !unit.socket_activated);
        let cgroup = own.and_then(|unit| unit.cgroup);
        let read = |port: &Port| sockets.connections_to(*port, cgroup);
        let found = self.ports.iter().map(read).collect::<Result<Vec<_>, _>>();
        let found = found.inspect_err(|fault| tracing::warn!(%fault, "a heartbeat has no witness"));
        found.unwrap_or_default().into_iter().flatten().collect()
    }
}
