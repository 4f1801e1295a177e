//! What systemd says of units, asked once: for commands that look and do not watch.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};

use crate::{
    explain::Known,
    model::{ActiveState, Unit},
    sources::units,
    systemd::{self, Connection, Error, Opened, Sockets, Way},
};

/// Questions that PID 1 has before it at once: it answers one after the other, and need not wait for us in between.
const AT_ONCE: usize = 64;

/// A connection to systemd, read to its end in the background.
///
/// # Errors
/// [`Error::Unreachable`].
pub(super) async fn connect() -> Result<Connection, Error> {
    let opened = systemd::open(&Sockets::default(), &[Way::Private, Way::Bus]).await?;
    let Opened { connection, mut messages } = opened;
    tokio::spawn(async move { while messages.next().await.is_some() {} });
    Ok(connection)
}

/// Each of these units as systemd sees it now; one that it does not tell of is left out.
pub(super) async fn units(connection: &Connection, wanted: BTreeSet<Unit>) -> BTreeMap<Unit, Known> {
    let mut known = ask(connection, wanted).await;
    let is_socket = |name: &&String| name.ends_with(".socket");
    let sockets: BTreeSet<Unit> = known
        .values()
        .flat_map(|it| it.traits.triggered_by.iter().filter(is_socket))
        .filter_map(|name| name.parse().ok())
        .collect();
    let sockets = ask(connection, sockets).await;
    for it in known.values_mut() {
        it.state.socket_activated = it.traits.triggered_by.iter().any(|name| {
            let socket = sockets.iter().find(|(unit, _)| unit.as_str() == name);
            socket.is_some_and(|(_, socket)| socket.state.active == ActiveState::Active)
        });
    }
    known
}

async fn ask(connection: &Connection, wanted: BTreeSet<Unit>) -> BTreeMap<Unit, Known> {
    stream::iter(wanted)
        .map(|unit| async move {
            let (said, traits) = connection.survey(&unit).await.ok()?;
            let state = units::picture(&unit, said);
            Some((unit, Known { state, traits }))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |found| found)
        .collect()
        .await
}
