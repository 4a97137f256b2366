//! How a process ends.

use std::ffi::{c_int, c_void};

unsafe extern "C" {
    /// glibc: as `atexit`, with the status that the process ends with.
    fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
}

/// Lets the process end without the exit handlers of the libraries that it has loaded so far: ONNX
/// Runtime and drivers take themselves apart there while threads of theirs still work, and crash. What
/// must last has been synced by then, and Rust's own output has been flushed.
///
/// To be called last: handlers run in the reverse order of their registration.
pub fn without_exit_handlers() {
    extern "C" fn end(status: c_int, _argument: *mut c_void) {
        // SAFETY: ends the process; nothing is touched.
        unsafe { libc::_exit(status) }
    }
    // SAFETY: `end` has the type that is asked for, lives as long as the process, and takes no
    // argument. Where it can't be registered, the handlers run as they would have.
    unsafe { on_exit(end, std::ptr::null_mut()) };
}
