//! Listeners that are older than we are: one pass over the TCP sockets of the network namespace of whoever reads it.

use core::ffi::c_void;

use crate::{
    sock,
    state::{PORTS, add_listener},
};

/// The context of an iterator over TCP sockets.
#[repr(C)]
pub struct TcpSocket {
    meta: *mut c_void,
    sk: u64,
}

/// `iter/tcp`. aya has no macro for iterators.
///
/// # Safety
/// Called by the kernel, with its own context.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
pub unsafe extern "C" fn seed(ctx: *mut TcpSocket) -> i32 {
    sock::remember_own();
    // SAFETY: the kernel's own context.
    let sk = unsafe { (*ctx).sk };
    // The last call has no socket.
    if sk == 0 {
        return 0;
    }
    let port = sock::port(sk);
    if !sock::listens(sk, port) || !sock::is_ours_to_see(sk) {
        return 0;
    }
    if let Some(state) = PORTS.get_ptr_mut(port) {
        // SAFETY: a living value of PORTS.
        unsafe { add_listener(state, sk) };
    }
    0
}
