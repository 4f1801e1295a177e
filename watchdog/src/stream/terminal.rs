//! Standard output where a person sits: in words what `watchdog events --follow` tells, and nothing of what only says that all
//! is well. Whoever wants JSON Lines there has a pipe or a file.

use std::io;

use jiff::tz::TimeZone;

use super::{drain::Out, kept, line, sentence::timed};

/// An out for lines that writes words to another one.
pub(super) struct Terminal<To> {
    to: To,
    zone: TimeZone,
}

impl<To: Out> Terminal<To> {
    /// Times of day are told in this zone.
    pub(super) fn new(to: To, zone: TimeZone) -> Terminal<To> {
        Terminal { to, zone }
    }
}

impl<To: Out> Out for Terminal<To> {
    fn deliver(&mut self, bytes: &[u8]) -> io::Result<()> {
        match line::read(&String::from_utf8_lossy(bytes)) {
            Ok(line) if kept::is_kept(&line.record) => self.to.deliver(timed(&line, &self.zone).as_bytes()),
            Ok(_) => Ok(()),
            Err(_) => self.to.deliver(bytes),
        }
    }

    fn abandon(&mut self) {
        self.to.abandon();
    }

    fn reopen(&mut self) {
        self.to.reopen();
    }
}
