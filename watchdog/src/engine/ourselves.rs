//! Whether watchdog itself is well: it answers itself over loopback, by the way that all heartbeats take.

use std::{future, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{
    heartbeat::{Heart, Profiles, Ran, Settings, Target, Tls},
    model::{Ask, Connect, Known, OrderId, Service, Verdict},
};

/// Loopback takes microseconds; more than half of this of our own lateness, and it says nothing of others.
const LIMIT: Duration = Duration::from_secs(1);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Asks itself once.
pub(super) async fn ourselves(service: Service) -> Known {
    match ask(service).await {
        Ok(()) => Known::Ourselves { fault: None },
        Err(why) => Known::Ourselves { fault: Some(why) },
    }
}

async fn ask(service: Service) -> Result<(), String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|fault| fault.to_string())?;
    let address = listener.local_addr().map_err(|fault| fault.to_string())?;
    let settings = Settings {
        target: Target::Http {
            secure: false,
            host: "localhost".into(),
            port: address.port(),
            path: "/".into(),
        },
        connect: Connect::Address(address),
        status: vec![200..=200],
        body: None,
        timeout: LIMIT,
        method: "GET".into(),
        headers: Vec::new(),
        basic_auth: None,
        tls: Tls { verify: false, ca: None, expires_within: Duration::ZERO },
    };
    let heart = Heart::new(&settings, &mut Profiles::default()).map_err(|fault| fault.to_string())?;
    let question = Ask { id: OrderId(0), service, heartbeat: 0, incident: None };
    let spot = heart.spot(|_| None);
    let never = |_| future::ready(Ran::NotRun("this is no program".into()));
    let (answer, ()) = tokio::join!(heart.ask(&question, &spot, never), serve(&listener));
    match answer.verdict {
        Verdict::Alive => Ok(()),
        Verdict::Dead | Verdict::Unknown => Err(answer.to_string()),
    }
}

/// One client, for as long as an ask may take.
async fn serve(listener: &TcpListener) {
    let answered = async {
        let (mut client, _) = listener.accept().await?;
        let mut request = [0; 1024];
        if client.read(&mut request).await? == 0 {
            return Ok(());
        }
        client.write_all(ANSWER).await
    };
    // where it fails, the heartbeat says so
    let _the_other_side_tells = tokio::time::timeout(LIMIT, answered).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn g9_a_watchdog_that_is_well_answers_itself() {
        assert_eq!(ourselves(Service::new("web")).await, Known::Ourselves { fault: None });
    }
}
