//! Goodput through the library between two hosts: `conformance link`.
//!
//! Each host is a network namespace with one interface, a TUN device, and an agent of its own
//! (`conformance peer`). The wire between the two devices is in this process. Both libraries see
//! true addresses, whatever their ICE does.

mod wire;

use crate::interop::agent::Agent;
use crate::interop::own;
use crate::lab::{is_strict, library_path};
use crate::sys;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use wire::{Quality, Wire};

/// Bytes of a message.
const MESSAGE: usize = 16 * 1024;

/// How much faster than the real library ours has to send where so much of a hundred gets lost.
/// At 1 % it is 25 times on a machine with nothing else to do, and 16 times on one with four times
/// as much to do as it can, where the slow one does not suffer but ours does. Where more is lost,
/// the receive window of the real library, which is 1 MiB, ends it at 9 times.
fn lead(loss: f64) -> f64 {
    if loss <= 1.0 { 10.0 } else { 5.0 }
}

struct Options {
    /// Packets lost of a hundred, one run for each.
    losses: Vec<f64>,
    round_trip: Duration,
    rate: f64,
    time: Duration,
    seed: u64,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        losses: vec![0.0, 1.0, 5.0],
        round_trip: Duration::from_millis(50),
        rate: 100.0,
        time: Duration::from_secs(10),
        seed: 1,
    };
    while let Some(name) = arguments.next() {
        if name == "--quick" {
            options.losses = vec![1.0];
            options.time = Duration::from_secs(3);
            continue;
        }
        let value = arguments.next().ok_or(format!("{name} what?"))?;
        let number = |text: &str| {
            let number = text.parse::<f64>().ok().filter(|n| *n >= 0.0 && n.is_finite());
            number.ok_or(format!("{name} takes a number, not {text}"))
        };
        match name.as_str() {
            "--loss" => options.losses = value.split(',').map(number).collect::<Result<_, _>>()?,
            "--rtt" => options.round_trip = Duration::from_secs_f64(number(&value)? / 1000.0),
            "--rate" => options.rate = number(&value)?.max(0.1),
            "--seconds" => options.time = Duration::from_secs_f64(number(&value)?),
            "--seed" => options.seed = number(&value)? as u64,
            _ => return Err(format!("unknown argument {name}")),
        }
    }
    Ok(options)
}

/// `conformance link [--quick] [--loss PERCENT,...] [--rtt MS] [--rate MBIT] [--seconds S]
/// [--seed N]`.
pub(crate) fn main(arguments: impl Iterator<Item = String>) -> ExitCode {
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(2);
        }
    };
    let Some(ours) = library_path() else {
        return left_out("RTC_LIB names no library");
    };
    if let Err(reason) = hosts() {
        return left_out(&format!("no two hosts: {reason}"));
    }
    let real = std::env::var_os("RTC_PEER_LIB").map(PathBuf::from);
    let mut pairs = vec![("ours to ours", &ours, &ours)];
    match &real {
        Some(real) => pairs.extend([
            ("ours to real", &ours, real),
            ("real to ours", real, &ours),
            ("real to real", real, real),
        ]),
        None => println!("skipped: pairs with another library, as RTC_PEER_LIB names none"),
    }
    run(&pairs, &options)
}

/// Nothing could be run, which is a failure where everything has to be.
fn left_out(reason: &str) -> ExitCode {
    if is_strict() {
        println!("FAILED   {reason}");
        return ExitCode::FAILURE;
    }
    println!("skipped: {reason}");
    ExitCode::SUCCESS
}

