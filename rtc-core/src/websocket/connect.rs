//! How a connection comes about: name, TCP, proxy, TLS, upgrade.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::ClientConfig;
use super::link::{Link, broken};
use super::upgrade::{self, ClientUpgrade, Head, HeadReader};
use super::url::WsUrl;
use crate::backend::tls::{TlsClientConfig, TlsSession};
use crate::error::{Error, Result};
use crate::runtime::Runtime;

/// How long one address of several may take.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(10);

/// How much a refused client may still send before it is cut off, in bytes.
const MAX_AFTERWARDS: usize = 256 * 1024;

/// What is ready when a WebSocket is open.
pub(super) struct Connected {
    pub(super) link: Link,
    pub(super) path: String,
    pub(super) protocol: Option<String>,
}

/// At which stage connecting failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Tcp,
    Proxy,
    Tls,
    Upgrade,
    Timeout,
}

impl Stage {
    /// What the error callback is told, as upstream words it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Tcp => "TCP connection failed",
            Self::Proxy => "Proxy connection failed",
            Self::Tls => "TLS connection failed",
            Self::Upgrade => "WebSocket connection failed",
            Self::Timeout => "Connection timed out",
        }
    }

    fn failed(self, error: Error) -> Failure {
        Failure { stage: self, error, link: None }
    }
}

/// Why connecting failed, and the connection if the other side has yet to read our answer.
pub(super) struct Failure {
    pub(super) stage: Stage,
    pub(super) error: Error,
    pub(super) link: Option<Box<Link>>,
}

/// Connects a client.
pub(super) async fn connect(
    runtime: Arc<dyn Runtime>,
    url: WsUrl,
    config: ClientConfig,
) -> Result<Connected, Failure> {
    let (host, port) = match &config.proxy {
        Some(proxy) => (proxy.host.clone(), proxy.port),
        None => (url.host.clone(), url.port),
    };
    let secure = url.secure.then(|| (url.host.clone(), config.clone()));
    let (addresses, session) = prepare(&runtime, host, port, secure).await?;
    let mut link = connect_tcp(&runtime, &addresses).await?;
    if config.proxy.is_some() {
        pass_proxy(&mut link, &url).await.map_err(|error| Stage::Proxy.failed(error))?;
    }
    if let Some(session) = session {
        begin_tls(&mut link, session).await?;
    }
    let upgrade = ClientUpgrade::new(config.protocols);
    let at_upgrade = |error| Stage::Upgrade.failed(error);
    let head = exchange(&mut link, &upgrade.request(&url)).await.map_err(at_upgrade)?;
    let protocol = upgrade.check(&head).map_err(at_upgrade)?;
    Ok(Connected { link, path: url.path, protocol })
}

/// Serves a client that has connected.
pub(super) async fn accept(
    mut link: Link,
    session: Option<Result<Box<dyn TlsSession>>>,
) -> Result<Connected, Failure> {
    if let Some(session) = session {
        begin_tls(&mut link, session.map_err(|error| Stage::Tls.failed(error))?).await?;
    }
    let at_upgrade = |error| Stage::Upgrade.failed(error);
    let answer = match read_head(&mut link).await.map_err(at_upgrade)? {
        Some(head) => upgrade::answer(&head),
        None => upgrade::answer_too_long(),
    };
    link.write(&answer.response).map_err(at_upgrade)?;
    match answer.outcome {
        Ok(accepted) => Ok(Connected { link, path: accepted.path, protocol: accepted.protocol }),
        Err(why) => {
            let error = Error::failure(format!("the client's request is refused: {why}"));
            Err(Failure { stage: Stage::Upgrade, error, link: Some(Box::new(link)) })
        }
    }
}

/// Sends what is left, and waits until the other side has read it or hung up.
pub(super) async fn part(mut link: Box<Link>) {
    if poll_fn(|cx| link.poll_shutdown(cx)).await.is_err() {
        return;
    }
    let mut scratch = [0; 1024];
    let mut total = 0;
    while total < MAX_AFTERWARDS {
        match poll_fn(|cx| link.poll_read(cx, &mut scratch)).await {
            Ok(0) | Err(_) => return,
            Ok(length) => total += length,
        }
    }
}

