//! Whom to ask and by what name are separate settings, and no name is looked up.

use anyhow::{Result, ensure};

use crate::stage::{is_alive, play};

#[test]
fn a16_the_address_and_the_name_are_separate_and_nobody_asks_the_dns() -> Result<()> {
    play(|lab| {
        lab.nginx()?;
        let sites = "server { listen 80 default_server; return 500; }
server { listen 80; server_name heartbeat.example.com; location / { return 200 'It works!'; } }\n";
        lab.write("/etc/nginx/sites-enabled/lab", sites)?;
        lab.exec(&["systemctl", "reload", "nginx.service"])?;
        lab.until(crate::stage::SOON, || {
            ensure!(lab.get("http://127.0.0.1/")?.status == 500, "nginx still has its old sites");
            Ok(())
        })?;
        ensure!(
            !lab.run(&["getent", "hosts", "heartbeat.example.com"])?.status.success(),
            "the name resolves"
        );
        let configuration = "[service.web]
unit = \"nginx.service\"
[service.web.heartbeat]
url = \"http://heartbeat.example.com/\"
connect = \"127.0.0.1:80\"
body = \"It works!\"
";
        let watchdog = lab.guard(configuration, &["web"])?;
        let alive = watchdog.wait_for("a heartbeat", crate::stage::SOON, |e| is_alive(e, "web"))?;
        ensure!(alive.data("asked") == "127.0.0.1:80", "{}", alive.0);
        Ok(())
    })
}
