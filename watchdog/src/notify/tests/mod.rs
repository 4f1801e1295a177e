mod book;
mod mail;
mod webhook;
mod words;

use std::{path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use super::{
    book::{Book, Message},
    notice::Moment,
    *,
};
use crate::model::{
    Action, Decision, Fate, IncidentEnd, IncidentId, Mono, NoticeKind, Service, Step, Story, Tell, Wall,
};

/// Seconds after the boot; the wall clock shows three in the morning then.
fn at(seconds: u64) -> Moment {
    let three = 1_793_588_400_000_000; // 2026-11-02T03:00:00Z
    let micros = i64::try_from(seconds * 1_000_000).expect("a time");
    Moment { mono: Mono(seconds * 1_000_000_000), wall: Wall(three + micros) }
}

/// The policy says this of a service, in this incident.
fn tell(at: Moment, service: &str, incident: Option<u32>, decision: Decision) -> Tell {
    Tell {
        service: Service::new(service),
        unit: format!("{service}.service").parse().expect("a unit's name"),
        incarnation: None,
        incident: incident.map(|number| IncidentId { run: 0xab, number }),
        at: at.mono,
        decision,
    }
}

fn alert(what: &str) -> Decision {
    Decision::Alert { what: what.into() }
}

fn restart(rule: &str) -> Decision {
    Decision::Act { action: Action::Restart { reset: false }, rule: rule.into(), observed_only: false }
}

fn end(end: IncidentEnd, at: Moment, restarts: u32) -> Decision {
    let steps = vec![
        Step { mono_us: at.mono, after_us: 0, what: "main process 812 (nginx) ended: SIGKILL".into() },
        Step { mono_us: at.mono, after_us: 0, what: "restarted".into() },
    ];
    Decision::End(Box::new(Story { end, took: Duration::from_millis(4_213), restarts, steps }))
}

fn channel(name: &str, on: &[NoticeKind], way: Way) -> Channel {
    let on = on.iter().copied().collect();
    Channel { name: name.into(), on, timeout: Duration::from_secs(20), way }
}

fn runs() -> Way {
    Way::Exec(Exec { argv: vec!["/bin/true".into()], user: None })
}

/// All but `restarted`.
const USUAL: [NoticeKind; 5] = [
    NoticeKind::Quarantined,
    NoticeKind::Failed,
    NoticeKind::Alert,
    NoticeKind::Repeated,
    NoticeKind::Recovered,
];

/// Who shows a certificate for this name, and the file with its issuer.
fn identity(name: &str, folder: &Path) -> (TlsAcceptor, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = folder.join("ca.pem");
    std::fs::write(&ca, params.self_signed(&key).expect("a certificate").pem()).expect("a file");
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .expect("a certificate");
    (TlsAcceptor::from(Arc::new(config)), ca)
}
