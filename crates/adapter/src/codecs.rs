//! Compressors and decompressors, shared by the connections of each thread.
//!
//! A connection has one only while it has a message in hand, and finds the one again that it had
//! before if there were few others meanwhile; otherwise it starts anew, with what it remembers.
//! Nothing is locked. A thread keeps at most [`MOST_KEPT`] of each kind, with the defaults some 13
//! MB in all; those that have gone unused for longest are dropped.

use std::cell::RefCell;

use duologue_core::deflate::{CodecPool, Compressor, CompressorKind, Decompressor, Lineage};

/// How many compressors, and how many decompressors, a thread keeps.
pub const MOST_KEPT: usize = 32;

/// The pool of whatever thread uses it.
#[derive(Clone, Copy, Debug)]
pub struct ThreadCodecs;

/// The pool, to be handed to an endpoint.
pub static THREAD_CODECS: ThreadCodecs = ThreadCodecs;

/// What is kept of one kind, the one unused for longest first. A codec stays in its box from one
/// connection to the next.
type Kept<T> = RefCell<Vec<Box<T>>>;

thread_local! {
    static COMPRESSORS: Kept<Compressor> = const { RefCell::new(Vec::new()) };
    static DECOMPRESSORS: Kept<Decompressor> = const { RefCell::new(Vec::new()) };
}

/// The one of this lineage, if there is one of the kind; else one that nobody goes on with, the
/// last used; else, if there is no room for one more, the one unused for longest.
fn take<T>(
    kept: &Kept<T>,
    lineage: Option<&Lineage>,
    lineage_of: impl Fn(&T) -> Option<&Lineage>,
    is_of_kind: impl Fn(&T) -> bool,
) -> Option<Box<T>> {
    let mut kept = kept.borrow_mut();
    let last = |wanted: &dyn Fn(Option<&Lineage>) -> bool| {
        kept.iter().rposition(|codec| is_of_kind(codec) && wanted(lineage_of(codec)))
    };
    let own = || lineage.and_then(|own| last(&|lineage| lineage == Some(own)));
    let free = || last(&|lineage| lineage.is_none_or(Lineage::is_orphaned));
    let oldest = || {
        let is_full = kept.len() >= MOST_KEPT;
        kept.iter().position(|codec| is_full && is_of_kind(codec))
    };
    let index = own().or_else(free).or_else(oldest)?;
    Some(kept.remove(index))
}

fn keep<T>(kept: &Kept<T>, codec: Box<T>) {
    let mut kept = kept.borrow_mut();
    if kept.len() >= MOST_KEPT {
        kept.remove(0);
    }
    kept.push(codec);
}

impl CodecPool for ThreadCodecs {
    fn take_compressor(
        &self,
        kind: CompressorKind,
        lineage: Option<&Lineage>,
    ) -> Option<Box<Compressor>> {
        let is_of_kind = |codec: &Compressor| codec.kind() == kind;
        // A thread that is ending has none.
        COMPRESSORS
            .try_with(|kept| take(kept, lineage, Compressor::lineage, is_of_kind))
            .ok()
            .flatten()
    }

    fn give_compressor(&self, compressor: Box<Compressor>) {
        let _ = COMPRESSORS.try_with(|kept| keep(kept, compressor));
    }

    fn take_decompressor(&self, lineage: Option<&Lineage>) -> Option<Box<Decompressor>> {
        DECOMPRESSORS
            .try_with(|kept| take(kept, lineage, Decompressor::lineage, |_| true))
            .ok()
            .flatten()
    }

    fn give_decompressor(&self, decompressor: Box<Decompressor>) {
        let _ = DECOMPRESSORS.try_with(|kept| keep(kept, decompressor));
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use duologue_core::handshake::NegotiatedExtensions;
    use duologue_core::{Config, Timestamp};

    use super::*;
    use crate::{Endpoint, OsKeys, Role, open_endpoint};
    use duologue_core::deflate::{CompressionLevel, DeflateConfig, DeflateParameters};

    fn endpoint(role: Role, level: u8, takes_over: bool) -> Endpoint {
        let deflate = DeflateConfig {
            threshold: 0,
            level: CompressionLevel::new(level).unwrap(),
            ..DeflateConfig::DEFAULT
        };
        let config = Config { deflate: Some(deflate), ..Config::DEFAULT };
        let mut extensions = NegotiatedExtensions::default();
        extensions.deflate = Some(DeflateParameters {
            server_no_context_takeover: !takes_over,
            client_no_context_takeover: !takes_over,
            ..DeflateParameters::default()
        });
        open_endpoint(role, &config, extensions, BytesMut::new(), Timestamp::ZERO)
    }

    /// How many compressors and decompressors this thread keeps.
    fn kept() -> (usize, usize) {
        let compressors = COMPRESSORS.with_borrow(Vec::len);
        (compressors, DECOMPRESSORS.with_borrow(Vec::len))
    }

    /// A message from one end to the other.
    fn exchange(from: &mut Endpoint, to: &mut Endpoint) {
        let text = "a text that is a text that is a text that is a text that is a text";
        from.send_text(text).unwrap();
        let mut slices = [&[][..]; duologue_core::MAX_SLICES];
        let count = from.write_slices(&mut slices);
        for slice in slices.iter().take(count) {
            to.read_room().extend_from_slice(slice);
        }
        from.wrote(from.buffered_amount());
        assert!(to.next_message(Timestamp::ZERO).unwrap().is_some());
        assert_eq!(to.message().unwrap().text(), Some(text));
        assert!(to.next_message(Timestamp::ZERO).unwrap().is_none());
    }

    #[test]
    fn a_thread_keeps_a_bounded_number_and_connections_beyond_it_go_on() {
        assert_eq!(kept(), (0, 0));
        let mut pairs: Vec<_> = (0..2 * MOST_KEPT)
            .map(|_| (endpoint(Role::Client(OsKeys), 1, true), endpoint(Role::Server, 1, true)))
            .collect();
        for _ in 0..3 {
            for (client, server) in &mut pairs {
                exchange(client, server);
                exchange(server, client);
            }
            assert_eq!(kept(), (MOST_KEPT, MOST_KEPT));
        }
    }

    #[test]
    fn connections_one_after_the_other_share_one() {
        for _ in 0..20 {
            let mut client = endpoint(Role::Client(OsKeys), 1, true);
            let mut server = endpoint(Role::Server, 1, true);
            exchange(&mut client, &mut server);
            assert_eq!(kept(), (1, 1));
        }
    }

    #[test]
    fn connections_that_take_nothing_over_share_one() {
        for _ in 0..20 {
            let mut client = endpoint(Role::Client(OsKeys), 1, false);
            let mut server = endpoint(Role::Server, 1, false);
            exchange(&mut client, &mut server);
            exchange(&mut server, &mut client);
            assert_eq!(kept(), (1, 1));
        }
    }

    #[test]
    fn compressors_of_another_kind_are_not_handed_out() {
        for level in [1, 9, 1, 9, 5] {
            let mut client = endpoint(Role::Client(OsKeys), level, false);
            exchange(&mut client, &mut endpoint(Role::Server, level, false));
        }
        assert_eq!(kept().0, 3);
        let kinds = COMPRESSORS.with_borrow(|kept| {
            kept.iter().map(|codec| codec.kind().level.get()).collect::<Vec<_>>()
        });
        assert_eq!(kinds, [1, 9, 5]);
    }
}
