//! A client's request, as a server sees it (RFC 6455 section 4.2.1).

use core::mem::MaybeUninit;

use crate::handshake::HandshakeError;
use crate::handshake::extensions::{ExtensionConfig, ExtensionList, NegotiatedExtensions};
use crate::handshake::field::{Field, is_host, is_token, trim};
use crate::handshake::head::{Fields, HeadLimits, MOST_FIELDS};
use crate::handshake::key::{AcceptKey, is_valid_key};
use crate::handshake::origin::split_scheme;
use crate::handshake::response::{Acceptance, WriteError, write_switching_protocols};

/// A version of HTTP/1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1, and whatever is later.
    Http11,
}

/// A well-formed HTTP request: to become a WebSocket, or for the application to answer.
#[derive(Clone, Copy, Debug)]
pub struct Request<'b> {
    head: &'b [u8],
    method: &'b str,
    target: &'b str,
    version: HttpVersion,
    upgrade: Result<Upgrade<'b>, HandshakeError>,
    wants_upgrade: bool,
}

impl<'b> Request<'b> {
    /// Parses a whole head. What is wrong with any HTTP request fails here; what is only wrong with
    /// an upgrade is kept for [`Self::upgrade`].
    pub(crate) fn parse(head: &'b [u8]) -> Result<Self, HandshakeError> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Request::new(&mut []);
        match parsed.parse_with_uninit_headers(head, &mut fields) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {
                Self::judge(head, &parsed)
            }
            Err(httparse::Error::Version) if names_version(head) => {
                Err(HandshakeError::UnsupportedHttpVersion)
            }
            _ => Err(HandshakeError::Malformed),
        }
    }

    /// Parses a head that stands whole at the start of `bytes`, as most do at the first look, and
    /// of which it is plain that it keeps to `limits`: the verdict is that of
    /// [`parse`](Self::parse). `None` if it takes a closer look.
    pub(crate) fn parse_plain(
        bytes: &'b [u8],
        limits: &HeadLimits,
    ) -> Option<Result<Self, HandshakeError>> {
        let mut fields = [const { MaybeUninit::uninit() }; MOST_FIELDS];
        let mut parsed = httparse::Request::new(&mut []);
        let status = parsed.parse_with_uninit_headers(bytes, &mut fields).ok()?;
        let httparse::Status::Complete(length) = status else { return None };
        let head = bytes.get(..length)?;
        limits.plainly_allow(head, parsed.headers).then(|| Self::judge(head, &parsed))
    }

    fn judge(head: &'b [u8], parsed: &httparse::Request<'_, 'b>) -> Result<Self, HandshakeError> {
        let (Some(method), Some(target), Some(minor)) =
            (parsed.method, parsed.path, parsed.version)
        else {
            return Err(HandshakeError::Malformed);
        };
        let version = if minor == 0 { HttpVersion::Http10 } else { HttpVersion::Http11 };
        if !is_target_of(method, target) {
            return Err(HandshakeError::Malformed);
        }
        let fields = parsed.headers.iter().map(|h| Field { name: h.name, value: h.value });
        let seen = Seen::of(fields);
        seen.judge_http(version)?;
        Ok(Self {
            head,
            method,
            target,
            version,
            upgrade: seen.judge_upgrade(method, version),
            wants_upgrade: seen.upgrade,
        })
    }

    /// The head's length in bytes. What lies behind it in the caller's buffer are already frames,
    /// which are to be fed to the connection.
    #[must_use]
    pub const fn head_length(&self) -> usize {
        self.head.len()
    }

    /// The method, as sent.
    #[must_use]
    pub const fn method(&self) -> &'b str {
        self.method
    }

    /// The target, as sent: `/chat?room=1`, or a whole URL.
    #[must_use]
    pub const fn target(&self) -> &'b str {
        self.target
    }

    /// The target's path, up to its `?`.
    #[must_use]
    pub fn path(&self) -> &'b str {
        let target = split_absolute(self.target).map_or(self.target, |(_, rest)| rest);
        match target.split_once('?').map_or(target, |(path, _)| path) {
            "" => "/",
            path => path,
        }
    }

    /// The target behind its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&'b str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The HTTP version.
    #[must_use]
    pub const fn version(&self) -> HttpVersion {
        self.version
    }

    /// All fields, in order.
    #[must_use]
    pub fn fields(&self) -> Fields<'b> {
        Fields::of(self.head)
    }

    /// The value of the first field called `name`, without regard to case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'b [u8]> {
        self.fields().find(|field| field.is(name)).map(|field| field.value)
    }

    /// The host that the request is for, with its port: that of a target which is a whole URL
    /// (RFC 9112 section 3.2.2), the Host field's otherwise.
    #[must_use]
    pub fn host(&self) -> Option<&'b str> {
        match split_absolute(self.target) {
            Some((host, _)) => Some(host),
            None => self.field("host").and_then(|host| core::str::from_utf8(host).ok()),
        }
    }

    /// The Origin, which browsers send and others need not. To judge it, see
    /// [`OriginPolicy`](super::OriginPolicy).
    #[must_use]
    pub fn origin(&self) -> Option<&'b str> {
        self.field("origin").and_then(|origin| core::str::from_utf8(origin).ok())
    }

    /// The subprotocols offered, in the client's order of preference, over all lines (RFC 6455
    /// section 11.3.4).
    pub fn subprotocols(&self) -> impl Iterator<Item = &'b str> + Clone + use<'b> {
        self.fields()
            .filter(|field| field.is("sec-websocket-protocol"))
            .flat_map(|field| field.elements())
            .filter_map(|element| core::str::from_utf8(element).ok())
    }

    /// The first subprotocol offered that is among `supported`: the client's preference decides.
    #[must_use]
    pub fn choose_subprotocol(&self, supported: &[&str]) -> Option<&'b str> {
        self.subprotocols().find(|offered| supported.contains(offered))
    }

    /// Whether `Upgrade` lists `websocket`: whether the client wants a WebSocket at all.
    #[must_use]
    pub const fn wants_upgrade(&self) -> bool {
        self.wants_upgrade
    }

    /// The upgrade that is asked for.
    ///
    /// # Errors
    ///
    /// What keeps the request from becoming a WebSocket.
    pub const fn upgrade(&self) -> Result<Upgrade<'b>, HandshakeError> {
        self.upgrade
    }

    /// Chooses among the extensions offered.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::MalformedExtensions`].
    pub fn negotiate(
        &self,
        config: ExtensionConfig,
    ) -> Result<NegotiatedExtensions, HandshakeError> {
        config.negotiate(self.fields())
    }
}

