//! What happened, and what it means.

use std::{error::Error as StdError, io, time::Duration};

use rustix::io::Errno;
use rustls::AlertDescription;

use super::{Fault, Ran, http::TooLong};
use crate::model::{Cause, End, OwnFault, Phase, Verdict};

/// The table. Certificates are no end: the answer behind them is.
pub(super) fn verdict(end: &End) -> Verdict {
    match end {
        End::Good { .. } => Verdict::Alive,
        End::Refused
        | End::Reset
        | End::Late(_)
        | End::Status(_)
        | End::WrongBody { .. }
        | End::BadHttp(_)
        | End::BadTls(_)
        | End::Program(_)
        | End::Unreachable(_) => Verdict::Dead,
        End::Own(_) => Verdict::Unknown,
    }
}

/// The end of an ask that came to `phase` and lost so much of its time-out to our own lateness; no end is the deadline.
pub(super) fn whose_fault(end: Option<End>, phase: Phase, limit: Duration, lost: Duration) -> End {
    let end = match (end, phase) {
        (Some(end), _) => end,
        (None, Phase::Resolve) => return End::Own(OwnFault::Name(format!("no answer within {limit:?}"))),
        (None, Phase::Connect | Phase::Tls | Phase::Headers | Phase::Body | Phase::Exec) => End::Late(limit),
    };
    match end {
        // Silence, or a server that has given up on us.
        End::Late(_) | End::Reset if lost > limit / 2 => End::Own(OwnFault::Lateness(lost)),
        End::Late(_)
        | End::Reset
        | End::Good { .. }
        | End::Refused
        | End::Status(_)
        | End::WrongBody { .. }
        | End::BadHttp(_)
        | End::BadTls(_)
        | End::Program(_)
        | End::Unreachable(_)
        | End::Own(_) => end,
    }
}

/// The end of a program.
pub(super) fn ran(ran: Ran, limit: Duration) -> End {
    match ran {
        Ran::Ended(Cause::Code(0)) => End::Good { status: None },
        Ran::Ended(Cause::Code(code)) => End::Program(format!("exited with code {code}")),
        Ran::Ended(Cause::Signal { signal, core: _ }) => {
            End::Program(format!("was ended by signal {signal}"))
        }
        Ran::Late => End::Late(limit),
        Ran::NotRun(why) => End::Own(OwnFault::Program(why)),
    }
}

/// The end that a fault on the way is.
pub(super) fn end(fault: Fault, phase: Phase) -> End {
    match fault {
        Fault::Own(own) => End::Own(own),
        Fault::Io(fault) => io_end(&fault, phase),
        Fault::Hyper(fault) => match io_within(&fault) {
            Some(inner) => io_end(inner, phase),
            None if fault.is_incomplete_message() || fault.is_canceled() || fault.is_closed() => End::Reset,
            None => End::BadHttp(deepest(&fault)),
        },
    }
}

/// Our own cap was reached.
pub(super) fn is_too_long(fault: &hyper::Error) -> bool {
    io_within(fault).and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<TooLong>())
}

fn io_end(fault: &io::Error, phase: Phase) -> End {
    let text = || fault.to_string();
    if let Some(tls) = fault.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_end(tls);
    }
    match (Errno::from_io_error(fault), phase) {
        (Some(Errno::CONNREFUSED), _) => End::Refused,
        (Some(Errno::CONNRESET | Errno::CONNABORTED | Errno::PIPE | Errno::NOTCONN), _) => End::Reset,
        (Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL), _) => {
            End::Own(OwnFault::Resources(text()))
        }
        (Some(Errno::ACCESS | Errno::PERM), _) => End::Own(OwnFault::Forbidden(text())),
        (Some(_), _) => End::Unreachable(text()),
        (None, _) if fault.kind() == io::ErrorKind::UnexpectedEof => End::Reset,
        (None, Phase::Tls) => End::BadTls(text()),
        (None, Phase::Headers | Phase::Body) => End::BadHttp(text()),
        (None, Phase::Resolve | Phase::Connect | Phase::Exec) => End::Unreachable(text()),
    }
}

fn tls_end(fault: &rustls::Error) -> End {
    let refusals = [
        AlertDescription::HandshakeFailure,
        AlertDescription::ProtocolVersion,
        AlertDescription::InsufficientSecurity,
        AlertDescription::CertificateRequired,
        AlertDescription::UnrecognisedName,
        AlertDescription::NoApplicationProtocol,
    ];
    if let rustls::Error::PeerIncompatible(_) = fault {
        return End::Own(OwnFault::Tls(fault.to_string()));
    }
    if let rustls::Error::AlertReceived(alert) = fault
        && refusals.contains(alert)
    {
        return End::Own(OwnFault::Tls(format!("it says {alert:?}")));
    }
    if let rustls::Error::InvalidMessage(_) = fault {
        return End::BadTls(format!("what came is not TLS ({fault})"));
    }
    End::BadTls(fault.to_string())
}

fn io_within(fault: &hyper::Error) -> Option<&io::Error> {
    let mut next = fault.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}

fn deepest(fault: &dyn StdError) -> String {
    let mut cause = fault;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
