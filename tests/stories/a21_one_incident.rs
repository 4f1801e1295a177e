//! What our own action sets off belongs to the same incident, and is charged once.

use std::time::Duration;

use anyhow::Result;
use lab::Backend;
use rustix::process::Signal;

use crate::stage::{SOON, play, recovered_once, restarts};

#[test]
fn a21_the_signs_of_our_own_restart_are_folded_into_its_incident() -> Result<()> {
    play(|lab| {
        let fpm = lab.nginx_with_php(Backend::Tcp)?;
        let page = "http://127.0.0.1/heartbeat.php";
        lab.until_answers(page, SOON)?;
        let configuration = format!(
            "[service.php]
unit = \"{fpm}\"
[service.php.heartbeat]
url = \"{page}\"
connect = \"127.0.0.1:80\"
body = \"It works!\"
every_in_use = \"1s\"
"
        );
        let watchdog = lab.guard(&configuration, &["php"])?;
        // Clients go on asking while the workers die, the listener goes away, and nginx answers 502.
        let traffic = lab.traffic(page, 20, Duration::from_secs(2))?;
        traffic.wait_for_good(lab::mono_us() + 500_000, SOON)?;
        let old = lab.main_pid(&fpm)?;
        lab.kill_all(Signal::STOP, &fpm)?;
        lab.until_replaced(&fpm, old, SOON)?;
        let recovered = recovered_once(&watchdog, "php", SOON)?;
        // Five more seconds of traffic: a second incident would come from what the first one left.
        traffic.wait_for_good(recovered.mono_us() + 5_000_000, SOON)?;
        assert_eq!(restarts(&watchdog, "php").len(), 1);
        recovered_once(&watchdog, "php", SOON).map(drop)
    })
}
