//! A WebSocket server's side of the upgrade: a request, whole and in pieces.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rtc_core::websocket::upgrade::{Head, HeadReader, MAX_HEAD, answer, answer_too_long};

fuzz_target!(|bytes: &[u8]| {
    let whole = HeadReader::default().push(bytes);
    let mut reader = HeadReader::default();
    let mut pieces = bytes.chunks(7);
    let piecewise = pieces.by_ref().map(|piece| reader.push(piece)).find(|h| *h != Head::Partial);
    let answer = match whole {
        Head::Partial => return assert_eq!(piecewise, None),
        Head::TooLong => return drop(answer_too_long()),
        Head::Whole(head, rest) => {
            assert!(head.len() <= MAX_HEAD && head.len() + rest.len() == bytes.len());
            let Some(Head::Whole(same, mut after)) = piecewise else { panic!("{piecewise:?}") };
            after.extend(pieces.flatten());
            assert_eq!((&same, &after), (&head, &rest));
            answer(&head)
        }
    };
    let status = match &answer.outcome {
        Ok(accepted) => {
            assert!(!accepted.path.contains(['\r', '\n', ' ']));
            "HTTP/1.1 101 "
        }
        Err(_) => "HTTP/1.1 4",
    };
    let response = String::from_utf8(answer.response).expect("our response is text");
    assert!(response.starts_with(status), "{response}");
    // Nothing of the request may add headers to the response.
    let (head, _body) = response.split_once("\r\n\r\n").expect("our response has an end");
    assert!(head.lines().count() <= 9 && !head.replace("\r\n", "").contains(['\r', '\n']));
});
