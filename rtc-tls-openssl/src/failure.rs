//! What OpenSSL says went wrong, in words that hold no secrets.

use openssl::error::ErrorStack;
use openssl::ssl;

use crate::ffi;

/// `SSL_AD_REASON_OFFSET`: an alert of the peer's becomes a reason code by adding this.
const ALERT_OFFSET: i32 = 1000;

/// The reason of a failed handshake, read or write.
pub(crate) fn of_connection(error: &ssl::Error) -> String {
    match error.ssl_error() {
        Some(stack) => of_stack(stack),
        None => "OpenSSL gives no reason".to_owned(),
    }
}

/// The reason of anything else that failed.
pub(crate) fn of_stack(stack: &ErrorStack) -> String {
    let alert = stack.errors().iter().find_map(|error| {
        let is_of_tls = error.library() == Some("SSL routines");
        u8::try_from(error.reason_code() - ALERT_OFFSET).ok().filter(|_| is_of_tls)
    });
    if let Some(alert) = alert {
        return by_alert(alert);
    }
    // The first is the cause, those after it are functions that passed it on.
    match stack.errors().first().and_then(|error| error.reason()) {
        Some(reason) => reason.to_owned(),
        None => "OpenSSL gives no reason".to_owned(),
    }
}

/// That the peer gave up, with the alert that says why (RFC 5246 §7.2).
pub(crate) fn by_alert(alert: u8) -> String {
    let name = ffi::alert_description(alert).replace(' ', "_");
    format!("the peer sent the alert {name} ({alert})")
}
