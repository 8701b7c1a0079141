//! `wss://` from and to the command line.
#![cfg(unix)]
#![allow(clippy::expect_used, reason = "this is a test, but not marked as one")]

mod support;

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use duologue_certificates::{Authority, Identity, Validity};
use support::{RawServer, Server, run};

/// Files of one test, which end with their guard.
struct Files {
    directory: PathBuf,
}

impl Files {
    fn new(name: &str) -> Self {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("a directory can be made");
        Self { directory }
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.join(name);
        fs::write(&path, text).expect("a file can be written");
        path.to_str().expect("a name in UTF-8").into()
    }

    fn identity(&self, name: &str, identity: &Identity) -> (String, String) {
        let chain = self.write(&format!("{name}.pem"), &identity.chain);
        (chain, self.write(&format!("{name}.key"), &identity.key))
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn authority(name: &str) -> Authority {
    Authority::new(name).expect("a certificate can be made")
}

fn issue(authority: &Authority, names: &[&str], validity: Validity) -> Identity {
    authority.issue(names, validity).expect("a certificate can be made")
}

fn url(server: &Server) -> String {
    format!("wss://localhost:{}/", server.address.port())
}

#[test]
fn served_with_a_certificate_it_is_connected_to_and_measured_over_wss() {
    let files = Files::new("served");
    let authority = authority("the test's authority");
    let ca = files.write("ca.pem", &authority.certificate());
    let identity = issue(&authority, &["localhost"], Validity::Now);
    let (chain, key) = files.identity("server", &identity);
    let mut server = Server::start(&["--tls-cert", &chain, "--tls-key", &key]);
    server.process.wait_for_note("echo on wss://");
    server.process.wait_for_note("open https://");

    let url = url(&server);
    let ended = run(&["connect", "--ca", &ca, &url], "Hello\n").expect(0);
    assert_eq!(ended.stdout, "Hello\n");
    let load = ["bench", "--ca", &ca, "--duration", "0.2", "--connections", "2", &url];
    run(&load, "").expect(0);
}

#[test]
fn each_failure_of_tls_is_told_in_one_line_with_status_1() {
    let files = Files::new("failures");
    let authority = authority("the test's authority");
    let ca = files.write("ca.pem", &authority.certificate());
    let other = Authority::new("another authority").expect("a certificate can be made");
    let other = files.write("other.pem", &other.certificate());
    for (names, validity, ca, text) in [
        (&["localhost"][..], Validity::Now, &other, "unknown authority; --ca FILE trusts another"),
        (&["a.example"], Validity::Now, &ca, "other host names than localhost: a.example"),
        (&["localhost"], Validity::Past, &ca, "the certificate expired on 2021-02-03"),
        (&["localhost"], Validity::Future, &ca, "the certificate is not valid before 2900-01-01"),
    ] {
        let (chain, key) = files.identity("server", &issue(&authority, names, validity));
        let server = Server::start(&["--tls-cert", &chain, "--tls-key", &key]);
        let ended = run(&["connect", "--ca", ca, &url(&server)], "").expect(1).tells(text);
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
}

#[test]
fn client_certificate_is_demanded_and_given() {
    let files = Files::new("demanded");
    let authority = authority("the test's authority");
    let ca = files.write("ca.pem", &authority.certificate());
    let identity = issue(&authority, &["localhost"], Validity::Now);
    let (chain, key) = files.identity("server", &identity);
    let tls = ["--tls-cert", &chain, "--tls-key", &key, "--tls-client-ca", &ca];
    let mut server = Server::start(&tls);
    let url = url(&server);

    run(&["connect", "--ca", &ca, &url], "")
        .expect(1)
        .tells("the server asks for a client certificate, and there was none; --cert and --key");
    server.process.wait_for_note("no connection: TLS failed: the server asks for a client");

    let (chain, key) = files.identity("client", &issue(&authority, &["me"], Validity::Now));
    let arguments = ["connect", "--ca", &ca, "--cert", &chain, "--key", &key, &url];
    assert_eq!(run(&arguments, "Hello\n").expect(0).stdout, "Hello\n");
}

#[test]
fn plain_http_at_a_port_with_tls_is_logged_and_harms_nobody() {
    let files = Files::new("plain");
    let authority = authority("the test's authority");
    let ca = files.write("ca.pem", &authority.certificate());
    let identity = issue(&authority, &["localhost"], Validity::Now);
    let (chain, key) = files.identity("server", &identity);
    let mut server = Server::start(&["--tls-cert", &chain, "--tls-key", &key]);

    let mut plain = server.request("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // An alert of TLS (RFC 8446 section 6), then the end.
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).expect("an end without a reset");
    assert_eq!(answer.first(), Some(&21));
    drop(plain);
    server.process.wait_for_note("no connection: TLS failed: the peer does not speak TLS");
    assert_eq!(run(&["connect", "--ca", &ca, &url(&server)], "on\n").expect(0).stdout, "on\n");
}

#[test]
fn wss_to_a_plain_server_is_told_as_such() {
    let server = RawServer::start();
    let url = server.url().replace("ws:", "wss:");
    let client = support::Duologue::start(&["connect", &url]);
    let mut stream = server.accept_tcp();
    std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").expect("it reads");
    client.wait().expect(1).tells("the peer does not speak TLS; is it a ws:// server?");
}

#[test]
fn file_that_cannot_be_used_is_told_with_status_2() {
    let files = Files::new("unusable");
    let nothing = files.write("nothing.pem", "nothing\n");
    let identity = issue(&authority("the test's authority"), &["localhost"], Validity::Now);
    let (chain, key) = files.identity("server", &identity);
    let gone = "/nowhere/at/all.pem";
    for (arguments, text) in [
        (&["connect", "--ca", gone, "wss://localhost/"][..], "cannot read /nowhere/at/all.pem"),
        (&["connect", "--ca", &nothing, "wss://localhost/"], "there is no CERTIFICATE"),
        (&["bench", "--ca", &nothing, "wss://localhost/"], "there is no CERTIFICATE"),
        (&["connect", "--cert", &chain, "wss://localhost/"], "--key"),
        (&["serve", "--tls-cert", gone, "--tls-key", &key], "cannot read /nowhere/at/all.pem"),
        (&["serve", "--tls-cert", &chain, "--tls-key", &chain], "there is no PRIVATE KEY"),
        (&["serve", "--tls-cert", &chain], "--tls-key"),
        (&["serve", "--tls-client-ca", &chain], "--tls-cert"),
    ] {
        run(arguments, "").expect(2).tells(text);
    }
}
