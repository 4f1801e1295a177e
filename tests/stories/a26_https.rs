//! Over TLS: the name goes into SNI, and a certificate that nobody signed is told but restarts nothing.

use anyhow::{Context, Result, ensure};

use crate::stage::{SOON, is_alert, is_alive, not_restarted, play};

#[test]
fn a26_an_https_page_is_asked_by_its_name_and_its_certificate_is_only_told() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let made = rcgen::generate_simple_self_signed(["heartbeat.example.com".to_owned()]);
        let made = made.context("cannot make a certificate")?;
        lab.write("/etc/nginx/lab.crt", &made.cert.pem())?;
        lab.write("/etc/nginx/lab.key", &made.signing_key.serialize_pem())?;
        let sites = "ssl_certificate lab.crt; ssl_certificate_key lab.key;
server { listen 443 ssl default_server; return 500; }
server { listen 443 ssl; server_name heartbeat.example.com; location / { return 200 'It works!'; } }\n";
        lab.write("/etc/nginx/sites-enabled/lab", sites)?;
        lab.exec(&["systemctl", "restart", "nginx.service"])?;
        let configuration = "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"https://heartbeat.example.com/\"
connect = \"127.0.0.1:443\"
body = \"It works!\"
";
        let watchdog = lab.guard(configuration, &["web"])?;
        let alive = watchdog.wait_for("a heartbeat", SOON, |e| is_alive(e, "web"))?;
        ensure!(alive.data("warnings").to_string().contains("certificate"), "{}", alive.0);
        watchdog.wait_for("an alert", SOON, |e| is_alert(e, "web", "certificate"))?;
        not_restarted(&watchdog, "web")
    })
}
