//! Identifiers: what C holds instead of objects.
//!
//! One counter serves all kinds; no number is used twice. The entry of an identifier goes away when
//! its object is deleted, and with it every callback: a callback looks its user pointer up first.

use std::collections::HashMap;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, LazyLock};

use librtc::{Channel, DataChannel, Error, PeerConnection, Result, Track};
#[cfg(feature = "websocket")]
use librtc::{WebSocket, WebSocketServer};
use parking_lot::RwLock;

/// Locks of the table, so that threads with different objects seldom meet.
const SHARDS: usize = 64;

/// What an identifier stands for.
#[derive(Clone)]
pub(crate) enum Object {
    Peer(PeerConnection),
    DataChannel(DataChannel),
    Track(Track),
    #[cfg(feature = "websocket")]
    WebSocket(WebSocket),
    #[cfg(feature = "websocket")]
    WebSocketServer(WebSocketServer),
}

impl Object {
    /// What all kinds of channels have in common.
    fn channel(&self) -> Option<Arc<dyn Channel>> {
        match self {
            Self::Peer(_) => None,
            Self::DataChannel(channel) => Some(channel.as_channel()),
            Self::Track(track) => Some(track.as_channel()),
            #[cfg(feature = "websocket")]
            Self::WebSocket(socket) => Some(socket.as_channel()),
            #[cfg(feature = "websocket")]
            Self::WebSocketServer(_) => None,
        }
    }
}

struct Entry {
    object: Object,
    pointer: UserPointer,
    /// Its deletion has begun and cannot begin again; its last callbacks may still use it.
    deleting: bool,
}

/// The caller's pointer. The library never looks at what it points to.
#[derive(Clone, Copy)]
pub(crate) struct UserPointer(usize);

impl UserPointer {
    pub(crate) const NULL: Self = Self(0);

    pub(crate) fn new(pointer: *mut c_void) -> Self {
        Self(pointer.expose_provenance())
    }

    pub(crate) fn get(self) -> *mut c_void {
        std::ptr::with_exposed_provenance_mut(self.0)
    }
}

type Shard = RwLock<HashMap<c_int, Entry>>;

static TABLE: LazyLock<[Shard; SHARDS]> =
    LazyLock::new(|| std::array::from_fn(|_| Shard::default()));
static LAST: AtomicI32 = AtomicI32::new(0);

fn shard(id: c_int) -> &'static Shard {
    &TABLE[id.unsigned_abs() as usize % SHARDS]
}

/// Gives an object its identifier.
pub(crate) fn insert(object: Object, pointer: UserPointer) -> c_int {
    let id = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    shard(id).write().insert(id, Entry { object, pointer, deleting: false });
    id
}

/// What `wanted` finds in the object of an identifier.
fn find<T>(id: c_int, wanted: impl FnOnce(&Object) -> Option<T>) -> Option<T> {
    wanted(&shard(id).read().get(&id)?.object)
}

/// Begins to delete what `wanted` accepts; only one caller succeeds.
fn begin_deletion<T>(id: c_int, wanted: impl FnOnce(&Object) -> Option<T>) -> Option<T> {
    let mut shard = shard(id).write();
    let entry = shard.get_mut(&id).filter(|entry| !entry.deleting)?;
    let object = wanted(&entry.object)?;
    entry.deleting = true;
    Some(object)
}

/// Forgets an identifier.
pub(crate) fn remove(id: c_int) {
    let entry = shard(id).write().remove(&id);
    // Dropping the object may run code of the caller's; not under the lock.
    drop(entry);
}

/// Forgets all identifiers.
pub(crate) fn remove_all() -> Vec<Object> {
    TABLE
        .iter()
        .flat_map(|shard| std::mem::take(&mut *shard.write()).into_values())
        .map(|entry| entry.object)
        .collect()
}

/// The user pointer of an object; `None` once it is deleted.
pub(crate) fn pointer(id: c_int) -> Option<UserPointer> {
    shard(id).read().get(&id).map(|entry| entry.pointer)
}

/// Sets the user pointer of an object; nothing happens for an unknown identifier.
pub(crate) fn set_pointer(id: c_int, pointer: UserPointer) {
    if let Some(entry) = shard(id).write().get_mut(&id) {
        entry.pointer = pointer;
    }
}

/// Defines, for one kind of object, the look-up by identifier and the beginning of a deletion.
macro_rules! kind {
    ($(#[$attribute:meta])* $variant:ident($type:ty): $what:literal, $find:ident, $delete:ident) => {
        #[doc = concat!("The ", $what, " of that identifier.")]
        $(#[$attribute])*
        pub(crate) fn $find(id: c_int) -> Result<$type> {
            find(id, |object| match object {
                Object::$variant(found) => Some(found.clone()),
                _ => None,
            })
            .ok_or_else(|| no(id, $what))
        }

        #[doc = concat!("The ", $what, " of that identifier, which nobody else can delete from now on.")]
        $(#[$attribute])*
        pub(crate) fn $delete(id: c_int) -> Result<$type> {
            begin_deletion(id, |object| match object {
                Object::$variant(found) => Some(found.clone()),
                _ => None,
            })
            .ok_or_else(|| no(id, $what))
        }
    };
}

kind!(Peer(PeerConnection): "peer connection", peer, delete_peer);
kind!(DataChannel(DataChannel): "data channel", data_channel, delete_data_channel);
kind!(Track(Track): "track", track, delete_track);
kind!(
    #[cfg(feature = "websocket")]
    WebSocket(WebSocket): "WebSocket", websocket, delete_websocket
);
kind!(
    #[cfg(feature = "websocket")]
    WebSocketServer(WebSocketServer): "WebSocket server", websocket_server, delete_websocket_server
);

/// The channel of any kind of that identifier.
pub(crate) fn channel(id: c_int) -> Result<Arc<dyn Channel>> {
    find(id, Object::channel).ok_or_else(|| no(id, ANY_CHANNEL))
}

/// The channel of any kind of that identifier, which nobody else can delete from now on.
pub(crate) fn delete_channel(id: c_int) -> Result<Arc<dyn Channel>> {
    begin_deletion(id, Object::channel).ok_or_else(|| no(id, ANY_CHANNEL))
}

const ANY_CHANNEL: &str = "data channel, track or WebSocket";

fn no(id: c_int, what: &str) -> Error {
    Error::invalid(format!("{id} is not a {what}"))
}
