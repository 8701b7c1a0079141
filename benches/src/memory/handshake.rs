//! The opening handshake, both sides.

use core::hint::black_box;

use duologue_core::handshake::{
    Acceptance, ClientHandshake, ClientRequest, HeadLimits, NegotiatedExtensions, ServerHandshake,
};
use wtx::misc::UriRef;
use wtx::rng::Xorshift64;
use wtx::web_socket::{WebSocketAcceptor, WebSocketBuffer, WebSocketConnector};

use crate::memory::transport::{Endless, WtxEndless, runtime};
use crate::results::{Figure, Table, names};
use crate::scale::Scale;
use crate::timing::{Contender, measure};

/// What a browser sends: 612 bytes.
pub const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: localhost:9001\r\nConnection: Upgrade\r\n\
    Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) \
    AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\n\
    Origin: http://localhost:9001\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, \
    br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\nCookie: \
    session=5b0c8a1e7d94f36210ab5cde8f7719c4d03; theme=dark; \
    consent=analytics.false+marketing.false+essential.true\r\nSec-WebSocket-Key: \
    dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate; \
    client_max_window_bits\r\n\r\n";

/// The nonce of RFC 6455 section 1.3, whose key is in [`REQUEST`].
const NONCE: [u8; 16] = *b"the sample nonce";
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const AUTHORITY: &str = "localhost:9001";

/// The answer to `key`.
fn response(key: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        sockudo_ws::handshake::generate_accept_key(key)
    )
}

fn ours_as_server() {
    let mut out = [0; 256];
    let mut handshake = ServerHandshake::new(HeadLimits::DEFAULT);
    let request = handshake.receive(black_box(REQUEST)).unwrap().unwrap();
    let extensions = NegotiatedExtensions::default();
    let length =
        ServerHandshake::accept(&request, &Acceptance::default(), extensions, &mut out).unwrap();
    black_box(&out[..length]);
}

fn embedded_websocket_as_server() {
    use embedded_websocket::{WebSocketServer, read_http_header};
    let mut out = [0; 256];
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    assert!(request.parse(black_box(REQUEST)).unwrap().is_complete());
    let fields = request.headers.iter().map(|field| (field.name, field.value));
    let context = read_http_header(fields).unwrap().unwrap();
    let mut websocket = WebSocketServer::new_server();
    let length = websocket.server_accept(&context.sec_websocket_key, None, &mut out).unwrap();
    black_box(&out[..length]);
}

fn sockudo_as_server() {
    use sockudo_ws::handshake::{build_response, generate_accept_key, parse_request};
    let (request, _) = parse_request(black_box(REQUEST)).unwrap().unwrap();
    black_box(build_response(&generate_accept_key(request.key), None, None));
}

fn tungstenite_as_server(source: &Endless) {
    let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(4096);
    black_box(tungstenite::accept_with_config(source.clone(), Some(config)).unwrap());
}

fn servers() -> Vec<Contender<'static>> {
    let source = Endless::new(REQUEST);
    let (of_soketto, of_wtx, of_tokio) = (source.clone(), source.clone(), source.clone());
    let (for_soketto, for_wtx, for_tokio) = (runtime(), runtime(), runtime());
    let mut buffer = WebSocketBuffer::new();
    vec![
        Contender::of_steps("ours", ours_as_server),
        Contender::of_steps("tungstenite", move || tungstenite_as_server(&source)),
        Contender::new("tokio-websockets", 1.0, move |times| {
            for_tokio.block_on(async {
                let builder = tokio_websockets::ServerBuilder::new();
                for _ in 0..times {
                    black_box(builder.accept(of_tokio.clone()).await.unwrap());
                }
            });
        }),
        Contender::new("soketto", 1.0, move |times| {
            use soketto::handshake::Server;
            use soketto::handshake::server::Response;
            for_soketto.block_on(async {
                for _ in 0..times {
                    let mut server = Server::new(of_soketto.clone());
                    let key = server.receive_request().await.unwrap().key();
                    let response = Response::Accept { key, protocol: None };
                    server.send_response(&response).await.unwrap();
                    black_box(server.into_inner());
                }
            });
        }),
        Contender::of_steps("sockudo-ws", sockudo_as_server),
        Contender::new("wtx", 1.0, move |times| {
            for_wtx.block_on(async {
                for _ in 0..times {
                    let acceptor = WebSocketAcceptor::default().wsb(&mut buffer);
                    let source = WtxEndless(of_wtx.clone());
                    black_box(acceptor.accept(source).await.unwrap());
                }
            });
        }),
        Contender::of_steps("embedded-websocket", embedded_websocket_as_server),
    ]
}

fn ours_as_client(response: &[u8]) {
    let mut out = [0; 256];
    let mut handshake = ClientHandshake::new(black_box(NONCE), HeadLimits::DEFAULT);
    let request = ClientRequest::new(AUTHORITY, "/chat");
    let length = handshake.write_request(&request, &mut out).unwrap();
    black_box(&out[..length]);
    let response = handshake.receive(black_box(response)).unwrap().unwrap();
    black_box(response.verify(&handshake, &request).unwrap());
}

fn tungstenite_as_client(source: &Endless) {
    let request = tungstenite::http::Request::builder()
        .uri("ws://localhost:9001/chat")
        .header("Host", AUTHORITY)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
        .body(())
        .unwrap();
    let config = tungstenite::protocol::WebSocketConfig::default().read_buffer_size(4096);
    let connected =
        tungstenite::client::client_with_config(request, source.clone(), Some(config)).unwrap();
    black_box(connected);
}

