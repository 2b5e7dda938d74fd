//! The thread on which libnice does its work: one for all agents, while there are any.

use std::ffi::c_void;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use super::declarations as glib;

/// A `GMainContext` and the thread that turns it.
#[derive(Debug)]
pub(crate) struct MainLoop {
    context: Arc<Context>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Context {
    context: NonNull<glib::MainContext>,
    ended: AtomicBool,
}

// SAFETY: GLib's contexts may be used from any thread.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

static CURRENT: Mutex<Weak<MainLoop>> = Mutex::new(Weak::new());

impl MainLoop {
    /// The one that runs, or a new one.
    pub(crate) fn acquire() -> io::Result<Arc<Self>> {
        let mut current = CURRENT.lock();
        if let Some(running) = current.upgrade() {
            return Ok(running);
        }
        let started = Arc::new(Self::start()?);
        *current = Arc::downgrade(&started);
        Ok(started)
    }

    fn start() -> io::Result<Self> {
        // GLib ends the process when it finds no descriptors for waking the thread.
        drop(io::pipe()?);
        // SAFETY: makes a context, which `Context` owns from here on.
        let context = NonNull::new(unsafe { glib::g_main_context_new() })
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let context = Arc::new(Context { context, ended: AtomicBool::new(false) });
        let thread = thread::Builder::new().name("rtc-nice".into()).spawn({
            let context = context.clone();
            move || context.turn()
        })?;
        Ok(Self { context, thread: Some(thread) })
    }

    pub(super) fn context(&self) -> *mut glib::MainContext {
        self.context.context.as_ptr()
    }

    /// Has the thread run something, after what it is doing.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let work: Box<Work> = Box::new(Some(Box::new(work)));
        // SAFETY: the source owns the work, and gives it up by `forget_work`.
        unsafe {
            let source = glib::g_idle_source_new();
            glib::g_source_set_priority(source, glib::PRIORITY_DEFAULT);
            let data = Box::into_raw(work).cast::<c_void>();
            glib::g_source_set_callback(source, do_work, data, Some(forget_work));
            glib::g_source_attach(source, self.context());
            glib::g_source_unref(source);
        }
    }
}

impl Drop for MainLoop {
    fn drop(&mut self) {
        self.context.ended.store(true, Ordering::Release);
        // SAFETY: the context is alive.
        unsafe { glib::g_main_context_wakeup(self.context()) };
        if let Some(thread) = self.thread.take() {
            // It cannot panic: what it runs is caught or is C.
            let _ = thread.join();
        }
    }
}

impl Context {
    fn turn(&self) {
        let context = self.context.as_ptr();
        // SAFETY: the context is alive, and only this thread acquires it, so that what libnice
        // receives is passed on at once.
        unsafe {
            glib::g_main_context_acquire(context);
            while !self.ended.load(Ordering::Acquire) {
                glib::g_main_context_iteration(context, glib::TRUE);
            }
            glib::g_main_context_release(context);
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: this is the reference that `start` got.
        unsafe { glib::g_main_context_unref(self.context.as_ptr()) };
    }
}

type Work = Option<Box<dyn FnOnce() + Send>>;

unsafe extern "C" fn do_work(data: *mut c_void) -> glib::Boolean {
    // SAFETY: it is what `run` attached, which nobody else uses while the source lives.
    let work = unsafe { data.cast::<Work>().as_mut() }.and_then(Option::take);
    if let Some(work) = work {
        // A panic must not unwind into C.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
    glib::FALSE
}

unsafe extern "C" fn forget_work(data: *mut c_void) {
    // SAFETY: it is what `run` attached, and the source is at its end.
    drop(unsafe { Box::from_raw(data.cast::<Work>()) });
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn work_is_done_in_order_on_one_thread_that_ends_with_its_last_user() {
        let one = MainLoop::acquire().expect("a thread");
        let other = MainLoop::acquire().expect("the same");
        assert!(Arc::ptr_eq(&one, &other));
        let (tell, told) = mpsc::channel();
        for number in 0..100 {
            let tell = tell.clone();
            one.run(move || tell.send((number, thread::current().id())).expect("listening"));
        }
        drop(tell);
        let told: Vec<_> = told.iter().collect();
        assert!(told.iter().map(|(number, _)| *number).eq(0..100));
        assert!(told.iter().all(|(_, thread)| *thread == told[0].1));
        let context = Arc::downgrade(&one.context);
        drop((one, other));
        assert!(context.upgrade().is_none(), "the thread has ended");
    }
}
