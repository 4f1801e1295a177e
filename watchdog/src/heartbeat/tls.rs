//! TLS for a question of life and death: a certificate's date, name or issuer is noted and told, and hides nothing behind it.
//!
//! During the handshake only the signature is checked, which proves that the server holds the certificate's key. Afterwards the
//! certificate is looked at; a fault is a warning, and keeps passwords at home. Deliberately absent: resumption (a resumed
//! handshake shows no certificate), revocation, client certificates.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Duration};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use tokio_rustls::TlsConnector;

use super::{Error, Fault, Tls, Way, reach::Stream};
use crate::model::Warning;

/// What heartbeats with the same `verify` and `ca` share: the issuers of a system are some 100 kB. Keep it while a
/// configuration is loaded, then drop it: files are read when first asked for.
#[derive(Debug, Default)]
pub struct Profiles(BTreeMap<(bool, Option<PathBuf>), Arc<Profile>>);

#[derive(Debug)]
struct Profile {
    config: Arc<ClientConfig>,
    trust: Trust,
}

#[derive(Debug)]
enum Trust {
    /// `verify = false`.
    NotAsked,
    /// The system has no issuers.
    Nobody,
    /// These; `named` are the certificates of `ca` itself.
    Issuers { verifier: Arc<WebPkiServerVerifier>, named: Vec<CertificateDer<'static>> },
}

/// TLS as one heartbeat speaks it.
#[derive(Debug)]
pub(super) struct Client {
    profile: Arc<Profile>,
    name: ServerName<'static>,
    expires_within: Duration,
}

impl Client {
    pub(super) fn new(settings: &Tls, host: &str, profiles: &mut Profiles) -> Result<Client, Error> {
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| Error::Host { host: host.to_owned() })?;
        Ok(Client { profile: profiles.profile(settings)?, name, expires_within: settings.expires_within })
    }

    /// Shakes hands, then notes what the certificate has to be told for.
    pub(super) async fn secure(
        &self,
        stream: Box<dyn Stream>,
        way: &mut Way,
    ) -> Result<Box<dyn Stream>, Fault> {
        let connector = TlsConnector::from(self.profile.config.clone());
        let stream = connector.connect(self.name.clone(), stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let (fault, soon) = self.profile.trust.look(chain, &self.name, UnixTime::now(), self.expires_within);
        way.stranger = fault.is_some();
        way.warnings.extend(fault.into_iter().chain(soon).map(Warning::Certificate));
        Ok(Box::new(stream))
    }
}

impl Profiles {
    fn profile(&mut self, settings: &Tls) -> Result<Arc<Profile>, Error> {
        let key = (settings.verify, settings.ca.clone());
        if let Some(profile) = self.0.get(&key) {
            return Ok(profile.clone());
        }
        let provider = Arc::new(ring::default_provider());
        let handshake = Handshake { provider: provider.clone(), verify: settings.verify };
        let mut config = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(handshake))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let trust = match (settings.verify, &settings.ca) {
            (false, _) => Trust::NotAsked,
            (true, None) => {
                Trust::of(rustls_native_certs::load_native_certs().certs, provider).unwrap_or(Trust::Nobody)
            }
            (true, Some(path)) => {
                let unread = |source| Error::Issuers { path: path.clone(), source };
                let named = CertificateDer::pem_file_iter(path).map_err(unread)?;
                let named = named.collect::<Result<Vec<_>, _>>().map_err(unread)?;
                Trust::of(named, provider).ok_or_else(|| Error::NoIssuers { path: path.clone() })?
            }
        };
        let profile = Arc::new(Profile { config: Arc::new(config), trust });
        self.0.insert(key, profile.clone());
        Ok(profile)
    }
}

impl Trust {
    fn of(certificates: Vec<CertificateDer<'static>>, provider: Arc<CryptoProvider>) -> Option<Trust> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates.iter().cloned());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        Some(Trust::Issuers { verifier, named: certificates })
    }

    /// The fault of a certificate, and that it ends soon.
    fn look(
        &self,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
        soon: Duration,
    ) -> (Option<String>, Option<String>) {
        let (verifier, named) = match self {
            Trust::NotAsked => return (None, None),
            Trust::Nobody => {
                let cure = "this system knows no issuers: install ca-certificates or set tls.ca";
                return (Some(cure.into()), None);
            }
            Trust::Issuers { verifier, named } => (verifier, named),
        };
        let Some((leaf, others)) = chain.split_first() else { return (Some("none was shown".into()), None) };
        let fault_at = |time| match verifier.verify_server_cert(leaf, others, name, &[], time) {
            // Whom the administrator names in `ca` is trusted, be it an issuer or not.
            Err(fault) if named.contains(leaf) && is_about_the_issuer(&fault) => {
                ParsedCertificate::try_from(leaf).and_then(|leaf| verify_server_name(&leaf, name)).err()
            }
            verified => verified.err(),
        };
        let today = fault_at(now);
        // Its last day is found by looking at it from then: an issuer on the way that ends sooner counts as well.
        let later = fault_at(UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + soon));
        let ends = match later {
            Some(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) if not_after.as_secs() >= now.as_secs() => Some(format!("expires on {}", Day(not_after))),
            Some(_) | None => None,
        };
        (today.as_ref().map(told), ends)
    }
}

/// The date is checked before the issuer, the name after it.
fn is_about_the_issuer(fault: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(fault) = fault else { return false };
    matches!(
        fault,
        CertificateError::UnknownIssuer | CertificateError::BadSignature | CertificateError::Other(_)
    )
}

fn told(fault: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(fault) = fault else { return fault.to_string() };
    if let CertificateError::ExpiredContext { not_after, .. } = fault {
        return format!("expired on {}", Day(*not_after));
    }
    if let CertificateError::NotValidYetContext { not_before, .. } = fault {
        return format!("not valid before {}", Day(*not_before));
    }
    if let CertificateError::NotValidForNameContext { expected, presented } = fault {
        let names = presented.iter().map(|name| name.split('"').nth(1).unwrap_or(name)); // DnsName("a.example")
        return format!("is for {}, not for {}", names.collect::<Vec<_>>().join(", "), expected.to_str());
    }
    if let CertificateError::Other(why) = fault {
        return format!("cannot be used ({why})"); // X.509 v1, or an issuer's certificate shown as a server's
    }
    if *fault == CertificateError::UnknownIssuer {
        return "unknown issuer".into();
    }
    fault.to_string()
}

/// A day in UTC.
struct Day(UnixTime);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).ok();
        match seconds.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
            Some(time) => write!(f, "{}", time.strftime("%Y-%m-%d")),
            None => write!(f, "second {} of Unix time", self.0.as_secs()),
        }
    }
}

/// Whether the server holds the key of the certificate it shows, and nothing else.
#[derive(Debug)]
struct Handshake {
    provider: Arc<CryptoProvider>,
    verify: bool,
}

impl Handshake {
    fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        signature: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match signature {
            Ok(valid) => Ok(valid),
            // A certificate that cannot be read (X.509 v1) proves nothing; afterwards it is noted for that.
            Err(_) if !self.verify || ParsedCertificate::try_from(certificate).is_err() => {
                Ok(HandshakeSignatureValid::assertion())
            }
            Err(fault) => Err(fault),
        }
    }
}

impl ServerCertVerifier for Handshake {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion()) // looked at after the handshake
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.judge(certificate, verify_tls12_signature(message, certificate, signature, algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        self.judge(certificate, verify_tls13_signature(message, certificate, signature, algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
