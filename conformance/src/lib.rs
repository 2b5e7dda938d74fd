//! Black-box tests of any library offering `rtc.h`.
//!
//! The library is loaded at run time (`RTC_LIB`), a second one to pair it with may be named
//! (`RTC_PEER_LIB`). Every test runs in a process of its own: a crash or a hang fails that one
//! test. See `docs/testing.md` of the repository.

mod backends;
mod echo;
mod elf;
mod ffi;
mod inbox;
mod interop;
mod lab;
mod link;
mod matrix;
mod network;
mod outcome;
mod peer;
mod runner;
mod sdp;
mod suite;
mod sys;
mod turn;
mod websocket;

/// Lists or runs the tests, as the command line asks, or one of the sub-commands.
pub fn main() -> std::process::ExitCode {
    const COMMANDS: [&str; 7] = ["echo", "interop", "link", "matrix", "network", "peer", "turn"];
    let mut arguments = std::env::args().skip(1).peekable();
    match arguments.next_if(|first| COMMANDS.contains(&first.as_str())).as_deref() {
        Some("interop") => interop::main(arguments),
        Some("echo") => echo::main(arguments),
        Some("link") => link::main(arguments),
        Some("matrix") => matrix::main(arguments),
        Some("network") => network::main(arguments),
        Some("turn") => turn::main(arguments),
        Some(_) => interop::own::main(arguments),
        None => runner::main(),
    }
}
