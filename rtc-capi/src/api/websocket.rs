//! WebSockets and WebSocket servers.

use std::ffi::{c_char, c_int};
use std::sync::Arc;
use std::time::Duration;

use librtc::{Error, Result, WebSocket, WebSocketBuilder, WebSocketServer};
use parking_lot::Mutex;
use rtc_core::websocket::{DEFAULT_CONNECTION_TIMEOUT, DEFAULT_PING_INTERVAL};

use crate::boundary::{SUCCESS, copy_text, required, required_text, slice, text};
use crate::handles::{self, Object, UserPointer};
use crate::{abi, callbacks};

/// What tells PEM text from the path of a file.
const PEM_MARK: &str = "-----BEGIN CERTIFICATE-----";

exports! {
    /// Starts to connect to a URL.
    pub extern "C" fn rtcCreateWebSocket(url: *const c_char) -> c_int {
        let socket = WebSocket::connect(&required_text(url, "url")?)?;
        Ok(handles::insert(Object::WebSocket(socket), UserPointer::NULL))
    }

    /// Starts to connect to a URL with settings.
    pub extern "C" fn rtcCreateWebSocketEx(
        url: *const c_char,
        config: *const abi::WsConfiguration,
    ) -> c_int {
        let url = required_text(url, "url")?;
        let socket = settings(required(config, "config")?)?.connect(&url)?;
        Ok(handles::insert(Object::WebSocket(socket), UserPointer::NULL))
    }

    /// Closes a WebSocket and deletes its identifier; waits for its running callbacks.
    pub extern "C" fn rtcDeleteWebSocket(ws: c_int) -> c_int {
        handles::delete_websocket(ws)?.delete();
        handles::remove(ws);
        SUCCESS
    }

    /// Copies the other side's address out.
    pub extern "C" fn rtcGetWebSocketRemoteAddress(
        ws: c_int,
        buffer: *mut c_char,
        size: c_int,
    ) -> c_int {
        let address = handles::websocket(ws)?.remote_address();
        let address = address.ok_or_else(|| Error::not_available("there is no connection"))?;
        copy_text(address.as_bytes(), buffer, size)
    }

    /// Copies the path of the request out.
    pub extern "C" fn rtcGetWebSocketPath(ws: c_int, buffer: *mut c_char, size: c_int) -> c_int {
        let path = handles::websocket(ws)?.path();
        let path = path.ok_or_else(|| Error::not_available("the WebSocket is not open yet"))?;
        copy_text(path.as_bytes(), buffer, size)
    }

    /// Starts a server.
    pub extern "C" fn rtcCreateWebSocketServer(
        config: *const abi::WsServerConfiguration,
        cb: abi::WebSocketClientCallback,
    ) -> c_int {
        let config = required(config, "config")?;
        let cb = cb.ok_or_else(|| Error::invalid("cb is NULL"))?;
        // A client that comes at once waits until the server has its identifier.
        let place = Arc::new(Mutex::new(0));
        let mut id = place.lock();
        let server = listen(config, callbacks::websocket(place.clone(), cb))?;
        *id = handles::insert(Object::WebSocketServer(server), UserPointer::NULL);
        Ok(*id)
    }

    /// Stops a server and deletes its identifier; waits for its running callback.
    pub extern "C" fn rtcDeleteWebSocketServer(wsserver: c_int) -> c_int {
        handles::delete_websocket_server(wsserver)?.delete();
        handles::remove(wsserver);
        SUCCESS
    }

    /// The port a server listens on.
    pub extern "C" fn rtcGetWebSocketServerPort(wsserver: c_int) -> c_int {
        Ok(handles::websocket_server(wsserver)?.port().into())
    }
}

/// A time: 0 is the default, and a negative one has no end.
fn time(milliseconds: c_int, default: Duration) -> Option<Duration> {
    match u64::try_from(milliseconds) {
        Err(_) => None,
        Ok(0) => Some(default),
        Ok(milliseconds) => Some(Duration::from_millis(milliseconds)),
    }
}

fn positive(value: c_int) -> Option<u32> {
    u32::try_from(value).ok().filter(|value| *value > 0)
}

fn size(bytes: c_int) -> Option<usize> {
    positive(bytes).and_then(|bytes| usize::try_from(bytes).ok())
}

fn settings(c: &abi::WsConfiguration) -> Result<WebSocketBuilder> {
    let mut builder = WebSocket::builder()
        .connection_timeout(time(c.connection_timeout_ms, DEFAULT_CONNECTION_TIMEOUT))
        .ping_interval(time(c.ping_interval_ms, DEFAULT_PING_INTERVAL))
        .max_outstanding_pings(positive(c.max_outstanding_pings));
    if let Some(bytes) = size(c.max_message_size) {
        builder = builder.max_message_size(bytes);
    }
    for &protocol in slice(c.protocols, c.protocols_count, "protocols")? {
        builder = builder.protocol(required_text(protocol, "an entry of protocols")?);
    }
    if let Some(proxy) = text(c.proxy_server) {
        builder = builder.proxy(&proxy)?;
    }
    if c.disable_tls_verification.is_true() {
        builder = builder.disable_tls_verification();
    }
    Ok(builder)
}

fn listen(
    c: &abi::WsServerConfiguration,
    handler: impl Fn(WebSocket) + Send + Sync + 'static,
) -> Result<WebSocketServer> {
    let timeout = time(c.connection_timeout_ms, DEFAULT_CONNECTION_TIMEOUT);
    let mut builder = WebSocketServer::builder().port(c.port).connection_timeout(timeout);
    if let Some(address) = text(c.bind_address) {
        builder = builder.bind_address(address);
    }
    if let Some(bytes) = size(c.max_message_size) {
        builder = builder.max_message_size(bytes);
    }
    if c.enable_tls.is_true() {
        builder = match (text(c.certificate_pem_file), text(c.key_pem_file)) {
            (None, None) => builder.tls_generated()?,
            (Some(certificate), Some(key)) => {
                let (certificate, key) = match certificate.contains(PEM_MARK) {
                    true => (certificate, key),
                    false => (read(&certificate)?, read(&key)?),
                };
                builder.tls(&certificate, &key, text(c.key_pem_pass).as_deref())?
            }
            _ => return Err(Error::invalid("a certificate and its key come together")),
        };
    }
    builder.listen(handler)
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path)
        .map_err(|error| Error::invalid(format!("cannot read {path:?}")).caused_by(error))
}
