//! Two hosts, a NAT and a server, each a network namespace: 10.77.0.2 (a) is behind the NAT, which
//! everybody sees at 10.78.0.1; it routes to 10.78.0.2 (b) and 10.79.0.2 (the server).

use std::process::Command;

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
        run("ip", &["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.run("ip link set lo up")?;
        Ok(namespace)
    }

    /// Runs a command inside; returns what it wrote.
    pub(super) fn run(&self, line: &str) -> Result<String, String> {
        let mut words = vec!["netns", "exec", &self.name];
        words.extend(line.split(' '));
        run("ip", &words)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Its interfaces go with it.
        let _ = run("ip", &["netns", "del", &self.name]);
    }
}

fn run(program: &str, words: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(words).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("{program} {}: {}", words.join(" "), errors.trim()))
        }
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
        nat.run(&format!("ip link add inside type veth peer name wan netns {}", a.name))?;
        nat.run(&format!("ip link add outside type veth peer name wan netns {}", b.name))?;
        nat.run(&format!("ip link add beside type veth peer name wan netns {}", server.name))?;
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
            host.run(&format!("ip {line}"))?;
        }
        topology.interface("up")?;
        for line in [
            "add table ip nat",
            "add chain ip nat post { type nat hook postrouting priority 100 ; }",
            "add rule ip nat post ip saddr 10.77.0.0/24 snat to 10.78.0.1",
            "add chain ip nat forward { type filter hook forward priority 0 ; }",
        ] {
            nat.run(&format!("nft {line}"))?;
        }
        // The file is that of the namespace it is opened in.
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        run("ip", &["netns", "exec", &nat.name, "sh", "-c", forward])?;
        Ok(topology)
    }

    /// Has the NAT follow these rules, beside letting everything through.
    pub(super) fn block(&self, rules: &[&str]) -> Result<(), String> {
        self.nat.run("nft flush chain ip nat forward")?;
        for rule in rules {
            self.nat.run(&format!("nft add rule ip nat forward {rule}"))?;
        }
        Ok(())
    }

    /// Switches the interface of host `a`, whose default route goes and comes with it.
    pub(super) fn interface(&self, state: &str) -> Result<(), String> {
        self.a.run(&format!("ip link set wan {state}"))?;
        if state == "up" {
            self.a.run("ip route replace default via 10.77.0.1")?;
        }
        Ok(())
    }
}
