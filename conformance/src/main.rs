//! Runs the conformance suite on the library named by `RTC_LIB`.

fn main() -> std::process::ExitCode {
    conformance::main()
}
