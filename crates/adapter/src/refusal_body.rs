//! The body of a response that refuses a client.

use std::time::Duration;

use bytes::BytesMut;
use duologue_core::opening::OpeningFailure;

use crate::error::Error;

/// The room that is made for each read.
const ROOM: usize = 2048;

/// Reads on after a failed handshake, so that the error shows the start of the response's body
/// even where that came after the head: up to 4 KiB, as its fields announce it.
///
/// Until [`poll`](Self::poll) says that it is whole, an adapter appends to
/// [`read_room`](Self::read_room). The end of the transport, an error of it, the opening timeout or
/// the end of its [`PATIENCE`](Self::PATIENCE) only ends the body: the connection fails with
/// [`into_error`](Self::into_error) in each case.
#[derive(Debug)]
pub struct RefusalBody {
    failure: OpeningFailure,
    received: BytesMut,
}

impl RefusalBody {
    /// How long the body is waited for after the head, at most: it may come without a length, on a
    /// transport that stays open.
    pub const PATIENCE: Duration = Duration::from_secs(1);

    /// The body of the response that `failure` holds, if it does hold one.
    #[must_use]
    pub fn new(failure: OpeningFailure) -> Self {
        Self { failure, received: BytesMut::new() }
    }

    /// The buffer to read into: append to it, and do nothing else with it.
    pub fn read_room(&mut self) -> &mut BytesMut {
        self.received.reserve(ROOM);
        &mut self.received
    }

    /// Takes in what was read. Whether no more is to be read: the body is whole, or as long as it
    /// is kept.
    pub fn poll(&mut self) -> bool {
        let Some(response) = &mut self.failure.response else {
            return true;
        };
        let fresh = self.received.get(..response.missing_body()).unwrap_or(&self.received);
        response.extend_body(fresh);
        self.received.clear();
        response.missing_body() == 0
    }

    /// The error, with as much of the body as came.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.failure.into()
    }
}

#[cfg(test)]
mod tests {
    use duologue_core::handshake::HandshakeError;
    use duologue_core::opening::ResponseHead;

    use super::*;

    fn refusal(field: (&str, &str), body: &'static [u8]) -> RefusalBody {
        let fields = vec![(field.0.to_owned(), field.1.as_bytes().to_vec())];
        let response = ResponseHead { status: 404, fields, body: body.into() };
        RefusalBody::new(OpeningFailure {
            error: HandshakeError::UnexpectedStatus(404),
            response: Some(Box::new(response)),
        })
    }

    fn body_of(refusal: RefusalBody) -> Vec<u8> {
        let Error::Opening(failure) = refusal.into_error() else { panic!("another error") };
        failure.response.unwrap().body.to_vec()
    }

    #[test]
    fn a_body_is_read_up_to_its_length() {
        let mut refusal = refusal(("Content-Length", "7"), b"no");
        assert!(!refusal.poll());
        refusal.read_room().extend_from_slice(b" ro");
        assert!(!refusal.poll());
        refusal.read_room().extend_from_slice(b"om, and the next response");
        assert!(refusal.poll());
        assert_eq!(body_of(refusal), b"no room");
    }

    #[test]
    fn a_body_in_chunks_is_read_up_to_the_last_one() {
        let mut refusal = refusal(("Transfer-Encoding", "gzip, Chunked"), b"4\r\ngone\r\n0\r");
        assert!(!refusal.poll());
        refusal.read_room().extend_from_slice(b"\n\r\n");
        assert!(refusal.poll());
        assert_eq!(body_of(refusal), b"4\r\ngone\r\n0\r\n\r\n");
    }

    #[test]
    fn a_body_without_a_length_is_read_up_to_4_kib() {
        let mut refusal = refusal(("Server", "x"), b"");
        for _ in 0..4 {
            assert!(!refusal.poll());
            refusal.read_room().extend_from_slice(&[b'a'; 1500]);
            if refusal.poll() {
                break;
            }
        }
        assert!(refusal.poll());
        assert_eq!(body_of(refusal).len(), 4096);
    }

    #[test]
    fn where_no_body_comes_nothing_is_read() {
        let mut refusal = refusal(("Content-Length", "0"), b"");
        assert!(refusal.poll());
        let mut refusal = RefusalBody::new(HandshakeError::EndedEarly.into());
        assert!(refusal.poll());
        assert!(matches!(refusal.into_error(), Error::Opening(_)));
    }
}
