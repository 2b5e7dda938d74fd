//! Finds the system's libnice, and GLib under it.

fn main() {
    for (library, oldest) in [("nice", "0.1.21"), ("gobject-2.0", "2.58"), ("glib-2.0", "2.58")] {
        if let Err(error) = pkg_config::Config::new().atleast_version(oldest).probe(library) {
            println!(
                "cargo::error=needs libnice's development files (Debian: libnice-dev): {error}"
            );
        }
    }
}
