//! Encryption, from PEM files. The certificate can be renewed while the server runs (SIGHUP).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::config::Ssl;
use crate::error::{Error, Result};
use crate::store::read_host_file;

/// The largest PEM file, in bytes.
const PEM_LIMIT: u64 = 1024 * 1024;

/// A certificate with its key, and where they come from.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    now: ArcSwap<ServerConfig>,
}

impl Tls {
    /// Reads the files that the configuration names; none while encryption is off.
    pub fn from_config(ssl: &Ssl) -> Result<Option<Arc<Self>>> {
        if !ssl.enabled {
            return Ok(None);
        }
        if !ssl.key_passphrase.is_empty() {
            return Err(Error::invalid(
                "bad_tls",
                "ssl.keyPassphrase is set, but keys with a passphrase are not supported. Take the passphrase off a copy \
                 of the key (openssl pkey -in KEY -out PLAIN), readable by the server alone, and leave the setting empty.",
            ));
        }
        let config = load(&ssl.cert_path, &ssl.key_path)?;
        Ok(Some(Arc::new(Self {
            certificate: ssl.cert_path.clone(),
            key: ssl.key_path.clone(),
            now: ArcSwap::from_pointee(config),
        })))
    }

    /// Reads the files again. If they are not good, the old certificate stays in use.
    pub fn renew(&self) -> Result<()> {
        self.now.store(Arc::new(load(&self.certificate, &self.key)?));
        Ok(())
    }

    /// Agrees on encryption with a client.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(self.now.load_full()).accept(stream).await
    }
}

fn load(certificate: &Path, key: &Path) -> Result<ServerConfig> {
    let wrong = |path: &Path, why: String| {
        Error::invalid("bad_tls", format!("{} cannot be used for TLS: {why}.", path.display()))
    };
    let read = |path: &Path| read_host_file(path, PEM_LIMIT).map_err(|error| wrong(path, error.to_string()));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| wrong(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "there is no certificate in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| wrong(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::internal)?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| wrong(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