/// A valid request to upgrade to a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade<'b> {
    key: &'b [u8],
}

impl<'b> Upgrade<'b> {
    /// The upgrade that an already parsed request asks for: the entry for a server that reads HTTP
    /// by other means. `version` is that of the request line.
    ///
    /// # Errors
    ///
    /// What keeps the request from becoming a WebSocket; its
    /// [`status`](HandshakeError::status) is the one to answer with.
    pub fn of_parsed(
        method: &str,
        version: HttpVersion,
        fields: impl Iterator<Item = Field<'b>>,
    ) -> Result<Self, HandshakeError> {
        let seen = Seen::of(fields);
        seen.judge_http(version)?;
        seen.judge_upgrade(method, version)
    }

    /// The value of `Sec-WebSocket-Accept` that answers it.
    #[must_use]
    pub fn accept_key(&self) -> AcceptKey {
        AcceptKey::for_key(self.key)
    }

    /// Writes the 101 into `out`; returns its length. That the subprotocol was offered is for the
    /// caller to see to, as with [`Request::choose_subprotocol`]; it must be a token.
    ///
    /// # Errors
    ///
    /// [`WriteError`]. With an empty `out` one learns the length needed.
    pub fn accept(
        &self,
        acceptance: &Acceptance<'_>,
        extensions: NegotiatedExtensions,
        out: &mut [u8],
    ) -> Result<usize, WriteError> {
        if acceptance.subprotocol.is_some_and(|name| !is_token(name.as_bytes())) {
            return Err(WriteError::SubprotocolNotOffered);
        }
        write_switching_protocols(&self.accept_key(), acceptance, extensions, out)
    }
}

/// Whether the first line ends as that of an HTTP request does, in a version of whatever number.
fn names_version(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut parts = line.split(|byte| *byte == b' ').skip(2);
    parts.next().is_some_and(|version| version.starts_with(b"HTTP/")) && parts.next().is_none()
}

/// Whether `method` can have `target` (RFC 9112 section 3.2): a path; a whole URL, which RFC 6455
/// section 4.2.1 allows too; `*` with OPTIONS, and what is neither with CONNECT.
fn is_target_of(method: &str, target: &str) -> bool {
    match split_absolute(target) {
        Some((host, _)) => is_host(host.as_bytes()),
        None => {
            target.starts_with('/') || (method == "OPTIONS" && target == "*") || method == "CONNECT"
        }
    }
}

