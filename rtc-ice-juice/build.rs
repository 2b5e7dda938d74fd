//! Finds libjuice: the folder that `JUICE_DIR` names, else the system's, else the source that a
//! crate of the registry ships, compiled here.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The oldest release with the functions and structures of `ffi.rs`.
const OLDEST: &str = "1.6.0";

const SOURCES: [&str; 19] = [
    "addr",
    "agent",
    "base64",
    "conn",
    "conn_mux",
    "conn_poll",
    "conn_thread",
    "const_time",
    "crc32",
    "hash",
    "hmac",
    "ice",
    "juice",
    "log",
    "random",
    "stun",
    "timestamp",
    "turn",
    "udp",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in ["build.rs", "source/manifest.toml", "source/lock.toml"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=JUICE_DIR");
    if let Some(folder) = env::var_os("JUICE_DIR") {
        let folder = PathBuf::from(folder);
        if folder.join("src/agent.c").is_file() {
            compile(&folder);
        } else {
            link(&folder)?;
        }
        return Ok(());
    }
    if pkg_config::Config::new().atleast_version(OLDEST).probe("libjuice").is_err() {
        compile(&source()?);
    }
    Ok(())
}

/// Links what is installed below a prefix.
fn link(prefix: &Path) -> Result<(), Box<dyn Error>> {
    let folders = ["lib", "lib64"].map(|name| prefix.join(name));
    let holds = |folder: &&PathBuf| {
        ["libjuice.so", "libjuice.a", "libjuice.dylib"].iter().any(|l| folder.join(l).is_file())
    };
    let folder = folders.iter().find(holds).ok_or_else(|| {
        format!("JUICE_DIR={}: neither libjuice's source nor an installed one", prefix.display())
    })?;
    println!("cargo::rustc-link-search=native={}", folder.display());
    println!("cargo::rustc-link-lib=juice");
    Ok(())
}

fn compile(folder: &Path) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let source = folder.join("src");
    cc::Build::new()
        .files(SOURCES.iter().map(|name| source.join(name).with_extension("c")))
        .include(folder.join("include/juice"))
        .include(&source)
        .define("JUICE_STATIC", None)
        .define("NO_SERVER", None)
        .flag_if_supported("-fvisibility=hidden")
        .warnings(false)
        .pic(true)
        .compile("juice");
}

/// Where cargo unpacked the source that `source/manifest.toml` pins.
fn source() -> Result<PathBuf, Box<dyn Error>> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let pin = PathBuf::from(env::var("OUT_DIR")?).join("source");
    fs::create_dir_all(&pin)?;
    fs::copy(here.join("source/manifest.toml"), pin.join("Cargo.toml"))?;
    fs::copy(here.join("source/lock.toml"), pin.join("Cargo.lock"))?;
    fs::write(pin.join("empty.rs"), "")?;
    let output = Command::new(env::var("CARGO")?)
        .current_dir(&here)
        .args(["metadata", "--quiet", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(pin.join("Cargo.toml"))
        .output()?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cannot fetch libjuice's source, try JUICE_DIR: {why}").into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let shipping = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == "datachannel-sys")
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("cargo metadata tells of no crate that ships libjuice's source")?;
    Ok(Path::new(shipping).with_file_name("libdatachannel").join("deps/libjuice"))
}
