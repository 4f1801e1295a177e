//! A sink of bytes: standard output, a file, a named pipe.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    path::Path,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    fs::OFlags,
    io::Errno,
};

use super::{Error, drain::Out};

/// Lines to a writer that may take part of one, fail in its middle, or be replaced.
pub(super) struct Lines<Open> {
    open: Open,
    to: Option<Writer>,
    /// Bytes of the line under way that are written.
    written: usize,
}

/// What is written to.
pub(super) struct Writer {
    pub(super) to: Box<dyn Write + Send>,
    /// The last line in it has no end: a writer before us died.
    pub(super) cut: bool,
}

/// Standard output. It is not opened again.
pub(super) fn stdout() -> Result<impl Out + use<>, Error> {
    let own = io::stdout().as_fd().try_clone_to_owned().map_err(Error::Stdout)?;
    Ok(lines(move || Ok(Writer { to: Box::new(Patient(File::from(own.try_clone()?))), cut: false })))
}

/// A file; made when it is not there. A pipe without a reader is waited for while lines are to be written, and so is, for who
/// is `patient`, what may mend itself: a folder that is not there yet, a disk that is full or read-only.
pub(super) fn file(path: &Path, patient: bool) -> Result<impl Out + use<>, Error> {
    let owned = path.to_owned();
    let mut lines = lines(move || open(&owned));
    match open(path) {
        Ok(writer) => lines.to = Some(writer),
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) && is_pipe(path) => {}
        Err(error) if patient && may_mend(error.kind()) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            return Err(Error::NoFile { path: path.to_owned() });
        }
        Err(source) => return Err(Error::Open { path: path.to_owned(), source }),
    }
    Ok(lines)
}

/// Lines to whatever this opens.
pub(super) fn lines<Open: FnMut() -> io::Result<Writer> + Send>(open: Open) -> Lines<Open> {
    Lines { open, to: None, written: 0 }
}

/// With the newline that ends it.
pub(super) fn terminated(json: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(json.len() + 1);
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

impl<Open: FnMut() -> io::Result<Writer> + Send> Out for Lines<Open> {
    fn deliver(&mut self, line: &[u8]) -> io::Result<()> {
        let writer = match &mut self.to {
            Some(writer) => writer,
            None => self.to.insert((self.open)()?),
        };
        let result = writer.put(line, &mut self.written);
        match &result {
            Ok(()) => self.written = 0,
            // The reader of a pipe is gone: the next one is met by opening it again, and gets whole lines.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.written = 0;
                self.to = None;
            }
            Err(_) => {}
        }
        result
    }

    fn abandon(&mut self) {
        if let Some(writer) = &mut self.to {
            writer.cut |= self.written > 0;
        }
        self.written = 0;
    }

    fn reopen(&mut self) {
        // The old file keeps a part of a line; its end keeps readers of the old file right.
        if let Some(mut old) = self.to.take().filter(|_| self.written > 0) {
            let _ = old.to.write(b"\n");
        }
        self.written = 0;
    }
}

impl Writer {
    fn put(&mut self, line: &[u8], written: &mut usize) -> io::Result<()> {
        if self.cut {
            once(self.to.as_mut(), b"\n")?;
            self.cut = false;
        }
        while let Some(rest) = line.get(*written..).filter(|rest| !rest.is_empty()) {
            *written += once(self.to.as_mut(), rest)?;
        }
        Ok(())
    }
}

fn once(to: &mut dyn Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match to.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => return Ok(written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// O_NONBLOCK: a pipe without a reader is an error then (ENXIO), not a wait. O_NOFOLLOW: root must not be led by a link.
fn open(path: &Path) -> io::Result<Writer> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let kind = file.metadata()?.file_type();
    if !(kind.is_file() || kind.is_fifo() || kind.is_char_device()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let cut = kind.is_file() && is_cut(path)?;
    Ok(Writer { to: Box::new(Patient(file)), cut })
}

fn is_cut(path: &Path) -> io::Result<bool> {
    let mut file =
        OpenOptions::new().read(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed()).open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn may_mend(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{NotFound, PermissionDenied, ReadOnlyFilesystem, StorageFull};
    matches!(kind, NotFound | PermissionDenied | ReadOnlyFilesystem | StorageFull)
}

fn is_pipe(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo())
}

/// Waits where the file was opened non-blocking, by us or by whom we have it from.
struct Patient(File);

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