type Prepared = (Vec<SocketAddr>, Option<Box<dyn TlsSession>>);

/// Does what may block: looking up the name, and reading the system's certificates.
async fn prepare(
    runtime: &Arc<dyn Runtime>,
    host: String,
    port: u16,
    secure: Option<(String, ClientConfig)>,
) -> Result<Prepared, Failure> {
    if let (Ok(address), None) = (host.parse::<IpAddr>(), &secure) {
        return Ok((vec![SocketAddr::new(address, port)], None));
    }
    let (done, prepared) = tokio::sync::oneshot::channel();
    runtime.spawn_blocking(Box::new(move || {
        let prepare = || {
            let addresses = (host.as_str(), port).to_socket_addrs().map_err(|error| {
                let error = Error::failure(format!("cannot resolve {host:?}")).caused_by(error);
                Stage::Tcp.failed(error)
            })?;
            let session = secure.map(|(name, config)| {
                let verification =
                    TlsClientConfig { disable_verification: config.disable_tls_verification };
                config.tls.client(&name, &verification).map_err(|error| Stage::Tls.failed(error))
            });
            Ok((addresses.collect(), session.transpose()?))
        };
        let _ = done.send(prepare());
    }));
    let stopped = |_| Stage::Tcp.failed(Error::failure("the library is being unloaded"));
    prepared.await.map_err(stopped)?
}

/// Tries one address after the other.
async fn connect_tcp(
    runtime: &Arc<dyn Runtime>,
    addresses: &[SocketAddr],
) -> Result<Link, Failure> {
    let mut last = Error::failure("the name has no address");
    for address in addresses {
        let failed = || Error::failure(format!("cannot connect to {address}"));
        let mut connecting = runtime.tcp_connect(None, *address);
        let mut timer = runtime.timer(Instant::now() + ADDRESS_PATIENCE);
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(outcome) = connecting.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            timer.as_mut().poll(cx).map(|()| None)
        });
        match outcome.await {
            Some(Ok(stream)) => return Ok(Link::new(stream)),
            Some(Err(error)) => last = failed().caused_by(error),
            None => last = failed().caused_by("it does not answer"),
        }
    }
    Err(Stage::Tcp.failed(last))
}

async fn begin_tls(link: &mut Link, session: Box<dyn TlsSession>) -> Result<(), Failure> {
    link.secure(session);
    let handshake = poll_fn(|cx| link.poll_handshake(cx)).await;
    handshake.map_err(|error| Stage::Tls.failed(error))
}

async fn pass_proxy(link: &mut Link, url: &WsUrl) -> Result<()> {
    let head = exchange(link, &upgrade::connect_request(url)).await?;
    upgrade::check_connect(&head)
}

/// Sends a request and reads the head of the response.
async fn exchange(link: &mut Link, request: &[u8]) -> Result<Vec<u8>> {
    link.write(request)?;
    read_head(link).await?.ok_or_else(|| Error::failure("the response is too long"))
}

/// Reads a head; `None` when it is too long.
async fn read_head(link: &mut Link) -> Result<Option<Vec<u8>>> {
    let mut reader = HeadReader::default();
    let mut buffer = [0; 4096];
    loop {
        poll_fn(|cx| link.poll_flush(cx)).await.map_err(broken)?;
        let length = poll_fn(|cx| link.poll_read(cx, &mut buffer)).await.map_err(broken)?;
        if length == 0 {
            return Err(Error::failure("the other side ended the connection"));
        }
        match reader.push(buffer.get(..length).unwrap_or_default()) {
            Head::Partial => {}
            Head::TooLong => return Ok(None),
            Head::Whole(head, rest) => {
                link.unread(&rest);
                return Ok(Some(head));
            }
        }
    }
}
