//! Tasks of this workspace: building, packing and comparing the C library.
//!
//! `cargo xtask` lists them. Results go to the standard output, progress to the standard error.

mod abi;
mod abidiff;
mod args;
mod asan;
mod bindings;
mod clean_root;
mod consumers;
mod datachannel;
mod dependencies;
mod dist;
mod empty_root;
mod features;
mod fuzz;
mod header;
mod layout;
mod notices;
mod packages;
mod paths;
mod planted;
mod process;
mod project;
mod public_api;
mod reference;
mod side_by_side;
mod signatures;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::args::Args;

/// A task: its name, its options and what it does, as `cargo xtask` prints them.
struct Task {
    name: &'static str,
    options: &'static str,
    help: &'static str,
    run: fn(Args) -> Result<()>,
}

const TASKS: &[Task] = &[
    Task {
        name: "dist",
        options: "--prefix DIR [--libdir NAME] [--features LIST] [--profile NAME] [--keep-debug]",
        help: "build and install the C library: shared, static, headers, pkg-config, CMake",
        run: dist::run,
    },
    Task {
        name: "abi",
        options: "[--prefix DIR] [--real DIR] [--without media,websocket] [--planted] [--store]",
        help: "compare an installed library's symbols, and the header's types, with the C API; \
               planted: break them and see that each break is noticed",
        run: abi::run,
    },
    Task {
        name: "bindings",
        options: "",
        help: "write the declarations of datachannel-sys from rtc/rtc.h",
        run: bindings::run,
    },
    Task {
        name: "consumers",
        options: "--prefix DIR [--libdir NAME] [--real DIR] [--older DIR]",
        help: "build C and C++ programs on an installed library by pkg-config and CMake",
        run: consumers::run,
    },
    Task {
        name: "datachannel",
        options: "",
        help: "run the tests of the crate datachannel on this library",
        run: datachannel::run,
    },
    Task {
        name: "deb",
        options: "[--backends LIST] [--out DIR] [--twice] [--in-place]",
        help: "build Debian packages; twice to see that it gives the same bytes again",
        run: packages::deb,
    },
    Task {
        name: "rpm",
        options: "[--backends LIST] [--out DIR] [--twice] [--in-place]",
        help: "build RPM packages; twice to see that it gives the same bytes again",
        run: packages::rpm,
    },
    Task {
        name: "clean-root",
        options: "[--deb DIR] [--rpm DIR] [--without-debian]",
        help: "install, use and remove packages where nothing else is; lintian and rpmlint",
        run: clean_root::run,
    },
    Task {
        name: "dependencies",
        options: "",
        help: "check which package depends on which, and their licences",
        run: dependencies::run,
    },
    Task {
        name: "features",
        options: "[--package NAME,NAME]",
        help: "check that every backend and every other feature builds alone, and all together",
        run: features::run,
    },
    Task {
        name: "public-api",
        options: "[--store]",
        help: "see that the Rust API breaks no program of the last release",
        run: public_api::run,
    },
    Task {
        name: "reference",
        options: "--prefix DIR [--ice juice|nice]",
        help: "install libdatachannel 0.23.2 with media and WebSockets: what is right",
        run: reference::install_oracle,
    },
    Task {
        name: "yardstick",
        options: "--prefix DIR",
        help: "install libdatachannel 0.24.6, data channels only: what is fast",
        run: reference::install_yardstick,
    },
    Task {
        name: "side-by-side",
        options: "[--ours DIR] [--real DIR] [--only MODE] [--combinations all] [--seconds N] \
                  [--rounds N] [--cpus two,one]",
        help: "measure two libraries alternately with benches/c/rtcbench.c",
        run: side_by_side::run,
    },
    Task {
        name: "fuzz",
        options: "[--target NAME] [--seconds N] [--max-len BYTES] [--input FILE]",
        help: "run the fuzz targets, 60 s each, or one of them on one input",
        run: fuzz::run,
    },
    Task {
        name: "asan",
        options: "[--only WORD]",
        help: "run the conformance tests of misuse and deletion under AddressSanitizer",
        run: asan::run,
    },
];

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next().filter(|name| name != "help" && name != "--help") else {
        print_tasks();
        return Ok(());
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        print_tasks();
        bail!("there is no task `{name}`");
    };
    let args = Args::parse(words, task.options)
        .map_err(|error| error.context(format!("usage: cargo xtask {} {}", name, task.options)))?;
    (task.run)(args)
}

fn print_tasks() {
    println!("cargo xtask TASK [OPTIONS]\n");
    for task in TASKS {
        println!("  {} {}\n      {}", task.name, task.options, task.help);
    }
}
