//! Two hosts, a NAT and a server, each a network namespace: 10.77.0.2 (a) is behind the NAT, which
//! everybody sees at 10.78.0.1; it routes to 10.78.0.2 (b) and 10.79.0.2 (the server).

use crate::sys;
use std::time::{Duration, Instant};

/// Where the NAT is seen from outside.
pub(super) const OUTSIDE: &str = "10.78.0.1";

/// The address of the server.
pub(super) const SERVER: &str = "10.79.0.2";

/// A network namespace, until dropped.
pub(super) struct Namespace {
    pub(super) name: String,
}

impl Namespace {
    fn new(role: &str) -> Result<Self, String> {
        let name = format!("conformance-{}-{role}", std::process::id());
        sys::ip(&format!("netns add {name}"))?;
        let namespace = Self { name };
        namespace.run("ip", "link set lo up")?;
        Ok(namespace)
    }

    /// Runs a program inside with these arguments; returns what it wrote.
    fn run(&self, program: &str, arguments: &str) -> Result<String, String> {
        let mut command = sys::command_in(Some(&self.name), program);
        sys::run(command.args(arguments.split(' ')))
    }

    /// Waits until the interface is in operation, which on a busy machine it is half a second after
    /// it was switched on. libnice does not use it before.
    fn wait_in_operation(&self) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.run("ip", "-o link show dev wan")?.contains(" state UP ") {
            if Instant::now() > deadline {
                return Err(format!("the interface of {} does not come up", self.name));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its interfaces go with it.
        let _ = sys::ip(&format!("netns del {}", self.name));
    }
}

/// The two hosts and what is between them.
pub(super) struct Topology {
    pub(super) a: Namespace,
    nat: Namespace,
    pub(super) b: Namespace,
    pub(super) server: Namespace,
}

impl Topology {
    pub(super) fn new() -> Result<Self, String> {
        let topology = Self {
            a: Namespace::new("a")?,
            nat: Namespace::new("nat")?,
            b: Namespace::new("b")?,
            server: Namespace::new("server")?,
        };
        let Self { a, nat, b, server } = &topology;
        for (inner, host) in [("inside", a), ("outside", b), ("beside", server)] {
            let line = format!("link add {inner} type veth peer name wan netns {}", host.name);
            nat.run("ip", &line)?;
        }
        for (host, line) in [
            (nat, "addr add 10.77.0.1/24 dev inside"),
            (nat, "addr add 10.78.0.1/24 dev outside"),
            (nat, "addr add 10.79.0.1/24 dev beside"),
            (nat, "link set beside up"),
            (nat, "link set inside up"),
            (nat, "link set outside up"),
            (a, "addr add 10.77.0.2/24 dev wan"),
            (b, "addr add 10.78.0.2/24 dev wan"),
            (b, "link set wan up"),
            (b, "route add default via 10.78.0.1"),
            (server, "addr add 10.79.0.2/24 dev wan"),
            (server, "link set wan up"),
            (server, "route add default via 10.79.0.1"),
        ] {
            host.run("ip", line)?;
        }
        topology.interface("up")?;
        for line in [
            "add table ip nat",
            "add chain ip nat post { type nat hook postrouting priority 100 ; }",
            "add rule ip nat post ip saddr 10.77.0.0/24 snat to 10.78.0.1",
            "add chain ip nat forward { type filter hook forward priority 0 ; }",
        ] {
            nat.run("nft", line)?;
        }
        // The file is that of the namespace it is opened in.
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        sys::run(sys::command_in(Some(&nat.name), "sh").args(["-c", forward]))?;
        [a, b, server].into_iter().try_for_each(Namespace::wait_in_operation)?;
        Ok(topology)
    }

    /// Has the NAT follow these rules, beside letting everything through.
    pub(super) fn block(&self, rules: &[&str]) -> Result<(), String> {
        self.nat.run("nft", "flush chain ip nat forward")?;
        for rule in rules {
            self.nat.run("nft", &format!("add rule ip nat forward {rule}"))?;
        }
        Ok(())
    }

    /// Switches the interface of host `a`, whose default route goes and comes with it.
    pub(super) fn interface(&self, state: &str) -> Result<(), String> {
        self.a.run("ip", &format!("link set wan {state}"))?;
        if state == "up" {
            self.a.run("ip", "route replace default via 10.77.0.1")?;
        }
        Ok(())
    }
}
