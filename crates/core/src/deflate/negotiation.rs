//! What both ends agree on (RFC 7692 sections 5 and 7.1).

use core::fmt;

use crate::deflate::Direction;
use crate::deflate::config::{DeflateConfig, WindowBits};
use crate::handshake::Extension;
use crate::handshake::extensions::ParameterValue;

/// The extension's registered name.
pub(crate) const NAME: &str = "permessage-deflate";

/// The parameters agreed on (RFC 7692 section 7.1), as a response says them. A client's hold what
/// it has offered to keep to itself, even if the response does not repeat it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeflateParameters {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// How far back the server refers, if not 32 KiB.
    pub server_max_window_bits: Option<WindowBits>,
    /// How far back the client refers, if not 32 KiB.
    pub client_max_window_bits: Option<WindowBits>,
}

/// The parameters of an offer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Offer {
    parameters: DeflateParameters,
    /// `client_max_window_bits` was there, with a value or without.
    client_window_bits_offered: bool,
}

/// What may stand behind a parameter's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    Never,
    Always,
    /// Only in an offer may it be left out (RFC 7692 section 7.1.2.2).
    AlwaysInResponse,
}

const PARAMETERS: [(&str, Value); 4] = [
    ("server_no_context_takeover", Value::Never),
    ("client_no_context_takeover", Value::Never),
    ("server_max_window_bits", Value::Always),
    ("client_max_window_bits", Value::AlwaysInResponse),
];

/// Each size of window as it is written: in decimal, without a leading zero.
const WINDOW_BITS: [(&str, WindowBits); 8] = {
    let mut table = [("", WindowBits::MAX); 8];
    let texts = ["8", "9", "10", "11", "12", "13", "14", "15"];
    let mut index = 0;
    while index < 8 {
        #[expect(clippy::indexing_slicing, reason = "while compiling")]
        #[expect(clippy::cast_possible_truncation, reason = "under 8")]
        if let Some(bits) = WindowBits::new(index as u8 + 8) {
            table[index] = (texts[index], bits);
        }
        index += 1;
    }
    table
};

fn window_bits(value: &ParameterValue<'_>) -> Option<WindowBits> {
    WINDOW_BITS.iter().find(|(text, _)| value == *text).map(|(_, bits)| *bits)
}

fn text(bits: WindowBits) -> &'static str {
    WINDOW_BITS.iter().find(|(_, other)| bits == *other).map_or("", |(text, _)| text)
}

impl Offer {
    /// `None` if a parameter is unknown, stands twice, or has a value that it may not have: such an
    /// offer is declined, and such a response fails (RFC 7692 section 7.1).
    fn parse(extension: &Extension<'_>, is_response: bool) -> Option<Self> {
        let mut offer = Self::default();
        let mut seen = 0_u8;
        for parameter in extension.parameters() {
            let index = PARAMETERS.iter().position(|(name, _)| *name == parameter.name)?;
            let (_, value) = PARAMETERS.get(index)?;
            let bits = match (value, &parameter.value) {
                (Value::Never, None) => None,
                (Value::AlwaysInResponse, None) if !is_response => None,
                (Value::Always | Value::AlwaysInResponse, Some(value)) => Some(window_bits(value)?),
                _ => return None,
            };
            let bit = 1 << index;
            if seen & bit != 0 {
                return None;
            }
            seen |= bit;
            match index {
                0 => offer.parameters.server_no_context_takeover = true,
                1 => offer.parameters.client_no_context_takeover = true,
                2 => offer.parameters.server_max_window_bits = bits,
                _ => {
                    offer.parameters.client_max_window_bits = bits;
                    offer.client_window_bits_offered = true;
                }
            }
        }
        Some(offer)
    }
}

