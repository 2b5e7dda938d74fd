//! What the suite asks of the operating system.
#![allow(unsafe_code)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::time::Duration;

/// Has the kernel end this process when its parent ends, so that a runner that is killed leaves
/// nothing behind.
pub(crate) fn end_with_parent() {
    // SAFETY: no pointer is involved; a refusal changes nothing.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Sets an environment variable. To be called before any thread is started, also by a library.
pub(crate) fn set_environment(name: &str, value: &str) {
    // SAFETY: no other thread reads the environment.
    unsafe { std::env::set_var(name, value) };
}

/// Moves the process into a network namespace of its own with the loopback interface up.
/// To be called before any thread is started.
pub(crate) fn own_network() -> Result<(), String> {
    // SAFETY: no pointer is involved.
    let mut done = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
    if !done {
        // SAFETY: as above; the second form needs no privilege where user namespaces are allowed.
        done = unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET) } == 0;
    }
    if !done {
        return Err(std::io::Error::last_os_error().to_string());
    }
    raise_loopback()
}

fn raise_loopback() -> Result<(), String> {
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: libc::IFF_UP as libc::c_short },
    };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    // SAFETY: the descriptor is closed below and the request outlives the call.
    let code = unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let code = libc::ioctl(socket, libc::SIOCSIFFLAGS, &request);
        libc::close(socket);
        code
    };
    if code == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().to_string()) }
}

/// Adds a pair of interfaces, both ends inside this namespace, with addresses 10.99.0.1 and
/// 10.99.0.2, a unique local IPv6 address and a default route.
pub(crate) fn add_interfaces() -> Result<(), String> {
    let commands = [
        "link add east type veth peer name west",
        "addr add 10.99.0.1/24 dev east",
        "addr add 10.99.0.2/24 dev west",
        "-6 addr add fd99::1/64 dev east nodad",
        "link set east up",
        "link set west up",
        "route add default via 10.99.0.2 dev east",
    ];
    commands.into_iter().try_for_each(ip)
}

/// Runs the command of iproute2.
pub(crate) fn ip(command: &str) -> Result<(), String> {
    run(Command::new("ip").args(command.split(' '))).map(drop)
}

/// Runs a program to its end; returns what it wrote.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// A program to be run inside the network namespace that `ip netns` knows by this name, if one is
/// named.
pub(crate) fn command_in(namespace: Option<&str>, program: impl AsRef<OsStr>) -> Command {
    match namespace {
        None => Command::new(program),
        Some(namespace) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", namespace]).arg(program);
            command
        }
    }
}

/// Has the calling thread, and those it starts from now on, ask for names at a socket of this
/// private network: the one returned. A look-up that gets no answer takes more than two minutes.
pub(crate) fn own_names() -> Result<UdpSocket, String> {
    // SAFETY: no pointer is involved.
    if unsafe { libc::unshare(libc::CLONE_NEWNS) } != 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    let file = std::env::temp_dir().join(format!("resolv-{}.conf", std::process::id()));
    let text = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";
    let result = fs::write(&file, text).map_err(|error| error.to_string()).and_then(|()| {
        run(Command::new("mount").args(["--make-rprivate", "/"]))?;
        run(Command::new("mount").arg("--bind").arg(&file).arg("/etc/resolv.conf")).map(drop)
    });
    // What is mounted stays.
    let _ = fs::remove_file(&file);
    result?;
    UdpSocket::bind(("127.0.0.1", 53)).map_err(|error| format!("port 53: {error}"))
}

/// Adds an interface with address 10.98.0.`host` whose packets the file carries, one a read or
/// write, without blocking.
pub(crate) fn add_tunnel(host: u64) -> Result<File, String> {
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")
        .map_err(|error| format!("/dev/net/tun: {error}"))?;
    let flags = (libc::IFF_TUN | libc::IFF_NO_PI) as libc::c_short;
    let mut request = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags },
    };
    for (to, from) in request.ifr_name.iter_mut().zip(b"wire") {
        *to = *from as libc::c_char;
    }
    // SAFETY: the descriptor is open and the request outlives the call.
    if unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &request) } != 0 {
        return Err(format!("a TUN interface: {}", std::io::Error::last_os_error()));
    }
    ip(&format!("addr add 10.98.0.{host}/24 dev wire"))?;
    ip("link set wire txqueuelen 10000 up")?;
    ip("route add default dev wire")?;
    Ok(file)
}

