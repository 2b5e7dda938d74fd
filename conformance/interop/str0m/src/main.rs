//! str0m as an agent.

use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::io::{BufRead, ErrorKind};
use std::net::UdpSocket;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::{Duration, Instant};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::channel::{ChannelConfig, ChannelId, Reliability};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long a command may wait for the socket.
const PATIENCE: Duration = Duration::from_millis(5);

fn report(event: Value) {
    println!("{event}");
}

/// A message its stack has not taken yet.
struct Pending {
    label: String,
    binary: bool,
    data: Vec<u8>,
}

struct Agent {
    rtc: Rtc,
    socket: UdpSocket,
    labels: HashMap<ChannelId, String>,
    offered: Option<SdpPendingOffer>,
    pending: VecDeque<Pending>,
}

impl Agent {
    fn new() -> Result<Self> {
        // The address of the default route: nothing is sent by connecting.
        let probe = UdpSocket::bind("0.0.0.0:0")?;
        probe.connect("192.0.2.1:9")?;
        let socket = UdpSocket::bind((probe.local_addr()?.ip(), 0))?;
        let mut rtc = Rtc::builder().build(Instant::now());
        rtc.add_local_candidate(Candidate::host(socket.local_addr()?, "udp")?);
        let labels = HashMap::new();
        Ok(Self { rtc, socket, labels, offered: None, pending: VecDeque::new() })
    }

    fn obey(&mut self, command: &Value) -> Result<()> {
        let text = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
        match text("do").as_str() {
            "offer" => {
                let mut change = self.rtc.sdp_api();
                let id = change.add_channel(text("label"));
                let (offer, pending) = change.apply().ok_or("there is nothing to offer")?;
                self.labels.insert(id, text("label"));
                self.offered = Some(pending);
                report(json!({ "is": "offer", "sdp": offer.to_sdp_string() }));
            }
            "answer" => {
                let offer = SdpOffer::from_sdp_string(&text("sdp"))?;
                let answer = self.rtc.sdp_api().accept_offer(offer)?;
                report(json!({ "is": "answer", "sdp": answer.to_sdp_string() }));
            }
            "accept" => {
                let answer = SdpAnswer::from_sdp_string(&text("sdp"))?;
                let offered = self.offered.take().ok_or("there was no offer")?;
                self.rtc.sdp_api().accept_answer(offered, answer)?;
            }
            "open" => {
                let reliability = match command["retransmits"].as_u64() {
                    Some(count) => Reliability::MaxRetransmits { retransmits: count as u16 },
                    None => Reliability::Reliable,
                };
                let id = self.rtc.direct_api().create_data_channel(ChannelConfig {
                    label: text("label"),
                    ordered: command["ordered"] != false,
                    reliability,
                    negotiated: None,
                    protocol: text("protocol"),
                });
                self.labels.insert(id, text("label"));
            }
            "text" => {
                let data = text("text").into_bytes();
                self.pending.push_back(Pending { label: text("label"), binary: false, data });
            }
            "binary" => {
                let number = |name: &str| command[name].as_u64().unwrap_or_default() as usize;
                let data = pattern(number("size"), number("number"));
                self.pending.push_back(Pending { label: text("label"), binary: true, data });
            }
            "close-channel" => {
                let id = self.channel(&text("label"))?;
                self.rtc.direct_api().close_data_channel(id);
            }
            "close" => self.rtc.close()?,
            other => return Err(format!("unknown command {other}").into()),
        }
        Ok(())
    }

    fn channel(&self, label: &str) -> Result<ChannelId> {
        let found = self.labels.iter().find(|(_, known)| *known == label);
        Ok(*found.ok_or("no such channel")?.0)
    }

    /// Hands over what the stack takes.
    fn write(&mut self) -> Result<()> {
        while let Some(message) = self.pending.front() {
            let id = self.channel(&message.label)?;
            let Some(mut channel) = self.rtc.channel(id) else { return Ok(()) };
            if !channel.write(message.binary, &message.data)? {
                return Ok(());
            }
            self.pending.pop_front();
        }
        Ok(())
    }

    fn announce(&mut self, event: Event) {
        match event {
            Event::ChannelOpen(id, label) => {
                self.labels.insert(id, label.clone());
                let config = self.rtc.channel(id).and_then(|channel| channel.config().cloned());
                let config = config.unwrap_or_default();
                let retransmits = match config.reliability {
                    Reliability::MaxRetransmits { retransmits } => Some(retransmits),
                    _ => None,
                };
                report(json!({
                    "is": "open", "label": label, "protocol": config.protocol,
                    "ordered": config.ordered, "retransmits": retransmits,
                }));
            }
            Event::ChannelData(message) => {
                let label = self.labels.get(&message.id);
                if message.binary {
                    let (size, crc) = (message.data.len(), crc32(&message.data));
                    report(json!({ "is": "binary", "label": label, "size": size, "crc": crc }));
                } else {
                    let text = String::from_utf8_lossy(&message.data);
                    report(json!({ "is": "text", "label": label, "text": text }));
                }
            }
            Event::ChannelClose(id) => {
                report(json!({ "is": "channel-closed", "label": self.labels.remove(&id) }));
            }
            Event::Connected => report(json!({ "is": "state", "state": "connected" })),
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) => {
                report(json!({ "is": "state", "state": "disconnected" }));
            }
            _ => {}
        }
    }

    /// Sends and announces all there is. Returns when the stack wants to be woken.
    fn drain(&mut self) -> Result<Instant> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(datagram) => {
                    // A full socket loses datagrams, as networks do.
                    let _ = self.socket.send_to(&datagram.contents, datagram.destination);
                }
                Output::Event(event) => self.announce(event),
            }
        }
    }

    /// Waits for a datagram until `until`.
    fn receive(&mut self, until: Instant) -> Result<()> {
        let wait = until.saturating_duration_since(Instant::now()).min(PATIENCE);
        self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        let mut buffer = [0; 2000];
        match self.socket.recv_from(&mut buffer) {
            Ok((size, source)) => {
                let destination = self.socket.local_addr()?;
                let contents = buffer[..size].try_into()?;
                let receive = Receive { proto: Protocol::Udp, source, destination, contents };
                self.rtc.handle_input(Input::Receive(Instant::now(), receive))?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                self.rtc.handle_input(Input::Timeout(Instant::now()))?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn run(&mut self, commands: &Receiver<Value>) -> Result<()> {
        loop {
            match commands.try_recv() {
                Ok(command) => self.obey(&command)?,
                Err(TryRecvError::Disconnected) => return Ok(()),
                Err(TryRecvError::Empty) => {}
            }
            self.write()?;
            let until = self.drain()?;
            self.receive(until)?;
        }
    }
}

fn pattern(size: usize, number: usize) -> Vec<u8> {
    (0..size).map(|at| (at + (at >> 8) + number) as u8).collect()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 }
        })
    })
}

fn main() {
    let (sender, commands) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
            let command = serde_json::from_str(&line).unwrap_or_default();
            if sender.send(command).is_err() {
                return;
            }
        }
    });
    let result = Agent::new().and_then(|mut agent| agent.run(&commands));
    if let Err(error) = result {
        report(json!({ "is": "error", "text": error.to_string() }));
    }
}
