//! Descriptors that are left. Those of the whole process are counted, so there is one test only.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use duologue_tokio::{Error, accept};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[tokio::test]
async fn h25_resets_leave_no_descriptor() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let before = open_descriptors();
    for round in 0..500 {
        let mut client = TcpStream::connect(address).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let whole = round % 2 == 0;
        let sent = if whole { REQUEST } else { &REQUEST[..50] };
        client.write_all(sent).await.unwrap();
        let server = tokio::spawn(async move {
            let mut websocket = accept(stream).await?;
            while let Some(message) = websocket.next().await {
                message?;
            }
            Ok::<_, Error>(())
        });
        if whole {
            client.read_exact(&mut [0; 64]).await.unwrap();
        }
        // A reset instead of an end.
        client.set_zero_linger().unwrap();
        drop(client);
        let error = server.await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Io(_) | Error::ConnectionLost), "{error}");
    }
    assert!(open_descriptors() <= before + 2, "{} and {before}", open_descriptors());
}