/// Waits until one of the files can be read, at most for `limit`.
pub(crate) fn wait_readable(files: &[File; 2], limit: Duration) {
    let mut wanted = files.each_ref().map(|file| libc::pollfd {
        fd: file.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    });
    let limit = libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(limit.subsec_nanos()),
    };
    // SAFETY: both structures outlive the call and the length is that of the array.
    unsafe { libc::ppoll(wanted.as_mut_ptr(), 2, &limit, std::ptr::null()) };
}

/// Kills a child and everything it started.
pub(crate) fn kill_group(pid: u32) {
    // SAFETY: the group was created for this child.
    unsafe { libc::kill(-(pid as libc::pid_t), libc::SIGKILL) };
}

/// Stops a child and everything it started: it is there, and does nothing.
pub(crate) fn stop_group(pid: u32) {
    // SAFETY: the group was created for this child.
    unsafe { libc::kill(-(pid as libc::pid_t), libc::SIGSTOP) };
}

/// Ends the process without running destructors: what happens at exit has tests of its own.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Threads of this process by name.
pub(crate) fn thread_names() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    tasks
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .map(|name| name.trim().to_owned())
        .collect()
}

/// Open file descriptors of this process: what each leads to.
pub(crate) fn open_files() -> Vec<String> {
    let Ok(list) = fs::read_dir("/proc/self/fd") else { return Vec::new() };
    // The descriptor of the list itself is closed by then, and leads nowhere.
    let paths: Vec<_> = list.flatten().map(|entry| entry.path()).collect();
    let targets = paths.iter().filter_map(|path| fs::read_link(path).ok());
    targets.map(|target| target.to_string_lossy().into_owned()).collect()
}

/// Resident memory of this process in KiB, after handing free pages back.
pub(crate) fn resident_kib() -> usize {
    // SAFETY: only returns unused heap to the system.
    unsafe { libc::malloc_trim(0) };
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

/// While it lives, this process can open no further file.
pub(crate) struct NoMoreFiles(libc::rlimit);

impl NoMoreFiles {
    pub(crate) fn impose() -> Self {
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both structures outlive their calls.
        unsafe {
            libc::getrlimit(libc::RLIMIT_NOFILE, &mut old);
            let none = libc::rlimit { rlim_cur: 3, ..old };
            libc::setrlimit(libc::RLIMIT_NOFILE, &none);
        }
        Self(old)
    }
}

impl Drop for NoMoreFiles {
    fn drop(&mut self) {
        // SAFETY: the structure outlives the call.
        unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &self.0) };
    }
}

/// Has the kernel reset this connection when it is closed.
pub(crate) fn reset_on_close(stream: &std::net::TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let size = std::mem::size_of::<libc::linger>() as libc::socklen_t;
    // SAFETY: the option's value outlives the call, and the descriptor is open.
    let code = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        )
    };
    assert_eq!(code, 0, "SO_LINGER: {}", std::io::Error::last_os_error());
}

/// A listener on 127.0.0.1 whose queue is full: connecting to it takes for ever.
pub(crate) struct FullListener {
    pub(crate) port: u16,
    _queue: Vec<std::net::TcpStream>,
    _listener: std::net::TcpListener,
}

pub(crate) fn full_listener() -> FullListener {
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("an address");
    // SAFETY: the descriptor is open; listening again changes the length of the queue.
    let code = unsafe { libc::listen(listener.as_raw_fd(), 0) };
    assert_eq!(code, 0, "listen: {}", std::io::Error::last_os_error());
    let patience = std::time::Duration::from_millis(200);
    let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&address, patience).ok());
    let queue: Vec<_> = queue.take(16).collect();
    FullListener { port: address.port(), _queue: queue, _listener: listener }
}
