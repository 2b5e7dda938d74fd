//! A remote description: parsed, printed and parsed again, and answered.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::backend::IceParameters;
use rtc_core::sdp::compose::Ingredients;
use rtc_core::sdp::{
    Description, DescriptionKind, Fingerprint, HashAlgorithm, MAX_TEXT, Media, Setup, compose,
};

fuzz_target!(|text: &str| {
    let Ok(offer) = Description::parse(text, DescriptionKind::Offer) else { return };
    check_round_trip(&offer);
    if offer.validate_remote().is_ok() {
        answer(&offer, DescriptionKind::Answer);
        answer(&offer, DescriptionKind::Offer);
    }
});

/// Printing and parsing again changes nothing, if a section in use holds what concerns the
/// transport. The longest texts become too long when they are printed.
fn check_round_trip(description: &Description) {
    let printed = description.to_sdp();
    if printed.len() > MAX_TEXT {
        return;
    }
    let again = Description::parse(&printed, description.kind).expect("our own text is parsed");
    if description.bundle_section().is_some() {
        assert_eq!(&again, description);
        assert_eq!(again.to_sdp(), printed);
    }
}

/// Both what answers a description and the offer that follows it keep its sections.
fn answer(remote: &Description, kind: DescriptionKind) {
    let tracks: Vec<Media> = remote.media().map(Media::reciprocate).collect();
    let ice = IceParameters { ufrag: "abcd".into(), pwd: "p".repeat(22), ..Default::default() };
    let fingerprint = Fingerprint { algorithm: HashAlgorithm::Sha256, value: vec![7; 32] };
    let own = compose(&Ingredients {
        kind,
        remote: Some(remote),
        previous: None,
        tracks: &tracks.iter().collect::<Vec<_>>(),
        has_data_channel: true,
        ice: &ice,
        fingerprint: &fingerprint,
        setup: Setup::Active,
        max_message_size: 262_144,
        sctp_init: Some("AQAA"),
        session_id: 1,
        candidates: &remote.candidates,
        end_of_candidates: true,
    });
    check_round_trip(&own);
    assert!(own.sections.len() >= remote.sections.len());
    for (own, theirs) in own.sections.iter().zip(&remote.sections) {
        assert_eq!((own.kind(), own.mid()), (theirs.kind(), theirs.mid()));
        assert!(kind == DescriptionKind::Offer || !theirs.is_removed() || own.is_removed());
    }
}
