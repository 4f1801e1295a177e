//! An answer whose body lacks the text is a failure, whatever its status.

use anyhow::{Result, ensure};

use crate::stage::{QUICK, SOON, is_dead, play, recovered_once, victim};

#[test]
fn a5_a_page_with_the_wrong_text_is_a_failure_though_its_status_is_200() -> Result<()> {
    play(|lab| {
        lab.victim("victim", 7000, "")?;
        let watchdog = lab.guard(&(victim("victim", 7000) + QUICK), &["victim"])?;
        let old = lab.main_pid("victim.service")?;
        lab.get("http://127.0.0.1:7000/mode/wrong")?;
        lab.until_replaced("victim.service", old, SOON)?;
        recovered_once(&watchdog, "victim", SOON)?;
        let dead = watchdog.wait_for("the verdict", SOON, |e| is_dead(e, "victim"))?;
        let end = &dead.data("end")["wrong_body"];
        ensure!(end["status"] == 200 && end["got"].to_string().contains("It works."), "{}", dead.0);
        Ok(())
    })
}
