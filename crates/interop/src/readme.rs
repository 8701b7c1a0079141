//! The server that the README's programs talk to when they are run as tests.

use std::net::TcpListener;
use std::sync::OnceLock;
use std::{io, thread};

use duologue_std::{Accept, Error, Request, ServerOptions, accept_with};

/// The URL of an echo server, which is started at the first call and lives as long as the program.
/// It agrees to the subprotocol `chat`.
///
/// # Panics
///
/// If there is no free port.
#[expect(clippy::expect_used, reason = "a test without its server cannot go on")]
pub fn url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| start().expect("a free port"))
}

fn start() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let decide = |request: &Request<'_>| {
                    Accept::new().subprotocol(request.choose_subprotocol(&["chat"])).into()
                };
                let mut websocket = accept_with(stream, &ServerOptions::new(), decide)?;
                while let Some(message) = websocket.read()? {
                    websocket.send(message)?;
                }
                Ok::<(), Error>(())
            });
        }
    });
    Ok(url)
}
