//! A file system that does not answer: `stuck-folder PATH` holds up whoever opens a file in this folder, in the kernel, until it
//! ends; then they go on as if nothing had been. It says `stuck` once that is so.
#![allow(unsafe_code, reason = "fanotify is in no safe library that we have")]
#![allow(clippy::print_stdout, reason = "its word is its result")]

use std::{env, ffi::CString, process::ExitCode, thread};

fn main() -> ExitCode {
    let Some(folder) = env::args().nth(1).and_then(|path| CString::new(path).ok()) else {
        return ExitCode::from(64);
    };
    // SAFETY: plain numbers; the descriptor is kept open until this process ends.
    let watch =
        unsafe { libc::fanotify_init(libc::FAN_CLASS_CONTENT | libc::FAN_CLOEXEC, libc::O_RDONLY as u32) };
    let opens = libc::FAN_OPEN_PERM | libc::FAN_EVENT_ON_CHILD;
    // SAFETY: the path is a C string that outlives the call.
    let marked =
        unsafe { libc::fanotify_mark(watch, libc::FAN_MARK_ADD, opens, libc::AT_FDCWD, folder.as_ptr()) };
    if watch < 0 || marked < 0 {
        eprintln!("cannot hold up {folder:?}: {}", std::io::Error::last_os_error());
        return ExitCode::FAILURE;
    }
    println!("stuck");
    loop {
        thread::park(); // whoever asks is not answered
    }
}