/// The host of a target that is a whole URL, and what stands behind it: a path and a query.
fn split_absolute(target: &str) -> Option<(&str, &str)> {
    if target.starts_with('/') {
        return None;
    }
    let (scheme, rest) = split_scheme(target)?;
    let is_known = |known: &&str| scheme.eq_ignore_ascii_case(known);
    if !["http", "https", "ws", "wss"].iter().any(is_known) {
        return None;
    }
    rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))
}

/// What the fields of a request say, gathered in one pass.
#[derive(Default)]
struct Seen<'b> {
    hosts: usize,
    malformed_host: bool,
    body: bool,
    upgrade: bool,
    connection: bool,
    key: Option<&'b [u8]>,
    keys: usize,
    version: Option<&'b [u8]>,
    versions: usize,
    malformed_subprotocol: bool,
    malformed_extensions: bool,
}

impl<'b> Seen<'b> {
    fn of(fields: impl Iterator<Item = Field<'b>>) -> Self {
        let mut seen = Self::default();
        for field in fields {
            seen.see(field);
        }
        seen
    }

    fn see(&mut self, field: Field<'b>) {
        // Fields that were parsed by other means may still have white space around them.
        let value = || trim(field.value);
        // The lengths of the names tell most fields apart from those that matter here.
        match field.name.len() {
            4 if field.is("Host") => {
                self.hosts = self.hosts.saturating_add(1);
                self.malformed_host |= !is_host(value());
            }
            7 if field.is("Upgrade") => self.upgrade |= field.lists("websocket"),
            10 if field.is("Connection") => self.connection |= field.lists("Upgrade"),
            14 if field.is("Content-Length") => self.body |= value() != b"0",
            17 if field.is("Transfer-Encoding") => self.body = true,
            17 if field.is("Sec-WebSocket-Key") => {
                self.key = Some(value());
                self.keys = self.keys.saturating_add(1);
            }
            21 if field.is("Sec-WebSocket-Version") => {
                self.version = Some(value());
                self.versions = self.versions.saturating_add(1);
            }
            22 if field.is("Sec-WebSocket-Protocol") => {
                self.malformed_subprotocol |= !field.elements().all(is_token);
            }
            24 if field.is("Sec-WebSocket-Extensions") => {
                self.malformed_extensions |= ExtensionList::parse(value()).is_err();
            }
            _ => {}
        }
    }

    /// What any HTTP request must keep to: one valid Host (RFC 9112 section 3.2), and here no body,
    /// so that nothing behind the head can be taken for another request.
    fn judge_http(&self, version: HttpVersion) -> Result<(), HandshakeError> {
        let missing = self.hosts == 0 && version >= HttpVersion::Http11;
        if missing || self.hosts > 1 || self.malformed_host {
            return Err(HandshakeError::HostNotSingle);
        }
        if self.body { Err(HandshakeError::RequestHasBody) } else { Ok(()) }
    }

    /// RFC 6455 section 4.2.1.
    fn judge_upgrade(
        &self,
        method: &str,
        version: HttpVersion,
    ) -> Result<Upgrade<'b>, HandshakeError> {
        if version < HttpVersion::Http11 {
            return Err(HandshakeError::UnsupportedHttpVersion);
        }
        if method != "GET" {
            return Err(HandshakeError::MethodNotGet);
        }
        if !self.upgrade {
            return Err(HandshakeError::NotAnUpgrade);
        }
        if !self.connection {
            return Err(HandshakeError::ConnectionNotUpgrade);
        }
        match self.version {
            Some(b"13") if self.versions == 1 => {}
            Some(version)
                if self.versions == 1
                    && matches!(version.len(), 1..=3)
                    && version.iter().all(u8::is_ascii_digit) =>
            {
                return Err(HandshakeError::UnsupportedVersion);
            }
            _ => return Err(HandshakeError::MalformedVersion),
        }
        let key = self
            .key
            .filter(|key| self.keys == 1 && is_valid_key(key))
            .ok_or(HandshakeError::InvalidKey)?;
        if self.malformed_subprotocol {
            return Err(HandshakeError::MalformedSubprotocol);
        }
        if self.malformed_extensions {
            return Err(HandshakeError::MalformedExtensions);
        }
        Ok(Upgrade { key })
    }
}