/// Runs all pairs at all losses; the table has a row for each pair.
fn run(pairs: &[(&str, &PathBuf, &PathBuf)], options: &Options) -> ExitCode {
    println!(
        "{} Mbit/s, {} ms there and back, a queue of one round trip; goodput in Mbit/s\n",
        options.rate,
        options.round_trip.as_millis()
    );
    let heads: Vec<_> = options.losses.iter().map(|loss| format!("{loss} % lost")).collect();
    println!("| sender to receiver | {} |\n|---|{}", heads.join(" | "), "---|".repeat(heads.len()));
    let mut complaints = Vec::new();
    let mut table: Vec<Vec<Option<f64>>> = Vec::new();
    for (name, sender, receiver) in pairs {
        let mut row = Vec::new();
        for loss in &options.losses {
            let goodput = transfer(sender, receiver, *loss, options);
            if let Err(reason) = &goodput {
                complaints.push(format!("{name} at {loss} %: {reason}"));
            }
            row.push(goodput.ok());
        }
        let cell = |goodput: &Option<f64>| goodput.map_or("FAILED".into(), |g| format!("{g:.1}"));
        println!("| {name} | {} |", row.iter().map(cell).collect::<Vec<_>>().join(" | "));
        table.push(row);
    }
    println!();
    // Something else may have kept the machine busy.
    for (row, column) in slow(&table, &options.losses) {
        let (name, sender, receiver) = pairs[row];
        let loss = options.losses[column];
        match transfer(sender, receiver, loss, options) {
            Ok(goodput) => {
                println!("again    {name} at {loss} %: {goodput:.1}");
                let before = table[row][column].unwrap_or_default();
                table[row][column] = Some(goodput.max(before));
            }
            Err(reason) => complaints.push(format!("{name} at {loss} %: {reason}")),
        }
    }
    for (row, column) in slow(&table, &options.losses) {
        let (loss, rates) = (options.losses[column], [row, row + 2].map(|row| table[row][column]));
        complaints.push(format!("at {loss} %: {rates:?} Mbit/s is not {} times", lead(loss)));
    }
    complaints.iter().for_each(|complaint| println!("FAILED   {complaint}"));
    if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Rows and columns where ours does not send as much faster as it has to than the real library to
/// the same receiver, whose row is the second after it.
fn slow(table: &[Vec<Option<f64>>], losses: &[f64]) -> Vec<(usize, usize)> {
    let lossy = losses.iter().enumerate().filter(|(_, loss)| **loss >= 1.0);
    let is_slow = |row: usize, column: usize, loss: f64| {
        let of = |row: usize| *table.get(row)?.get(column)?;
        matches!((of(row), of(row + 2)), (Some(ours), Some(real)) if ours < lead(loss) * real)
    };
    lossy
        .flat_map(|(column, loss)| [(0, column, *loss), (1, column, *loss)])
        .filter(|(row, column, loss)| is_slow(*row, *column, *loss))
        .map(|(row, column, _)| (row, column))
        .collect()
}

/// A host and its end of the wire.
struct Host {
    end: File,
    /// Runs commands inside the host.
    inside: std::sync::mpsc::Sender<Start>,
}

type Start = Box<dyn FnOnce() + Send>;

impl Host {
    /// A network namespace lives in the thread that made it, and in what that thread starts.
    fn new(number: u64) -> Result<Self, String> {
        let (inside, orders) = std::sync::mpsc::channel::<Start>();
        let (report, made) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let end = sys::own_network().and_then(|()| sys::add_tunnel(number));
            let _ = report.send(end);
            orders.into_iter().for_each(|order| order());
        });
        let end = made.recv().map_err(|_| "its thread has gone".to_owned())??;
        Ok(Self { end, inside })
    }

    fn start(&self, name: &'static str, library: &Path, log: &Path) -> Result<Agent, String> {
        let mut command = own::command(None)?;
        command.env("RTC_LIB", library);
        let log = log.to_owned();
        let (report, started) = std::sync::mpsc::channel();
        let start = move || {
            let _ = report.send(Agent::start(name, command, &log));
        };
        self.inside.send(Box::new(start)).map_err(|_| "its thread has gone".to_owned())?;
        started.recv().map_err(|_| "its thread has gone".to_owned())?
    }
}

