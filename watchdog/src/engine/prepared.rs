use std::{collections::BTreeMap, sync::Arc};

use super::{Error, Settings, hands};
use crate::{heartbeat::Heart, model::Service, notify, stream::Opened};

/// Settings of which all that can fail or takes long is done: certificates are read, files are open.
pub struct Prepared {
    pub(super) settings: Settings,
    pub(super) hearts: BTreeMap<Service, Vec<Arc<Heart>>>,
    pub(super) sinks: Opened,
    pub(super) channels: notify::Prepared,
}

impl Prepared {
    /// Reads and opens what these settings name, so not on the engine's thread.
    ///
    /// # Errors
    /// A heartbeat or a channel to people cannot be prepared, or a sink of the stream cannot be opened.
    pub fn new(settings: Settings) -> Result<Prepared, Error> {
        let hearts = hands::hearts(&settings)?;
        let sinks = Opened::open(&settings.stream, &settings.state_directory)?;
        let channels = notify::Prepared::new(settings.notify.clone())?;
        Ok(Prepared { settings, hearts, sinks, channels })
    }

    /// There is no configuration behind them.
    pub fn is_discovered(&self) -> bool {
        self.settings.discovered
    }
}
