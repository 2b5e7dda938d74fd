use proptest::prelude::*;

use super::*;

/// Printing and parsing again gives the same description and the same text, if there is a section
/// in use to hold what concerns the transport.
fn check_round_trip(text: &str) -> std::result::Result<(), TestCaseError> {
    let Ok(parsed) = Description::parse(text, DescriptionKind::Offer) else { return Ok(()) };
    let printed = parsed.to_sdp();
    let again = Description::parse(&printed, DescriptionKind::Offer);
    let again = again.map_err(|error| TestCaseError::fail(format!("{error}: {printed}")))?;
    if parsed.bundle_section().is_some() {
        prop_assert_eq!(&again, &parsed, "{}", printed);
        prop_assert_eq!(again.to_sdp(), printed);
    }
    Ok(())
}

/// Another implementation reads what we print.
fn check_others_read(text: &str) -> std::result::Result<(), TestCaseError> {
    let session = sdp_types::Session::parse(text.as_bytes());
    let session = session.map_err(|error| TestCaseError::fail(format!("{error}: {text}")))?;
    let m_lines = text.lines().filter(|line| line.starts_with("m=")).count();
    prop_assert_eq!(session.medias.len(), m_lines);
    let mut rewritten = Vec::new();
    session.write(&mut rewritten).unwrap();
    prop_assert_eq!(String::from_utf8(rewritten).unwrap(), text);
    Ok(())
}

/// Lines like those that occur, whole and damaged.
fn line() -> impl Strategy<Value = String> {
    let pool: Vec<String> =
        samples().iter().flat_map(|(_, text)| text.lines().map(str::to_owned)).collect();
    let known = proptest::sample::select(pool);
    prop_oneof![
        8 => known.clone(),
        2 => (known, any::<proptest::sample::Index>(), any::<char>()).prop_map(
            |(line, index, with)| {
                let mut chars: Vec<char> = line.chars().collect();
                let place = index.index(chars.len());
                chars[place] = with;
                chars.into_iter().collect()
            }
        ),
        1 => "[amob]=[a-z-]{0,12}:?[ -~]{0,30}",
        1 => ".{0,40}",
    ]
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(lines in proptest::collection::vec(line(), 0..40)) {
        check_round_trip(&lines.join("\n"))?;
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,200}") {
        check_round_trip(&text)?;
        let _ = Media::parse(&text);
    }

    #[test]
    fn answers_to_anything_can_be_read(lines in proptest::collection::vec(line(), 0..40)) {
        let offer = lines.join("\n");
        if Description::parse(&offer, DescriptionKind::Offer).is_ok() {
            let side = Side { has_data_channel: true, ..Side::answering(&offer) };
            let remote = side.remote.clone().unwrap();
            let tracks = remote.media().map(Media::reciprocate).collect();
            let side = Side { tracks, ..side };
            let answer = side.compose();
            check_round_trip(&answer.to_sdp())?;
            // A section without formats, which we let pass, does not follow the grammar.
            let lacks_formats = |media: &Media| {
                media.payloads.is_empty() && media.other_formats.is_empty()
            };
            if !answer.media().any(lacks_formats) {
                check_others_read(&answer.to_sdp())?;
            }
            prop_assert_eq!(answer.sections.len(), remote.sections.len());
            for (own, theirs) in answer.sections.iter().zip(&remote.sections) {
                prop_assert_eq!(own.mid(), theirs.mid());
                prop_assert_eq!(own.kind(), theirs.kind());
            }
        }
    }
}

#[test]
fn samples_survive_printing_and_are_read_by_others() {
    for (name, text) in samples() {
        check_round_trip(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        check_others_read(&parse_offer(&text).to_sdp())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
