//! A program for the kernel: only sockets of these local ports are told.

use std::collections::BTreeSet;

use crate::model::Port;

/// `INET_DIAG_REQ_BYTECODE`
const BYTECODE: u16 = 1;
/// `INET_DIAG_BC_JMP`
const JUMP: u8 = 1;
/// `INET_DIAG_BC_S_GE`, `INET_DIAG_BC_S_LE`: the local port against the number in the operation that follows.
const AT_LEAST: u8 = 2;
const AT_MOST: u8 = 3;

/// An operation: what, how many bytes to go on when it is so, and when it is not.
const STEP: usize = 4;
/// `>= port`, its number, `<= port`, its number, jump to the end.
const PORT: usize = 5 * STEP;

/// The attribute that follows a request. At the end of the program a socket is taken, beyond it is left out.
pub(super) fn of_ports(ports: &BTreeSet<Port>) -> Vec<u8> {
    let length = ports.len() * PORT;
    let mut bytes = Vec::with_capacity(STEP + length);
    let whole = |bytes: usize| u16::try_from(bytes).unwrap_or(u16::MAX).to_ne_bytes();
    bytes.extend(whole(STEP + length));
    bytes.extend(BYTECODE.to_ne_bytes());
    let mut step = |code: u8, yes: usize, no: [u8; 2]| {
        bytes.extend([code, u8::try_from(yes).unwrap_or(u8::MAX)]);
        bytes.extend(no);
    };
    for (index, port) in ports.iter().enumerate() {
        let rest = length - index * PORT;
        // the last one is followed by nothing: one step beyond the end
        let next = if rest == PORT { PORT + STEP } else { PORT };
        let number = port.0.to_ne_bytes();
        step(AT_LEAST, 2 * STEP, whole(next));
        step(0, 0, number);
        step(AT_MOST, 2 * STEP, whole(next - 2 * STEP));
        step(0, 0, number);
        step(JUMP, STEP, whole(rest - 4 * STEP));
    }
    bytes
}
