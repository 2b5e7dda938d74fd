//! Whether raw media is the test pattern: a green texture on which a brighter bar moves on by eight
//! columns from one picture to the next, and a tone of 440 Hz.

const WIDTH: usize = 320;
const HEIGHT: usize = 240;
const PICTURE: usize = WIDTH * HEIGHT * 3 / 2;

/// How wide the bar is, and how far it moves from picture to picture, in columns.
const BAR: usize = 40;
const STEP: usize = 8;

/// Samples a second.
const RATE: usize = 48_000;

/// What a number of pictures shows.
#[derive(Debug)]
pub(super) struct Pictures {
    pub(super) count: usize,
    /// The mean colour of the last one, each from 0 to 255.
    pub(super) colour: [f64; 3],
    /// How many show the bar one step on from where the one before shows it.
    pub(super) in_order: usize,
}

/// What is to be heard.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) seconds: f64,
    /// The frequency, in Hz.
    pub(super) tone: f64,
}

/// Looks at pictures, one after another, I420.
pub(super) fn look(raw: &[u8]) -> Pictures {
    let pictures: Vec<&[u8]> = raw.chunks_exact(PICTURE).collect();
    let bars: Vec<usize> = pictures.iter().map(|picture| bar(picture)).collect();
    let follows = |pair: &&[usize]| {
        let moved = (pair[1] + WIDTH - pair[0]) % WIDTH;
        moved.abs_diff(STEP) <= 2
    };
    Pictures {
        count: pictures.len(),
        colour: pictures.last().map_or([0.0; 3], |picture| colour(picture)),
        in_order: bars.windows(2).filter(follows).count(),
    }
}

/// The column where the bar begins: where as many columns as it is wide are brightest.
fn bar(picture: &[u8]) -> usize {
    let mut columns = [0; WIDTH];
    for row in picture[..WIDTH * HEIGHT].chunks_exact(WIDTH) {
        for (sum, luma) in columns.iter_mut().zip(row) {
            *sum += u32::from(*luma);
        }
    }
    let brightness = |at: &usize| (0..BAR).map(|n| columns[(at + n) % WIDTH]).sum::<u32>();
    (0..WIDTH).max_by_key(brightness).unwrap_or(0)
}

/// The mean colour: red, green and blue of BT.601.
fn colour(picture: &[u8]) -> [f64; 3] {
    let (luma, chroma) = picture.split_at(WIDTH * HEIGHT);
    let (u, v) = chroma.split_at(WIDTH * HEIGHT / 4);
    let mean = |plane: &[u8]| plane.iter().map(|v| f64::from(*v)).sum::<f64>() / plane.len() as f64;
    let (y, u, v) = (mean(luma), mean(u) - 128.0, mean(v) - 128.0);
    [y + 1.402 * v, y - 0.344 * u - 0.714 * v, y + 1.772 * u]
}

/// Whether a colour is that of the pattern: green, and nothing near black.
pub(super) fn is_green([red, green, blue]: [f64; 3]) -> bool {
    green > 100.0 && green > red + 30.0 && green > blue + 30.0
}

/// Whether a frequency is that of the tone.
pub(super) fn is_tone(tone: f64) -> bool {
    (425.0..455.0).contains(&tone)
}

/// Listens to samples of 16 bits, little-endian.
pub(super) fn listen(raw: &[u8]) -> Sound {
    let samples: Vec<i16> =
        raw.chunks_exact(2).map(|bytes| i16::from_le_bytes([bytes[0], bytes[1]])).collect();
    // Decoders begin softly.
    let heard = samples.get(RATE / 5..).unwrap_or_default();
    // Noise near zero is no tone: what counts is to come from well below to well above.
    let (mut low, mut rises, mut first, mut last) = (false, 0, 0, 0);
    for (at, sample) in heard.iter().enumerate() {
        match sample {
            ..-2000 => low = true,
            2000.. if low => {
                low = false;
                first = if rises == 0 { at } else { first };
                (rises, last) = (rises + 1, at);
            }
            _ => {}
        }
    }
    let periods = f64::from(rises) - 1.0;
    let tone = if last > first { periods * RATE as f64 / (last - first) as f64 } else { 0.0 };
    Sound { seconds: samples.len() as f64 / RATE as f64, tone }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_is_known_again() {
        let picture = |number: usize| {
            let luma = (0..WIDTH * HEIGHT).map(move |at| {
                if (at % WIDTH + WIDTH - number * STEP % WIDTH) % WIDTH < BAR { 200 } else { 120 }
            });
            luma.chain([100; WIDTH * HEIGHT / 4]).chain([80; WIDTH * HEIGHT / 4])
        };
        let raw: Vec<u8> = (0..50).flat_map(picture).collect();
        let seen = look(&raw);
        assert_eq!((seen.count, seen.in_order), (50, 49));
        assert!(is_green(seen.colour), "{seen:?}");
        let black = look(&[vec![16; WIDTH * HEIGHT], vec![128; WIDTH * HEIGHT / 2]].concat());
        assert!(!is_green(black.colour), "{black:?}");
        let twice = look(&raw.repeat(2));
        assert_eq!((twice.count, twice.in_order), (100, 98), "one does not follow");
    }

    #[test]
    fn the_tone_is_known_again() {
        let sound = |hertz: f64| -> Vec<u8> {
            let value = |at: usize| {
                (at as f64 * hertz * std::f64::consts::TAU / RATE as f64).sin() * 9000.0
            };
            (0..RATE).flat_map(|at| (value(at) as i16).to_le_bytes()).collect()
        };
        let heard = listen(&sound(440.0));
        assert!(is_tone(heard.tone) && heard.seconds == 1.0, "{heard:?}");
        assert!(!is_tone(listen(&sound(500.0)).tone));
        assert!(!is_tone(listen(&vec![0; 2 * RATE]).tone), "silence");
    }
}