fn sockudo_as_client(response: &[u8]) {
    use sockudo_ws::handshake::{build_request, parse_response, validate_accept_key};
    black_box(build_request(AUTHORITY, "/chat", black_box(KEY), None, None));
    let (response, _) = parse_response(black_box(response)).unwrap().unwrap();
    assert!(response.status == 101 && validate_accept_key(KEY, response.accept.unwrap()));
}

async fn wtx_as_client(
    transport: impl wtx::stream::Stream,
    buffer: &mut WebSocketBuffer,
) -> wtx::Result<()> {
    let connector = WebSocketConnector::default()
        .no_masking(false)
        .rng(Xorshift64::new(black_box(7)))
        .wsb(buffer);
    let uri = UriRef::new("ws://localhost:9001/chat");
    black_box(connector.connect(transport, &uri).await?);
    Ok(())
}

/// The key that wtx sends: it depends on its generator's seed alone.
fn key_of_wtx() -> String {
    struct Recorder<'a>(&'a mut Vec<u8>);
    impl wtx::stream::StreamReader for Recorder<'_> {
        async fn read(&mut self, _: &mut [u8]) -> wtx::Result<usize> {
            Ok(0)
        }
    }
    impl wtx::stream::StreamWriter for Recorder<'_> {
        async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
            self.0.extend_from_slice(bytes);
            Ok(())
        }
        async fn write_all_vectored(&mut self, slices: &[&[u8]]) -> wtx::Result<()> {
            self.0.extend(slices.concat());
            Ok(())
        }
    }
    let mut written = Vec::new();
    let mut buffer = WebSocketBuffer::new();
    let attempt = wtx_as_client(Recorder(&mut written), &mut buffer);
    assert!(runtime().block_on(attempt).is_err(), "nobody answered");
    let request = String::from_utf8(written).unwrap();
    let (_, after) = request.split_once("Sec-WebSocket-Key: ").unwrap();
    after.split_once("\r\n").unwrap().0.to_owned()
}

fn clients(response: &[u8]) -> Vec<Contender<'_>> {
    let source = Endless::new(response);
    let of_wtx = Endless::new(self::response(&key_of_wtx()).as_bytes());
    let mut buffer = WebSocketBuffer::new();
    let for_wtx = runtime();
    vec![
        Contender::of_steps("ours", || ours_as_client(response)),
        Contender::of_steps("tungstenite", move || tungstenite_as_client(&source)),
        Contender::of_steps("sockudo-ws", || sockudo_as_client(response)),
        Contender::new("wtx", 1.0, move |times| {
            for_wtx.block_on(async {
                for _ in 0..times {
                    wtx_as_client(WtxEndless(of_wtx.clone()), &mut buffer).await.unwrap();
                }
            });
        }),
    ]
}

fn table(id: &str, title: &str, note: &str, lenient: &[&str], figures: Vec<Figure>) -> Table {
    Table {
        id: id.to_owned(),
        title: title.to_owned(),
        unit: "ns a handshake".to_owned(),
        note: note.to_owned(),
        smaller_is_better: true,
        lenient: names(lenient),
        figures,
    }
}

/// The comparison of servers.
#[must_use]
pub fn server(scale: Scale) -> Table {
    let note = "A browser's request of 612 bytes is read and the 101 written. Ours: \
        `ServerHandshake` over slices. tungstenite: `accept` with a 4 KiB buffer, for its default \
        of 128 KiB would be most of the cost. tokio-websockets: `accept`, which makes an \
        `http::Request` of it. soketto: `handshake::Server`. sockudo-ws: its sans-IO functions. \
        wtx: an acceptor with a buffer that is reused. embedded-websocket: httparse, as its \
        documentation shows. wtx accepts requests without Connection or Upgrade too, \
        and embedded-websocket looks for Upgrade and the key only. fastwebsockets and yawc need \
        an HTTP server for it.";
    let figures = measure("612-byte request", scale, servers());
    let lenient = ["wtx", "embedded-websocket"];
    table("handshake-server", "The opening handshake of a server", note, &lenient, figures)
}

/// The comparison of clients.
#[must_use]
pub fn client(scale: Scale) -> Table {
    let note = "A request is written and the 101 to it read and verified. Only those take part \
        whose key can be fixed beforehand, so that no accept value has to be computed for the \
        answer. Ours: `ClientHandshake` over slices. tungstenite: `client` of a request built for \
        it, with a 4 KiB buffer. sockudo-ws: its sans-IO functions. wtx: a connector with a buffer \
        that is reused; it takes an answer without Connection, Upgrade or the right accept value \
        too.";
    let response = response(KEY);
    let figures = measure("request and 101", scale, clients(response.as_bytes()));
    let lenient = ["wtx"];
    table("handshake-client", "The opening handshake of a client", note, &lenient, figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_has_the_length_that_its_row_names() {
        assert_eq!(REQUEST.len(), 612);
    }

    #[test]
    fn every_contender_comes_to_a_connection() {
        let response = response(KEY);
        assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455 section 1.3");
        for mut contender in servers().into_iter().chain(clients(response.as_bytes())) {
            contender.run(2);
        }
    }
}
