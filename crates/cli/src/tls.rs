//! The arguments that TLS takes, and the files that they name.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use duologue_tokio::ClientOptions;
use duologue_tokio::tls::{ClientTls, ServerTls};

/// What a client may say about TLS.
#[derive(Args, Clone, Debug)]
pub(crate) struct ClientFiles {
    /// For wss://, trust the certificates in this PEM file instead of the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// For wss://, show the server this certificate: a PEM file with those of its issuers behind
    /// it.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The private key of --cert, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

impl ClientFiles {
    /// Has the client speak TLS as the files say.
    ///
    /// # Errors
    ///
    /// What cannot be read or used, in words.
    pub(crate) fn apply(&self, client: ClientOptions) -> Result<ClientOptions, String> {
        if self.ca.is_none() && self.cert.is_none() {
            return Ok(client);
        }
        let mut builder = ClientTls::builder();
        if let Some(ca) = &self.ca {
            builder = builder.only_roots(read(ca)?);
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            builder = builder.client_certificate(read(cert)?, read(key)?);
        }
        let files = [&self.ca, &self.cert, &self.key];
        let tls = builder.build().map_err(|error| format!("{}: {error}", names(files)))?;
        Ok(client.with_tls(tls))
    }
}

/// What a server may say about TLS.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerFiles {
    /// Speak TLS (wss:// and https://) with this certificate: a PEM file with those of its issuers
    /// behind it.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of --tls-cert, in a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let only clients in that show a certificate issued by an authority in this PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

impl ServerFiles {
    /// How the server speaks TLS; `None` if it does not.
    ///
    /// # Errors
    ///
    /// What cannot be read or used, in words.
    pub(crate) fn load(&self) -> Result<Option<ServerTls>, String> {
        let (Some(cert), Some(key)) = (&self.tls_cert, &self.tls_key) else { return Ok(None) };
        let (chain, private) = (read(cert)?, read(key)?);
        let tls = match &self.tls_client_ca {
            None => ServerTls::new(&chain, &private),
            Some(ca) => ServerTls::with_client_roots(&chain, &private, &read(ca)?),
        };
        let files = [&self.tls_cert, &self.tls_key, &self.tls_client_ca];
        tls.map(Some).map_err(|error| format!("{}: {error}", names(files)))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()))
}

fn names(files: [&Option<PathBuf>; 3]) -> String {
    let names: Vec<String> =
        files.into_iter().flatten().map(|file| file.display().to_string()).collect();
    names.join(", ")
}
