//! Only one watchdog acts on a host, and what says so is a lock that dies with its process: never a PID in a file.

use anyhow::{Result, ensure};

use crate::stage::{SOON, play, victim};

const LOCKS: [&str; 2] = ["/run/watchdog/lock", "/var/lib/watchdog/lock"];

#[test]
fn e10_a_lock_file_that_names_a_living_process_keeps_nobody_out() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        for lock in LOCKS {
            lab.write(lock, "1\n")?;
        }
        let watchdog = lab.watchdog_unit(&victim("victim", 7000), "", &["victim"])?;
        for life in 1..=2 {
            let own = watchdog.main_pid()?;
            for lock in LOCKS {
                assert_eq!(lab.read(lock)?.trim(), own.to_string(), "{lock} in life {life}");
                let free = lab.run(&["flock", "--nonblock", lock, "true"])?.status.success();
                ensure!(!free, "{lock} is not locked in life {life}");
            }
            watchdog.kill()?;
            watchdog.until_replaced(own, SOON)?;
        }
        lab.exec(&["systemctl", "stop", lab::SERVICE])?;
        for lock in LOCKS {
            lab.exec(&["flock", "--nonblock", lock, "true"])?;
        }
        Ok(())
    })
}
