//! TLS for the peers, and certificates to run them with.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use duologue_certificates::{Authority, Validity};
use duologue_tokio::tls::{ClientTls, ServerTls};
use duologue_tokio::{ClientOptions, Error};

#[derive(Args, Clone, Debug)]
pub(crate) struct Tls {
    /// A server speaks TLS with the certificate in this PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A client trusts the certificates in this PEM file.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Tls {
    /// How a server speaks TLS, if it does.
    pub(crate) fn server(&self) -> Result<Option<ServerTls>, Error> {
        let (Some(chain), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        Ok(Some(ServerTls::new(&fs::read(chain)?, &fs::read(key)?)?))
    }

    /// Has a client trust what it is to trust.
    pub(crate) fn client(&self, client: ClientOptions) -> Result<ClientOptions, Error> {
        match &self.ca {
            None => Ok(client),
            Some(ca) => {
                Ok(client.with_tls(ClientTls::builder().only_roots(fs::read(ca)?).build()?))
            }
        }
    }
}

/// Makes an authority, `ca.pem`, and a certificate that it has issued for this machine by its usual
/// names, `server.pem` with `server.key`.
pub(crate) fn make_certificates(directory: &Path) -> Result<(), Error> {
    let made = Authority::new("duologue-interop").and_then(|authority| {
        let names = ["localhost", "127.0.0.1", "::1"];
        Ok((authority.certificate(), authority.issue(&names, Validity::Now)?))
    });
    let (authority, server) = made.map_err(std::io::Error::other)?;
    fs::create_dir_all(directory)?;
    fs::write(directory.join("ca.pem"), authority)?;
    fs::write(directory.join("server.pem"), server.chain)?;
    fs::write(directory.join("server.key"), server.key)?;
    Ok(())
}