impl DeflateConfig {
    /// A server's answer to one offer; `None` to decline it.
    pub(crate) fn accept(&self, extension: &Extension<'_>) -> Option<DeflateParameters> {
        let Offer { parameters: offered, client_window_bits_offered } =
            Offer::parse(extension, false)?;
        let stricter = |own: WindowBits, offered: Option<WindowBits>| {
            // An offer with a value is accepted by a value, even if it is the largest.
            let bits = offered.map_or(own, |offered| offered.min(own));
            (offered.is_some() || bits < WindowBits::MAX).then_some(bits)
        };
        Some(DeflateParameters {
            server_no_context_takeover: offered.server_no_context_takeover
                || self.server_no_context_takeover,
            client_no_context_takeover: offered.client_no_context_takeover
                || self.client_no_context_takeover,
            server_max_window_bits: stricter(
                self.server_max_window_bits,
                offered.server_max_window_bits,
            ),
            // Without an offer the client cannot keep to it (RFC 7692 section 7.1.2.2).
            client_max_window_bits: if client_window_bits_offered {
                stricter(self.client_max_window_bits, offered.client_max_window_bits)
            } else {
                None
            },
        })
    }

    /// A client's judgement of the response to its offer; `None` if it does not fit that.
    pub(crate) fn confirm(&self, extension: &Extension<'_>) -> Option<DeflateParameters> {
        let agreed = Offer::parse(extension, true)?.parameters;
        let server_bits = agreed.server_max_window_bits.unwrap_or(WindowBits::MAX);
        let client_bits = agreed.client_max_window_bits.unwrap_or(WindowBits::MIN);
        let fits = (agreed.server_no_context_takeover || !self.server_no_context_takeover)
            && server_bits <= self.server_max_window_bits
            && client_bits <= self.client_max_window_bits;
        // What this end has told of itself holds, whatever the server says of it.
        let own = Some(self.client_max_window_bits).filter(|bits| *bits < WindowBits::MAX);
        fits.then_some(DeflateParameters {
            client_no_context_takeover: agreed.client_no_context_takeover
                || self.client_no_context_takeover,
            client_max_window_bits: agreed.client_max_window_bits.or(own),
            ..agreed
        })
    }

    /// A client's offer, in pieces. That it can keep to a smaller window is always told.
    pub(crate) fn offer(&self, put: &mut impl FnMut(&'static str)) {
        let smaller = |bits: WindowBits| Some(bits).filter(|bits| *bits < WindowBits::MAX);
        put(NAME);
        put_flag(put, 0, self.server_no_context_takeover);
        put_flag(put, 1, self.client_no_context_takeover);
        put_bits(put, 2, smaller(self.server_max_window_bits));
        match smaller(self.client_max_window_bits) {
            None => put_flag(put, 3, true),
            bits => put_bits(put, 3, bits),
        }
    }
}

impl DeflateParameters {
    /// A server's answer, in pieces.
    pub(crate) fn answer(&self, put: &mut impl FnMut(&'static str)) {
        put(NAME);
        put_flag(put, 0, self.server_no_context_takeover);
        put_flag(put, 1, self.client_no_context_takeover);
        put_bits(put, 2, self.server_max_window_bits);
        put_bits(put, 3, self.client_max_window_bits);
    }

    /// How the server compresses.
    pub(crate) fn of_server(&self) -> Direction {
        Direction {
            window_bits: self.server_max_window_bits.unwrap_or(WindowBits::MAX),
            takes_over: !self.server_no_context_takeover,
        }
    }

    /// How the client compresses.
    pub(crate) fn of_client(&self) -> Direction {
        Direction {
            window_bits: self.client_max_window_bits.unwrap_or(WindowBits::MAX),
            takes_over: !self.client_no_context_takeover,
        }
    }
}

/// As they stand in a response, such as `permessage-deflate; client_max_window_bits=12`.
impl fmt::Display for DeflateParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut result = Ok(());
        self.answer(&mut |piece| result = result.and_then(|()| f.write_str(piece)));
        result
    }
}

fn put_flag(put: &mut impl FnMut(&'static str), index: usize, is_set: bool) {
    if is_set && let Some((name, _)) = PARAMETERS.get(index) {
        put("; ");
        put(name);
    }
}

fn put_bits(put: &mut impl FnMut(&'static str), index: usize, bits: Option<WindowBits>) {
    if let Some(bits) = bits {
        put_flag(put, index, true);
        put("=");
        put(text(bits));
    }
}
