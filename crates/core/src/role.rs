//! The two ends of a connection, as types.

/// Where a client's masking keys come from: one fresh, unpredictable key for each frame
/// (RFC 6455 sections 5.3 and 10.3).
///
/// On a machine with an operating system, draw them from its random number generator; on a
/// microcontroller, from its hardware one. A closure `FnMut() -> [u8; 4]` will do.
pub trait MaskingKeySource {
    /// The next key.
    fn next_masking_key(&mut self) -> [u8; 4];
}

impl<F: FnMut() -> [u8; 4]> MaskingKeySource for F {
    #[inline]
    fn next_masking_key(&mut self) -> [u8; 4] {
        self()
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Server {}
    impl<K> Sealed for super::Client<K> {}
    impl<K> Sealed for super::EitherRole<K> {}
}

/// Which end of the connection this is: [`Server`], [`Client`], or [`EitherRole`] where that is
/// known only at run time.
pub trait Role: sealed::Sealed {
    /// Whether this end is the client.
    fn is_client(&self) -> bool;

    /// The masking key of the next frame to be sent: `Some` exactly for a client.
    fn masking_key(&mut self) -> Option<[u8; 4]>;
}

/// The server's end: sends unmasked frames and receives masked ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Server;

impl Role for Server {
    #[inline]
    fn is_client(&self) -> bool {
        false
    }

    #[inline]
    fn masking_key(&mut self) -> Option<[u8; 4]> {
        None
    }
}

/// The client's end: sends masked frames and receives unmasked ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Client<K>(pub K);

impl<K: MaskingKeySource> Role for Client<K> {
    #[inline]
    fn is_client(&self) -> bool {
        true
    }

    #[inline]
    fn masking_key(&mut self) -> Option<[u8; 4]> {
        Some(self.0.next_masking_key())
    }
}

/// Either end, decided at run time: for an adapter whose one type serves both.
#[derive(Clone, Copy, Debug)]
pub enum EitherRole<K> {
    /// The server's end.
    Server,
    /// The client's end, with the source of its masking keys.
    Client(K),
}

impl<K: MaskingKeySource> Role for EitherRole<K> {
    #[inline]
    fn is_client(&self) -> bool {
        matches!(self, Self::Client(_))
    }

    #[inline]
    fn masking_key(&mut self) -> Option<[u8; 4]> {
        match self {
            Self::Server => None,
            Self::Client(keys) => Some(keys.next_masking_key()),
        }
    }
}
