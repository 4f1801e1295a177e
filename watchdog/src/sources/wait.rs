//! How a process ended, as the kernel counts it for wait(2).

use crate::model::Cause;

pub(super) fn cause(status: u32) -> Cause {
    let [low, code, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => Cause::Code(code),
        signal => Cause::Signal { signal, core: low & 0x80 != 0 },
    }
}