/// Two hosts with nothing between them yet.
fn hosts() -> Result<[Host; 2], String> {
    Ok([Host::new(1)?, Host::new(2)?])
}

/// Connects two libraries and has one send to the other for a while. Returns the goodput in
/// Mbit/s.
fn transfer(sender: &Path, receiver: &Path, loss: f64, options: &Options) -> Result<f64, String> {
    let quality = Quality { loss, round_trip: options.round_trip, rate: options.rate };
    let [near, far] = hosts()?;
    let logs = std::env::temp_dir().join(format!("link-{}", std::process::id()));
    std::fs::create_dir_all(&logs).map_err(|error| format!("{}: {error}", logs.display()))?;
    let mut from = near.start("sender", sender, &logs)?;
    let mut to = far.start("receiver", receiver, &logs)?;
    let wire = Wire::new([near.end, far.end], quality, options.seed);
    let result = flood(&mut from, &mut to, options.time);
    let result = result.map_err(|reason| {
        format!("{reason} ({} packets carried)\n{}\n{}", wire.carried(), from.story(), to.story())
    });
    let _ = std::fs::remove_dir_all(&logs);
    result
}

fn flood(from: &mut Agent, to: &mut Agent, time: Duration) -> Result<f64, String> {
    from.tell(&json!({ "do": "offer", "label": "bulk" }))?;
    let offer = from.description("offer")?;
    to.tell(&json!({ "do": "answer", "sdp": offer }))?;
    let answer = to.description("answer")?;
    from.tell(&json!({ "do": "accept", "sdp": answer }))?;
    from.expect_on("open", "bulk")?;
    to.expect_on("open", "bulk")?;
    to.tell(&json!({ "do": "sink", "label": "bulk", "size": MESSAGE }))?;
    to.expect_on("sink", "bulk")?;
    let milliseconds = time.as_millis() as u64;
    from.tell(&json!({
        "do": "flood", "label": "bulk", "size": MESSAGE, "milliseconds": milliseconds,
    }))?;
    // What is on its way at the end of that time still counts: the receiver measures from the
    // first message to the last.
    from.expect_on("flooded", "bulk")?;
    to.tell(&json!({ "do": "tally", "label": "bulk" }))?;
    let tally = to.expect_on("tally", "bulk")?;
    goodput(&tally)
}

/// What a receiver that found nothing wrong counted, in Mbit/s.
fn goodput(tally: &Value) -> Result<f64, String> {
    let number = |name: &str| tally[name].as_f64().ok_or(format!("no {name} in {tally}"));
    let (bytes, seconds) = (number("bytes")?, number("seconds")?);
    if bytes < MESSAGE as f64 || seconds <= 0.0 {
        return Err(format!("next to nothing arrived: {tally}"));
    }
    Ok(bytes * 8.0 / seconds / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_nonsense_is_refused() {
        let words = |line: &str| parse(line.split_whitespace().map(str::to_owned));
        let options = words("--loss 0,2.5 --rtt 20 --seconds 1").expect("complete");
        assert_eq!(options.losses, [0.0, 2.5]);
        assert_eq!(options.round_trip, Duration::from_millis(20));
        for bad in ["--loss", "--loss x", "--rtt -1", "--nonsense 1"] {
            assert!(words(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ours_has_to_lead_where_packets_get_lost_and_only_there() {
        let row = |clean: f64, lossy: f64| vec![Some(clean), Some(lossy)];
        let losses = [0.0, 1.0];
        let good = [row(50.0, 80.0), row(50.0, 70.0), row(90.0, 3.0), row(90.0, 3.0)];
        assert_eq!(slow(&good, &losses), []);
        let bad = [row(50.0, 29.0), row(50.0, 70.0), row(90.0, 3.0), row(90.0, 8.0)];
        assert_eq!(slow(&bad, &losses), [(0, 1), (1, 1)]);
        assert_eq!(slow(&bad, &[0.0, 5.0]), []);
        assert_eq!(slow(&bad[..1], &losses), []);
    }
}
