//! Puts lines together from what was read of a file. Pure.

/// What is beyond this in a line is not looked at.
pub(super) const LONGEST: usize = 64 * 1024;

/// The line that is not whole yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    /// Takes the next bytes of the file; `each` is given every line that they end, without its end and cut at [`LONGEST`].
    pub(super) fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(end) = part.strip_suffix(b"\n") else {
                self.keep(part);
                continue;
            };
            if self.begun.is_empty() {
                each(bare(&end[..end.len().min(LONGEST)]));
            } else {
                self.keep(end);
                each(bare(&self.begun));
                self.begun.clear();
            }
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LONGEST - self.begun.len();
        self.begun.extend_from_slice(&part[..part.len().min(room)]);
    }
}

/// Without the other half of a line's end.
fn bare(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
