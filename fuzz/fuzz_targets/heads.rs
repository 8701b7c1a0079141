//! Heads of requests and responses, whole and cut: the same verdict.
#![no_main]

use duologue_core::handshake::{
    ClientHandshake, ClientRequest, HandshakeError, HeadLimits, OriginPolicy, ServerHandshake,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { max_bytes: 1024, max_fields: 8, max_line: 256 };

/// What is there of a request after `ends` bytes in turn.
fn request(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Result<Option<usize>, HandshakeError> {
    let mut handshake = ServerHandshake::new(LIMITS);
    for end in ends {
        if let Some(request) = handshake.receive(&bytes[..end])? {
            let _ = request.upgrade().map(|upgrade| upgrade.accept_key());
            let _ = request.choose_subprotocol(&["chat"]);
            let _ = OriginPolicy::SameOrigin { secure: false }.judge(&request);
            let _ = request.negotiate(Default::default());
            assert!(request.fields().count() <= LIMITS.max_fields);
            return Ok(Some(request.head_length()));
        }
    }
    Ok(None)
}

/// The same of a response.
fn response(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Result<Option<usize>, HandshakeError> {
    let mut handshake = ClientHandshake::new([7; 16], LIMITS);
    for end in ends {
        if let Some(response) = handshake.receive(&bytes[..end])? {
            let _ = response.verify(&handshake, &ClientRequest::new("a", "/"));
            return Ok(Some(response.head_length()));
        }
    }
    Ok(None)
}

fuzz_target!(|input: &[u8]| {
    // The first two bytes say where to cut.
    let Some((cut, bytes)) = input.split_first_chunk() else {
        return;
    };
    let cut = usize::from(u16::from_be_bytes(*cut)).min(bytes.len());
    let whole = || core::iter::once(bytes.len());
    let twice = || [cut, bytes.len()].into_iter();
    let single = || 0..=bytes.len();
    assert_eq!(request(bytes, whole()), request(bytes, twice()));
    assert_eq!(request(bytes, whole()), request(bytes, single()));
    assert_eq!(response(bytes, whole()), response(bytes, twice()));
    assert_eq!(response(bytes, whole()), response(bytes, single()));
});
