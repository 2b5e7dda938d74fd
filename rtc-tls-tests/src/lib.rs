//! The tests that every TLS backend passes. Each module has tests of one matter, a `Subject` that
//! says what is tested and what differs between backends, and a macro of the module's name that
//! makes tests of all its tests for a subject.

pub mod handshake;
pub mod hostile;
pub mod link;
pub mod peers;
pub mod pem;
pub mod srtp;
pub mod tls;

/// With a subject: a test for each name. Without one, in the module that has the tests: `run_test`,
/// which runs one by its name, so that the compiler finds each test that is not listed.
#[doc(hidden)]
#[macro_export]
macro_rules! each_test {
    ($module:ident [] $($name:ident,)*) => {
        /// Runs a test of this module.
        ///
        /// # Panics
        ///
        /// If the test fails, or there is none of that name.
        pub fn run_test(name: &str, subject: &Subject) {
            match name {
                $(stringify!($name) => $name(subject),)*
                _ => panic!("there is no test {name}"),
            }
        }
    };
    ($module:ident [$subject:expr] $($name:ident,)*) => {
        $(
            #[test]
            fn $name() {
                $crate::$module::run_test(stringify!($name), &$subject);
            }
        )*
    };
}
