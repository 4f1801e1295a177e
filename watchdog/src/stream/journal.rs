//! A sink that speaks journald's native protocol, so that `journalctl -u UNIT` shows what was done to the unit.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    os::{fd::AsFd, unix::net::UnixDatagram},
    path::PathBuf,
    time::Duration,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
};

use super::{Line, Record, Said, drain::Out, message::Message, sentence::sentence};
use crate::model::{Decision, Fate, IncidentEnd, Saw, Verdict, Why};

/// A journald that hangs holds us in `send`; this makes us look whether its socket is another one by now.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    pub(super) fn new(path: PathBuf) -> Journal {
        Journal { path, socket: None }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            None => self.socket.insert(connect(&self.path)?),
        };
        loop {
            match socket.send(message) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::EMSGSIZE | libc::ENOBUFS)) => {
                    return send_file(socket, message);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Out for Journal {
    fn deliver(&mut self, message: &[u8]) -> io::Result<()> {
        // A journald that was restarted has a new socket: the old one says so once, and the new one is tried at once.
        let was_connected = self.socket.is_some();
        let first = self.send(message);
        if first.is_ok() {
            return first;
        }
        self.socket = None;
        if !was_connected {
            return first;
        }
        let second = self.send(message);
        if second.is_err() {
            self.socket = None;
        }
        second
    }

    fn abandon(&mut self) {}

    fn reopen(&mut self) {
        self.socket = None;
    }
}

fn connect(path: &PathBuf) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

/// Too long for a datagram: journald reads it from a sealed file that nobody can change any more.
fn send_file(socket: &UnixDatagram, message: &[u8]) -> io::Result<()> {
    let mut file =
        File::from(memfd_create("watchdog-event", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    file.write_all(message)?;
    fcntl_add_seals(&file, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE)?;
    let files = [file.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(socket, &[IoSlice::new(&[])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// One message: its sentence for people, its fields for filters, and the line itself for programs.
pub(super) fn datagram(line: &Line, json: &[u8]) -> Vec<u8> {
    let record = &line.record;
    let mut message = Vec::with_capacity(json.len() + 512);
    field(&mut message, "MESSAGE", sentence(record).as_bytes());
    field(&mut message, "PRIORITY", priority(record).to_string().as_bytes());
    field(&mut message, "MESSAGE_ID", Message::of(record).id().as_bytes());
    field(&mut message, "SYSLOG_IDENTIFIER", b"watchdog");
    field(&mut message, "WATCHDOG_TYPE", record.said.kind().as_bytes());
    if let Some(service) = &record.subject {
        field(&mut message, "WATCHDOG_SERVICE", service.as_str().as_bytes());
    }
    if let Some(unit) = &line.unit {
        field(&mut message, "WATCHDOG_UNIT", unit.as_str().as_bytes());
        // journalctl -u shows what root says of a unit in this field.
        field(&mut message, "OBJECT_SYSTEMD_UNIT", unit.as_str().as_bytes());
    }
    if let Some(incarnation) = record.said.incarnation() {
        field(&mut message, "WATCHDOG_INCARNATION", incarnation.to_string().as_bytes());
        field(&mut message, "OBJECT_SYSTEMD_INVOCATION_ID", incarnation.to_string().as_bytes());
    }
    if let Some(incident) = record.said.incident() {
        field(&mut message, "WATCHDOG_INCIDENT", incident.to_string().as_bytes());
    }
    field(&mut message, "WATCHDOG_EVENT", json);
    message
}

fn field(message: &mut Vec<u8>, name: &str, value: &[u8]) {
    message.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        message.push(b'\n');
        message.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        message.push(b'=');
    }
    message.extend_from_slice(value);
    message.push(b'\n');
}

/// Whether it tells more than that watchdog works.
pub(super) fn is_worth_telling(record: &Record) -> bool {
    priority(record) < DEBUG
}

const DEBUG: u8 = 7;

/// syslog's level, 2 (critical) to 7 (debug).
fn priority(record: &Record) -> u8 {
    const CRITICAL: u8 = 2;
    const ERROR: u8 = 3;
    const WARNING: u8 = 4;
    const NOTICE: u8 = 5;
    const INFO: u8 = 6;
    match &record.said {
        Said::Sign(sign) => match sign.saw {
            Saw::Loss(_) | Saw::Working { works: false, .. } => WARNING,
            Saw::AcceptStall(_)
            | Saw::AnswerStall(_)
            | Saw::UnixStall(_)
            | Saw::OomKill(_)
            | Saw::ServerErrors(_)
            | Saw::LogErrors(_)
            | Saw::Serving(_)
            | Saw::Working { works: true, .. } => INFO,
            Saw::Exit(_)
            | Saw::SignalSent(_)
            | Saw::ListenerUp(_)
            | Saw::ListenerDown { .. }
            | Saw::StallOver(_)
            | Saw::InUse(_)
            | Saw::CommandRun(_)
            | Saw::Unit(_)
            | Saw::Job(_)
            | Saw::Listeners(_) => DEBUG,
        },
        Said::Suspicion(suspicion) => match suspicion.why {
            Why::InUse => DEBUG,
            Why::MainExit { .. }
            | Why::WorkerExit { .. }
            | Why::WorkerStorm(_)
            | Why::AcceptStall(_)
            | Why::AnswerStall(_)
            | Why::UnixStall(_)
            | Why::ListenerLost(_)
            | Why::OomKill(_)
            | Why::Stopped(_)
            | Why::ServerErrors(_)
            | Why::LogErrors(_)
            | Why::Loss => INFO,
        },
        Said::Heartbeat(answer) => match answer.verdict {
            Verdict::Alive if answer.warnings.is_empty() => DEBUG,
            Verdict::Alive | Verdict::Unknown => NOTICE,
            Verdict::Dead => WARNING,
        },
        Said::Decision(tell) => match &tell.decision {
            Decision::Act { .. } => WARNING,
            Decision::Hold { .. } | Decision::LeaveAlone { .. } => NOTICE,
            Decision::Alert { .. } => ERROR,
            Decision::End(story) => match story.end {
                IncidentEnd::Recovered | IncidentEnd::StoodDown | IncidentEnd::Superseded => NOTICE,
                IncidentEnd::Quarantined => CRITICAL,
            },
        },
        Said::Notified(notified) => match notified.fate {
            Fate::Told => NOTICE,
            Fate::Failed { .. } => WARNING,
            Fate::GivenUp { .. } | Fate::Dropped { .. } => ERROR,
        },
        Said::Command(_) | Said::Audit(_) | Said::Action(_) | Said::Outcome(_) => NOTICE,
        Said::Fact(_) | Said::State(_) => DEBUG,
        Said::Loss(_) => WARNING,
    }
}
