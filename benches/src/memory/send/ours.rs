//! Ours.

use core::hint::black_box;
use std::io::{IoSlice, Write};

use bytes::Bytes;
use duologue_adapter::OsKeys;
use duologue_core::handshake::NegotiatedExtensions;
use duologue_core::{
    Client, Config, Endpoint, MAX_SLICES, Message, Prepared, Role, Server, Timestamp, TransportStep,
};

use crate::memory::transport::Endless;
use crate::timing::Contender;

const NOW: Timestamp = Timestamp::ZERO;

pub(crate) fn endpoint<R: Role>(role: R) -> Endpoint<R> {
    let mut endpoint = Endpoint::new(role, &Config::DEFAULT, NOW);
    endpoint.open(NegotiatedExtensions::default(), Default::default(), NOW);
    endpoint
}

/// Writes all that is queued, as an adapter does.
pub(crate) fn drain<R: Role>(endpoint: &mut Endpoint<R>, transport: &mut Endless) {
    while endpoint.transport_step() == TransportStep::Write {
        let mut slices = [&[][..]; MAX_SLICES];
        let count = endpoint.write_slices(&mut slices);
        let written = transport.write_vectored(&slices.map(IoSlice::new)[..count]).unwrap();
        endpoint.wrote(written);
    }
}

/// Sends message after message; `has_room` says when to write.
fn sending<'a, R: Role + 'a>(
    name: &str,
    mut endpoint: Endpoint<R>,
    mut send: impl FnMut(&mut Endpoint<R>) + 'a,
) -> Contender<'a> {
    let mut transport = Endless::sink();
    Contender::new(name, 1.0, move |messages| {
        for _ in 0..messages {
            if !endpoint.has_room() {
                drain(&mut endpoint, &mut transport);
            }
            send(&mut endpoint);
        }
        drain(&mut endpoint, &mut transport);
    })
}

pub(super) fn server(payload: &Bytes) -> Contender<'_> {
    sending("ours", endpoint(Server), move |endpoint| {
        endpoint.send_binary(black_box(payload)).unwrap();
    })
}

pub(super) fn server_shared(payload: &Bytes) -> Contender<'_> {
    sending("ours, shared", endpoint(Server), move |endpoint| {
        endpoint.send(Message::Binary(black_box(payload).clone())).unwrap();
    })
}

pub(super) fn server_prepared(payload: &Bytes) -> Contender<'_> {
    let prepared = Prepared::new(&Message::Binary(payload.clone()));
    sending("ours, prepared", endpoint(Server), move |endpoint| {
        endpoint.send_prepared(black_box(&prepared)).unwrap();
    })
}

/// The payload is made anew for each message, and that counts: it is the endpoint's afterwards.
pub(super) fn client_in_place(payload: &Bytes) -> Contender<'_> {
    sending("ours, in place", endpoint(Client(OsKeys)), move |endpoint| {
        endpoint.send(Message::Binary(made_anew(payload))).unwrap();
    })
}

/// A payload that nobody else holds.
pub(super) fn made_anew(payload: &Bytes) -> Bytes {
    black_box(payload).to_vec().into()
}

pub(super) fn client(payload: &Bytes) -> Contender<'_> {
    sending("ours", endpoint(Client(OsKeys)), move |endpoint| {
        endpoint.send_binary(black_box(payload)).unwrap();
    })
}
